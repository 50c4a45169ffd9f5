"""Who may do what: tokens, certificates and scopes, and how often a client may come."""

import base64
import binascii
import datetime
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.types import ASGIApp, Receive, Scope, Send

from adapter.errors import AdapterError, Category
from adapter.service.access_file import AccessFile, Right, read_access_file
from adapter.service.certificates import Certificates
from adapter.service.issuer_keys import KeysAway
from adapter.service.jwt_tokens import JwtTokens, is_jwt
from adapter.service.known import Client, NotKnown
from adapter.service.outcomes import Refusal
from adapter.store.seen import Seen

__all__ = ["ANYONE", "Client", "Guarded", "Rate", "Right", "Tokens"]

ANYONE = "anyone"
_OPEN = ("/healthz", "/readyz", "/fhir/metadata", "/cds-services")
"""Answered without a token: they say nothing that is not in the documentation."""
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/=-]{8,8192})")
_BASIC = re.compile(r"[Bb]asic +([A-Za-z0-9+/=]{4,1024})")
_REALM = 'realm="trial-adapter"'


class Tokens:
    """The clients of a tokens file; without one, anyone may do everything."""

    def __init__(
        self,
        path: Path | None,
        proxies: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network],
        seen: Seen,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        file = read_access_file(path) if path is not None else AccessFile()
        self._is_open = path is None
        self._rows = tuple(
            (bytes.fromhex(each.sha256), each.basic, _client(each.name, each.scopes, each)) for each in file.client
        )
        self._signed = JwtTokens(file.issuer, path.parent if path else Path(), seen, clock)
        self._certificates = Certificates(file.certificate, proxies)
        self._has_issuers = bool(file.issuer)
        self._clock = clock
        schemes = [f"Bearer {_REALM}"]
        if any(each.basic for each in file.client):
            schemes.append(f'Basic {_REALM}, charset="UTF-8"')
        self.challenge = ", ".join(schemes)
        """What an engine that sends nothing unasked is asked for."""

    async def client(self, scope: Scope) -> Client:
        """Give who asks; raises NotKnown, KeysAway, and AdapterError. What is sent counts before what was shown."""
        if self._is_open:
            return Client(ANYONE, frozenset(("ingest", "read", "admin")))
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(sent) > 1:
            raise NotKnown("twice")
        if sent:
            return await self._by_header(sent[0].decode("latin-1").strip(), scope["path"])
        shown = self._certificates.shown(scope)
        if shown is None:
            raise NotKnown("nothing-sent")
        return self._certificates.client(shown, self._clock())

    async def _by_header(self, header: str, path: str) -> Client:
        if found := _BEARER.fullmatch(header):
            token = found[1]
            client = self._by_token(token, None)
            if client is not None:
                return client
            if self._has_issuers and is_jwt(token):
                return await self._signed.client(token, path)
        elif found := _BASIC.fullmatch(header):
            try:
                name, _, token = base64.b64decode(found[1], validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise NotKnown("basic-unreadable") from None
            client = self._by_token(token, name)
            if client is not None:
                return client
        raise NotKnown("token-unknown")

    def _by_token(self, token: str, name: str | None) -> Client | None:
        """Compare with every row, whichever is the right one; with a name only those that may send it so."""
        digest = hashlib.sha256(token.encode()).digest()
        known = [(basic, client) for row, basic, client in self._rows if hmac.compare_digest(row, digest)]
        for basic, client in known:
            if name is None or (basic and client.name == name):
                return client
        return None


def _client(name: str, scopes: frozenset[Right], row: object) -> Client:
    told = {each: getattr(row, each) for each in ("tenant", "within", "quarantine")}
    return Client(name, scopes, **told)


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


class Guarded:
    """The layer that lets nobody in whom it does not know, before a byte of the body is read."""

    def __init__(self, app: ASGIApp, tokens: Tokens, rate: Rate) -> None:
        self._app = app
        self._tokens = tokens
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the client, or refuse it."""
        if scope["type"] != "http" or scope["path"] in _OPEN:
            await self._app(scope, receive, send)
            return
        try:
            await self._admit(scope)
        except Refusal as refusal:
            scope["state"]["refused"] = refusal.code
            refusal.headers["Connection"] = "close"
            await refusal.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        """Write who asks into the request's state; raises Refusal, whose words are the same whatever was wrong."""
        state = scope["state"]
        peer = f"peer {scope['client'][0] if scope.get('client') else ''}"
        try:
            client = await self._tokens.client(scope)
        except NotKnown as nobody:
            state["why"] = nobody.reason
            self._rate.take(peer)
            said = "send a token of this service: Authorization: Bearer ..."
            raise Refusal.of(401, "token", said, headers={"WWW-Authenticate": self._tokens.challenge}) from None
        except KeysAway:
            said = "the keys that a token is verified with cannot be had now; send this again later"
            raise Refusal.of(503, "keys-away", said) from None
        except AdapterError as error:
            raise Refusal(503, error.issues) from None
        state["client"] = client.name
        state["scopes"] = client.scopes
        state["tenant"] = client.tenant
        state["quarantine"] = client.quarantine
        self._rate.take(client.name if client.name != ANYONE else peer)
        if not client.may_ask(scope["path"]):
            raise Refusal.of(403, "within", "this client may not ask this address")
