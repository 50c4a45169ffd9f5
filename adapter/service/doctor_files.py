"""Are the files that settings name there, and for us alone; are tokens and certificates usable, and how long."""

import datetime
import os
import re
import ssl
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from adapter.errors import AdapterError
from adapter.service.doctor import Checked, fault, ok, warning
from adapter.service.settings import Settings

_SECRET = re.compile(r"secret|tokens|key(?!s?_count)")
"""Settings whose files must be read by nobody else."""
_SHORT = 16
"""A secret of fewer characters can be guessed."""
_SOON = datetime.timedelta(days=30)


def check_files(settings: Settings) -> Iterator[Checked]:
    """Look at every file or folder that a setting names: there, readable, and its mode; whatever settings there are."""
    for name in type(settings).model_fields:
        value = getattr(settings, name, None)
        if isinstance(value, Path):
            yield from _check_file(name, value)
    if settings.site_secret_file is None:
        todo = "put 32 random bytes into a file (openssl rand -hex 32), mode 0600, and name it by site_secret_file"
        yield warning("site-secret", "no site_secret_file: ids of results can be guessed from a patient's id", todo)
        return
    try:
        length = len(settings.secret())
    except AdapterError:
        return  # told above, as a file that cannot be read
    if length < _SHORT:
        todo = "take a longer one before results are written: with another secret they get other ids"
        yield (
            fault("site-secret", f"the site's secret has {length} characters", todo)
            if not length
            else warning("site-secret", f"the site's secret has {length} characters, which can be guessed", todo)
        )
    else:
        yield ok("site-secret", "the site's secret can be read")


def check_storage(settings: Settings) -> Iterator[Checked]:
    """Say how what is kept of patients lies on the disk."""
    from adapter.store.sealing import Sealer  # noqa: PLC0415 (it loads the cryptography)

    if settings.storage == "none":
        yield ok("storage", "nothing is kept of patients across messages")
        return
    if settings.storage_key_file is None:
        todo = "set storage_key_file (openssl rand -base64 32 into a file, mode 0600), or storage = none"
        yield warning("storage", "what is kept of patients is not encrypted by the adapter", todo)
        return
    if settings.storage_key_file.is_file():
        Sealer.of(settings.storage_key_file)
        yield ok("storage", "what is kept of patients is encrypted with the site's key")


def _check_file(name: str, path: Path) -> Iterator[Checked]:
    check = f"file {name}"
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield fault(check, f"the file of {name} is not there ({_kind(error)})", "name the file that is meant")
        return
    if not os.access(path, os.R_OK):
        yield fault(check, f"the file of {name} cannot be read by this user", "give it to the user that serves")
        return
    is_secret = _SECRET.search(name) is not None
    if is_secret and mode & stat.S_IROTH:
        yield fault(check, f"the file of {name} can be read by everyone on this machine", "chmod 600 it")
    elif is_secret and mode & (stat.S_IRWXG | stat.S_IWOTH):
        yield warning(check, f"the file of {name} can be read by its group", "chmod 600 it, unless that is meant")
    elif mode & stat.S_IWOTH:
        yield fault(check, f"the file of {name} can be written by everyone on this machine", "chmod o-w it")
    else:
        yield ok(check, f"the file of {name} is there, mode {stat.S_IMODE(mode):04o}")


def check_tokens(settings: Settings) -> Iterator[Checked]:
    """Say who may do what, by count."""
    path = settings.tokens_file
    if path is None:
        if settings.is_local:
            todo = "set tokens_file before anything else can reach the port (docs/security.md)"
            yield warning("tokens", "no tokens_file: whoever reaches the port may do everything", todo)
        return
    if not path.is_file():
        return  # told by check_files
    from adapter.service.access_file import read_access_file  # noqa: PLC0415 (only where there is a file)

    file = read_access_file(path)
    granted = [*(each.scopes for each in file.client), *(each.scopes for each in file.certificate)]
    scopes = Counter(each for some in granted for each in some)
    for issuer in file.issuer:
        scopes.update(issuer.grants.union(*issuer.scopes.values()))
    yield ok("tokens", f"{len(file.client)} clients, {len(file.certificate)} certificates, {len(file.issuer)} issuers")
    if not scopes["ingest"]:
        todo = 'give the engine\'s client scopes = ["ingest"]'
        yield fault("tokens", "nobody has the scope ingest: no message would be taken", todo)
    if not scopes["read"] and not scopes["admin"]:
        todo = 'give who watches the service a client with scopes = ["read"]'
        yield warning("tokens", "nobody has the scope read: metrics and status page are shut", todo)
    if file.certificate and settings.tls_client_ca is None and not settings.trusted_proxies:
        todo = "set tls_client_ca, or trusted_proxies where a proxy ends TLS"
        yield fault("tokens", "clients are known by certificate, and nobody asks them for one", todo)
    for issuer in file.issuer:
        if issuer.jwks_file and not Path(issuer.jwks_file).is_file():
            yield fault("tokens", f"the jwks_file of issuer {issuer.name} is not there", "name the file that is meant")


def check_tls(settings: Settings) -> Iterator[Checked]:
    """Look at the certificate that is shown, and at the authority that clients must be known by."""
    if settings.tls_certificate is None or settings.tls_key is None:
        if not settings.is_local and settings.behind_tls_proxy:
            todo = "see to it that only the proxy reaches the port"
            yield ok("tls", f"a proxy ends TLS; {todo}")
        return
    if settings.tls_certificate.is_file() and settings.tls_key.is_file():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(settings.tls_certificate, settings.tls_key, password=_no_password)
        except (ssl.SSLError, OSError, ValueError):
            todo = "both are PEM; the key belongs to the first certificate and has no password"
            yield fault("tls", "tls_certificate and tls_key do not belong together, or cannot be read", todo)
        else:
            yield ok("tls", "tls_certificate and tls_key belong together")
        yield from _expiry("tls_certificate", settings.tls_certificate)
    if settings.tls_client_ca is not None and settings.tls_client_ca.is_file():
        yield from _expiry("tls_client_ca", settings.tls_client_ca)


def _expiry(name: str, path: Path) -> Iterator[Checked]:
    from cryptography import x509  # noqa: PLC0415 (heavy, and only where there is TLS)

    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        yield fault("tls", f"{name} holds no certificate in PEM", "name the file that is meant")
        return
    yield lifetime("tls", name, found[0].not_valid_before_utc, min(each.not_valid_after_utc for each in found))


def lifetime(check: str, name: str, begins: datetime.datetime, ends: datetime.datetime) -> Checked:
    """Say how long a certificate still holds."""
    now = datetime.datetime.now(datetime.UTC)
    day = ends.date().isoformat()
    if ends <= now:
        return fault(check, f"{name} ended on {day}", "renew it")
    if begins > now:
        return fault(check, f"{name} is not valid yet", "look at the clock, or wait")
    if ends - now < _SOON:
        return warning(check, f"{name} ends on {day}", "renew it before that day")
    return ok(check, f"{name} holds until {day}")


def _no_password() -> str:
    """Answer instead of a prompt that nobody would see."""
    return ""


def _kind(error: OSError) -> str:
    return type(error).__name__
