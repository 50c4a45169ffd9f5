"""The public keys of an issuer: out of its file or from its address, never from where a token says they are."""

import asyncio
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from adapter.errors import AdapterError, Category
from adapter.service.access_file import IssuerRow

FRESH_S = 600
"""After this long they are asked for anew."""
STALE_S = 3600
"""After this long without an answer they are not believed any more: one of them may have been withdrawn."""
ASKED_S = 60
"""Keys that are not known are asked for at most this often."""
_ANSWER_S = 5
_MAX_BYTES = 256 * 1024
_MAX_KEYS = 100
_MIN_RSA = 2048
_OK = 200
_CURVES = {"ES256": "P-256", "ES384": "P-384"}
_KID = re.compile(r"[\x20-\x7e]{1,255}")


class KeysAway(Exception):  # noqa: N818 (it names what happened)
    """The issuer's keys cannot be had now."""


class IssuerKeys:
    """The keys of one issuer, kept for a while."""

    def __init__(self, row: IssuerRow, folder: Path, monotonic: Callable[[], float]) -> None:
        self._row = row
        self._file = folder / row.jwks_file if row.jwks_file else None
        self._now = monotonic
        self._keys: dict[tuple[str, str], Any] = {}
        self._got: float | None = None
        self._asked: float | None = None
        self._lock = asyncio.Lock()
        self._trust: ssl.SSLContext | None = None
        if self._file is not None:
            self._keys = _from_file(self._file, row)
            self._got = self._asked = monotonic()
        elif row.jwks_url.startswith("https:"):
            self._trust = _trust(folder, row)

    async def find(self, kid: str, algorithm: str) -> Any | None:  # noqa: ANN401 (a public key of cryptography)
        """Give the key of that name for that algorithm; None where the issuer has none; raises KeysAway."""
        found = self._keys.get((kid, algorithm))
        age = self._age()
        if found is None or age > FRESH_S:
            await self._ask_anew()
            found = self._keys.get((kid, algorithm))
            if self._file is None and self._age() > STALE_S:
                raise KeysAway
        return found

    def _age(self) -> float:
        return float("inf") if self._got is None else self._now() - self._got

    async def _ask_anew(self) -> None:
        """Ask, unless that was done a moment ago; one asks for all who wait."""
        async with self._lock:
            if self._asked is not None and self._now() - self._asked < ASKED_S:
                return
            self._asked = self._now()
            try:
                keys = _from_file(self._file, self._row) if self._file is not None else await self._fetched()
            except (AdapterError, httpx.HTTPError, httpx.StreamError, ssl.SSLError, OSError, TimeoutError, ValueError):
                return  # what is known holds on for a while
            self._keys = keys
            self._got = self._now()

    async def _fetched(self) -> dict[tuple[str, str], Any]:
        data = bytearray()
        verify = self._trust if self._trust is not None else True
        async with (
            asyncio.timeout(_ANSWER_S),
            httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=_ANSWER_S, verify=verify) as client,
            client.stream("GET", self._row.jwks_url, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status_code != _OK:
                raise ValueError
            async for chunk in answer.aiter_bytes(1 << 14):
                data += chunk
                if len(data) > _MAX_BYTES:
                    raise ValueError
        return _usable(_jwks(bytes(data)), self._row.algorithms)


class _Jwks(msgspec.Struct):
    keys: tuple[dict[str, Any], ...]


_decode = msgspec.json.Decoder(_Jwks).decode


def _jwks(data: bytes) -> tuple[dict[str, Any], ...]:
    return _decode(data).keys[:_MAX_KEYS]


def _from_file(path: Path, row: IssuerRow) -> dict[tuple[str, str], Any]:
    try:
        listed = _jwks(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise _wrong(row, "its jwks_file is not a JSON Web Key Set that can be read") from None
    if any("d" in each or "k" in each or each.get("kty") == "oct" for each in listed):
        raise _wrong(row, "its jwks_file holds a private key or a shared secret; give the public keys only")
    found = _usable(listed, row.algorithms)
    if not found:
        raise _wrong(row, f"its jwks_file has no key with a kid for {', '.join(row.algorithms)}")
    return found


def _usable(listed: tuple[dict[str, Any], ...], algorithms: tuple[str, ...]) -> dict[tuple[str, str], Any]:
    """Give the keys that can verify, each for the one algorithm it is used with; two of one name are none."""
    found: dict[tuple[str, str], Any] = {}
    twice: set[tuple[str, str]] = set()
    for each in listed:
        kid = each.get("kid")
        if not isinstance(kid, str) or not _KID.fullmatch(kid):
            continue
        for algorithm in algorithms:
            key = _key(each, algorithm)
            if key is None:
                continue
            if (kid, algorithm) in found:
                twice.add((kid, algorithm))
            found[kid, algorithm] = key
    return {place: key for place, key in found.items() if place not in twice}


def _key(jwk: dict[str, Any], algorithm: str) -> Any | None:  # noqa: ANN401 (a public key of cryptography)
    """Give a key for an algorithm; None where it is another's, or is not one for signatures."""
    operations = jwk.get("key_ops")
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm or "d" in jwk:
        return None
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    kind = "RSA" if algorithm.startswith("RS") else "EC"
    if jwk.get("kty") != kind or (kind == "EC" and jwk.get("crv") != _CURVES[algorithm]):
        return None
    try:
        key = jwt.PyJWK(jwk, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return None if isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA else key


def _trust(folder: Path, row: IssuerRow) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=folder / row.jwks_ca if row.jwks_ca else None)
    except (OSError, ssl.SSLError):
        raise _wrong(row, "its jwks_ca cannot be read") from None


def _wrong(row: IssuerRow, said: str) -> AdapterError:
    return AdapterError.of(Category.NOT_FOUND, "tokens-file", f"issuer {row.name} of the tokens file: {said}")
