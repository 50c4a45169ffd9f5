"""A trial's eligibility as a Group: a list of characteristics that are all true of whoever may take part.

FHIR ands the characteristics of a Group and knows no "or": what does not come apart into such a list stays one
characteristic, in words in R4, by an EvidenceVariable in R5 (docs/export.md, "Group").
"""

import functools

from adapter.catalog.catalog import Catalog
from adapter.catalog.trial_file import TrialFile
from adapter.eligibility.trial import Criterion, Trial
from adapter.emission.names import IS_ELIGIBLE, Naming, library_name, trial_id
from adapter.emission.narrative import narrative
from adapter.emission.stated import premise, stated
from adapter.emission.statement import Element, Held, InWords, held, statement_of
from adapter.emission.terms import Terms, resource_type_coding

_HL7 = "http://hl7.org/fhir/StructureDefinition"
_PROFILE = f"{_HL7}/groupdefinition"
_CQL_PROFILE = "http://hl7.org/fhir/uv/cql/StructureDefinition/cql-groupdefinition"
_VERBATIM = "http://hl7.org/fhir/6.0/StructureDefinition/extension-Group.characteristic.description"
_BY_PEOPLE = "Investigator-assessed criterion"


def eligibility_group(trial: Trial, file: TrialFile, catalog: Catalog, naming: Naming) -> Element:
    """Give the Group of a trial's criteria: what a person or a program without CQL can read."""
    id_ = f"{trial_id(trial.key)}-eligibility"
    terms = Terms(catalog, naming)
    group: Element = {
        "resourceType": "Group",
        "id": id_,
        "meta": {"profile": [_PROFILE]},
        "text": _text(trial),
        "extension": _artifact(id_, trial, naming),
        "identifier": [naming.identifier("eligibility-group", trial.key)],
        "active": True,
        "type": "person",
    }
    if naming.is_r4:
        group["extension"].append({"url": f"{_HL7}/artifact-description", "valueMarkdown": described(trial)})
        group["actual"] = False
        if file.metadata.enrollment is not None:
            group["quantity"] = file.metadata.enrollment
    else:
        group["membership"] = "definitional"
        group["description"] = described(trial)
    group["name"] = f"{trial.key} eligibility criteria"
    group["characteristic"] = [
        each
        for criterion in trial.criteria
        for one in held_of(criterion, terms)
        for each in _characteristics(one, terms)
    ]
    return group


def cohort_group(trial: Trial, naming: Naming) -> Element:
    """Give the R4 Group whose members a CQL engine finds by the Library (``Group/$evaluate``); it has no criteria."""
    id_ = f"{trial_id(trial.key)}-cohort"
    library = naming.canonical("Library", library_name(trial.key), trial.version)
    decision = {"language": "text/cql-identifier", "expression": IS_ELIGIBLE}
    name = f"{trial.key} computable cohort"
    return {
        "resourceType": "Group",
        "id": id_,
        "meta": {"profile": [_CQL_PROFILE]},
        "text": narrative(name, [("Members", f"every patient of whom {library} says that {IS_ELIGIBLE!r} is true")]),
        "extension": [
            *_artifact(id_, trial, naming),
            {"url": f"{_HL7}/cqf-library", "valueCanonical": library},
            {"url": f"{_HL7}/characteristicExpression", "valueExpression": decision},
        ],
        "identifier": [naming.identifier("eligibility-cohort", trial.key)],
        "active": True,
        "type": "person",
        "actual": False,
        "code": {"coding": [resource_type_coding("Patient", naming)]},
        "name": name,
    }


def held_of(criterion: Criterion, terms: Terms) -> tuple[Held, ...]:
    """Say what the Group holds of a criterion."""
    return held(criterion, statement_of(criterion, functools.partial(stated, terms=terms), premise))


def described(trial: Trial) -> str:
    """Give all criteria as markdown, verbatim."""
    said = []
    for side, heading in (("inclusion", "Inclusion criteria"), ("exclusion", "Exclusion criteria")):
        rows = [f"* {_number(each, trial)}: {each.text}" for each in trial.criteria if each.type == side]
        if rows:
            said.append("\n".join((f"**{heading}**", "", *rows)))
    return "\n\n".join(said)


def _characteristics(one: Held, terms: Terms) -> list[Element]:
    verbatim = {"extension": [{"url": _VERBATIM, "valueMarkdown": one.text}]}
    if one.how == "coded":
        return [
            {
                "id": one.id if number == 1 else f"{one.id}.{number}",
                **verbatim,
                "code": part.code,
                **part.value,
                "exclude": exclude,
            }
            for number, (part, exclude) in enumerate(one.parts, 1)
        ]
    return [{"id": one.id, **verbatim, **_whole(one, terms), "exclude": one.exclude}]


def _whole(one: Held, terms: Terms) -> Element:
    """Give the code and value of what only words or a combination hold."""
    if isinstance(one.says, InWords) and one.says.by_people:
        return {"code": {"text": _BY_PEOPLE}, "valueCodeableConcept": {"text": one.says.text}}
    if one.how == "words" or terms.naming.is_r4:
        text = one.says.text if isinstance(one.says, InWords) else one.text
        return {"code": {"text": text}, "valueBoolean": True}
    return {
        "code": {"text": "Criterion defined by an EvidenceVariable"},
        "valueReference": {"reference": f"EvidenceVariable/{one.id.lower()}"},
    }


def _artifact(id_: str, trial: Trial, naming: Naming) -> list[Element]:
    """Give the canonical identity of a Group, which has no elements for it."""
    return [
        {"url": f"{_HL7}/artifact-url", "valueUri": naming.url("Group", id_)},
        {"url": f"{_HL7}/artifact-version", "valueString": trial.version},
    ]


def _number(criterion: Criterion, trial: Trial) -> str:
    return criterion.id.removeprefix(f"{trial.key}-")


def _text(trial: Trial) -> Element:
    rows = [(f"{_number(each, trial)} ({each.type})", each.text) for each in trial.criteria]
    return narrative(f"{trial.title}: eligibility criteria", rows)
