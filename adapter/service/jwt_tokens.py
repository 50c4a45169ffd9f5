"""Signed tokens: whose they are and what they allow, or why they are not believed."""

import datetime
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import jwt
from jwt.types import Options

from adapter.service.access_file import IssuerRow, Right, rights
from adapter.service.issuer_keys import IssuerKeys
from adapter.service.known import Client, NotKnown
from adapter.store.seen import Seen

LEEWAY_S = 30
"""How far clocks may be apart."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_CLIENT = re.compile(r"[A-Za-z0-9._~:/@|+=-]{1,100}")
_TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TYPES = ("jwt", "at+jwt", "application/at+jwt")
_MOST_JTI = 255
_SIGNATURE: Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
"""Claims are checked here, by the clock that is given."""
_REFUSED = ("crit", "b64", "jwk", "x5u", "zip")
"""Headers that say how or with what to verify: that is not for a token to say."""


def is_jwt(token: str) -> bool:
    """Whether it has the shape of a signed token."""
    return _TOKEN.fullmatch(token) is not None


class JwtTokens:
    """The issuers that are believed, by name."""

    def __init__(
        self,
        rows: tuple[IssuerRow, ...],
        folder: Path,
        seen: Seen,
        clock: Callable[[], datetime.datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuers = {each.iss: (each, IssuerKeys(each, folder, monotonic)) for each in rows}
        self._seen = seen
        self._clock = clock

    async def client(self, token: str, path: str) -> Client:
        """Give whose token for an address it is; raises NotKnown, KeysAway, and AdapterError from the store."""
        try:
            header = jwt.get_unverified_header(token)
            unread = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, TypeError):
            raise NotKnown("token-unreadable") from None
        iss = unread.get("iss")
        issuer, keys = self._issuers.get(iss if isinstance(iss, str) else "", (None, None))
        if issuer is None or keys is None:
            raise NotKnown("issuer-unknown")
        algorithm, kid = _checked_header(header, issuer)
        key = await keys.find(kid, algorithm)
        if key is None:
            raise NotKnown("key-unknown")
        try:
            claims = jwt.decode(token, key, algorithms=[algorithm], options=_SIGNATURE)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise NotKnown("signature") from None
        now = self._clock()
        until = _check_times(claims, issuer, now.timestamp())
        if not any(_is_for(each, path) for each in _listed(claims.get("aud")).intersection(issuer.audience)):
            raise NotKnown("audience")
        client = _client(claims, issuer)
        if issuer.single_use:
            await self._use(claims, issuer, until)
        return client

    async def _use(self, claims: dict[str, Any], issuer: IssuerRow, until: float) -> None:
        """Remember a token that holds for one call, after all else is known to be right with it."""
        id_ = claims.get("jti")
        if not isinstance(id_, str) or not 0 < len(id_) <= _MOST_JTI:
            raise NotKnown("jti-missing")
        moment = datetime.datetime.fromtimestamp(until + 2 * LEEWAY_S, datetime.UTC)
        if not await anyio.to_thread.run_sync(self._seen.is_new, issuer.iss, id_, moment):
            raise NotKnown("used-before")


def _checked_header(header: dict[str, Any], issuer: IssuerRow) -> tuple[str, str]:
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if algorithm not in issuer.algorithms:
        raise NotKnown("algorithm")
    if any(name in header for name in _REFUSED) or header.get("jku", issuer.jwks_url) != issuer.jwks_url:
        raise NotKnown("header")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise NotKnown("type")
    if not isinstance(kid, str):
        raise NotKnown("key-unknown")
    return algorithm, kid


def _check_times(claims: dict[str, Any], issuer: IssuerRow, now: float) -> float:
    """Check from when to when it holds; gives the latter."""
    expires = _number(claims, "exp")
    if expires is None or now >= expires + LEEWAY_S:
        raise NotKnown("expired")
    if issuer.max_seconds and expires > now + issuer.max_seconds + LEEWAY_S:
        raise NotKnown("holds-too-long")
    for name in ("nbf", "iat"):
        begins = _number(claims, name)
        if begins is not None and begins > now + LEEWAY_S:
            raise NotKnown("not-yet")
    if expires > _LAST:
        raise NotKnown("holds-too-long")
    return expires


_LAST = datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC).timestamp()


def _number(claims: dict[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NotKnown("times")
    return value


def _client(claims: dict[str, Any], issuer: IssuerRow) -> Client:
    name, tenant = issuer.name, issuer.tenant
    if issuer.client_claim:
        name = f"{name}:{_claim(claims, issuer.client_claim, _CLIENT)}"
    if issuer.tenant_claim:
        # In the name too: receipts and answers are kept by it, and no two tenants may meet there.
        tenant = _claim(claims, issuer.tenant_claim, _TENANT)
        name = f"{name}@{tenant}"
    told = (issuer.scopes.get(each, frozenset[Right]()) for each in _scopes(claims.get(issuer.scope_claim)))
    return Client(name, rights((*told, issuer.grants)), tenant, issuer.within, quarantine=issuer.quarantine)


def _claim(claims: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise NotKnown("claim")
    return value


def _is_for(audience: str, path: str) -> bool:
    """Whether a token for an audience is one for an address: CDS Hooks names the service that is called, others us."""
    _, hooks, rest = urlsplit(audience).path.partition("/cds-services")
    service = f"{hooks}{rest}".rstrip("/")
    return not service or path == service or path.startswith(f"{service}/")


def _listed(value: object) -> set[str]:
    """Give what a claim says, one text or several."""
    if isinstance(value, str):
        return {value}
    return {each for each in value if isinstance(each, str)} if isinstance(value, list) else set()


def _scopes(value: object) -> set[str]:
    """Give scopes: a text of words, as OAuth has it, or a list."""
    return set(value.split(" ")) if isinstance(value, str) else _listed(value)
