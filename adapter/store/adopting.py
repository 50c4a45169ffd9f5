"""Which subjects on the server are ours, after a database was restored that no longer knows what it wrote.

Ours is what has nothing in it that an evaluation does not write, and says what the evaluation says that it refers to.
Whatever a person changed since is another's, and stays.
"""

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from adapter.delivery.client import Answer
from adapter.fhir.versioning import OUR_TAG
from adapter.store.chain import AuditRow
from adapter.store.ledger import Store
from adapter.store.plan import held_as
from adapter.store.rows import Outbox
from adapter.store.standing import OURS, Known, Resource, digest_of, is_a_persons, name_of, state_of, version_of
from adapter.store.tables import stored
from adapter.store.verdict import Refused, Verdict

_TAG = quote(f"{OUR_TAG}|trial-adapter", safe="")
_SYSTEM = "/identifier/eligibility-subject"
_ASSESSMENT = "/StructureDefinition/eligibility-assessment"
_REASON = "http://hl7.org/fhir/StructureDefinition/workflow-statusReason"
_BESIDE = {"id", "meta", "text", "resourceType", "extension", "identifier", "study", "status"}
_R4, _R5 = _BESIDE | {"individual"}, _BESIDE | {"subject", "progress"}
_STEP = {"id", "type", "subjectState", "startDate", "endDate", "reason"}
_AGAINST = r"(patient is deceased|[A-Za-z0-9.-]+ (not met|present))"
_WHY = re.compile(rf"{_AGAINST}(; {_AGAINST})*")
_MOST_PAGES = 10_000
_GONE = frozenset({404, 410})


class Server(Protocol):
    """A server as it is needed here."""

    def read(self, path: str) -> Answer:
        """Read a resource."""

    def search(self, type_: str, query: str) -> Answer:
        """Search for resources of a type."""

    def follow(self, link: str) -> Answer:
        """Read the next page of a search."""


class Adopted(msgspec.Struct):
    """What a look at all subjects gave."""

    known: int = 0
    adopted: int = 0
    of_people: int = 0
    gone: int = 0
    """We wrote them and they are not there."""
    forgotten: int = 0
    """Of these, how many the next evaluation writes anew."""


def adopt(store: Store, server: Server, *, missing: bool = False) -> Adopted:
    """Take for ours again what is; raises Refused, NoAnswer, AdapterError.

    ``missing`` is for another server than before: what is not there was not deleted by anyone.
    """
    rows = Outbox(store)
    counts = Adopted()
    memory = rows.every_known()
    for held, name in _held(server, memory):
        mine = memory.get(name, Known())
        if held is None:
            counts.gone += 1
            if missing:
                rows.forget(name)
                counts.forgotten += 1
        elif not is_a_persons(held, mine):
            counts.known += 1
        else:
            adopted = _adopted(held, mine, server)
            if adopted is None:
                counts.of_people += 1
            else:
                rows.remember({name: adopted})
                counts.adopted += 1
    detail: dict[str, str | int] = dict(msgspec.structs.asdict(counts))
    store.record(AuditRow(store.now(), "operator", "outbox-adopt", "done", "", detail))
    return counts


def _held(server: Server, memory: Mapping[str, Known]) -> Iterator[tuple[Resource | None, str]]:
    """Give each subject that the server has of us, or should have, by the name it is remembered under."""
    by_place = {each.place: name for name, each in memory.items() if each.place is not None}
    seen = set()
    for held in _tagged(server):
        name = by_place.get(name_of(held), name_of(held))
        seen.add(name)
        yield held, name
    for name, mine in memory.items():
        is_told = name in seen or name in by_place
        if not is_told and name.startswith("ResearchSubject/") and mine.digest is not None:
            yield held_as(server, mine.place or name), name


