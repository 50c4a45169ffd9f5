"""How much a request may be: one ASGI layer that bounds it before anything else looks at it.

An ASGI server bounds next to nothing: it takes any body, and both ``Content-Length`` and ``Transfer-Encoding``.  Here
headers, body as sent, body as decoded, the time to send it and the number of requests at once are bounded, while they
stream; the application gets a body that is whole, decoded and small enough.
"""

import asyncio
import zlib
from collections.abc import MutableMapping
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapter.service.outcomes import Refusal

_GZIP = 31
"""zlib's word for: a gzip header, whatever the window."""
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


class Bounded:
    """The layer."""

    def __init__(self, app: ASGIApp, bounds: Bounds) -> None:
        self._app = app
        self._bounds = bounds
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is out of bounds, hand on what is not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._active >= self._bounds.concurrent:
            said = "as many requests as can be worked on are being worked on; send this again"
            await _refuse(Refusal.of(503, "busy", said), scope, receive, send)
            return
        self._active += 1
        try:
            await self._bounded(scope, receive, send)
        finally:
            self._active -= 1

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = self._headers(scope)
            async with asyncio.timeout(self._bounds.body_s):
                body = await self._body(headers, receive)
        except Refusal as refusal:
            # What is left of the body is not read: the connection cannot carry another request.
            refusal.headers["Connection"] = "close"
            await _refuse(refusal, scope, receive, send)
            return
        except TimeoutError:
            said = f"the body was not here within {self._bounds.body_s:g} s"
            await _refuse(Refusal.of(408, "slow-body", said, headers={"Connection": "close"}), scope, receive, send)
            return
        except _Gone:
            return
        given = False

        async def whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        if b"content-encoding" in headers:
            decoded = [(name, value) for name, value in scope["headers"] if name != b"content-encoding"]
            scope = {**scope, "headers": decoded}
        await self._app(scope, whole, send)

    def _headers(self, scope: Scope) -> dict[bytes, bytes]:
        raw: list[tuple[bytes, bytes]] = scope["headers"]
        size = len(scope.get("raw_path", b"")) + len(scope["query_string"])
        if size + sum(len(name) + len(value) + 4 for name, value in raw) > self._bounds.header:
            raise Refusal.of(431, "header-too-large", f"the headers are larger than {self._bounds.header} bytes")
        headers = dict(raw)
        if b"content-length" in headers and b"transfer-encoding" in headers:
            said = "the request has both Content-Length and Transfer-Encoding, which can be read in two ways"
            raise Refusal.of(400, "length-and-encoding", said)
        return headers

    async def _body(self, headers: MutableMapping[bytes, bytes], receive: Receive) -> bytes:
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding not in (b"identity", b"gzip"):
            raise Refusal.of(415, "content-encoding", "only Content-Encoding gzip or identity is read; send one")
        is_gzip = encoding == b"gzip"
        limit = self._bounds.encoded if is_gzip else self._bounds.decoded
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limit:
            raise _too_long(limit)
        inflated = _Inflated(self._bounds) if is_gzip else None
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise _too_long(limit)
            chunks.append(inflated.feed(chunk) if inflated is not None else chunk)
            if not message.get("more_body", False):
                break
        if inflated is not None:
            inflated.end()
        return b"".join(chunks)


class _Gone(Exception):  # noqa: N818 (the client went away)
    """Nobody is left to answer."""


class _Inflated:
    """Gzip, decoded piece by piece, never further than the bounds."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._stream = zlib.decompressobj(_GZIP)
        self._in = self._out = 0

    def feed(self, chunk: bytes) -> bytes:
        """Decode one piece."""
        if self._stream.eof and chunk:
            raise _bad_gzip()
        self._in += len(chunk)
        left = self._bounds.decoded - self._out
        try:
            made = self._stream.decompress(chunk, left + 1)
        except zlib.error:
            raise _bad_gzip() from None
        self._out += len(made)
        if len(made) > left:
            raise _too_long(self._bounds.decoded)
        if self._out > _RATIO_FROM and self._out > self._bounds.ratio * self._in:
            raise Refusal.of(413, "too-large", f"the body is packed more than {self._bounds.ratio} to 1")
        if self._stream.unused_data:
            raise _bad_gzip()
        return made

    def end(self) -> None:
        """Refuse what ended too early."""
        if not self._stream.eof:
            raise _bad_gzip()


def _too_long(limit: int) -> Refusal:
    return Refusal.of(413, "too-large", f"the body is larger than {limit} bytes; send it in parts")


def _bad_gzip() -> Refusal:
    return Refusal.of(400, "bad-gzip", "the body is not one whole gzip stream, as its Content-Encoding says")


async def _refuse(refusal: Refusal, scope: dict[str, Any] | Scope, receive: Receive, send: Send) -> None:
    await refusal.response()(scope, receive, send)
