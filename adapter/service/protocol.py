"""The connection itself: how long it may be silent, how much it may say before a request, how slowly it may listen.

Uvicorn bounds none of these: a client that sends half a header, or nothing, or that never reads its answer, keeps its
connection for ever.  Here each has its time; and where there are more connections than allowed, the one that has been
idle longest makes room for the new one.
"""

import asyncio
import contextlib
import functools
import http
from collections.abc import Callable
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adapter.service.certificates import CERTIFICATE
from adapter.service.outcomes import Refusal

_SPARE = 128
"""Descriptors kept for the database, the courier and the files."""


class Patience(msgspec.Struct, frozen=True):
    """The numbers."""

    header_bytes: int
    header_s: float
    answer_s: float
    """How long a client may take no byte of an answer that waits for it."""
    connections: int


def connecting(patience: Patience) -> Callable[..., asyncio.Protocol]:
    """Give what uvicorn makes connections with."""
    return functools.partial(Connection, patience=patience)


def descriptors(connections: int) -> int:
    """Give how many connections this process can hold, after asking the system for as many as are wanted."""
    try:
        import resource  # noqa: PLC0415 (there is none on Windows)
    except ImportError:
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):  # a limit that cannot be raised is kept to
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return connections if soft == resource.RLIM_INFINITY else max(1, min(connections, soft - _SPARE))


class _Timer:
    """Calls once, after a time that is not begun anew while it runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop, after_s: float, call: Callable[[], None]) -> None:
        self._loop = loop
        self._after_s = after_s
        self._call = call
        self._running: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, unless it runs already."""
        if self._running is None:
            self._running = self._loop.call_later(self._after_s, self._ring)

    def stop(self) -> None:
        """Do not call."""
        if self._running is not None:
            self._running.cancel()
            self._running = None

    def _ring(self) -> None:
        self._running = None
        self._call()


class Connection(HttpToolsProtocol):
    """One connection, with patience."""

    def __init__(self, *given: Any, patience: Patience, **named: Any) -> None:  # noqa: ANN401 (uvicorn's own)
        super().__init__(*given, **named)
        self._patience = patience
        self._in_head = True
        self._head_bytes = 0
        self.idle_since = 0.0
        self._head = _Timer(self.loop, patience.header_s, self._head_is_late)
        self._answer = _Timer(self.loop, patience.answer_s, self._break_off)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, if need be in place of another."""
        super().connection_made(transport)
        self.idle_since = self.loop.time()
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and (shown := tls.getpeercert(binary_form=True)):
            self.app_state = {**self.app_state, CERTIFICATE: shown}  # uvicorn gives it to every request of this one
        self._head.start()
        if len(self.connections) > self._patience.connections and not self._take_a_place():
            self._refuse(Refusal.of(503, "busy", "there are as many connections as can be held; come again"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go."""
        self._head.stop()
        self._answer.stop()
        super().connection_lost(exc)
        # Uvicorn leaves it running where the connection was broken off.
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Read on, as long as a head does not grow beyond bounds."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            self._head.start()  # blank lines between requests begin none, but end uvicorn's own patience
        super().data_received(data)
        if self._in_head and self._head_bytes > self._patience.header_bytes and not self.transport.is_closing():
            said = f"the headers are larger than {self._patience.header_bytes} bytes"
            self._refuse(Refusal.of(431, "header-too-large", said))

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        self._head_bytes = max(1, self._head_bytes)
        self._head.start()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End a head."""
        self._in_head = False
        self._head_bytes = 0
        self._head.stop()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Await the next."""
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0

    def on_response_complete(self) -> None:
        """Go on, or see that the last bytes of a connection that ends are taken."""
        self.idle_since = self.loop.time()
        super().on_response_complete()
        if self.transport.is_closing():
            self._answer.start()

    def pause_writing(self) -> None:
        """Wait for the client to read, for a while."""
        super().pause_writing()
        self._answer.start()

    def resume_writing(self) -> None:
        """Go on."""
        if not self.transport.is_closing():
            self._answer.stop()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's words are not FHIR)
        """Refuse what is no HTTP."""
        self._refuse(Refusal.of(400, "not-http", "this is no HTTP request that can be read in one way only"))

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _head_is_late(self) -> None:
        if self.transport.is_closing():
            return
        if not self.is_idle:  # the head of a request that waits behind this one
            self._head.start()
        elif self._head_bytes:
            said = f"the headers were not here within {self._patience.header_s:g} s"
            self._refuse(Refusal.of(408, "slow-header", said))
        else:
            self.end()

    def _break_off(self) -> None:
        self.transport.abort()

    def _take_a_place(self) -> bool:
        """Close the connection that has been idle longest; false where none is."""
        idle = [
            each
            for each in self.connections
            if isinstance(each, Connection) and each is not self and each.is_idle and not each.transport.is_closing()
        ]
        if not idle:
            return False
        min(idle, key=lambda each: each.idle_since).end()
        return True

    def _refuse(self, refusal: Refusal) -> None:
        """Answer where no request has come to the application."""
        if not self.is_idle:
            if self.pipeline or self.cycle.response_started or not self.cycle.more_body:
                self.end()  # an answer is on its way, and this one would be taken for it
                return
            self.cycle.disconnected = True  # its own body is what is wrong: nothing else is said
            self.cycle.message_event.set()
        body = refusal.body()
        headers = refusal.headers | {
            "Content-Type": "application/fhir+json; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
        first = f"HTTP/1.1 {refusal.status} {http.HTTPStatus(refusal.status).phrase}"
        lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
        self.transport.write("\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body)
        self.end()

    def end(self) -> None:
        """Close, and do not wait for ever for the last bytes to be taken."""
        self.transport.close()
        self._answer.start()
