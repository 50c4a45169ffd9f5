"""What is seen of the service from outside: request ids, log lines, metrics; nothing of a patient is in any of them."""

import datetime
import re
import secrets
import time
from collections.abc import Callable, Iterable
from typing import TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapter.service.outcomes import defect

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The figures of one service, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "trial_adapter_requests", "Requests answered", ("operation", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "trial_adapter_request_seconds", "Time to answer", ("operation",), buckets=_BUCKETS, registry=self._registry
        )
        self.verdicts = Counter(
            "trial_adapter_verdicts", "Verdicts given", ("trial", "verdict"), registry=self._registry
        )
        self.replays = Counter("trial_adapter_replays", "Messages that were answered before", registry=self._registry)
        self.withheld = Counter(
            "trial_adapter_cards_withheld",
            "Calls answered without cards for a trouble of ours",
            ("kind",),
            registry=self._registry,
        )
        self.feedback = Counter(
            "trial_adapter_cards_feedback", "What became of cards", ("outcome",), registry=self._registry
        )
        self.gaps = Counter(
            "trial_adapter_lost_events", "Events of subscriptions that never came", registry=self._registry
        )
        self.pings = Counter(
            "trial_adapter_empty_pings", "Notifications that said nothing of what happened", registry=self._registry
        )
        self.later = Counter(
            "trial_adapter_later", "Messages answered later, by status", ("status",), registry=self._registry
        )
        self.quarantined = Counter(
            "trial_adapter_quarantined", "Messages set aside instead of refused", ("refused",), registry=self._registry
        )
        self.waiting = Gauge(
            "trial_adapter_waiting", "What waits, as last counted, up to its cap", ("what",), registry=self._registry
        )
        self.active = Gauge("trial_adapter_active_requests", "Requests being worked on", registry=self._registry)

    def text(self) -> bytes:
        """Give every figure in Prometheus' text format."""
        return generate_latest(self._registry)

    def count(self, verdicts: Iterable[tuple[str, str]]) -> None:
        """Count verdicts by trial."""
        for trial, verdict in verdicts:
            self.verdicts.labels(trial, verdict).inc()


class Observed:
    """The outermost layer: every request gets an id, a log line, its figures, and an answer even to a bug."""

    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Callable[[], datetime.datetime], log: TextIO) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock
        self._log = structlog.wrap_logger(structlog.PrintLogger(log), processors=[structlog.processors.JSONRenderer()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and see what becomes of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = _first(_REQUEST_ID, headers.get(b"x-request-id")) or secrets.token_hex(16)
        trace = _first(_TRACEPARENT, headers.get(b"traceparent"))
        state = {**scope.get("state", {}), "request_id": request_id, "traceparent": trace}
        scope = {**scope, "state": state}
        began = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answer = MutableHeaders(scope=message)
                answer["X-Request-Id"] = request_id
                answer.setdefault("Cache-Control", "no-store")
                answer.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        self._metrics.active.inc()
        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 (a bug of ours: its message may hold a patient's value)
            self._log.error("defect", request_id=request_id, kind=type(error).__name__, at=place_of(error))
            if status == 0:
                await defect(request_id).response()(scope, receive, watched)
        finally:
            self._metrics.active.dec()
            taken = time.perf_counter() - began
            if "withheld" in state:
                self._log.error(
                    "defect", request_id=request_id, kind=state["withheld"], at=state.get("withheld_at", "")
                )
            operation = state.get("operation", "other")
            self._metrics.requests.labels(operation, str(status)).inc()
            self._metrics.seconds.labels(operation).observe(taken)
            said = {"request_id": request_id, "operation": operation, "status": status, "ms": round(taken * 1000, 1)}
            if trace:
                said["traceparent"] = trace
            said |= {name: state[name] for name in ("client", "refused", "why") if name in state}
            self._log.info("request", at=self._clock().isoformat(), **said)


def _first(pattern: re.Pattern[str], value: bytes | None) -> str | None:
    """Give a header's text where it is just what it should be: nothing else is ever echoed."""
    found = pattern.fullmatch(value.decode("latin-1")) if value is not None else None
    return found[0] if found else None


def place_of(error: Exception) -> str:
    """Give file and line of our code where a bug showed, without what was in it."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if f"{code.co_filename}".replace("\\", "/").rpartition("/adapter/")[1]:
            place = f"{code.co_filename.replace(chr(92), '/').rpartition('/adapter/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
