"""Who is known here: the clients, certificates and issuers of a tokens file, checked before anything is listened on."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from adapter.errors import AdapterError, Category

Right = Literal["ingest", "read", "admin"]
Algorithm = Literal["RS384", "ES384", "RS256", "ES256"]
LOCAL = ("localhost", "127.0.0.1", "::1")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ISSUER_NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
_TENANT = re.compile(r"([A-Za-z0-9._-]{1,64})?")
_WITHIN = re.compile(r"(/[A-Za-z0-9._/$-]+)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every row of the file says."""

    name: str
    tenant: str = ""
    within: str = ""
    """The addresses it may ask, such as ``/cds-services``; empty: all."""
    quarantine: bool = False


class ClientRow(Known, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One client with a token of its own."""

    sha256: str
    scopes: frozenset[Right]
    basic: bool = False
    """Whether it may send its name and token as HTTP Basic."""


class CertificateRow(Known, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One client known by the certificate of its connection: by subject, a name in it, or all of it."""

    scopes: frozenset[Right]
    subject: str = ""
    """As RFC 4514 has it: ``CN=engine,O=Hospital``."""
    san: str = ""
    """A DNS name or URI among the subject's alternative names."""
    sha256: str = ""
    """Of the whole certificate (DER)."""


class IssuerRow(Known, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Someone whose signed tokens are believed."""

    iss: str
    audience: tuple[str, ...]
    jwks_file: str = ""
    jwks_url: str = ""
    jwks_ca: str = ""
    """A file of authorities for ``jwks_url``, where they are not the machine's own."""
    algorithms: tuple[Algorithm, ...] = ("RS384", "ES384")
    scopes: dict[str, frozenset[Right]] = {}
    """What each scope of a token allows here; a scope that is not named allows nothing."""
    grants: frozenset[Right] = frozenset()
    """What every token allows, whatever its scopes."""
    scope_claim: str = "scope"
    client_claim: str = "sub"
    """The claim that names the client; empty: the issuer is the client."""
    tenant_claim: str = ""
    single_use: bool = False
    """Whether a token holds for one call (its ``jti``)."""
    max_seconds: int = 0
    """How far ahead a token may expire; 0: any."""


class AccessFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    client: tuple[ClientRow, ...] = ()
    certificate: tuple[CertificateRow, ...] = ()
    issuer: tuple[IssuerRow, ...] = ()


def read_access_file(path: Path) -> AccessFile:
    """Read and check the file; raises AdapterError that says which row is wrong, and quotes no token."""
    try:
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), AccessFile)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise _wrong("cannot be read: it is a TOML file of [[client]], [[certificate]] and [[issuer]]") from None
    except msgspec.ValidationError as wrong:
        found = re.search(r"`\$([a-z0-9_.\[\]]+)`$", str(wrong))
        place = f" at {found[1].lstrip('.')}" if found else ""
        said = (
            f"is not as it should be{place}: docs/security.md has what [[client]], [[certificate]] and [[issuer]] hold"
        )
        raise _wrong(said) from None
    if not (file.client or file.certificate or file.issuer):
        raise _wrong("names nobody: write a [[client]], [[certificate]] or [[issuer]]")
    for each in file.client:
        _check(each)
        if not _SHA256.fullmatch(each.sha256):
            raise _wrong(f"client {each.name}: sha256 is 64 hexadecimal digits, small letters")
    for certificate in file.certificate:
        _check(certificate)
        if sum(map(bool, (certificate.subject, certificate.san, certificate.sha256))) != 1:
            raise _wrong(f"certificate {certificate.name}: set one of subject, san and sha256")
        if certificate.sha256 and not _SHA256.fullmatch(certificate.sha256):
            raise _wrong(f"certificate {certificate.name}: sha256 is 64 hexadecimal digits, small letters")
    for issuer in file.issuer:
        _check_issuer(issuer)
    _check_names(file)
    return file


def _check(row: Known) -> None:
    if not _NAME.fullmatch(row.name):
        raise _wrong("has a name that is not 1 to 64 letters, digits, dots, dashes and underscores")
    if not _TENANT.fullmatch(row.tenant):
        raise _wrong(f"{row.name}: tenant is up to 64 letters, digits, dots, dashes and underscores")
    if not _WITHIN.fullmatch(row.within):
        raise _wrong(f"{row.name}: within is a path such as /cds-services")


def _check_issuer(row: IssuerRow) -> None:
    _check(row)
    if not _ISSUER_NAME.fullmatch(row.name):
        raise _wrong(f"issuer {row.name}: a name of an issuer has at most 32 characters")
    if not row.iss or not row.audience or not all(row.audience):
        raise _wrong(f"issuer {row.name}: iss and audience say who signs, and for whom")
    if bool(row.jwks_file) is bool(row.jwks_url):
        raise _wrong(f"issuer {row.name}: set jwks_file or jwks_url")
    if row.jwks_url:
        url = urlsplit(row.jwks_url)
        if not url.hostname or url.username or (url.scheme != "https" and (url.scheme, url.hostname) not in _HTTP):
            raise _wrong(f"issuer {row.name}: jwks_url is an https address without a user")
    if row.tenant and row.tenant_claim:
        raise _wrong(f"issuer {row.name}: set tenant or tenant_claim")
    if row.max_seconds < 0 or not row.algorithms:
        raise _wrong(f"issuer {row.name}: max_seconds is 0 or more, and algorithms names at least one")


_HTTP = tuple(("http", host) for host in LOCAL)


def _check_names(file: AccessFile) -> None:
    """A name is one client of one tenant, since receipts and answers are kept apart by it."""
    tenants: dict[str, tuple[str, bool]] = {}
    for row in (*file.client, *file.certificate):
        told = (row.tenant, row.quarantine)
        if tenants.setdefault(row.name, told) != told:
            raise _wrong(f"{row.name}: rows of one name have one tenant, and are quarantined or not")
    taken: set[str] = set()
    for name in (each.name for each in file.issuer):
        if name in tenants or name in taken:
            raise _wrong(f"issuer {name}: an issuer's name is no other's")
        taken.add(name)
    if len({each.iss for each in file.issuer}) != len(file.issuer):
        raise _wrong("has two issuers of one iss")
    hashes = [each.sha256 for each in file.client]
    if len(set(hashes)) != len(hashes):
        raise _wrong("gives one token to two clients")


def rights(rows: Iterable[frozenset[Right]]) -> frozenset[Right]:
    """Join what several scopes allow."""
    return frozenset().union(*rows)


def _wrong(said: str) -> AdapterError:
    return AdapterError.of(Category.NOT_FOUND, "tokens-file", f"the tokens file {said}")