def _tagged(server: Server) -> Iterator[Resource]:
    said = server.search("ResearchSubject", f"_tag={_TAG}&_count=200")
    for _ in range(_MOST_PAGES):
        if not said.is_success:
            raise Refused.by(said)
        page = said.body or {}
        if page.get("resourceType") != "Bundle":
            raise Refused(Verdict.LATER, "answer-is-no-bundle")
        for each in _objects(page.get("entry")):
            held = each.get("resource")
            if isinstance(held, dict) and held.get("resourceType") == "ResearchSubject" and _has_our_identifier(held):
                yield held
        links = [each.get("url") for each in _objects(page.get("link")) if each.get("relation") == "next"]
        if not links or not isinstance(links[0], str):
            return
        said = server.follow(links[0])


def _adopted(held: Resource, mine: Known, server: Server) -> Known | None:
    """Give what is known of a subject that is as an evaluation left it; None where it is not."""
    reference = _assessment(held)
    if reference is None or not reference.startswith("GuidanceResponse/"):
        return None
    said = server.read(reference)
    if said.status in _GONE:
        return None
    if not said.is_success or said.body is None:
        raise Refused.by(said) if not said.is_success else Refused(Verdict.LATER, "answer-is-no-json")
    moment = _moment(said.body.get("occurrenceDateTime"))
    if moment is None or not _is_as_evaluated(held, said.body):
        return None
    digest = digest_of(held)
    return Known(
        version=version_of(held),
        digest=digest,
        sent_digest=digest,
        # When its source spoke is not told; the instant of the question is never before it, so nothing older wins.
        told_at=max(moment, mine.told_at or 0),
        as_of=max(moment, mine.as_of or 0),
        place=mine.place,
    )


def _is_as_evaluated(held: Resource, guidance: Resource) -> bool:
    is_r4 = "individual" in held
    state = state_of(held)
    plan = str(guidance.get("moduleCanonical", "")).rpartition("/PlanDefinition/")[2]
    study = f"ResearchStudy/{plan.partition('|')[0].removesuffix('-eligibility')}"
    return (
        set(held) <= (_R4 if is_r4 else _R5)
        and state in OURS
        and state == _told_state(guidance)
        and _has_our_identifier(held)
        and len(held["identifier"]) == 1
        and held.get("individual" if is_r4 else "subject") == guidance.get("subject")
        and _reference(held.get("study")) == study
        and (_is_r4_as_written(held, state) if is_r4 else _is_r5_as_written(held))
    )


def _is_r4_as_written(held: Resource, state: str) -> bool:
    extensions = [each for each in held.get("extension", []) if not str(each.get("url")).endswith(_ASSESSMENT)]
    if state != "ineligible":
        return extensions == []
    return len(extensions) == 1 and extensions[0].get("url") == _REASON and _is_why(extensions[0])


def _is_r5_as_written(held: Resource) -> bool:
    steps = held.get("progress")
    if held.get("status") != "active" or len(held.get("extension", [])) != 1 or not isinstance(steps, list):
        return False
    return all(
        set(each) <= _STEP and _code(each.get("subjectState")) in OURS and ("reason" not in each or _is_why(each))
        for each in steps
    )


def _is_why(said: Resource) -> bool:
    concept = said.get("valueCodeableConcept") or said.get("reason") or {}
    return _code(concept) == "screening-failure" and _WHY.fullmatch(str(concept.get("text"))) is not None


def _assessment(held: Resource) -> str | None:
    found = [each for each in _objects(held.get("extension")) if str(each.get("url")).endswith(_ASSESSMENT)]
    return _reference(found[0].get("valueReference")) if len(found) == 1 else None


def _told_state(guidance: Resource) -> str | None:
    for resource in _objects(guidance.get("contained")):
        for each in _objects(resource.get("parameter")):
            if each.get("name") == "subjectState":
                state = each.get("valueCode")
                return state if isinstance(state, str) else None
    return None


def _has_our_identifier(held: Resource) -> bool:
    return any(str(each.get("system")).endswith(_SYSTEM) for each in _objects(held.get("identifier")))


def _reference(value: object) -> str | None:
    found = value.get("reference") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def _code(concept: object) -> object:
    coding = _objects(concept.get("coding")) if isinstance(concept, dict) else []
    return coding[0].get("code") if len(coding) == 1 else None


def _moment(text: object) -> int | None:
    try:
        moment = datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return None if moment.tzinfo is None else stored(moment)


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
