"""How much a request may be: one ASGI layer that bounds it before anything else looks at it.

An ASGI server bounds next to nothing: it takes any body, and both ``Content-Length`` and ``Transfer-Encoding``.  Here
headers, body as sent, body as decoded, the time to send it and the number of requests at once are bounded, while they
stream; the application gets a body that is whole, decoded and small enough.
"""

import asyncio
import re
import zlib
from collections.abc import Iterator, Mapping

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapter.service.outcomes import Refusal

_GZIP = 31
"""zlib's word for: a gzip header, whatever the window."""
_STEP = 256 * 1024
_ONCE = (b"content-encoding", b"content-type", b"content-length")
"""Of these a second one would be another reading."""
_LENGTH = re.compile(rb"[0-9]{1,18}")
_RATIO_FROM = 1024 * 1024
"""What decodes to less than this is no bomb, however well it was packed."""


class Bounds(msgspec.Struct, frozen=True):
    """The numbers."""

    decoded: int
    encoded: int
    ratio: int
    header: int
    concurrent: int
    body_s: float
    held: int = 256 * 1024 * 1024
    """Of all bodies together, decoded."""


class Bounded:
    """The layer."""

    def __init__(self, app: ASGIApp, bounds: Bounds) -> None:
        self._app = app
        self._bounds = bounds
        self._active = 0
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is out of bounds, hand on what is not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body()
        try:
            try:
                headers = self._headers(scope)
                async with asyncio.timeout(self._bounds.body_s):
                    await self._read(headers, receive, body)
            except TimeoutError:
                said = f"the body was not here within {self._bounds.body_s:g} s"
                raise Refusal.of(408, "slow-body", said) from None
            except _Gone:
                return
            await self._hand_on(body.whole(), scope, receive, send)
        except Refusal as refusal:
            # What is left of the body is not read: the connection cannot carry another request.
            refusal.headers["Connection"] = "close"
            scope["state"]["refused"] = refusal.code
            await refusal.response()(scope, receive, send)
        finally:
            self._held -= body.size

    async def _hand_on(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, unless it has enough to do; a body that is still on its way takes no place."""
        if self._active >= self._bounds.concurrent:
            raise _busy()
        given = False

        async def whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        if any(name == b"content-encoding" for name, _ in scope["headers"]):
            decoded = [(name, value) for name, value in scope["headers"] if name != b"content-encoding"]
            scope = {**scope, "headers": decoded}
        self._active += 1
        try:
            await self._app(scope, whole, send)
        finally:
            self._active -= 1

    def _headers(self, scope: Scope) -> dict[bytes, bytes]:
        raw: list[tuple[bytes, bytes]] = scope["headers"]
        size = len(scope.get("raw_path", b"")) + len(scope["query_string"])
        if size + sum(len(name) + len(value) + 4 for name, value in raw) > self._bounds.header:
            raise Refusal.of(431, "header-too-large", f"the headers are larger than {self._bounds.header} bytes")
        headers = dict(raw)
        for name in _ONCE:
            if sum(each == name for each, _ in raw) > 1:
                said = f"the header {name.decode()} stands more than once, which can be read in two ways"
                raise Refusal.of(415 if name != b"content-length" else 400, "repeated-header", said)
        if b"content-length" in headers and b"transfer-encoding" in headers:
            said = "the request has both Content-Length and Transfer-Encoding, which can be read in two ways"
            raise Refusal.of(400, "length-and-encoding", said)
        return headers

    async def _read(self, headers: Mapping[bytes, bytes], receive: Receive, body: "_Body") -> None:
        """Read a body to its end, decoded; raises Refusal as soon as it is out of bounds."""
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding not in (b"identity", b"gzip"):
            raise Refusal.of(415, "content-encoding", "only Content-Encoding gzip or identity is read; send one")
        is_gzip = encoding == b"gzip"
        limit = self._bounds.encoded if is_gzip else self._bounds.decoded
        length = headers.get(b"content-length", b"0")
        if not _LENGTH.fullmatch(length) or int(length) > limit:
            raise _too_long(limit)
        inflated = _Inflated(self._bounds) if is_gzip else None
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise _too_long(limit)
            for made in (chunk,) if inflated is None else inflated.feed(chunk):
                self._hold(made, body)
            if not message.get("more_body", False):
                break
        if inflated is not None:
            inflated.end()

    def _hold(self, made: bytes, body: "_Body") -> None:
        if self._held + len(made) > self._bounds.held:
            raise _busy()
        self._held += len(made)
        body.add(made)


class _Body:
    """What has been read of one body."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Take one piece."""
        self.size += len(piece)
        self._pieces.append(piece)

    def whole(self) -> bytes:
        """Give all of it, and keep none."""
        whole = b"".join(self._pieces)
        self._pieces.clear()
        return whole


class _Gone(Exception):  # noqa: N818 (the client went away)
    """Nobody is left to answer."""


class _Inflated:
    """Gzip, decoded piece by piece, never further than the bounds."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._stream = zlib.decompressobj(_GZIP)
        self._in = self._out = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Decode one piece, step by step: no step makes more than is soon found to be too much."""
        while chunk:
            if self._stream.eof:
                raise _bad_gzip()
            try:
                made = self._stream.decompress(chunk, _STEP)
            except zlib.error:
                raise _bad_gzip() from None
            left = self._stream.unconsumed_tail
            self._in += len(chunk) - len(left) - len(self._stream.unused_data)
            self._out += len(made)
            if self._out > self._bounds.decoded:
                raise _too_long(self._bounds.decoded)
            if self._out > _RATIO_FROM and self._out > self._bounds.ratio * self._in:
                raise Refusal.of(413, "too-large", f"the body is packed more than {self._bounds.ratio} to 1")
            yield made
            chunk = left or self._stream.unused_data

    def end(self) -> None:
        """Refuse what ended too early."""
        if not self._stream.eof:
            raise _bad_gzip()


def _too_long(limit: int) -> Refusal:
    return Refusal.of(413, "too-large", f"the body is larger than {limit} bytes; send it in parts")


def _bad_gzip() -> Refusal:
    return Refusal.of(400, "bad-gzip", "the body is not one whole gzip stream, as its Content-Encoding says")


def _busy() -> Refusal:
    return Refusal.of(503, "busy", "as much as can be worked on is being worked on; send this again")
