"""What a site can set: environment variables ``TRIAL_ADAPTER_SERVE_*``, or a TOML file that they overrule."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, IPvAnyNetwork, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from adapter.emission.names import DEFAULT_BASE
from adapter.errors import AdapterError, Category, Issue, Severity

PREFIX = "TRIAL_ADAPTER_SERVE_"
FILE = f"{PREFIX}FILE"
"""The environment variable that names the TOML file."""
UNPROTECTED = "serve patient data unprotected"
"""What must be said, word for word, to listen beyond this machine without TLS or without tokens."""

_MAX_OUTBOX = 10_000
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class Source(BaseModel):
    """A subscription server: what its notifications name is read there, and nowhere else."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base: HttpUrl
    token_variable: str | None = None
    """The environment variable that holds the bearer token to read with."""
    clients: tuple[str, ...] = ()
    """Whose notifications are followed there; without any, those of every client that has no tenant."""


class Settings(BaseSettings):
    """Every setting of the service, checked; a name that is not known is refused in the file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", hide_input_in_errors=True, frozen=True)

    database: SecretStr = SecretStr("sqlite:///trial-adapter.db")
    """Where receipts, replies and the outbox are kept: ``sqlite:///file`` or ``postgresql+psycopg://...``."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    base: HttpUrl = HttpUrl(DEFAULT_BASE)
    """Canonical base of everything minted here: results, and the trials that are served."""
    fhir_version: Literal["R4", "R5"] = "R4"
    """Of results, where a request does not name one."""
    publisher: str = "fhir-trial-adapter"
    site_secret_file: Path | None = None
    """A file whose text is mixed into the ids of results, so that none can be guessed from a patient's id."""
    target: HttpUrl | None = None
    """The FHIR server that results are written to; without it they are kept until there is one."""
    target_conditional: bool = False
    """Whether the server gives ids itself: results are then found by our identifiers."""
    target_fallback: Literal["refuse", "observation", "task", "file"] = "refuse"
    """What becomes of what the server does not take: given up, or said as an Observation, a Task, or a file."""
    target_folder: Path | None = None
    """Where ``file`` puts it."""
    target_dry_run: bool = False
    """Whether deliveries are only rehearsed: read and planned, and nothing written."""
    target_workers: Annotated[int, Field(gt=0, le=32)] = 2
    """How many deliveries are under way at once; of one patient always one."""
    receipt_days: Annotated[int, Field(ge=7)] = 14
    """How long a message that comes again gets the same answer."""
    delivered_days: Positive = 30
    """How long it can be seen what became of a delivery."""
    tokens_file: Path | None = None
    """Clients, their hashed tokens and scopes (docs/http.md); without it whoever reaches the port may do all."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Where it is set, a client must show a certificate that this authority signed."""
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """From whom a header Client-Cert (RFC 9440) is believed, such as ``["10.0.0.7/32"]``."""
    audit_key_file: Path | None = None
    """32 bytes in base64 a line: who may write the database, and has not the key, cannot forge the audit."""
    behind_tls_proxy: bool = False
    """Whether a proxy on the way ends TLS; the port must then be reachable by the proxy alone."""
    allow_unprotected: str = ""
    """``serve patient data unprotected`` lets the service listen beyond this machine without TLS or tokens."""
    client_rate: str = "600/second"
    """How many requests one client may make, such as ``20/second`` or ``3000/minute``."""

    storage: Literal["kept", "none"] = "kept"
    """Whether what messages say of a patient is kept for the next ones; ``none`` keeps nothing of patients at all."""
    retention_days: Positive = 400
    """How long a patient is kept of whom nothing comes any more."""
    storage_key_file: Path | None = None
    """Keys that seal what is kept of patients: base64 of 32 bytes, one a line; the first seals, all of them open."""
    address: HttpUrl | None = None
    """The base that clients reach the service under, such as ``https://adapter.example.org/fhir``; else what the
    request says of itself."""
    sync_bytes: Positive = 8 * 1024 * 1024
    """A Bundle larger than this is answered later, as if ``Prefer: respond-async`` had come with it."""
    later_days: Positive = 14
    """How long an answer that was given later can be asked for."""
    max_later: Positive = 1000
    """How many messages may wait to be answered later; with more, the next one is told to come again."""
    max_outbox: Positive | None = None
    """How many results may wait to be delivered; with more, the next message is told to come again.

    10000 where there is a target; without one nothing is delivered, and nothing is waited for.
    """
    sources: tuple[Source, ...] = ()
    """The subscription servers that are read where a notification says no more than what to read."""
    quarantine_days: Positive = 7
    """How long is kept what was set aside instead of refused (``quarantine`` in the tokens file)."""
    quarantine_count: Positive = 1000
    quarantine_bytes: Positive = 256 * 1024 * 1024

    max_decoded_bytes: Positive = 16 * 1024 * 1024
    max_encoded_bytes: Positive = 4 * 1024 * 1024
    """Of a body sent as gzip, before it is decoded."""
    max_gzip_ratio: Positive = 200
    max_header_bytes: Positive = 16 * 1024
    max_entries: Positive = 5000
    max_nodes: Positive = 500_000
    max_depth: Annotated[int, Field(gt=0, le=64)] = 64
    workers: Positive = 1
    """How many processes answer on the one port; each bounds and counts for itself, and one more delivers."""
    max_concurrent: Positive = 256
    """How many requests are worked on at once; one more is told to come again."""
    max_connections: Positive = 4096
    """How many connections are held; beyond it, the one that has been idle longest makes room for a new one."""
    max_held_bytes: Positive = 256 * 1024 * 1024
    """Of all bodies together that are read or worked on; who brings more is told to come again."""
    header_seconds: Seconds = 15
    """How long a client may take to send its headers, and how long it may read nothing of an answer."""
    body_seconds: Seconds = 15
    """How long a client may take to send its body."""
    answer_seconds: Seconds = 10
    """After this long nothing is written any more, and the client is told to come again."""
    stop_seconds: Positive = 8
    """How long requests that have begun may take when the service is stopped."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the signature is pydantic's)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the same)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let arguments overrule the environment, and the environment the file."""
        path = os.environ.get(FILE)
        file = (TomlConfigSettingsSource(settings_cls, Path(path)),) if path else ()
        return (init_settings, env_settings, *file)

    @property
    def canonical(self) -> str:
        """The canonical base without a slash at its end."""
        return str(self.base).rstrip("/")

    @property
    def waiting_deliveries(self) -> int | None:
        """How many results may wait to be delivered; None for as many as come."""
        return self.max_outbox or (None if self.target is None else _MAX_OUTBOX)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the port."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def secret(self) -> str:
        """Give the site's secret; raises AdapterError when its file cannot be read."""
        return _text(self.site_secret_file, "site_secret_file") if self.site_secret_file else ""


