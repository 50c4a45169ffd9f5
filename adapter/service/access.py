"""Who may do what: bearer tokens that are kept hashed, scopes, and how often a client may come."""

import datetime
import hashlib
import hmac
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import anyio.to_thread
import msgspec
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.types import ASGIApp, Receive, Scope, Send

from adapter.errors import AdapterError, Category
from adapter.service.outcomes import Refusal
from adapter.store.ledger import AuditRow

Right = Literal["ingest", "read", "admin"]
ANYONE = "anyone"
_OPEN = ("/healthz", "/readyz", "/fhir/metadata", "/cds-services")
"""Answered without a token: they say nothing that is not in the documentation."""
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/=-]{8,512})")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="trial-adapter"'}


class Client(msgspec.Struct, frozen=True):
    """One client, by the name its site gave it."""

    name: str
    scopes: frozenset[Right]


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    sha256: str
    scopes: frozenset[Right]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    client: tuple[_Row, ...]


class Tokens:
    """The clients of a tokens file; without one, anyone may do everything."""

    def __init__(self, path: Path | None) -> None:
        self._rows: tuple[tuple[bytes, Client], ...] | None = None
        if path is not None:
            self._rows = tuple((bytes.fromhex(each.sha256), Client(each.name, each.scopes)) for each in _rows(path))

    def client(self, authorization: str | None) -> Client:
        """Give the client of a header; raises Refusal (401). Every row is compared, whichever is the right one."""
        if self._rows is None:
            return Client(ANYONE, frozenset(("ingest", "read", "admin")))
        found = _BEARER.fullmatch(authorization.strip()) if authorization is not None else None
        digest = hashlib.sha256(found[1].encode() if found else b"").digest()
        known = [client for row, client in self._rows if hmac.compare_digest(row, digest)]
        if found is None or not known:
            said = "send a token of this service: Authorization: Bearer ..."
            raise Refusal.of(401, "token", said, headers=_CHALLENGE)
        return known[0]


def _rows(path: Path) -> tuple[_Row, ...]:
    try:
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError):
        said = "the tokens file cannot be read: it has [[client]] with name, sha256 and scopes (ingest, read, admin)"
        raise AdapterError.of(Category.NOT_FOUND, "tokens-file", said) from None
    if any(not re.fullmatch(r"[0-9a-f]{64}", each.sha256) for each in file.client):
        said = "in the tokens file sha256 is 64 hexadecimal digits, small letters"
        raise AdapterError.of(Category.NOT_FOUND, "tokens-file", said)
    if any(not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", each.name) for each in file.client):
        said = "in the tokens file a name is 1 to 64 letters, digits, dots, dashes and underscores"
        raise AdapterError.of(Category.NOT_FOUND, "tokens-file", said)
    return file.client


class Rate:
    """How often each may come."""

    def __init__(self, rate: str) -> None:
        try:
            self._rate: RateLimitItem = parse(rate)
        except ValueError:
            said = "the setting client_rate is such as 20/second or 3000/minute"
            raise AdapterError.of(Category.NOT_FOUND, "setting", said) from None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def take(self, who: str) -> None:
        """Count one request; raises Refusal (429) when it is one too many."""
        if not self._limiter.hit(self._rate, who):
            said = "this client sends more requests than it may; send this again later"
            raise Refusal.of(429, "rate", said, headers={"Retry-After": "1"})


class Recorder(msgspec.Struct, frozen=True):
    """Writes down refused access."""

    write: Callable[[AuditRow], None]
    clock: Callable[[], datetime.datetime]

    async def refused(self, client: str, action: str, refusal: Refusal, request_id: str) -> None:
        """Record one; raises Refusal (503) where that cannot be done."""
        row = AuditRow(self.clock(), client, action, "refused", request_id, {"status": refusal.status})
        try:
            await anyio.to_thread.run_sync(self.write, row)
        except AdapterError as error:
            raise Refusal(503, error.issues) from None


class Guarded:
    """The layer that lets nobody in whom it does not know, before a byte of the body is read."""

    def __init__(self, app: ASGIApp, tokens: Tokens, rate: Rate, recorder: Recorder) -> None:
        self._app = app
        self._tokens = tokens
        self._rate = rate
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the client, or refuse it."""
        if scope["type"] != "http" or scope["path"] in _OPEN:
            await self._app(scope, receive, send)
            return
        state = scope["state"]
        peer = f"peer {scope['client'][0] if scope.get('client') else ''}"
        value = dict(scope["headers"]).get(b"authorization")
        try:
            client = self._tokens.client(value.decode("latin-1") if value is not None else None)
        except Refusal as refusal:
            try:
                self._rate.take(peer)  # who guesses tokens must not fill the audit either
                await self._recorder.refused("unknown", "authenticate", refusal, state["request_id"])
            except Refusal as too_often:
                refusal = too_often
            await _refuse(refusal, scope, receive, send)
            return
        state["client"] = client.name
        state["scopes"] = client.scopes
        try:
            self._rate.take(client.name if client.name != ANYONE else peer)
        except Refusal as refusal:
            await _refuse(refusal, scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["refused"] = refusal.code
    refusal.headers["Connection"] = "close"
    await refusal.response()(scope, receive, send)
