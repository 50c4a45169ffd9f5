"""Set aside instead of refused: for engines that queue every 4xx, and would send the same message for ever.

Only what no second attempt could mend is set aside, and only for clients whose row in the tokens file says so.
"""

import datetime
import hashlib

import anyio.to_thread
import msgspec
from fastapi import Request
from fastapi.responses import Response

from adapter.errors import AdapterError
from adapter.service.observing import Metrics
from adapter.service.outcomes import JSON, Refusal
from adapter.store.chain import AuditRow
from adapter.store.quarantine import Quarantine, Refused

_FOR_GOOD = (400, 409, 413, 415, 422)
_MESSAGES = ("bundle", "process-message", "hook")
_KEPT = ("accept", "content-type", "prefer", "idempotency-key")


class Sent(msgspec.Struct, frozen=True):
    """A request as it came; all of it may be a patient's, and is sealed."""

    path: str
    headers: dict[str, str]
    data: bytes
    tenant: str = ""


sent_of = msgspec.msgpack.Decoder(Sent).decode


class Aside:
    """Where messages are set aside."""

    def __init__(self, quarantine: Quarantine, metrics: Metrics, *, keeps: bool) -> None:
        """``keeps``: whether patients' data may be kept at all, without which nothing is set aside."""
        self._keeps = keeps
        self._quarantine = quarantine
        self._metrics = metrics

    def sweep(self) -> None:
        """Forget what has been kept long enough."""
        self._quarantine.sweep()

    async def instead(self, request: Request, refusal: Refusal, at: datetime.datetime) -> Response | None:
        """Set a refused message aside and answer that it was taken; None where it is to be refused after all."""
        state = request.state
        operation = getattr(state, "operation", "")
        is_asked = self._keeps and getattr(state, "quarantine", False)
        if not is_asked or refusal.status not in _FOR_GOOD or operation not in _MESSAGES:
            return None
        headers = {name: value for name in _KEPT if (value := request.headers.get(name)) is not None}
        sent = Sent(request.scope["path"], headers, await request.body(), state.tenant)
        refused = Refused(
            client=state.client,
            digest=hashlib.sha256(msgspec.msgpack.encode(sent)).hexdigest(),
            action=operation,
            request_id=state.request_id,
            status=refusal.status,
            issues=tuple((each.code, each.expression or "", each.line) for each in refusal.issues),
            body=msgspec.msgpack.encode(sent),
        )
        audit = AuditRow(at, state.client, operation, "quarantined", state.request_id, {"status": refusal.status})
        try:
            id_ = await anyio.to_thread.run_sync(self._quarantine.add, refused, audit)
        except AdapterError as error:
            return Refusal(503, error.issues).response()
        if id_ is None:
            return None
        self._metrics.quarantined.labels(refusal.code).inc()
        return Response(refusal.body(), 200, {"X-Quarantined": str(id_)}, JSON)
