"""``POST [base]`` and ``$process-message``: a Bundle of any kind in, what it is answered with out."""

from collections.abc import Iterable
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from adapter.errors import Issue, Severity
from adapter.fhir.wire import ANSWERS, CARRIERS
from adapter.service.answers import dangling, is_lost, is_query
from adapter.service.evaluation import Evaluation
from adapter.service.exchange import Answer
from adapter.service.keys import key_of
from adapter.service.negotiation import Return, Wanted
from adapter.service.outcomes import JSON, Refusal, encode, outcome
from adapter.service.reading import entries_of, part_of, read_resource
from adapter.service.serving import Service, asked

_NOTICES = ("SubscriptionStatus", "Parameters")


async def post_bundle(service: Service, request: Request, operation: str = "bundle") -> Response:
    """Answer a Bundle: the kind of answer is that of the Bundle (integration engines rely on it)."""
    one = await asked(service, request, operation, "ingest")
    data = one.data
    bundle = await service.exchange.work(len(data), lambda: read_resource(data, service.shape))
    kind = _kind(bundle, operation)
    entries = entries_of(bundle, service.shape)
    if notice := _notice(kind, entries):
        return notice
    _check(kind, data, entries)
    key = key_of(operation, bundle, data, request.headers, one.wanted)

    async def evaluate() -> Answer:
        moment = service.now()
        found = await service.exchange.work(
            len(data), lambda: service.evaluator.evaluate(data, one.wanted.version, moment)
        )
        if kind == "transaction" and (lost := [each for each in found.issues if is_lost(each)]):
            raise Refusal(422, [_as_error(each) for each in lost])
        body = _body(service, kind, entries, found, one.wanted)
        detail: dict[str, str | int] = {
            "bundle": kind,
            "entries": len(entries),
            "patients": len(found.patients),
            "version": one.wanted.version.value,
        }
        return Answer(body, detail, found)

    return await service.done(one, key, evaluate)


def _kind(bundle: dict[str, Any], operation: str) -> str:
    if bundle["resourceType"] != "Bundle":
        said = "only a Bundle can be posted here; send the resource in a collection, or in a transaction"
        raise Refusal.of(400, "bundle-expected", said)
    kind = part_of(bundle, "type")
    if kind in ANSWERS:
        said = "this Bundle is somebody's answer; send one that holds the resources, such as a transaction"
        raise Refusal.of(422, "response-bundle", said, expression="Bundle.type")
    if kind not in CARRIERS:
        said = f"Bundle.type must be one of {', '.join(sorted(CARRIERS))}"
        raise Refusal.of(400, "bundle-type", said, expression="Bundle.type")
    if operation == "process-message" and kind != "message":
        said = "$process-message takes a Bundle of type message; post others to the base"
        raise Refusal.of(422, "message-header", said, expression="Bundle.type")
    return kind


def _check(kind: str, data: bytes, entries: list[dict[str, Any]]) -> None:
    """Refuse what its kind forbids, before anything is done with it."""
    if kind == "message":
        header = entries[0].get("resource") if entries else None
        if part_of(header, "resourceType") != "MessageHeader" or not part_of(header, "id"):
            said = "the first entry of a message is its MessageHeader, with an id that the answer can name"
            raise Refusal.of(422, "message-header", said, expression="Bundle.entry[0].resource")
    if kind == "transaction":
        queries = [number for number, entry in enumerate(entries) if is_query(entry)]
        if queries:
            said = "a transaction is done whole or not at all, and queries are not answered here; leave them out"
            place = f"Bundle.entry[{queries[0]}].request"
            raise Refusal.of(422, "query-in-transaction", said, expression=place)
        said = "this refers to an entry that is not in the transaction"
        missing = [Issue(Severity.ERROR, "dangling-urn", said, place) for place in dangling(data, entries)]
        if missing:
            raise Refusal(422, missing)


def _body(service: Service, kind: str, entries: list[dict[str, Any]], found: Evaluation, wanted: Wanted) -> bytes:
    match kind:
        case "transaction":
            return service.maker.responses("transaction-response", entries, found, wanted.amount)
        case "batch" | "history":
            return service.maker.responses("batch-response", entries, found, wanted.amount)
        case "message":
            header: dict[str, Any] = entries[0]["resource"]
            return service.maker.message(header, found, wanted.version, wanted.amount)
        case _ if wanted.amount is Return.REPRESENTATION:
            return service.maker.collection(found)
        case _:
            return service.maker.outcome(found)


def _notice(kind: str, entries: list[dict[str, Any]]) -> Response | None:
    """Answer a notification of a subscription that brings no data; None for anything else."""
    first = entries[0].get("resource") if entries else None
    if kind not in ("history", "subscription-notification") or part_of(first, "resourceType") not in _NOTICES:
        return None
    said = set(_words(first))
    if said & {"handshake", "heartbeat"}:
        remark = Issue(Severity.INFORMATION, "notification", "the notification has arrived; there is nothing to do")
        return Response(encode(outcome([remark])), 200, media_type=JSON)
    if not any(isinstance(entry.get("resource"), dict) for entry in entries[1:]):
        text = "a notification without resources is not followed: set the subscription's content to full-resource"
        raise Refusal.of(422, "unfollowed-notification", text, expression="Bundle.entry[0].resource")
    return None


def _words(status: object) -> Iterable[str]:
    """Give the type of a notification: an element of its own in R4B and R5, a parameter in R4."""
    own = part_of(status, "type")
    if own:
        yield own
    parameters = status.get("parameter") if isinstance(status, dict) else None
    for each in parameters if isinstance(parameters, list) else ():
        if part_of(each, "name") == "type":
            yield part_of(each, "valueCode") or ""


def _as_error(issue: Issue) -> Issue:
    said = "this entry cannot be read, and a transaction is done whole or not at all"
    return Issue(Severity.ERROR, issue.code, said, issue.expression)
