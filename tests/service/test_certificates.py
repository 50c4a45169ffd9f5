"""S11: a client is known by its certificate, shown to us or to a proxy that we trust, and by no other."""

import base64
import datetime
import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography import x509
from service.conftest import Asked, Make, sample
from service.issuer import client_row, tokens_file
from service.served import Served, served

GOOD = sample("shape-transaction")
OURS, OTHERS = trustme.CA(), trustme.CA()
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
ENGINE = OURS.issue_cert("engine.example.org", common_name="engine", organization_name="Hospital")
STRANGER = OURS.issue_cert("stranger.example.org", common_name="stranger")
OLD = OURS.issue_cert("engine.example.org", not_after=PAST)
TOKEN = "engine-" + "0" * 40
SAN = '[[certificate]]\nname = "engine"\nsan = "engine.example.org"\nscopes = ["ingest"]\ntenant = "north"'


def der(certificate: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())


def header(certificate: trustme.LeafCert) -> str:
    return f":{base64.b64encode(der(certificate)).decode()}:"


def behind(make: Make, folder: Path, *rows: str, proxies: str = "127.0.0.1/32") -> Asked:
    return make(tokens_file=tokens_file(folder, *rows), trusted_proxies=[proxies])


def subject() -> str:
    return x509.load_der_x509_certificate(der(ENGINE)).subject.rfc4514_string()


@pytest.mark.parametrize("named", ["san", "subject", "sha256"])
def test_a_certificate_is_known_by_what_the_file_names(make: Make, tmp_path: Path, named: str) -> None:
    value = {"san": "engine.example.org", "subject": subject(), "sha256": hashlib.sha256(der(ENGINE)).hexdigest()}
    row = f'[[certificate]]\nname = "engine"\n{named} = \'{value[named]}\'\nscopes = ["ingest"]'
    service = behind(make, tmp_path, row)
    assert service("POST", "/fhir", GOOD, Client_Cert=header(ENGINE)).status_code == 200
    assert service("POST", "/fhir", GOOD, Client_Cert=header(STRANGER)).status_code == 401
    assert service("GET", "/fhir/ResearchStudy", Client_Cert=header(ENGINE)).status_code == 403
    assert [each.client for each in service.store.audit] == ["engine", "unknown", "engine"]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (None, "nothing-sent"),
        (header(OLD), "certificate-expired"),
        (header(STRANGER), "certificate-unknown"),
        (header(ENGINE).strip(":"), "client-cert"),
        (":!:", "client-cert"),
        (":AAAA:", "client-cert"),
        ("", "client-cert"),
        (":" + "A" * 20000 + ":", ""),
    ],
)
def test_a_header_that_is_no_certificate_of_ours_is_nobodys(
    make: Make, tmp_path: Path, sent: str | None, reason: str
) -> None:
    service = behind(make, tmp_path, SAN)
    answer = service("POST", "/fhir", GOOD, **({"Client_Cert": sent} if sent is not None else {}))
    assert answer.status_code == 401
    assert not reason or service.store.audit[0].detail["why"] == reason


def test_the_word_of_anyone_but_the_proxy_is_not_taken(make: Make, tmp_path: Path) -> None:
    for proxies in ("10.0.0.7/32", "::1/128"):
        service = behind(make, tmp_path, SAN, proxies=proxies)
        assert service("POST", "/fhir", GOOD, Client_Cert=header(ENGINE)).status_code == 401
        assert service.store.audit[0].detail["why"] == "nothing-sent"


def test_a_token_that_is_wrong_is_not_mended_by_a_certificate(make: Make, tmp_path: Path) -> None:
    service = behind(make, tmp_path, SAN, client_row("other", TOKEN))
    sent = {"Client_Cert": header(ENGINE)}
    assert service("POST", "/fhir", GOOD, Authorization="Bearer nobody-nobody", **sent).status_code == 401
    assert service("POST", "/fhir", GOOD, Authorization=f"Bearer {TOKEN}", **sent).status_code == 200
    assert service.store.audit[-1].client == "other"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("mtls")
    server = OURS.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(folder / "key.pem")
    for pem in server.cert_chain_pems:
        pem.write_to_path(folder / "cert.pem", append=True)
    OURS.cert_pem.write_to_path(folder / "ca.pem")
    settings = {"tls_certificate": "cert.pem", "tls_key": "key.pem", "tls_client_ca": "ca.pem"}
    paths = {name: folder / file for name, file in settings.items()}
    with served(folder, tokens_file=tokens_file(folder, SAN), **paths) as found:
        yield found


def ask(secured: Served, certificate: trustme.LeafCert | None, **headers: str) -> int:
    context = ssl.create_default_context()
    OURS.configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    with httpx.Client(verify=context) as client:
        sent = {"Content-Type": "application/fhir+json"} | headers
        first, second = (client.post(f"{secured.secure_url}/fhir", content=GOOD, headers=sent) for _ in range(2))
        assert first.status_code == second.status_code, "every request of a connection has its certificate"
        return first.status_code


def test_over_tls_the_right_certificate_is_its_client(secured: Served) -> None:
    assert ask(secured, ENGINE) == 200


def test_over_tls_another_name_of_the_same_authority_is_nobody(secured: Served) -> None:
    assert ask(secured, STRANGER) == 401
    assert ask(secured, STRANGER, **{"Client-Cert": header(ENGINE)}) == 401, "what is claimed in a header is not shown"


@pytest.mark.parametrize(
    "certificate", [None, OTHERS.issue_cert("engine.example.org"), OLD], ids=["none", "wrong", "old"]
)
def test_over_tls_anyone_else_does_not_get_as_far(secured: Served, certificate: trustme.LeafCert | None) -> None:
    with pytest.raises(httpx.TransportError):
        ask(secured, certificate)
