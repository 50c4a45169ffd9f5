"""A message is done once: claimed, evaluated, and answered only when receipt, result and audit are on disk."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread
import msgspec
from anyio import CapacityLimiter

from adapter.errors import AdapterError
from adapter.service.auditing import about
from adapter.service.evaluation import Evaluation, Patient
from adapter.service.keys import Key
from adapter.service.outcomes import JSON, Refusal
from adapter.store.ledger import AuditRow, Beside, Delivery, KeyReused, Receipt, Replayed, Reply, Store

_T = TypeVar("_T")
_INLINE = 64 * 1024
"""Documents up to here are screened in a few milliseconds: a thread would cost more than it frees."""
_WAITING = 64
_WORKERS = 2


class Asker(msgspec.Struct, frozen=True):
    """Who asks for what, as the audit keeps it."""

    client: str
    action: str
    request_id: str
    tenant: str = ""
    """Whose data it is: what one tenant sent is never seen, nor joined to what another sent."""
    peer: str = ""
    """The address that it came from."""


class Answer(msgspec.Struct, frozen=True):
    """What a document is answered with, and what becomes of it."""

    body: bytes
    detail: dict[str, str | int]
    found: Evaluation
    is_kept: bool = True
    """Whether the results are delivered to the site's FHIR server."""


class Exchange:
    """The meeting of requests with the store; whatever blocks is done in a thread."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime.datetime],
        answer_s: float,
        *,
        keeps: bool = True,
        delivers: bool = True,
    ) -> None:
        """``keeps``: whether replies are kept, to be given again; ``delivers``: whether results wait for a server."""
        self.store = store
        self._keeps = keeps
        self._delivers = delivers
        self._again: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        """One for each loop: what is answered later is done in a loop of its own."""
        self.clock = clock
        self._answer_s = answer_s
        # Apart, so that twins that wait for the first can never keep it from going on.
        self._claiming = CapacityLimiter(_WAITING)
        self._committing = CapacityLimiter(_WAITING)
        self._working = CapacityLimiter(_WORKERS)

    def elsewhere(self, answer_s: float) -> "Exchange":
        """Give the same for another event loop: what waits in one cannot be woken in another."""
        return Exchange(self.store, self.clock, answer_s, keeps=self._keeps, delivers=self._delivers)

    async def work(self, size: int, done: Callable[[], _T]) -> _T:
        """Do what takes the processor: at once where it is small, else in a thread."""
        if size <= _INLINE:
            return done()
        return await anyio.to_thread.run_sync(done, limiter=self._working)

    async def once(
        self, asker: Asker, key: Key, evaluate: Callable[[], Awaitable[Answer]], job: str = ""
    ) -> tuple[Reply, Answer | None]:
        """Give the reply of a message, evaluated now or kept from when it was; raises Refusal.

        The answer is None where the message is a replay.
        """
        until = asyncio.get_running_loop().time() + self._answer_s
        receipt = Receipt(asker.client, key.name, key.digest, self.clock(), job)
        claimed = await self._stored(lambda: self.store.claim(receipt, self._answer_s), self._claiming)
        match claimed:
            case Replayed():
                return claimed.reply, None
            case KeyReused():
                said = "this key was used for another message; give each message a key of its own"
                raise Refusal.of(409, "key-reused", said)
            case None:
                pass
        try:
            async with asyncio.timeout_at(until):
                answer = await evaluate()
            reply = await self._committed(receipt, answer, asker)
            while reply is None:
                # What is kept of a patient has changed since it was read.  One at a time, so that each has its turn.
                async with asyncio.timeout_at(until), self._turn():
                    answer = await evaluate()
                    reply = await self._committed(receipt, answer, asker)
        except BaseException as error:
            # Whatever went wrong, the next twin may try; nothing was acknowledged.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self.store.release, receipt, limiter=self._committing)
            if isinstance(error, TimeoutError):
                said = f"this was not evaluated within {self._answer_s:g} s; nothing was kept, send it again"
                raise Refusal.of(503, "too-slow", said) from None
            raise
        return reply, answer

    def _turn(self) -> asyncio.Lock:
        return self._again.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    async def _committed(self, receipt: Receipt, answer: Answer, asker: Asker) -> Reply | None:
        """Make an answer durable; None where it rests on what is not so any more, and nothing is written."""
        found = answer.found
        reply = Reply(200, JSON, answer.body)
        audit = self._row(asker, "done", answer.detail | about(found) | found.remarks())
        deliveries = deliveries_of(found) if answer.is_kept and self._delivers else ()
        lanes = tuple(each.lane for each in (*found.patients, *found.others))
        beside = Beside(lanes, found.change, is_reply_kept=self._keeps)
        with anyio.CancelScope(shield=True):
            is_done = await self._stored(
                lambda: self.store.commit(receipt, reply, audit, deliveries, beside), self._committing
            )
        return reply if is_done else None

    async def asked(self, call: Callable[[], _T]) -> _T:
        """Ask the store something; raises Refusal (503) where it does not answer."""
        return await self._stored(call, self._claiming)

    async def record(self, asker: Asker, outcome: str, detail: dict[str, str | int]) -> None:
        """Write down what was done and leaves no other trace."""
        row = self._row(asker, outcome, detail)
        await self._stored(lambda: self.store.record(row), self._committing)

    async def is_healthy(self) -> bool:
        """Whether messages can be taken."""
        try:
            with anyio.fail_after(2):
                return await anyio.to_thread.run_sync(
                    self.store.healthy, abandon_on_cancel=True, limiter=self._claiming
                )
        except TimeoutError:
            return False

    def _row(self, asker: Asker, outcome: str, detail: dict[str, str | int]) -> AuditRow:
        told = detail | ({"peer": asker.peer} if asker.peer else {})
        return AuditRow(self.clock(), asker.client, asker.action, outcome, asker.request_id, told)

    async def _stored(self, call: Callable[[], _T], limiter: CapacityLimiter) -> _T:
        try:
            return await anyio.to_thread.run_sync(call, limiter=limiter)
        except AdapterError as error:
            # Whatever is the matter with the store, the message is as good as before: it may be sent again.
            raise Refusal(503, error.issues) from None


def deliveries_of(found: Evaluation) -> Sequence[Delivery]:
    """Give what is to be written to the site's FHIR server: one delivery for each patient."""
    return [
        Delivery(
            patient.lane,
            tuple((each.type, each.id, each.body) for each in patient.written),
            *_order(found, patient),
        )
        for patient in (*found.patients, *found.others)
    ]


def _order(found: Evaluation, patient: Patient) -> tuple[datetime.datetime, datetime.datetime | None]:
    """Give when an evaluation was made, and of when is the newest that it rests on.

    What is kept of a patient only ever grows newer, so that a late message gives an evaluation that is newer all the
    same, and not one that is older than what was written before.
    """
    if patient.order is None:
        return found.as_of, found.source_time
    latest, as_of = patient.order
    return as_of, latest
