"""One sound resource of each type we emit, small but with every kind of element that the tests then break."""

import base64
import copy

from conformance.definitions import Json

BASE = "https://trials.example.org/fhir"
UCUM = "http://unitsofmeasure.org"
THO = "http://terminology.hl7.org/CodeSystem/"
PROFILE = "http://hl7.org/fhir/StructureDefinition/"


def sound(release: str) -> dict[str, Json]:
    """Give fresh resources of one release, by type."""
    return copy.deepcopy({**_shared(release), **(_r4() if release == "R4" else _r5())})


def _text(words: str) -> Json:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words}</p></div>'}


def _canonical(kind: str, id_: str, name: str, release: str) -> Json:
    return {
        "resourceType": kind,
        "id": id_,
        "text": _text(name),
        "url": f"{BASE}/{kind}/{id_}",
        "version": "1.0.0",
        "name": name,
        "title": name,
        "status": "active",
        **({} if release == "R5" and kind == "EvidenceVariable" else {"experimental": False}),
        "date": "2026-02-01",
        "publisher": "A sponsor",
        "description": "A definition.",
    }


def _shared(release: str) -> dict[str, Json]:
    patient = {"coding": [{"system": f"http://hl7.org/fhir/{_types(release)}", "code": "Patient"}]}
    return {
        "Organization": {
            "resourceType": "Organization",
            "id": "sponsor",
            "text": _text("A sponsor"),
            "name": "A sponsor",
        },
        "Location": {
            "resourceType": "Location",
            "id": "site",
            "text": _text("A site"),
            "name": "A site",
            "status": "active",
            "type": [{"coding": [{"system": f"{THO}v3-RoleCode", "code": "HOSP"}]}],
            "managingOrganization": {"reference": "Organization/sponsor"},
        },
        "ValueSet": _canonical("ValueSet", "codes", "Codes", release)
        | {
            "meta": {"profile": [f"{PROFILE}shareablevalueset"]},
            "compose": {"include": [{"system": "http://loinc.org", "concept": [{"code": "4548-4"}]}]},
        },
        "Library": _canonical("Library", "Logic", "Logic", release)
        | {
            "meta": {"profile": [f"{PROFILE}shareablelibrary"]},
            "type": {"coding": [{"system": f"{THO}library-type", "code": "logic-library"}]},
            "subjectCodeableConcept": patient,
            "parameter": [{"name": "Is Eligible", "use": "out", "min": 0, "max": "1", "type": "boolean"}],
            "content": [{"contentType": "text/cql", "data": base64.b64encode(b"library Logic").decode()}],
        },
        "PlanDefinition": _canonical("PlanDefinition", "plan", "Plan", release)
        | {
            "meta": {"profile": [f"{PROFILE}shareableplandefinition", f"{PROFILE}computableplandefinition"]},
            "type": {"coding": [{"system": f"{THO}plan-definition-type", "code": "eca-rule"}]},
            "subjectCodeableConcept": patient,
            "library": [f"{BASE}/Library/Logic|1.0.0"],
            "useContext": [
                {
                    "code": {"system": f"{THO}usage-context-type", "code": "program"},
                    "valueReference": {"reference": "ResearchStudy/study"},
                }
            ],
            "action": [
                {"id": "screen", "title": "Screen", "groupingBehavior": "logical-group", "action": [_action(release)]}
            ],
        },
        "Questionnaire": _canonical("Questionnaire", "review", "Review", release)
        | {
            "subjectType": ["Patient"],
            "item": [
                {"linkId": "I1", "type": "boolean", "text": "Willing?"},
                {
                    "linkId": "I2",
                    "type": "choice" if release == "R4" else "coding",
                    "text": "Which?",
                    "answerValueSet": f"{BASE}/ValueSet/codes|1.0.0",
                    "enableWhen": [{"question": "I1", "operator": "=", "answerBoolean": True}],
                },
                {"linkId": "D", "type": "display", "text": "Read the protocol."},
                {"linkId": "G", "type": "group", "item": [{"linkId": "G1", "type": "quantity", "text": "How much?"}]},
            ],
        },
        "Bundle": {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "fullUrl": f"{BASE}/Organization/sponsor",
                    "resource": {"resourceType": "Organization", "id": "sponsor", "name": "A sponsor"},
                    "request": {"method": "PUT", "url": "Organization/sponsor"},
                },
                {
                    "fullUrl": f"{BASE}/Location/site",
                    "resource": {
                        "resourceType": "Location",
                        "id": "site",
                        "managingOrganization": {"reference": "Organization/sponsor"},
                    },
                    "request": {"method": "PUT", "url": "Location/site"},
                },
            ],
        },
    }


