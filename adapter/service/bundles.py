"""``POST [base]`` and ``$process-message``: a Bundle of any kind in, what it is answered with out."""

from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread
import msgspec
from fastapi import Request
from fastapi.responses import Response

from adapter.errors import AdapterError, Issue, Severity
from adapter.fhir.wire import ANSWERS, CARRIERS
from adapter.service.answers import dangling, is_lost, is_query
from adapter.service.evaluation import Evaluation
from adapter.service.exchange import Answer
from adapter.service.keys import Key, key_named, key_of
from adapter.service.negotiation import Return, Wanted
from adapter.service.notifications import Notice, brings, gap, notice_of, to_read, unfollowed
from adapter.service.outcomes import Refusal, encode, outcome
from adapter.service.reading import entries_of, part_of, read_resource
from adapter.service.serving import One, Service, answer_of, asked
from adapter.service.sources import document
from adapter.store.chain import AuditRow

_T = TypeVar("_T")


class Posted(msgspec.Struct, frozen=True):
    """A Bundle that was read, and can be evaluated."""

    kind: str
    data: bytes
    entries: list[dict[str, Any]]
    key: Key
    notice: Notice | None = None
    remarks: tuple[Issue, ...] = ()
    """What there is to say of it beside what is found in it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The references it is about and does not bring."""
        return to_read(self.notice, self.entries) if self.notice is not None else ()


async def post_bundle(service: Service, request: Request, operation: str = "bundle") -> Response:
    """Answer a Bundle: the kind of answer is that of the Bundle (integration engines rely on it)."""
    return await received(service, await asked(service, request, operation, "ingest"))


async def received(service: Service, one: One) -> Response:
    """Answer a message now, or say where its answer will be; raises Refusal."""
    await service.room.check()
    posted = await read(service, one)
    notice, names = posted.notice, posted.names
    if notice is not None:
        brings_any = any(brings(each) for each in posted.entries[1:])
        if not (notice.is_silent or brings_any or any(each.names for each in notice.events)):
            raise unfollowed()
        if names:
            service.sources.follow(one.asker.client, one.asker.tenant, notice.subscription, names)
        told = await _noticed(service, one, notice)
        if notice.is_silent or not (names or brings_any):
            return _nothing_to_do(notice, told)
        posted = msgspec.structs.replace(posted, remarks=told)
    is_later = one.wanted.is_later or len(one.data) > service.later.sync_bytes or names
    if is_later and service.later.keeps:
        accepted = await service.later.queue(one.asker, one.wanted, posted.key, one.data, one.origin, posted.remarks)
        service.room.took(messages=1)
        return accepted
    if notice is not None and names:
        posted = await _completed(service, one, posted, notice)
    return await evaluated(service, one, posted)


async def again(service: Service, one: One, job: str) -> Response:
    """Do a message that was queued; raises Refusal."""
    posted = await read(service, one)
    if posted.notice is not None and posted.names:
        posted = await _completed(service, one, posted, posted.notice)
    return await evaluated(service, one, posted, job)


async def read(service: Service, one: One) -> Posted:
    """Read a Bundle, and refuse what its kind forbids."""
    operation = one.asker.action
    data = one.data
    bundle = await service.exchange.work(len(data), lambda: read_resource(data, service.shape))
    kind = _kind(bundle, operation)
    entries = entries_of(bundle, service.shape)
    notice = notice_of(kind, entries)
    if notice is None:
        _check(kind, data, entries)
    key = one.key
    if key is None and notice is not None:
        key = notice.key(operation, entries, one.asker.tenant)
    if key is None:
        key = key_of(operation, bundle, data, one.headers, one.wanted, one.asker.tenant)
    return Posted(kind, data, entries, key, notice)


async def evaluated(service: Service, one: One, posted: Posted, job: str = "") -> Response:
    """Screen the patients of a Bundle, once."""
    kind, data, entries = posted.kind, posted.data, posted.entries

    async def evaluate() -> Answer:
        found = await service.screened(one, data, service.now())
        if kind == "transaction" and (lost := [each for each in found.issues if is_lost(each)]):
            raise Refusal(422, [_as_error(each) for each in lost])
        if posted.remarks:
            found = msgspec.structs.replace(found, issues=(*posted.remarks, *found.issues))
        body = _body(service, kind, entries, found, one.wanted)
        detail: dict[str, str | int] = {
            "bundle": kind,
            "entries": len(entries),
            "patients": len(found.patients),
            "version": one.wanted.version.value,
        }
        return Answer(body, detail, found)

    return await service.done(one, posted.key, evaluate, job)


async def _noticed(service: Service, one: One, notice: Notice) -> tuple[Issue, ...]:
    """Take note of a notification, and give what there is to remark of it; raises Refusal."""
    asker = one.asker
    name = key_named("subscription", notice.subscription, "", asker.tenant).name
    row = AuditRow(service.exchange.clock(), asker.client, asker.action, "event-gap", asker.request_id, {})
    missing = 0
    if notice.kind == "handshake":
        await _stored(service.events.begun, asker.client, name, notice.total or 0)
    elif first_and_last := notice.span:
        missing = await _stored(service.events.told, asker.client, name, *first_and_last, row)
        service.metrics.gaps.inc(missing)
    if notice.is_silent:
        await service.exchange.record(asker, "done", {"notification": notice.kind})
    return (gap(missing),) if missing else ()


def _nothing_to_do(notice: Notice, remarks: tuple[Issue, ...]) -> Response:
    said = "the notification has arrived; there is nothing to do"
    if not notice.is_silent:
        said = "the notification is of resources that no criterion reads; nothing was done"
    return answer_of(encode(outcome([Issue(Severity.INFORMATION, "notification", said), *remarks])))


async def _completed(service: Service, one: One, posted: Posted, notice: Notice) -> Posted:
    """Read what a notification names and does not bring; raises Refusal (503) where that has to be tried again."""
    asker = one.asker
    base, paths = service.sources.follow(asker.client, asker.tenant, notice.subscription, posted.names)
    found = await anyio.to_thread.run_sync(service.sources.read, base, paths)
    raw = _bundle(one.data.removeprefix(b"\xef\xbb\xbf")).entry  # as they came: a decimal is never written anew
    brought = [raw[number] for number, entry in enumerate(posted.entries) if number and brings(entry)]
    entries = [*(each for each in posted.entries[1:] if brings(each)), *found.entries]
    data = document([*brought, *found.entries])
    return msgspec.structs.replace(
        posted, kind="history", data=data, entries=entries, remarks=(*posted.remarks, *found.issues)
    )


class _Bundle(msgspec.Struct):
    entry: tuple[msgspec.Raw, ...] = ()


_bundle = msgspec.json.Decoder(_Bundle).decode


async def _stored(call: Callable[..., _T], *arguments: object) -> _T:
    try:
        return await anyio.to_thread.run_sync(call, *arguments)
    except AdapterError as error:
        raise Refusal(503, error.issues) from None


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


def _as_error(issue: Issue) -> Issue:
    said = "this entry cannot be read, and a transaction is done whole or not at all"
    return Issue(Severity.ERROR, issue.code, said, issue.expression)
