"""Which access token the server takes: asked for as SMART Backend Services, kept until shortly before its end."""

import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from adapter.delivery.client import AnswerLost, Client, busy, unreachable
from adapter.delivery.settings import ALGORITHMS, BackendService, Secret, checked_url
from adapter.errors import AdapterError, Category

if TYPE_CHECKING:
    from jwt import PyJWK
    from jwt.algorithms import AllowedPrivateKeys

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_S = 240
"""How long our statement is valid; the standard allows five minutes, and clocks differ."""
_MARGIN_S = 30
_SHORTEST_S = 60
"""What a token is taken to last where the server does not say."""
_OAUTH_ERROR = re.compile(r"[a-z_]{1,40}")
_BY_KEY_TYPE = {"RSA": "RS384", "EC": "ES384"}
_CURVE = "P-384"
"""What ES384 signs with."""


class _Key(msgspec.Struct, frozen=True):
    material: Any
    id: str | None
    algorithm: str


class Tokens:
    """The access token of one server, asked for when it is needed and again when it ends or is refused."""

    def __init__(
        self, client: Client, backend: BackendService, types: Iterable[str], *, now: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._backend = backend
        self._scope = backend.scope or " ".join(f"system/{each}.crus" for each in sorted(set(types)))
        self._now = now
        self._key = _key(backend)
        self._token: Secret | None = None
        self._until = float(0)
        self._token_url = backend.token_url

    def current(self) -> Secret:
        """Give a token that is valid now; raises AdapterError where the server gives none."""
        if self._token is None or self._now() >= self._until:
            self._ask()
        assert self._token is not None  # noqa: S101 (_ask sets it or raises)
        return self._token

    def forget(self) -> None:
        """Drop the token: the server does not take it any more."""
        self._token = None

    def _ask(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "scope": self._scope,
            "client_assertion_type": _ASSERTION_TYPE,
        }
        patience = self._client.patience
        for attempt in range(1, patience.attempts + 1):
            asked_s = None
            try:
                # Each attempt states itself anew: a server refuses a statement (jti) that it has seen.
                answer = self._client.post_form(self._url(), {**form, "client_assertion": self._assertion()})
            except AnswerLost as lost:
                said, error = lost.said, unreachable(lost.said)
            else:
                if not answer.is_busy:
                    self._take(answer.status, answer.body or {})
                    return
                said, asked_s, error = "the token endpoint is busy", answer.retry_after_s, busy(answer)
            if attempt == patience.attempts:
                raise error
            self._client.wait(attempt, said, asked_s, error)

    def _take(self, status: int, body: dict[str, Any]) -> None:
        token, kind = body.get("access_token"), body.get("token_type")
        if status != 200 or not isinstance(token, str) or not (token.isascii() and token.isprintable()):  # noqa: PLR2004
            told = body.get("error")
            why = f" ({told})" if isinstance(told, str) and _OAUTH_ERROR.fullmatch(told) else ""
            raise _refused(f"the token endpoint gives no token: HTTP {status}{why}; check client id, key and scope")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise _refused("the token endpoint gives a token that is not a bearer token")
        lasts = body.get("expires_in")
        lasts_s = float(lasts) if isinstance(lasts, int) and not isinstance(lasts, bool) else _SHORTEST_S
        self._token = Secret(token)
        self._until = self._now() + max(0, lasts_s - _MARGIN_S)

    def _assertion(self) -> str:
        import jwt  # noqa: PLC0415 (heavy; only this kind of sign-in needs it)

        issued = int(self._now())
        claims = {
            "iss": self._backend.client_id,
            "sub": self._backend.client_id,
            "aud": self._url(),
            "iat": issued,
            "exp": issued + _ASSERTION_S,
            "jti": str(uuid.uuid4()),
        }
        headers = {"kid": self._key.id} if self._key.id is not None else None
        return jwt.encode(claims, self._key.material, algorithm=self._key.algorithm, headers=headers)

    def _url(self) -> str:
        if self._token_url is None:
            # Asked without credentials: there are none before the token.
            answer = self._client.discover(".well-known/smart-configuration")
            endpoint = (answer.body or {}).get("token_endpoint")
            if not answer.is_success or not isinstance(endpoint, str):
                raise _refused(
                    "the server's .well-known/smart-configuration names no token endpoint; set TRIAL_ADAPTER_TOKEN_URL"
                )
            self._token_url = checked_url(endpoint, "the server's token endpoint", secret_goes_there=True)
        return self._token_url


def _key(backend: BackendService) -> _Key:
    """Read the private key; what is wrong with it is said without a word of it."""
    text = backend.private_key.reveal()
    material, key_type, curve, kid = _jwk(text, backend.key_id) if text.startswith("{") else _pem(text)
    fitting = _BY_KEY_TYPE.get(key_type)
    algorithm = backend.algorithm or fitting
    if algorithm is None or algorithm != fitting or (key_type == "EC" and curve != _CURVE):
        raise _bad_key(f"the key does not fit; {' takes an RSA key, '.join(ALGORITHMS)} one on the curve P-384")
    return _Key(material, backend.key_id or kid, algorithm)


def _pem(text: str) -> tuple["AllowedPrivateKeys", str, str | None, None]:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey  # noqa: PLC0415 (heavy)
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415 (heavy)
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 (heavy)

    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):
        raise _bad_key("this is no unencrypted private key in PEM, JWK or JWK Set") from None
    if isinstance(key, RSAPrivateKey):
        return key, "RSA", None, None
    if isinstance(key, EllipticCurvePrivateKey):
        return key, "EC", {"secp384r1": _CURVE}.get(key.curve.name), None
    raise _bad_key("the key is neither RSA nor EC")


def _jwk(text: str, key_id: str | None) -> tuple["AllowedPrivateKeys", str, str | None, str | None]:
    import jwt  # noqa: PLC0415 (heavy; only this kind of sign-in needs it)

    try:
        read = msgspec.json.decode(text)
        keys = [each for each in read.get("keys", [read]) if "d" in each and key_id in {None, each.get("kid")}]
        keys = [each for each in keys if each.get("kty") in _BY_KEY_TYPE]
        if len(keys) != 1:
            raise _bad_key(f"{len(keys)} private keys in it fit; name one by TRIAL_ADAPTER_KEY_ID")
        parsed: PyJWK = jwt.PyJWK(keys[0], algorithm=_BY_KEY_TYPE.get(keys[0].get("kty"), "none"))
    except (jwt.PyJWTError, msgspec.DecodeError, AttributeError, TypeError, ValueError, NotImplementedError):
        raise _bad_key("this is no private key in PEM, JWK or JWK Set") from None
    return parsed.key, str(keys[0].get("kty")), keys[0].get("crv"), keys[0].get("kid")


def _bad_key(said: str) -> AdapterError:
    return AdapterError.of(Category.NOT_FOUND, "server-settings", f"TRIAL_ADAPTER_PRIVATE_KEY_FILE: {said}")


def _refused(said: str) -> AdapterError:
    return AdapterError.of(Category.FORBIDDEN, "server-token", said)
