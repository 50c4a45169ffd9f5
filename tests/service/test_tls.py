"""With a client authority set, only a client with a certificate of it gets as far as HTTP."""

import datetime
import ssl
from collections.abc import Iterator

import httpx
import pytest
import trustme
from service.served import Served, served

OURS, OTHERS = trustme.CA(), trustme.CA()
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("tls")
    server = OURS.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(folder / "key.pem")
    for pem in server.cert_chain_pems:
        pem.write_to_path(folder / "cert.pem", append=True)
    OURS.cert_pem.write_to_path(folder / "ca.pem")
    settings = {"tls_certificate": "cert.pem", "tls_key": "key.pem", "tls_client_ca": "ca.pem"}
    with served(folder, **{name: folder / file for name, file in settings.items()}) as found:
        yield found


def _get(secured: Served, certificate: trustme.LeafCert | None) -> int:
    context = ssl.create_default_context()
    OURS.configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    with httpx.Client(verify=context) as client:
        return client.get(f"{secured.secure_url}/healthz").status_code


def test_a_client_of_the_authority_is_let_in(secured: Served) -> None:
    assert _get(secured, OURS.issue_cert("engine.example.org")) == 200


@pytest.mark.parametrize(
    "certificate",
    [None, OTHERS.issue_cert("engine.example.org"), OURS.issue_cert("engine.example.org", not_after=PAST)],
    ids=["none", "another authority", "expired"],
)
def test_anyone_else_is_not(secured: Served, certificate: trustme.LeafCert | None) -> None:
    with pytest.raises(httpx.TransportError):
        _get(secured, certificate)


def test_without_tls_nothing_is_said(secured: Served) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{secured.url}/healthz")