def _types(release: str) -> str:
    return "resource-types" if release == "R4" else "fhir-types"


def _action(release: str) -> Json:
    needs = {"type": "Observation", "codeFilter": [{"path": "code", "valueSet": f"{BASE}/ValueSet/codes|1.0.0"}]}
    language = "text/cql" if release == "R4" else "text/cql-identifier"
    return {
        "id": "I1",
        **({} if release == "R4" else {"linkId": "I1"}),
        "title": "Age 18 or older",
        "condition": [{"kind": "applicability", "expression": {"language": language, "expression": "Is Eligible"}}],
        "input": [needs if release == "R4" else {"title": "HbA1c", "requirement": needs}],
        "relatedAction": [{"actionId" if release == "R4" else "targetId": "screen", "relationship": "after"}],
    }


def _group() -> Json:
    return {
        "resourceType": "Group",
        "id": "criteria",
        "meta": {"profile": [f"{PROFILE}groupdefinition"]},
        "text": _text("Criteria"),
        "type": "person",
        "name": "Criteria",
        "extension": [{"url": f"{PROFILE}artifact-version", "valueString": "1.0.0"}],
        "characteristic": [
            {
                "id": "I1",
                "code": {
                    "coding": [{"system": "http://loinc.org", "code": "30525-0"}],
                    "extension": [{"url": f"{PROFILE}codeOptions", "valueCanonical": f"{BASE}/ValueSet/codes|1.0.0"}],
                },
                "valueRange": {
                    "low": {"value": 18, "system": UCUM, "code": "a"},
                    "high": {"value": 75, "system": UCUM, "code": "a"},
                },
                "exclude": False,
                "period": {"start": "2026-01", "end": "2026-02-01"},
            }
        ],
    }


def _concept_map(source: str, target: str, relation: Json) -> Json:
    return {
        source: f"{BASE}/ValueSet/codes|1.0.0",
        target: f"{BASE}/ValueSet/codes|1.0.0",
        "group": [
            {
                "source": "http://loinc.org",
                "target": "http://loinc.org",
                "element": [{"code": "4548-4", "target": [{"code": "17856-6", **relation}]}],
            }
        ],
    }


def _r4() -> dict[str, Json]:
    return {
        "Group": _group() | {"actual": False},
        "ConceptMap": _canonical("ConceptMap", "map", "Map", "R4")
        | _concept_map("sourceCanonical", "targetCanonical", {"equivalence": "equivalent"}),
        "ResearchStudy": {
            "resourceType": "ResearchStudy",
            "id": "study",
            "text": _text("A study"),
            "title": "A study",
            "status": "active",
            "primaryPurposeType": {"coding": [{"system": f"{THO}research-study-prim-purp-type", "code": "treatment"}]},
            "phase": {"coding": [{"system": f"{THO}research-study-phase", "code": "phase-3"}]},
            "enrollment": [{"reference": "Group/criteria"}],
            "protocol": [{"reference": "PlanDefinition/plan"}],
            "sponsor": {"reference": "Organization/sponsor"},
            "site": [{"reference": "Location/site"}],
            "period": {"start": "2026-03-01", "end": "2028"},
            "arm": [{"name": "Placebo"}],
        },
    }


def _r5() -> dict[str, Json]:
    return {
        "Group": _group() | {"membership": "definitional"},
        "ConceptMap": _canonical("ConceptMap", "map", "Map", "R5")
        | _concept_map("sourceScopeCanonical", "targetScopeCanonical", {"relationship": "equivalent"}),
        "EvidenceVariable": _canonical("EvidenceVariable", "i5", "Inclusion5", "R5")
        | {
            "actual": False,
            "characteristic": [
                {
                    "linkId": "I5",
                    "exclude": False,
                    "definitionByCombination": {
                        "code": "any-of",
                        "characteristic": [{"linkId": "I5a", "definitionCodeableConcept": {"text": "One way"}}],
                    },
                }
            ],
        },
        "ResearchStudy": {
            "resourceType": "ResearchStudy",
            "id": "study",
            "text": _text("A study"),
            "url": f"{BASE}/ResearchStudy/study",
            "version": "1.0.0",
            "title": "A study",
            "status": "active",
            "protocol": [{"reference": "PlanDefinition/plan"}],
            "focus": [{"concept": {"text": "Drug: example"}}],
            "site": [{"reference": "Location/site"}],
            "progressStatus": [
                {"state": {"coding": [{"system": "http://hl7.org/fhir/research-study-status", "code": "recruiting"}]}}
            ],
            "recruitment": {"targetNumber": 240, "eligibility": {"reference": "Group/criteria"}},
        },
    }
