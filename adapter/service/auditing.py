"""Every access in the audit: what was done, what was refused, and floods as a count, so that none can fill the disk."""

import asyncio
import contextlib
import datetime
from collections.abc import Callable
from typing import Any

import anyio.to_thread
import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapter.errors import AdapterError
from adapter.service.evaluation import Evaluation
from adapter.service.outcomes import Refusal
from adapter.store.ledger import AuditRow

SINGLY = 10
"""So many alike are rows of their own within a window; the rest of them are one row with their count."""
WINDOW_S = 60
UNKNOWN = "unknown"
_PLAIN = frozenset(("read", "search", "metrics", "status", "openapi", "metadata", "cds-services", "other"))
"""What reads nothing of a patient: alike are counted."""
_FLOODS = frozenset((401, 408, 429, 431, 503))
"""Refusals that cost who sends them nothing."""
_READS = ("GET", "HEAD")
_NOT_YET = 202
_REFUSED = 400
_DEFECT = 500
_BUSY = 503
_MOST_KINDS = 1000
_MOST_NAMED = 100


class _Kind(msgspec.Struct, frozen=True):
    """What makes rows alike."""

    client: str
    action: str
    outcome: str
    status: int
    reason: str


class Recorder:
    """Writes rows, alike ones as a count beyond the first few."""

    def __init__(self, write: Callable[[AuditRow], None], clock: Callable[[], datetime.datetime]) -> None:
        self._write = write
        self.clock = clock
        self._counts: dict[_Kind, int] = {}
        self._began: datetime.datetime | None = None
        self._turning: set[asyncio.Task[None]] = set()

    async def record(self, row: AuditRow) -> None:
        """Write one; raises Refusal (503) where that cannot be done."""
        try:
            await anyio.to_thread.run_sync(self._write, row)
        except AdapterError as error:
            raise Refusal(503, error.issues) from None

    async def count(self, row: AuditRow, status: int, reason: str) -> None:
        """Write one of the first few alike, count it otherwise; raises as ``record``."""
        await self._turn()
        kind = _Kind(row.client, row.action, row.outcome, status, reason)
        if kind not in self._counts and len(self._counts) >= _MOST_KINDS:
            kind = _Kind("others", "others", row.outcome, status, "")
        if self._began is None:
            self._began = self.clock()
        seen = self._counts[kind] = self._counts.get(kind, 0) + 1
        if seen <= SINGLY:
            await self.record(row)
        elif seen == SINGLY + 1:
            asyncio.get_running_loop().call_later(WINDOW_S, self._turn_later)

    def close(self) -> None:
        """Write what is counted and not written yet; what cannot be written is lost."""
        for row, _, _ in self._counted():
            try:
                self._write(row)
            except AdapterError:
                return

    async def _turn(self) -> None:
        """Write the counts of a window that is over; while the database is away they are counted on."""
        if self._began is None or self.clock() - self._began < datetime.timedelta(seconds=WINDOW_S):
            return
        waiting = self._counted()
        while waiting:
            try:
                await self.record(waiting[0][0])
            except Refusal:
                for _, kind, seen in waiting:
                    self._counts[kind] = self._counts.get(kind, 0) + seen
                self._began = self.clock()
                return
            waiting.pop(0)

    def _turn_later(self) -> None:
        task = asyncio.get_running_loop().create_task(self._turn())
        self._turning.add(task)
        task.add_done_callback(self._turning.discard)

    def _counted(self) -> list[tuple[AuditRow, _Kind, int]]:
        """Begin a new window, and give what the old one counted."""
        counts, began, self._counts, self._began = self._counts, self._began, {}, None
        now = self.clock()
        span = int((now - began).total_seconds()) if began is not None else 0
        made = []
        for kind, seen in counts.items():
            if seen > SINGLY:
                detail = _counted_detail(kind, seen - SINGLY, span)
                made.append((AuditRow(now, kind.client, kind.action, kind.outcome, "", detail), kind, seen))
        return made


