"""Which server, and with which credentials: read once, from the environment and the files it names.

No secret is an argument of the command, where every user of the machine could read it, and none is shown by ``repr``.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from adapter.errors import AdapterError, Category

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ALGORITHMS = ("RS384", "ES384")
"""What SMART Backend Services asks every server to take."""
NAMES = {
    "TRIAL_ADAPTER_TOKEN": "a bearer token",
    "TRIAL_ADAPTER_TOKEN_FILE": "a file that holds the bearer token",
    "TRIAL_ADAPTER_CLIENT_ID": "SMART Backend Services: the client id the server knows us by",
    "TRIAL_ADAPTER_PRIVATE_KEY_FILE": "SMART Backend Services: the private key, PEM, JWK or JWK Set",
    "TRIAL_ADAPTER_KEY_ID": "SMART Backend Services: the key's id (kid), where the key file does not say it",
    "TRIAL_ADAPTER_KEY_ALGORITHM": "SMART Backend Services: RS384 or ES384; default: by the kind of key",
    "TRIAL_ADAPTER_TOKEN_URL": "SMART Backend Services: the token endpoint; default: what the server's"
    " .well-known/smart-configuration says",
    "TRIAL_ADAPTER_SCOPE": "SMART Backend Services: the scope; default: create, read, update, search of the types sent",
    "TRIAL_ADAPTER_CA_BUNDLE": "a file with the certificates of authorities to trust, instead of the usual ones",
    "TRIAL_ADAPTER_TIMEOUT": "seconds to wait for an answer; default: 60",
    "TRIAL_ADAPTER_RETRIES": "how often a busy or silent server is asked again; default: 5",
}
"""Every setting and what it is, as docs/export.md lists them."""


class Secret:
    """A text that shows itself only when asked by ``reveal``: not in repr, str, format, logs or errors."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the secret itself, to be put into a request and nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"


class BackendService(msgspec.Struct, frozen=True):
    """How to ask for a token as SMART Backend Services: a signed statement of who we are instead of a password."""

    client_id: str
    private_key: Secret
    key_id: str | None = None
    algorithm: str | None = None
    token_url: str | None = None
    scope: str | None = None


class Server(msgspec.Struct, frozen=True):
    """A FHIR server and how to speak to it."""

    url: str
    """Without a slash at its end."""
    token: Secret | None = None
    backend: BackendService | None = None
    ca_bundle: str | None = None
    timeout_s: float = 60
    retries: int = 5


def server_settings(url: str, environment: Mapping[str, str]) -> Server:
    """Give the settings of a server from its address and the environment; raises AdapterError on a bad one."""
    token = _secret(environment, "TRIAL_ADAPTER_TOKEN", "TRIAL_ADAPTER_TOKEN_FILE")
    backend = _backend(environment)
    if token is not None and backend is not None:
        raise _wrong("give a bearer token or the client of SMART Backend Services, not both")
    ca_bundle = environment.get("TRIAL_ADAPTER_CA_BUNDLE") or None
    if ca_bundle is not None and not Path(ca_bundle).is_file():
        raise _wrong("TRIAL_ADAPTER_CA_BUNDLE: there is no such file")
    return Server(
        url=checked_url(url, "--server", secret_goes_there=token is not None or backend is not None),
        token=token,
        backend=backend,
        ca_bundle=ca_bundle,
        timeout_s=_number(environment, "TRIAL_ADAPTER_TIMEOUT", 60.0, 0.1, 3600),
        retries=int(_number(environment, "TRIAL_ADAPTER_RETRIES", 5, 0, 50)),
    )


def checked_url(url: str, whose: str, *, secret_goes_there: bool) -> str:
    """Give the address without a slash at its end; raises AdapterError where it must not be used."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _wrong(f"{whose}: this is not an address such as https://fhir.example.org/r4") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise _wrong(f"{whose}: this is not an address such as https://fhir.example.org/r4")
    if parts.username is not None or parts.password is not None:
        raise _wrong(f"{whose}: name and password must not stand in the address; use TRIAL_ADAPTER_TOKEN_FILE")
    if parts.query or parts.fragment:
        raise _wrong(f"{whose}: the address must be the server's base, without ? and #")
    if parts.scheme == "http" and secret_goes_there and host not in _LOOPBACK:
        raise _wrong(f"{whose}: credentials are sent only by https; this address is http")
    return url.rstrip("/")


def _backend(environment: Mapping[str, str]) -> BackendService | None:
    client_id = environment.get("TRIAL_ADAPTER_CLIENT_ID")
    key_file = environment.get("TRIAL_ADAPTER_PRIVATE_KEY_FILE")
    if not client_id and not key_file:
        return None
    if not client_id or not key_file:
        raise _wrong("SMART Backend Services needs TRIAL_ADAPTER_CLIENT_ID and TRIAL_ADAPTER_PRIVATE_KEY_FILE")
    algorithm = environment.get("TRIAL_ADAPTER_KEY_ALGORITHM") or None
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise _wrong(f"TRIAL_ADAPTER_KEY_ALGORITHM: must be {' or '.join(ALGORITHMS)}")
    token_url = environment.get("TRIAL_ADAPTER_TOKEN_URL") or None
    if token_url is not None:
        token_url = checked_url(token_url, "TRIAL_ADAPTER_TOKEN_URL", secret_goes_there=True)
    return BackendService(
        client_id=client_id,
        private_key=_read(key_file, "TRIAL_ADAPTER_PRIVATE_KEY_FILE"),
        key_id=environment.get("TRIAL_ADAPTER_KEY_ID") or None,
        algorithm=algorithm,
        token_url=token_url,
        scope=environment.get("TRIAL_ADAPTER_SCOPE") or None,
    )


def _secret(environment: Mapping[str, str], name: str, file_name: str) -> Secret | None:
    text, file = environment.get(name), environment.get(file_name)
    if text and file:
        raise _wrong(f"give {name} or {file_name}, not both")
    secret = _read(file, file_name) if file else Secret(text.strip()) if text else None
    if secret is not None and not (secret.reveal().isascii() and secret.reveal().isprintable() and secret.reveal()):
        raise _wrong(f"{file_name if file else name}: a bearer token is one line of ASCII")
    return secret


def _read(file: str, name: str) -> Secret:
    try:
        return Secret(Path(file).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        raise _wrong(f"{name}: the file cannot be read") from None


def _number(environment: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    text = environment.get(name)
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = float(-1)
    if not least <= number <= most:
        raise _wrong(f"{name}: must be a number from {least:g} to {most:g}")
    return number


def _wrong(said: str) -> AdapterError:
    """Make the error of a setting, which is one of usage; the setting's value is never quoted."""
    return AdapterError.of(Category.NOT_FOUND, "server-settings", said)
