"""A tokens file is read whole or not at all; and Basic, for engines that wait to be asked."""

import base64
from pathlib import Path

import pytest
from service.conftest import Make, sample
from service.issuer import client_row, issuer_row, tokens_file

from adapter.errors import AdapterError
from adapter.service.access_file import read_access_file

GOOD = sample("shape-transaction")
TOKEN, OTHER = "engine-" + "0" * 40, "other-" + "1" * 40
CERTIFICATE = '[[certificate]]\nname = "c"\nscopes = ["ingest"]\n'


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((issuer_row(jwks_url='"https://a/b"'),), "jwks_file or jwks_url"),
        ((issuer_row(jwks_file=""),), "jwks_file or jwks_url"),
        ((issuer_row(jwks_file="", jwks_url='"http://a/b"'),), "https"),
        ((issuer_row(jwks_file="", jwks_url='"https://u:p@a/b"'),), "https"),
        ((issuer_row(jwks_file="", jwks_url='"file:///etc/passwd"'),), "https"),
        ((issuer_row(algorithms='["HS256"]'),), "issuer"),
        ((issuer_row(algorithms='["none"]'),), "issuer"),
        ((issuer_row(algorithms="[]"),), "algorithms"),
        ((issuer_row(audience="[]"),), "audience"),
        ((issuer_row(scopes='{"a" = ["everything"]}'),), "issuer"),
        ((issuer_row(tenant='"a"', tenant_claim='"t"'),), "tenant"),
        ((issuer_row(max_seconds="-1"),), "max_seconds"),
        ((issuer_row(name=f'"{"x" * 33}"'),), "32"),
        ((issuer_row(surprise="1"),), "issuer"),
        ((issuer_row(), issuer_row()), "no other's"),
        ((issuer_row(), issuer_row(name='"b"')), "one iss"),
        ((client_row("ehr", TOKEN), issuer_row()), "no other's"),
        ((client_row("a", TOKEN), client_row("b", TOKEN)), "two clients"),
        ((client_row("a", TOKEN), client_row("a", OTHER, tenant='"t"')), "one tenant"),
        ((client_row("a", TOKEN, tenant='"a b"'),), "tenant"),
        ((client_row("a", TOKEN, within='"fhir"'),), "within"),
        ((CERTIFICATE,), "one of subject, san and sha256"),
        ((CERTIFICATE + 'san = "a"\nsubject = "CN=a"',), "one of subject, san and sha256"),
        ((CERTIFICATE + 'sha256 = "a"',), "64"),
        ((), "names nobody"),
    ],
)
def test_a_wrong_row_stops_the_start_and_is_named(tmp_path: Path, rows: tuple[str, ...], said: str) -> None:
    with pytest.raises(AdapterError, match="tokens file") as refused:
        read_access_file(tokens_file(tmp_path, *rows))
    assert said in str(refused.value)
    assert TOKEN not in str(refused.value)


def test_a_token_may_be_changed_while_the_old_one_still_holds(make: Make, tmp_path: Path) -> None:
    service = make(tokens_file=tokens_file(tmp_path, client_row("engine", TOKEN), client_row("engine", OTHER)))
    for token in (TOKEN, OTHER):
        assert service("POST", "/fhir", GOOD, Authorization=f"Bearer {token}").status_code == 200


def basic(name: str, token: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{token}'.encode()).decode()}"


def test_an_engine_that_waits_to_be_asked_is_asked_for_basic(make: Make, tmp_path: Path) -> None:
    rows = (client_row("rhapsody", TOKEN, basic="true"), client_row("other", OTHER))
    service = make(tokens_file=tokens_file(tmp_path, *rows))
    asked = service("POST", "/fhir", GOOD)
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"] == (
        'Bearer realm="trial-adapter", Basic realm="trial-adapter", charset="UTF-8"'
    )
    assert service("POST", "/fhir", GOOD, Authorization=basic("rhapsody", TOKEN)).status_code == 200
    assert service("POST", "/fhir", GOOD, Authorization=f"Bearer {TOKEN}").status_code == 200
    wrong = [basic("other", OTHER), basic("rhapsody", OTHER), basic("other", TOKEN), basic("", TOKEN), "Basic ////"]
    for each in (*wrong, basic("rhapsody", f"{TOKEN}:"), "Basic Zg"):
        assert service("POST", "/fhir", GOOD, Authorization=each).status_code == 401


def test_without_such_a_client_basic_is_not_asked_for(make: Make, tmp_path: Path) -> None:
    service = make(tokens_file=tokens_file(tmp_path, client_row("engine", TOKEN)))
    assert service("POST", "/fhir", GOOD).headers["www-authenticate"] == 'Bearer realm="trial-adapter"'
    assert service("POST", "/fhir", GOOD, Authorization=basic("engine", TOKEN)).status_code == 401
