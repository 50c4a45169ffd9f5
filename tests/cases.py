"""The tables of ``tests/tables``: what a clinician writes down about a patient, made into a real Bundle and screened.

A case says in short what is on record; ``bundle_of`` writes it as FHIR R4 and nothing else of the adapter is
replaced: the case goes from bytes to findings by the shipped mappings and trials.
"""

import datetime
import functools
import json
from pathlib import Path
from typing import Any

import yaml

from adapter.catalog.catalog import Catalog
from adapter.catalog.load import load_catalog
from adapter.eligibility.finding import Finding
from adapter.fhir.dates import parse_as_of
from adapter.screen import screen_bundle

TABLES = Path(__file__).parent / "tables"
AS_OF = "2026-11-01T12:00:00Z"
SYSTEMS = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "icd10cm": "http://hl7.org/fhir/sid/icd-10-cm",
    "icd10": "http://hl7.org/fhir/sid/icd-10",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "atc": "http://www.whocc.no/atc",
    "cpt": "http://www.ama-assn.org/go/cpt",
    "icd10pcs": "http://www.cms.gov/Medicare/Coding/ICD10",
    "hl7v3": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
}
_UCUM = "http://unitsofmeasure.org"
_STATUS = "http://terminology.hl7.org/CodeSystem/"


class _Plain(yaml.SafeLoader):
    """YAML whose dates stay the text that was written, of any precision, and whose ``yes`` is a word."""


_Plain.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag != "tag:yaml.org,2002:timestamp" and (tag != "tag:yaml.org,2002:bool" or first in "tTfF")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@functools.cache
def catalog() -> Catalog:
    return load_catalog()


def cases() -> list[tuple[str, dict[str, Any]]]:
    """Give every case of every table with a name that says what it shows."""
    found = []
    for path in sorted(TABLES.glob("*.yaml")):
        table = yaml.load(path.read_text(encoding="utf-8"), Loader=_Plain)  # noqa: S506 (a safe loader)
        for number, case in enumerate(table["cases"], 1):
            for row, one in enumerate(_rows(case)):
                place = f"{path.stem}-{number}.{row}" if "each" in case else f"{path.stem}-{number}"
                found.append((f"{place}: {one['why']}", one))
    return found


