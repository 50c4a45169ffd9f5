"""Can results be delivered: the target's name, certificate, clock, CapabilityStatement, our credentials, our rights."""

import datetime
import os
import socket
import ssl
import uuid
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from adapter.delivery.json_answer import MEDIA_TYPE, body_of
from adapter.delivery.settings import Server, server_settings
from adapter.errors import AdapterError, one_line
from adapter.service.doctor import Checked, fault, ok, warning
from adapter.service.doctor_files import lifetime
from adapter.service.settings import Settings

if TYPE_CHECKING:
    import httpx

_CHECK = "target"
_TYPES = ("ResearchSubject", "GuidanceResponse", "Provenance")
_DRIFT_S = 60
_CONNECT_S = 10
_MAX_BYTES = 16 * 1024 * 1024
_VERSIONS = {"4.0": "R4", "4.3": "R4", "5.0": "R5"}
_REFUSED = (401, 403)
_NOT_DONE = (405, 501)
_AWAY = 500


class _Said(msgspec.Struct, frozen=True):
    """What the target answered."""

    status: int
    body: dict[str, Any]
    date: str | None


def check_target(settings: Settings, *, is_offline: bool) -> Iterator[Checked]:
    """Ask the target what can be asked without changing anything there."""
    if settings.target is None:
        return  # told among the settings
    if is_offline:
        yield warning(_CHECK, "the target was not asked", "leave --offline out to ask it")
        return
    try:
        server = server_settings(str(settings.target).rstrip("/"), os.environ)
    except AdapterError as error:
        yield fault(_CHECK, one_line(error.issues[0].message), "docs/export.md has how credentials are named")
        return
    host = urlsplit(server.url).hostname or ""
    port = urlsplit(server.url).port or (443 if server.url.startswith("https:") else 80)
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        yield fault("dns", "the target's name is not known here", "look at target, and at this machine's name servers")
        return
    yield ok("dns", f"the target's name is known, {len({each[4][0] for each in addresses})} addresses")
    if server.url.startswith("https:"):
        found = list(_certificate(host, port, server))
        yield from found
        if not found or any(each.level > 1 for each in found):
            return
    elif host not in ("localhost", "127.0.0.1", "::1"):
        todo = "set target to its https address"
        yield fault("tls", "the target is asked by http: results travel in the open", todo)
    yield from _asked(server, settings)


def _certificate(host: str, port: int, server: Server) -> Iterator[Checked]:
    context = ssl.create_default_context(cafile=server.ca_bundle)
    try:
        with (
            socket.create_connection((host, port), timeout=_CONNECT_S) as raw,
            context.wrap_socket(raw, server_hostname=host) as secured,
        ):
            told: Mapping[str, Any] = secured.getpeercert() or {}
            protocol = secured.version()
    except ssl.SSLCertVerificationError as error:
        # verify_message is OpenSSL's own sentence, such as "self-signed certificate"; it may name the host.
        said = (
            "certificate has expired" if "expired" in error.verify_message else "it is not trusted, or of another name"
        )
        todo = "name the file of its authority by TRIAL_ADAPTER_CA_BUNDLE, or have the certificate renewed"
        yield fault("tls", f"the target's certificate cannot be used: {said}", todo)
        return
    except (OSError, ssl.SSLError, UnicodeError) as error:
        todo = "does it run, is the port right, and does a firewall stand between?"
        yield fault("tls", f"no TLS connection to the target ({type(error).__name__})", todo)
        return
    yield ok("tls", f"the target speaks {protocol}, and its certificate is trusted")
    ends = datetime.datetime.fromtimestamp(ssl.cert_time_to_seconds(str(told["notAfter"])), datetime.UTC)
    begins = datetime.datetime.fromtimestamp(ssl.cert_time_to_seconds(str(told["notBefore"])), datetime.UTC)
    yield lifetime("tls", "the target's certificate", begins, ends)