def read_settings(**given: object) -> Settings:
    """Read the settings; raises AdapterError that names each wrong one and never its value."""
    path = os.environ.get(FILE)
    if path and not Path(path).is_file():
        raise AdapterError.of(Category.NOT_FOUND, "settings-file", f"the file that {FILE} names is not there")
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as wrong:
        found = [(".".join(map(str, each["loc"])), each["type"]) for each in wrong.errors(include_input=False)]
    except ValueError:  # TOML that cannot be read; its message may quote a secret
        raise AdapterError.of(Category.NOT_FOUND, "settings-file", f"the file of {FILE} is not TOML") from None
    else:
        _check_protected(settings)
        return settings
    issues = [Issue(Severity.ERROR, "setting", f"the setting {name} cannot be used: {kind}") for name, kind in found]
    raise AdapterError(Category.NOT_FOUND, issues)


def _check_protected(settings: Settings) -> None:
    """Refuse to listen beyond this machine in the open, unless told to in so many words."""
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise AdapterError.of(Category.NOT_FOUND, "setting", "tls_certificate and tls_key are set together or not")
    if settings.is_local or settings.allow_unprotected == UNPROTECTED:
        return
    lacking = []
    if settings.tls_certificate is None and not settings.behind_tls_proxy:
        lacking.append("TLS (tls_certificate and tls_key, or behind_tls_proxy)")
    if settings.tokens_file is None:
        lacking.append("tokens (tokens_file)")
    if lacking:
        said = (
            f"the service does not listen beyond this machine without {' and '.join(lacking)}; "
            f'to do it all the same, set allow_unprotected = "{UNPROTECTED}"'
        )
        raise AdapterError.of(Category.FORBIDDEN, "unprotected", said)


def _text(path: Path, setting: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        said = f"the file that the setting {setting} names cannot be read"
        raise AdapterError.of(Category.NOT_FOUND, "setting", said) from None
