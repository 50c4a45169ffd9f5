"""Answers later: a message is on disk before it is accepted, and its address is asked until the answer is there.

As FHIR's asynchronous interaction pattern has it (http://hl7.org/fhir/R5/async-bundle.html): 202 while it waits, then a
``batch-response`` whose only entry is the answer, with the status that it would have had at once.
"""

import http
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

import anyio.to_thread
import msgspec
from anyio import CapacityLimiter
from fastapi.responses import Response

from adapter.errors import AdapterError, Issue, Severity
from adapter.service.exchange import Asker
from adapter.service.keys import Key
from adapter.service.negotiation import Wanted
from adapter.service.outcomes import JSON, Refusal, encode, outcome
from adapter.store.chain import AuditRow
from adapter.store.later import Job, Jobs, Standing
from adapter.store.ledger import KeyReused, Store

_T = TypeVar("_T")
_RETRY_S = "1"
_PROGRESS = {"waiting": "waits for its turn", "working": "is being evaluated"}


class AskedLater(msgspec.Struct, frozen=True):
    """How a message was asked, as it is kept beside it."""

    asker: Asker
    wanted: Wanted


asked_later = msgspec.json.Decoder(AskedLater).decode


class Later:
    """The messages that are answered later."""

    def __init__(self, store: Store, jobs: Jobs, sync_bytes: int, address: str | None, *, keeps: bool) -> None:
        """``keeps``: whether patients' data may be kept at all, without which nothing is answered later."""
        self.jobs = jobs
        self.keeps = keeps
        self.sync_bytes = sync_bytes
        self.due = threading.Event()
        """Set where there is something to do."""
        self._store = store
        self._address = address
        self._limiter = CapacityLimiter(16)

    async def queue(
        self, asker: Asker, wanted: Wanted, key: Key, data: bytes, origin: str, remarks: Iterable[Issue] = ()
    ) -> Response:
        """Accept a message to be answered later, once, however often it comes; raises Refusal (409, 503)."""
        job = Job(asker.client, key.name, key.digest, msgspec.json.encode(AskedLater(asker, wanted)), data)
        audit = AuditRow(self._store.now(), asker.client, asker.action, "queued", asker.request_id, {"size": len(data)})
        added = await self._stored(lambda: self.jobs.add(job, audit))
        if isinstance(added, KeyReused):
            said = "this key was used for another message; give each message a key of its own"
            raise Refusal.of(409, "key-reused", said)
        self.due.set()
        said = "the message is kept; its answer will be at the address in Content-Location"
        told = outcome([Issue(Severity.INFORMATION, "queued", said), *remarks])
        headers = {"Content-Location": f"{self._address or origin}/async/{added}", "Retry-After": _RETRY_S}
        return Response(encode(told), 202, headers, JSON)

    async def poll(self, asker: Asker, id_: str) -> Response:
        """Give the answer of a job, or say how far it is; raises Refusal (404)."""
        standing = await self._of(asker, id_)
        if standing.state != "done":
            progress = _PROGRESS[standing.state]
            told = outcome([Issue(Severity.INFORMATION, standing.state, f"the message {progress}; ask again")])
            return Response(encode(told), 202, {"X-Progress": progress, "Retry-After": _RETRY_S}, JSON)
        if standing.reply is not None:
            return _given(standing.status or 500, refusal=standing.reply)
        reply = await self._stored(lambda: self._store.reply(standing.client, standing.key))
        # Without a reply it was done all the same: a patient was forgotten, or what was told of one is not kept.
        return _given(standing.status or 200, resource=None if reply is None else reply.body)

    async def cancel(self, asker: Asker, id_: str) -> Response:
        """Forget a job and its answer; raises Refusal (404)."""
        await self._of(asker, id_)
        audit = AuditRow(self._store.now(), asker.client, asker.action, "cancelled", asker.request_id, {})
        await self._stored(lambda: self.jobs.cancel(id_, audit))
        said = "it is forgotten; what had been evaluated stays so"
        return Response(encode(outcome([Issue(Severity.INFORMATION, "cancelled", said)])), 202, media_type=JSON)

    async def _of(self, asker: Asker, id_: str) -> Standing:
        standing = await self._stored(lambda: self.jobs.find(id_))
        if standing is None or standing.client != asker.client:
            raise _unknown()
        try:
            tenant = asked_later(standing.asked).asker.tenant
        except msgspec.DecodeError:  # another version of the adapter wrote it
            raise _unknown() from None
        if tenant != asker.tenant:
            raise _unknown()
        return standing

    async def _stored(self, call: Callable[[], _T]) -> _T:
        try:
            return await anyio.to_thread.run_sync(call, limiter=self._limiter)
        except AdapterError as error:
            raise Refusal(503, error.issues) from None


def _given(status: int, *, resource: bytes | None = None, refusal: bytes | None = None) -> Response:
    response: dict[str, object] = {"status": f"{status} {http.HTTPStatus(status).phrase}"}
    if refusal is not None:
        response["outcome"] = msgspec.Raw(refusal)
    entry = {"response": response} if resource is None else {"resource": msgspec.Raw(resource), "response": response}
    return Response(
        encode({"resourceType": "Bundle", "type": "batch-response", "entry": [entry]}), 200, media_type=JSON
    )


def _unknown() -> Refusal:
    return Refusal.of(404, "no-job", "there is no such job, or it is not kept any more")