def _asked(server: Server, settings: Settings) -> Iterator[Checked]:
    import httpx  # noqa: PLC0415 (only where there is a target)

    verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=server.ca_bundle) if server.ca_bundle else True
    timeout = httpx.Timeout(min(server.timeout_s, 30), connect=_CONNECT_S)
    with httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False, verify=verify) as http:
        try:
            said = _exchange(http, "GET", f"{server.url}/metadata", {})
        except (httpx.HTTPError, OSError, ValueError) as error:
            todo = "does it run, is target its FHIR base, and does a firewall stand between?"
            yield fault(_CHECK, f"the target gives no answer ({type(error).__name__})", todo)
            return
        yield _clock(said.date)
        token: dict[str, str] = {}
        try:
            token = _authorization(server)
        except AdapterError as error:
            yield fault("token", one_line(error.issues[0].message), "docs/export.md has how credentials are named")
            if said.status in _REFUSED:
                return
        else:
            given = "a token was given" if server.backend else "a token is set"
            yield (
                ok("token", given)
                if token
                else warning(
                    "token",
                    "the target is asked without credentials",
                    "set TRIAL_ADAPTER_TOKEN_FILE, if it wants a token",
                )
            )
        if said.status in _REFUSED:
            said = _exchange(http, "GET", f"{server.url}/metadata", token)
        yield from _capability(said, settings)
        yield from _rights(http, server, token)


def _exchange(
    http: "httpx.Client", method: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None
) -> _Said:
    content = None if body is None else msgspec.json.encode(body)
    media = {"Accept": MEDIA_TYPE, "Cache-Control": "no-cache", **({"Content-Type": MEDIA_TYPE} if content else {})}
    data = bytearray()
    with http.stream(method, url, content=content, headers={**media, **headers}) as answer:
        for chunk in answer.iter_bytes(1 << 16):
            data += chunk
            if len(data) > _MAX_BYTES:
                raise ValueError("the answer is too large")
    return _Said(answer.status_code, body_of(bytes(data)) or {}, answer.headers.get("Date"))


def _clock(date: str | None) -> Checked:
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return warning("clock", "the target does not say its time", "see that this machine's clock is kept (NTP)")
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=datetime.UTC)
    drift = abs((datetime.datetime.now(datetime.UTC) - theirs).total_seconds())
    if drift > _DRIFT_S:
        todo = "have both clocks kept by NTP: windows are counted from now, and tokens end by the clock"
        return fault("clock", f"this machine's clock and the target's are {drift:.0f} s apart", todo)
    return ok("clock", f"this machine's clock and the target's are at most {drift + 1:.0f} s apart")


def _authorization(server: Server) -> dict[str, str]:
    from adapter.delivery.backoff import Patience  # noqa: PLC0415 (only where there is a target)
    from adapter.delivery.client import Client  # noqa: PLC0415 (the same)
    from adapter.delivery.token import Tokens  # noqa: PLC0415 (the same)

    secret = server.token
    if server.backend is not None:
        client = Client(server, lambda _: None, patience=Patience(attempts=1))
        try:
            secret = Tokens(client, server.backend, _TYPES).current()
        finally:
            client.close()
    return {} if secret is None else {"Authorization": f"Bearer {secret.reveal()}"}


def _capability(said: _Said, settings: Settings) -> Iterator[Checked]:
    if said.status in _REFUSED:
        todo = "look at the credentials: TRIAL_ADAPTER_TOKEN_FILE, or client id, key and scope"
        yield fault(_CHECK, f"the target lets us not even read its CapabilityStatement (HTTP {said.status})", todo)
        return
    if said.body.get("resourceType") != "CapabilityStatement":
        todo = "set target to the server's FHIR base: the address in front of /metadata"
        yield fault(_CHECK, f"the target gives no CapabilityStatement (HTTP {said.status})", todo)
        return
    text = said.body.get("fhirVersion")
    version = _VERSIONS.get(text[:3]) if isinstance(text, str) else None
    if version is None:
        yield fault(_CHECK, "the target speaks a version of FHIR that is not written here", "R4, R4B and R5 are")
    elif version != settings.fhir_version:
        yield fault(_CHECK, f"the target speaks {version}", f"set fhir_version to {version}, or another target")
    else:
        yield ok(_CHECK, f"the target speaks {version}, as is written")
    rest = next((each for each in _objects(said.body.get("rest")) if each.get("mode", "server") == "server"), {})
    if "transaction" in {each.get("code") for each in _objects(rest.get("interaction"))}:
        most = "at most 3 entries a trial; how many the target takes is not told by any CapabilityStatement"
        yield ok(_CHECK, f"the target takes transactions: {most}")
    else:
        todo = "nothing need be done; a reader may see a result before its evidence"
        yield warning(_CHECK, "the target takes no transactions: results are written one by one", todo)
    by_type = {str(each.get("type")): each for each in _objects(rest.get("resource"))}
    if not by_type:
        todo = "nothing need be done: the first delivery shows it (trial-adapter outbox list)"
        yield warning(_CHECK, "the target does not say which types it takes", todo)
        return
    for type_ in _TYPES:
        yield _type(type_, by_type.get(type_))