def _counted_detail(kind: _Kind, count: int, span: int) -> dict[str, str | int]:
    return {"status": kind.status, "reason": kind.reason, "count": count, "seconds": span}


class Audited:
    """The layer that sees how each access ended, and writes it down before the answer goes out.

    What is done with a patient's data writes its own row, in the transaction that makes it durable; this layer adds
    what leaves no other trace: reads, replays, and whatever was refused.
    """

    def __init__(self, app: ASGIApp, recorder: Recorder) -> None:
        self._app = app
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and hold the answer back until it is written down."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_replaced = False

        async def watched(message: Message) -> None:
            nonlocal is_replaced
            if is_replaced:
                return
            if message["type"] == "http.response.start":
                try:
                    await self._note(scope, message)
                except Refusal as away:
                    is_replaced = True
                    scope["state"]["refused"] = away.code
                    await away.response()(scope, receive, send)
                    return
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            await self._failed(scope)
            raise

    async def _note(self, scope: Scope, message: Message) -> None:
        state, status = scope["state"], message["status"]
        if state.get("operation") == "health":
            return  # asked every few seconds, of nobody; a probe must not wait for the database that it asks about
        if status >= _REFUSED:
            await self._refused(state, status, _peer(scope))
            return
        if "client" not in state:
            return  # an address that is open to all
        action = state.get("operation", "other")
        if "withheld" in state:
            row = self._row(state, action, "failed", _about(status, state, _peer(scope)))
            with contextlib.suppress(Refusal):
                await self._recorder.count(row, status, str(state["withheld"]))
        elif any(name == b"x-idempotent-replay" for name, _ in message.get("headers", ())):
            await self._recorder.record(self._row(state, action, "replayed", _about(status, state, _peer(scope))))
        elif scope["method"] in _READS:
            row = self._row(state, action, "done", _about(status, state, _peer(scope)))
            is_plain = action in _PLAIN or status == _NOT_YET
            await (self._recorder.count(row, status, "") if is_plain else self._recorder.record(row))

    async def _refused(self, state: dict[str, Any], status: int, peer: str) -> None:
        action = state.get("operation", "authenticate" if "client" not in state else "other")
        if status == _DEFECT:
            state["recorded"] = True  # it comes by here again, as an exception
        reason = str(state.get("why") or state.get("refused") or "")
        row = self._row(state, action, "failed" if status == _DEFECT else "refused", _about(status, state, peer))
        is_flood = status in _FLOODS or "client" not in state
        try:
            await (self._recorder.count(row, status, reason) if is_flood else self._recorder.record(row))
        except Refusal:
            if status < _DEFECT:
                raise

    async def _failed(self, scope: Scope) -> None:
        """Write down a bug that showed before an answer was begun."""
        if scope["state"].get("recorded"):
            return
        try:
            await self._refused(scope["state"], _DEFECT, _peer(scope))
        except Refusal:
            return

    def _row(self, state: dict[str, Any], action: str, outcome: str, detail: dict[str, str | int]) -> AuditRow:
        return AuditRow(
            self._recorder.clock(), state.get("client", UNKNOWN), action, outcome, state["request_id"], detail
        )


def about(found: Evaluation) -> dict[str, str | int]:
    """Say whom a row is about: lanes, which are HMACs; of a large document the first of them."""
    lanes = list(dict.fromkeys(each.lane for each in (*found.patients, *found.others)))
    return {"patients": len(found.patients)} | ({"patient": " ".join(lanes[:_MOST_NAMED])} if lanes else {})


def _about(status: int, state: dict[str, Any], peer: str) -> dict[str, str | int]:
    told: dict[str, str | int] = {"status": status}
    told |= {name: state[name] for name in ("refused", "why") if name in state}
    return told | ({"peer": peer} if peer else {})


def _peer(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""