def _rows(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Write out ``each``: every row repeats the case with another first result (or what ``vary`` names).

    A row's ``expect``, ``patient``, ``as_of`` and ``why`` belong to the case, all else to the varied entry.
    """
    if "each" not in case:
        return [case]
    key, rows = case.get("vary", "labs"), []
    for row in case["each"]:
        own = {name: row[name] for name in ("expect", "patient", "as_of") if name in row}
        changes = {name: said for name, said in row.items() if name not in (*own, "why")}
        first, *rest = case.get(key) or [{}]
        says = row.get("why") or ", ".join(str(said) for said in (changes or own).values())
        shared = {name: said for name, said in case.items() if name not in ("each", "vary", "why")}
        varied = {key: [{**first, **changes}, *rest]} if changes or key in case else {}
        rows.append({**shared, **varied, **own, "why": f"{case['why']}: {says}"})
    return rows


def findings(case: dict[str, Any]) -> dict[str, Finding]:
    """Screen a case and give its findings by atom."""
    answered = screen_bundle(json.dumps(bundle_of(case)).encode(), catalog(), parse_as_of(case.get("as_of", AS_OF)))
    (patient,) = answered.patients
    return {finding.atom: finding for screening in patient.screenings for finding in screening.findings}


def bundle_of(case: dict[str, Any]) -> dict[str, Any]:
    """Write a case as a collection Bundle of one patient."""
    resources = [_patient(case.get("patient") or {})]
    makers = {
        "labs": _observation,
        "conditions": _condition,
        "drugs": _drug,
        "procedures": _procedure,
        "allergies": _allergy,
        "lists": _list,
        "encounters": _encounter,
        "answers": _answer,
    }
    for key, make in makers.items():
        for number, said in enumerate(case.get(key) or (), 1):
            resources.append({**make(said), "id": f"{key}-{number}"})
    resources.extend(case.get("resources") or ())
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": f"http://example.org/fhir/{r['resourceType']}/{r['id']}", "resource": r} for r in resources
        ],
    }


def concept(text: str) -> dict[str, Any]:
    """Write ``loinc 4548-4`` or ``snomed 1|icd10cm E11.9`` as a CodeableConcept; ``"free text"`` has no code."""
    if text.startswith('"'):
        return {"text": text.strip('"')}
    codings = []
    for part in text.split("|"):
        system, _, code = part.strip().partition(" ")
        codings.append({"system": SYSTEMS.get(system, system), "code": code})
    return {"coding": codings}


def _iso(value: object) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def _patient(said: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"resourceType": "Patient", "id": "p1"}
    if "born" in said:
        made["birthDate"] = _iso(said["born"])
    if "sex" in said:
        made["gender"] = said["sex"]
    if "birth_sex" in said:
        url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"
        made["extension"] = [{"url": url, "valueCode": said["birth_sex"]}]
    if "died" in said:
        key = "deceasedBoolean" if isinstance(said["died"], bool) else "deceasedDateTime"
        made[key] = said["died"] if isinstance(said["died"], bool) else _iso(said["died"])
    return made


def quantity(text: str) -> dict[str, Any]:
    """Write ``8.1 %`` (a UCUM unit), ``<5 ng/mL``, ``8.1 'x10^9/L'`` (a printed unit without system), ``8.1``."""
    number, _, unit = text.strip().partition(" ")
    made: dict[str, Any] = {}
    for comparator in ("<=", ">=", "<", ">"):
        if number.startswith(comparator):
            made["comparator"] = comparator
            number = number[len(comparator) :]
            break
    made["value"] = float(number)
    unit = unit.strip()
    if unit.startswith("'"):
        made["unit"] = unit.strip("'")
    elif unit:
        made.update(unit=unit, system=_UCUM, code=unit)
    return made


def _observation(said: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"resourceType": "Observation", "status": said.get("status", "final")}
    made["code"] = concept(said["code"])
    made["subject"] = {"reference": "Patient/p1"}
    if "date" in said:
        made["effectiveDateTime"] = _iso(said["date"])
    if "issued" in said:
        made["issued"] = _iso(said["issued"])
    if "value" in said:
        made["valueQuantity"] = quantity(str(said["value"]))
    if "says" in said:
        made["valueCodeableConcept"] = concept(said["says"])
    if "text" in said:
        made["valueString"] = said["text"]
    if "flag" in said:
        made["interpretation"] = [concept(said["flag"])]
    if "absent" in said:
        made["dataAbsentReason"] = {"coding": [{"system": f"{_STATUS}data-absent-reason", "code": said["absent"]}]}
    if said.get("fasting"):
        part = {"code": concept("loinc 49541-6"), "valueCodeableConcept": concept("loinc LA33-6")}
        made["component"] = [part]
    if "uln" in said:
        made["referenceRange"] = [{"high": quantity(str(said["uln"]))}]
    made.update(said.get("more") or {})
    return made


def _condition(said: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"resourceType": "Condition", "code": concept(said["code"])}
    made["subject"] = {"reference": "Patient/p1"}
    clinical, verification = said.get("clinical", "active"), said.get("verification", "confirmed")
    if clinical:
        made["clinicalStatus"] = {"coding": [{"system": f"{_STATUS}condition-clinical", "code": clinical}]}
    if verification:
        made["verificationStatus"] = {"coding": [{"system": f"{_STATUS}condition-ver-status", "code": verification}]}
    for ours, theirs in (("onset", "onsetDateTime"), ("abated", "abatementDateTime"), ("recorded", "recordedDate")):
        if ours in said:
            made[theirs] = _iso(said[ours])
    made.update(said.get("more") or {})
    return made


def _drug(said: dict[str, Any]) -> dict[str, Any]:
    """``as``: statement (default), request, administration, dispense; ``since``, ``until``; ``dose: 20 U, 2 a day``."""
    kind = said.get("as", "statement")
    made: dict[str, Any] = {"medicationCodeableConcept": concept(said["code"]), "subject": {"reference": "Patient/p1"}}
    made["status"] = said.get("status", "active" if kind in ("statement", "request") else "completed")
    period = {key: _iso(said[name]) for name, key in (("since", "start"), ("until", "end")) if name in said}
    dosage: dict[str, Any] = {}
    if "route" in said:
        dosage["route"] = concept(said["route"])
    if "dose" in said:
        amount, _, often = said["dose"].partition(",")
        dosage["doseAndRate"] = [{"doseQuantity": quantity(amount)}]
        times = int(often.split()[0])
        dosage["timing"] = {"repeat": {"frequency": times, "period": 1, "periodUnit": "d"}}
    match kind:
        case "statement":
            made["resourceType"] = "MedicationStatement"
            if period:
                made["effectivePeriod"] = period
            made["dosage"] = [dosage] if dosage else []
        case "request":
            made.update(resourceType="MedicationRequest", intent="order")
            if "since" in said:
                made["authoredOn"] = _iso(said["since"])
            made["dosageInstruction"] = [dosage] if dosage else []
        case "administration":
            made["resourceType"] = "MedicationAdministration"
            made["effectivePeriod"] = period
        case "dispense":
            made["resourceType"] = "MedicationDispense"
            made["whenHandedOver"] = _iso(said["since"])
    made = {key: value for key, value in made.items() if value != []}
    made.update(said.get("more") or {})
    return made


def _procedure(said: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"resourceType": "Procedure", "status": said.get("status", "completed")}
    made.update(code=concept(said["code"]), subject={"reference": "Patient/p1"})
    if "date" in said:
        made["performedDateTime"] = _iso(said["date"])
    if "site" in said:
        made["bodySite"] = [concept(said["site"])]
    return made


def _allergy(said: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"resourceType": "AllergyIntolerance", "code": concept(said["code"])}
    made["patient"] = {"reference": "Patient/p1"}
    verification = said.get("verification", "confirmed")
    if verification:
        system = f"{_STATUS}allergyintolerance-verification"
        made["verificationStatus"] = {"coding": [{"system": system, "code": verification}]}
    if "criticality" in said:
        made["criticality"] = said["criticality"]
    if "date" in said:
        made["recordedDate"] = _iso(said["date"])
    if "reaction" in said or "severity" in said:
        reaction: dict[str, Any] = {"manifestation": [concept(said.get("reaction", '"a reaction"'))]}
        if "severity" in said:
            reaction["severity"] = said["severity"]
        made["reaction"] = [reaction]
    return made


def _list(said: dict[str, Any]) -> dict[str, Any]:
    """``of``: problem, medication or allergy; ``date``; ``because``: the emptyReason, nilknown by default."""
    code = {"problem": "11450-4", "medication": "10160-0", "allergy": "48765-2"}[said["of"]]
    reason = {"coding": [{"system": f"{_STATUS}list-empty-reason", "code": said.get("because", "nilknown")}]}
    made = {"resourceType": "List", "status": said.get("status", "current"), "mode": "snapshot"}
    made.update(code=concept(f"loinc {code}"), subject={"reference": "Patient/p1"}, emptyReason=reason)
    if "date" in said:
        made["date"] = _iso(said["date"])
    return made


def _encounter(said: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"resourceType": "Encounter", "status": "finished"}
    made["class"] = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": said.get("class", "EMER")}
    made["subject"] = {"reference": "Patient/p1"}
    made["reasonCode"] = [concept(said["reason"])]
    if "date" in said:
        made["period"] = {"start": _iso(said["date"])}
    return made


def _answer(said: dict[str, Any]) -> dict[str, Any]:
    """A reviewer's answer: ``atom``, ``yes`` true or false, ``date``, ``by``."""
    made: dict[str, Any] = {"resourceType": "QuestionnaireResponse", "status": said.get("status", "completed")}
    made.update(subject={"reference": "Patient/p1"}, authored=_iso(said["date"]))
    if said.get("by", "Practitioner/r1"):
        made["author"] = {"reference": said.get("by", "Practitioner/r1")}
    made["item"] = [{"linkId": said["atom"], "answer": [{"valueBoolean": said["yes"]}]}]
    return made