def _type(type_: str, told: dict[str, Any] | None) -> Checked:
    if told is None:
        todo = "ask the server's maker, or set what is written instead (docs/operations.md, Delivery)"
        return fault(_CHECK, f"the target does not take {type_}", todo)
    codes = {each.get("code") for each in _objects(told.get("interaction"))}
    lacking = [each for each in ("read", "update") if each not in codes]
    if lacking:
        todo = "have it allowed there, or set what is written instead (docs/operations.md, Delivery)"
        return fault(_CHECK, f"the target has no {' and no '.join(lacking)} of {type_}", todo)
    if told.get("updateCreate") is False:
        todo = "write by conditional update (docs/operations.md, Delivery), or have ids of clients allowed there"
        return warning(_CHECK, f"the target gives {type_} ids of its own", todo)
    return ok(_CHECK, f"the target reads and updates {type_}")


def _rights(http: "httpx.Client", server: Server, token: Mapping[str, str]) -> Iterator[Checked]:
    """Ask for what is not there, and send what every server must refuse: only whether we may is of interest.

    The body has another type and id than the address, for which FHIR has 400, and names a version to replace of
    what is not there: no server may write it, and whoever is not let in is told 401 or 403 before that.
    """
    import httpx  # noqa: PLC0415 (loaded already)

    nobody = uuid.uuid4()
    url = f"{server.url}/ResearchSubject/{nobody}"
    unusable = {"resourceType": "Basic", "id": f"not-{nobody}"}
    try:
        read = _exchange(http, "GET", url, token)
        wrote = _exchange(http, "PUT", url, {**token, "If-Match": 'W/"0"'}, unusable)
    except (httpx.HTTPError, OSError, ValueError) as error:
        todo = "run doctor again; the service itself tries for as long as it takes"
        yield warning("rights", f"the target did not answer ({type(error).__name__})", todo)
        return
    scope = "ask for system/ResearchSubject.crus, GuidanceResponse.crus and Provenance.crus"
    if read.status in _REFUSED:
        yield fault("rights", f"we may not read ResearchSubject there (HTTP {read.status})", scope)
    elif read.status >= _AWAY:
        yield warning("rights", f"the target answers a read with HTTP {read.status}", "look at the target's log")
    else:
        yield ok("rights", "we may read ResearchSubject there")
    if wrote.status in _REFUSED:
        yield fault("rights", f"we may not write ResearchSubject there (HTTP {wrote.status})", scope)
    elif wrote.status in _NOT_DONE:
        yield fault("rights", f"the target does not update ResearchSubject (HTTP {wrote.status})", scope)
    elif wrote.status >= _AWAY:
        yield warning("rights", f"the target answers a write with HTTP {wrote.status}", "look at the target's log")
    elif wrote.status < 300:  # noqa: PLR2004 (HTTP's own classes)
        todo = f"look whether ResearchSubject/{nobody} or Basic/not-{nobody} is there now, and delete it"
        yield warning("rights", "the target took what it had to refuse", todo)
    else:
        yield ok("rights", "we may write ResearchSubject there; nothing was written")


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
