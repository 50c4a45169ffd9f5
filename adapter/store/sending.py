"""How a plan is written: as one transaction where the server takes them, else one by one."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from adapter.delivery.client import Answer
from adapter.store.plan import Change, Plan, Refused
from adapter.store.standing import Known, version_of

_STATUS = re.compile(r"\s*(\d{3})\b")
_ETAG = re.compile(r'(?:W/)?"([^"]{1,64})"')
_HISTORY = re.compile(r"/_history/([A-Za-z0-9.-]{1,64})$")


class Writes(Protocol):
    """Where it is written to."""

    def put(self, path: str, body: Mapping[str, Any], version: str | None) -> Answer:
        """Write one resource."""

    def transaction(self, bundle: Mapping[str, Any]) -> Answer:
        """Write all or nothing."""


def send(plan: Plan, server: Writes, remember: Callable[[Plan], None], *, transactions: bool) -> dict[str, Known]:
    """Write what is planned; gives what is known of each subject then; raises Refused, NoAnswer."""
    if not plan.changes:
        return {}
    if plan.intended:
        remember(plan)
    learnt: dict[str, Known] = {}
    if transactions and len(plan.changes) > 1:
        answers = _transaction(plan.changes, server)
    else:
        answers = [_alone(each, server) for each in plan.changes]
    for change, said in zip(plan.changes, answers, strict=True):
        if change.name in plan.intended:
            mine = plan.intended[change.name]
            learnt[change.name] = msgspec.structs.replace(mine, digest=mine.sent_digest, version=_version(said))
    return learnt


def _alone(change: Change, server: Writes) -> Answer:
    said = server.put(change.name, change.resource, change.version)
    if not said.is_success:
        raise Refused.by(said)
    return said


def _transaction(changes: list[Change], server: Writes) -> list[Answer]:
    entries = []
    for each in changes:
        request = {"method": "PUT", "url": each.name}
        if each.version is not None:
            request["ifMatch"] = f'W/"{each.version}"'
        entries.append({"fullUrl": f"urn:uuid:{each.resource['id']}", "resource": each.resource, "request": request})
    said = server.transaction({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    if not said.is_success:
        raise Refused.by(said)
    listed = (said.body or {}).get("entry")
    answers = [_of_entry(each) for each in listed] if isinstance(listed, list) else []
    refused = [each for each in answers if not each.is_success]
    if refused:
        raise Refused.by(refused[0])
    # Without an answer to each nothing is known of versions; then the next reading compares the content.
    return answers if len(answers) == len(changes) else [Answer(said.status) for _ in changes]


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


def _version(said: Answer) -> str | None:
    etag = _ETAG.fullmatch(said.etag or "")
    if etag:
        return etag[1]
    if said.body is not None and said.body.get("resourceType") == "ResearchSubject":
        return version_of(said.body)
    history = _HISTORY.search(said.location or "")
    return history[1] if history else None
