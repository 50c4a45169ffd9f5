"""The same verdict for a server without ResearchSubject or GuidanceResponse: as an Observation, or as a Task.

Both have only elements that R4 and R5 share.  They stand in the subject's place: one for each patient and trial, read
before they are written, and left alone once a person has changed them.
"""

import uuid
from collections.abc import Iterator
from typing import Any

from adapter.fhir.versions import FhirVersion
from adapter.store.standing import Group, Resource, state_of

_NAMESPACE = uuid.UUID("c1f7a4f6-5a38-5c0a-9a0e-1f0b7f3c2d11")
_STUDY = "http://hl7.org/fhir/StructureDefinition/workflow-researchStudy"
_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_STATES = {
    FhirVersion.R4: "http://hl7.org/fhir/research-subject-status",
    FhirVersion.R5: "http://terminology.hl7.org/CodeSystem/research-subject-state",
}
_TITLE = "Clinical trial eligibility screening"
_ASSESSMENT = "/StructureDefinition/eligibility-assessment"


def observation_of(group: Group, version: FhirVersion) -> Resource | None:
    """Give the verdict as a panel, a component for each criterion's atom; None where there is no evaluation to tell."""
    guidance = guidance_of(group)
    if guidance is None:
        return None
    told = list(_criteria(guidance))
    made = {
        **_named("Observation", group, guidance),
        "extension": [{"url": _STUDY, "valueReference": _study(guidance)}],
        "status": "final",
        "code": {"coding": [{"system": _system(guidance, "eligibility"), "code": "screening"}], "text": _TITLE},
        "subject": guidance.get("subject"),
        "effectiveDateTime": guidance.get("occurrenceDateTime"),
        "device": guidance.get("performer"),
        "component": [_component(each, guidance) for each in told],
        "note": [{"text": each} for each in _notes(told)],
    }
    state = _state(group)
    told_state = {"valueCodeableConcept": state_as(state, version)} if state else {"dataAbsentReason": _unknown("")}
    return _filled({**made, **told_state})


def task_of(group: Group, version: FhirVersion) -> Resource | None:
    """Give the verdict as a task of the trial's coordinator; None where nothing could be evaluated."""
    guidance, state = guidance_of(group), _state(group)
    if guidance is None or not state:
        return None
    return _filled(
        {
            **_named("Task", group, guidance),
            "status": "requested",
            "businessStatus": state_as(state, version),
            "intent": "proposal",
            "code": {"coding": [{"system": _system(guidance, "eligibility"), "code": "review"}], "text": _TITLE},
            "description": f"Review the eligibility for {_trial(guidance)}: {state}",
            "for": guidance.get("subject"),
            "authoredOn": guidance.get("occurrenceDateTime"),
            "requester": guidance.get("performer"),
            "input": [{"type": {"text": "trial"}, "valueReference": _study(guidance)}],
            "note": [{"text": each} for each in _notes(list(_criteria(guidance)))],
        }
    )


def guidance_of(group: Group) -> Resource | None:
    """Give a group's evaluation."""
    return next((each for each in group.others if each["resourceType"] == "GuidanceResponse"), None)


def assessed_by(subject: Resource, name: str | None) -> Resource:
    """Give a subject whose assessment is ``name``, or that names none."""
    extensions = []
    for each in subject.get("extension", []):
        if not str(each.get("url")).endswith(_ASSESSMENT):
            extensions.append(each)
        elif name is not None:
            extensions.append({**each, "valueReference": {"reference": name}})
    return _filled({**subject, "extension": extensions})


def state_as(state: str, version: FhirVersion) -> Resource:
    """Give a state of a research subject as a concept."""
    return {"coding": [{"system": _STATES[version], "code": state}], "text": state}


def _named(kind: str, group: Group, guidance: Resource) -> Resource:
    """Name what stands for a patient and a trial, always the same: by the subject, or by what the evaluation says."""
    key = _key(group, guidance)
    made = {"resourceType": kind, "id": str(uuid.uuid5(_NAMESPACE, f"{kind}|{_base(guidance)}|{key}"))}
    system = f"{_base(guidance)}/identifier/eligibility-{kind.lower()}"
    return {**made, "meta": guidance.get("meta"), "identifier": [{"system": system, "value": key}]}


def _key(group: Group, guidance: Resource) -> str:
    for each in (group.subject or {}).get("identifier", []):
        return str(each["value"])
    for each in guidance.get("identifier", []):
        return str(each["value"]).rsplit("-", 2)[0]  # the evaluation's has the day and a digest after the subject's
    return str((group.subject or guidance)["id"])


def _base(guidance: Resource) -> str:
    return str(guidance.get("moduleCanonical", "")).rpartition("/PlanDefinition/")[0]


def _system(guidance: Resource, name: str) -> str:
    return f"{_base(guidance)}/CodeSystem/{name}"


def _trial(guidance: Resource) -> str:
    plan = str(guidance.get("moduleCanonical", "")).rpartition("/PlanDefinition/")[2]
    return plan.partition("|")[0].removesuffix("-eligibility").upper()


def _study(guidance: Resource) -> Resource:
    # By its canonical URL and not by an id: the server need not have the study.
    url = f"{_base(guidance)}/ResearchStudy/{_trial(guidance).lower()}"
    named = {"system": "urn:ietf:rfc:3986", "value": url}
    return {"type": "ResearchStudy", "identifier": named, "display": _trial(guidance)}


def _state(group: Group) -> str | None:
    return None if group.subject is None else state_of(group.subject)


def _criteria(guidance: Resource) -> Iterator[dict[str, Any]]:
    """Give the parts of each criterion's parameter, by their names."""
    for resource in guidance.get("contained", []):
        for parameter in resource.get("parameter", []) if resource["resourceType"] == "Parameters" else []:
            if parameter["name"] == "criterion":
                yield {part["name"]: part for part in parameter["part"]}


def _component(parts: dict[str, Any], guidance: Resource) -> Resource:
    coding = {"system": _system(guidance, "criterion"), "code": parts["id"]["valueString"]}
    made: Resource = {"code": {"coding": [coding], "text": parts["kind"]["valueCode"]}}
    passes = parts["passes"].get("valueBoolean")
    reason = parts.get("reason", {}).get("valueCode", "")
    return {**made, **({"dataAbsentReason": _unknown(reason)} if passes is None else {"valueBoolean": passes})}


def _unknown(reason: str) -> Resource:
    return _filled({"coding": [{"system": _ABSENT, "code": "unknown"}], "text": reason})


def _notes(told: list[dict[str, Any]]) -> Iterator[str]:
    for parts in told:
        message = parts.get("message", {}).get("valueString")
        if message:
            yield f"{parts['id']['valueString']}: {message}"


def _filled(resource: Resource) -> Resource:
    """Leave out what is empty, as FHIR asks."""
    return {key: value for key, value in resource.items() if value not in (None, [], {}, "")}
