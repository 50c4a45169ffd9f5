"""How resources are written: as one transaction where the server takes them, else one by one."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from adapter.delivery.client import Answer
from adapter.store.plan import Change, Plan
from adapter.store.standing import Known, Resource, version_of
from adapter.store.verdict import Refused, Verdict

_STATUS = re.compile(r"\s*(\d{3})\b")
_ETAG = re.compile(r'(?:W/)?"([^"]{1,64})"')
_HISTORY = re.compile(r"/_history/([A-Za-z0-9.-]{1,64})$")
_PLACE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?$")
_MOST = 90
"""Servers take a hundred entries or so; a trial has at most four and is not torn apart."""
_RANK = {"GuidanceResponse": 0, "Provenance": 2}
"""One by one, what is referred to comes first: many servers refuse a reference to nothing."""


class Entry(msgspec.Struct, frozen=True):
    """One resource, and how it is written: PUT to a name over a version, or POST where nothing has its identifier."""

    resource: Resource
    url: str
    version: str | None = None
    none_exist: str | None = None
    group: int = 0

    @property
    def method(self) -> str:
        """PUT to a name, POST to a type."""
        return "PUT" if "/" in self.url else "POST"


class Writes(Protocol):
    """Where it is written to."""

    def put(self, path: str, body: Mapping[str, Any], version: str | None) -> Answer:
        """Write one resource."""

    def post(self, path: str, body: Mapping[str, Any], none_exist: str | None) -> Answer:
        """Write one resource that the server gives an id, unless it has one with this identifier."""

    def transaction(self, bundle: Mapping[str, Any]) -> Answer:
        """Write all or nothing."""


class TypeRefused(Refused):
    """The server takes nothing of a type, whatever it said before."""

    def __init__(self, by: Refused, type_: str) -> None:
        super().__init__(by.verdict, by.code, by.asked_s, by.answer)
        self.type = type_


def send(plan: Plan, server: Writes, remember: Callable[[Plan], None], *, transactions: bool) -> dict[str, Known]:
    """Write what is planned; gives what is known of each subject then; raises Refused, NoAnswer."""
    if plan.intended:
        remember(plan)
    entries = [_by_name(each) for each in plan.changes]
    learnt: dict[str, Known] = {}
    for entry, said in exchanged(entries, server, transactions=transactions):
        mine = plan.intended.get(entry.url)
        if mine is not None:
            learnt[entry.url] = msgspec.structs.replace(mine, digest=mine.sent_digest, version=version_in(said))
    return learnt


def exchanged(entries: Sequence[Entry], server: Writes, *, transactions: bool) -> list[tuple[Entry, Answer]]:
    """Write entries, and give the answer to each; raises Refused, NoAnswer."""
    if not transactions or len(entries) == 1:
        return [(each, _alone(each, server)) for each in sorted(entries, key=_rank)]
    told: list[tuple[Entry, Answer]] = []
    for some in _pieces(entries):
        told += zip(some, _together(some, server), strict=True)
    return told


def version_in(said: Answer) -> str | None:
    """Give the version that a write made, where the answer says it."""
    etag = _ETAG.fullmatch(said.etag or "")
    if etag:
        return etag[1]
    if said.body is not None and said.body.get("resourceType") != "OperationOutcome":
        return version_of(said.body)
    history = _HISTORY.search(said.location or "")
    return history[1] if history else None


def place_in(said: Answer) -> str | None:
    """Give the name under which a server keeps what was posted, where the answer says it."""
    body = said.body or {}
    if body.get("resourceType") not in {None, "OperationOutcome"} and isinstance(body.get("id"), str):
        return f"{body['resourceType']}/{body['id']}"
    place = _PLACE.search(said.location or "")
    return place[1] if place else None


def _by_name(change: Change) -> Entry:
    return Entry(change.resource, change.name, change.version, group=change.group)


def _rank(entry: Entry) -> tuple[int, int]:
    return entry.group, _RANK.get(entry.resource["resourceType"], 1)


def _pieces(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    piece: list[Entry] = []
    for each in entries:
        if len(piece) >= _MOST and each.group != piece[-1].group:
            yield piece
            piece = []
        piece.append(each)
    if piece:
        yield piece


def _alone(entry: Entry, server: Writes) -> Answer:
    if entry.method == "PUT":
        said = server.put(entry.url, entry.resource, entry.version)
    else:
        said = server.post(entry.url, entry.resource, entry.none_exist)
    _check(said, entry)
    return said


def _check(said: Answer, entry: Entry) -> None:
    refused = Refused.by(said)
    if refused.verdict is not Verdict.DONE:
        raise TypeRefused(refused, entry.resource["resourceType"]) if refused.is_for_the_type else refused


def _together(entries: Sequence[Entry], server: Writes) -> list[Answer]:
    said = server.transaction({"resourceType": "Bundle", "type": "transaction", "entry": list(map(_written, entries))})
    if not said.is_success:
        raise Refused.by(said)
    listed = (said.body or {}).get("entry")
    if (said.body or {}).get("resourceType") != "Bundle":
        raise Refused(Verdict.LATER, "answer-is-no-bundle", answer=said)
    answers = [_of_entry(each) for each in listed] if isinstance(listed, list) else []
    for each in answers:
        refused = Refused.by(each)
        if refused.verdict is not Verdict.DONE:
            raise refused
    # Without an answer to each nothing is known of versions; then the next reading compares the content.
    return answers if len(answers) == len(entries) else [Answer(said.status) for _ in entries]


def _written(entry: Entry) -> dict[str, Any]:
    request = {"method": entry.method, "url": entry.url}
    if entry.version is not None:
        request["ifMatch"] = f'W/"{entry.version}"'
    if entry.none_exist is not None:
        request["ifNoneExist"] = entry.none_exist
    named = {"fullUrl": f"urn:uuid:{entry.resource['id']}"} if "id" in entry.resource and entry.method == "PUT" else {}
    return {**named, "resource": entry.resource, "request": request}


def _of_entry(entry: object) -> Answer:
    response = entry.get("response") if isinstance(entry, dict) else None
    response = response if isinstance(response, dict) else {}
    status = _STATUS.match(str(response.get("status", "200")))
    outcome, resource = response.get("outcome"), entry.get("resource") if isinstance(entry, dict) else None
    body = resource if isinstance(resource, dict) else outcome if isinstance(outcome, dict) else None
    etag, location = response.get("etag"), response.get("location")
    return Answer(
        status=int(status[1]) if status else 200,
        body=body,
        etag=etag if isinstance(etag, str) else None,
        location=location if isinstance(location, str) else None,
    )
