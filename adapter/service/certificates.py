"""Clients known by the certificate they showed: to us, or to a proxy that we trust to have checked it."""

import base64
import binascii
import datetime
import hashlib
import ipaddress
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from starlette.types import Scope

from adapter.service.access_file import CertificateRow
from adapter.service.known import Client, NotKnown

CERTIFICATE = "client_certificate"
"""Where the connection puts the certificate (DER) among the state of its requests."""
_HEADER = b"client-cert"
"""RFC 9440: the certificate in base64 between colons."""
_MAX = 16 * 1024
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Certificates:
    """The rows of the tokens file, and the proxies whose word is taken."""

    def __init__(self, rows: Iterable[CertificateRow], proxies: Iterable[_Network]) -> None:
        self._rows = tuple(rows)
        self._proxies = tuple(proxies)

    def shown(self, scope: Scope) -> bytes | None:
        """Give the certificate that came with a request; raises NotKnown where a proxy sent what is none."""
        if not self._rows:
            return None
        own: bytes | None = scope.get("state", {}).get(CERTIFICATE)
        peer = scope["client"][0] if scope.get("client") else ""
        if not self._is_proxy(peer):
            return own  # the header of anyone else is only a claim
        told = [value for name, value in scope["headers"] if name == _HEADER]
        if not told:
            return None  # the proxy's own certificate is not its client's
        if len(told) > 1 or len(told[0]) > _MAX or not (told[0][:1] == told[0][-1:] == b":"):
            raise NotKnown("client-cert")
        try:
            return base64.b64decode(told[0][1:-1], validate=True)
        except binascii.Error:
            raise NotKnown("client-cert") from None

    def client(self, der: bytes, now: datetime.datetime) -> Client:
        """Give whose certificate it is; raises NotKnown."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            told = _names(certificate)
            subject = certificate.subject.rfc4514_string()
        except ValueError:
            raise NotKnown("client-cert") from None
        if not begins <= now <= ends:
            raise NotKnown("certificate-expired")
        digest = hashlib.sha256(der).hexdigest()
        for row in self._rows:
            if row.sha256 == digest if row.sha256 else row.subject == subject if row.subject else row.san in told:
                return Client(row.name, row.scopes, row.tenant, row.within, row.quarantine)
        raise NotKnown("certificate-unknown")

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._proxies)


def _names(certificate: x509.Certificate) -> set[str]:
    """Give the DNS names and URIs among the subject's alternative names."""
    try:
        extension: Any = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    dns = (each.lower() for each in extension.get_values_for_type(x509.DNSName))
    return {*dns, *extension.get_values_for_type(x509.UniformResourceIdentifier)}
