"""Whose is a stored ResearchSubject, and what may take its place: a person's decision is never overruled."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from adapter.delivery.json_answer import body_of
from adapter.delivery.meaning import canonical

Resource = dict[str, Any]
OURS = frozenset({"candidate", "potential-candidate", "screening", "eligible", "ineligible"})
"""The states an evaluation gives; every other is set by people."""
_SUBJECT, _GUIDANCE = "ResearchSubject", "GuidanceResponse"
_UNTOUCHED = {"Observation": "final", "Task": "requested"}
"""The status of what is written in a subject's place, as long as nobody took it up or withdrew it."""
_ENROLLMENT = "Enrollment"


class Known(msgspec.Struct, frozen=True):
    """What we last wrote of a subject."""

    version: str | None = None
    digest: str | None = None
    sent_digest: str | None = None
    """What we last sent; without an answer, it may have been written or not."""
    told_at: int | None = None
    as_of: int | None = None
    place: str | None = None
    """What the server calls it, where it gives ids itself."""

    @property
    def order(self) -> tuple[int, int] | None:
        """When the evaluation that was written last stood; None where none was written."""
        return None if self.told_at is None or self.as_of is None else (self.told_at, self.as_of)


class Group(msgspec.Struct):
    """What one delivery says of one trial: a subject where there is one, its evaluation, and where both come from."""

    subject: Resource | None
    """Or what is written in its place."""
    others: list[Resource]


def groups(resources: Sequence[tuple[str, str, bytes]]) -> list[Group]:
    """Give a delivery's resources by trial, their references by the ids they are written under."""
    local = {f"urn:uuid:{id_}": f"{type_}/{id_}" for type_, id_, _ in resources}
    made: list[Group] = []
    for type_, id_, body in resources:
        resource = {**referring(body_of(body) or {}, local), "id": id_}
        if type_ == _SUBJECT:
            made.append(Group(resource, []))
            continue
        has_guidance = bool(made) and any(each["resourceType"] == _GUIDANCE for each in made[-1].others)
        if not made or (type_ == _GUIDANCE and has_guidance):
            made.append(Group(None, []))
        made[-1].others.append(resource)
    return made


def referring(value: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 (JSON)
    """Give JSON with the references that ``names`` knows replaced."""
    if isinstance(value, dict):
        return {
            key: names.get(each, each) if key == "reference" and isinstance(each, str) else referring(each, names)
            for key, each in value.items()
        }
    return [referring(each, names) for each in value] if isinstance(value, list) else value


def without_target(resource: Resource, name: str) -> Resource:
    """Give a Provenance that does not claim what we do not write, such as a subject which a person keeps."""
    targets = resource.get("target")
    if not isinstance(targets, list):
        return resource
    return {**resource, "target": [each for each in targets if each.get("reference") != name]}


def name_of(resource: Resource) -> str:
    """Give the name of a resource of ours."""
    return f"{resource['resourceType']}/{resource['id']}"


def digest_of(resource: Resource) -> str:
    """Give a digest of what a resource means, the same whatever the server adds to ``meta`` or reorders."""
    told = {key: value for key, value in resource.items() if key not in {"id", "meta", "text"}}
    return hashlib.sha256(canonical(told).encode()).hexdigest()


def version_of(resource: Resource) -> str | None:
    """Give the version of a resource that a server holds, where it keeps versions."""
    meta = resource.get("meta")
    found = meta.get("versionId") if isinstance(meta, dict) else None
    return found if isinstance(found, str) else None


def state_of(resource: Resource) -> str | None:
    """Give the state of a subject, R4's or R5's, or of what stands in its place; None where it says none."""
    if resource.get("resourceType") in _UNTOUCHED:
        return _code(resource.get("valueCodeableConcept")) or _code(resource.get("businessStatus"))
    progress = resource.get("progress")
    if "subject" in resource or isinstance(progress, list):
        steps = [each for each in progress or () if isinstance(each, dict) and _code(each.get("subjectState"))]
        still_open = [code for each in steps if "endDate" not in each for code in [_code(each["subjectState"])]]
        of_people = [code for code in still_open if code not in OURS]
        codes = of_people or still_open or [_code(each["subjectState"]) for each in steps]
        return codes[-1] if codes else None
    status = resource.get("status")
    return status if isinstance(status, str) else None


def is_a_persons(held: Resource, known: Known) -> bool:
    """Whether what the server holds was decided or changed by someone else than us."""
    untouched = _UNTOUCHED.get(str(held.get("resourceType")))
    if (state_of(held) not in OURS) if untouched is None else (held.get("status") != untouched):
        return True
    version = version_of(held)
    if version is not None and version == known.version:
        return False
    return digest_of(held) not in {known.digest, known.sent_digest}


def merged(ours: Resource, held: Resource) -> Resource:
    """Give what is written over what is held: in R5 its history goes on, a state that ended is closed."""
    steps = ours.get("progress")
    past = held.get("progress")
    if not isinstance(steps, list) or not isinstance(past, list) or not steps:
        return ours
    new = steps[-1]
    code = _code(new.get("subjectState"))
    if code == state_of(held):
        # The same state goes on from when it began; only why may have changed.
        kept = [_reasoned(each, new) if _is_open(each) else each for each in past]
        return {**ours, "progress": kept}
    end = {"endDate": new["startDate"]} if "startDate" in new else {}
    closed = [{**each, **end} if _is_open(each) else each for each in past]
    return {**ours, "progress": [*closed, new]}


def _is_open(step: Resource) -> bool:
    return "endDate" not in step and _code(step.get("type")) in {_ENROLLMENT, None} and "subjectState" in step


def _reasoned(step: Resource, new: Resource) -> Resource:
    rest = {key: value for key, value in step.items() if key != "reason"}
    return {**rest, "reason": new["reason"]} if "reason" in new else rest


def _code(concept: object) -> str | None:
    coding = concept.get("coding") if isinstance(concept, dict) else None
    first = coding[0] if isinstance(coding, list) and coding else None
    found = first.get("code") if isinstance(first, dict) else None
    return found if isinstance(found, str) else None
