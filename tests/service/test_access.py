"""Who may do what, and what is told of it."""

import hashlib
from pathlib import Path

import pytest
from service.conftest import Asked, Make, sample

from adapter.errors import AdapterError
from adapter.service.settings import FILE, PREFIX, UNPROTECTED, read_settings

GOOD = sample("shape-transaction")
ENGINE, READER, ADMIN = "engine-" + "0" * 40, "reader-" + "1" * 40, "admin-" + "2" * 40


@pytest.fixture
def guarded(make: Make, tmp_path: Path) -> Asked:
    path = tmp_path / "tokens.toml"
    rows = ((ENGINE, "engine", '["ingest"]'), (READER, "reader", '["read"]'), (ADMIN, "admin", '["admin", "read"]'))
    path.write_text(
        "".join(
            f'[[client]]\nname = "{name}"\nsha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\nscopes = {scopes}\n'
            for token, name, scopes in rows
        )
    )
    return make(tokens_file=path)


@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("POST", "/fhir", None, 401),
        ("POST", "/fhir", "Bearer wrong-token", 401),
        ("POST", "/fhir", "Basic " + ENGINE, 401),
        ("POST", "/fhir", "Bearer " + ENGINE[:-1], 401),
        ("POST", "/fhir", "Bearer " + hashlib.sha256(ENGINE.encode()).hexdigest(), 401),
        ("POST", "/fhir", "Bearer", 401),
        ("POST", "/fhir", "Bearer " + READER, 403),
        ("POST", "/fhir", "Bearer " + ENGINE, 200),
        ("POST", "/fhir/ResearchStudy/$match", "Bearer " + READER, 403),
        ("GET", "/fhir/ResearchStudy", "Bearer " + ENGINE, 403),
        ("GET", "/fhir/ResearchStudy", "Bearer " + READER, 200),
        ("GET", "/fhir/nothing/here", None, 401),
        ("GET", "/metrics", None, 401),
        ("GET", "/metrics", "Bearer " + ADMIN, 200),
        ("GET", "/openapi.json", None, 401),
        ("GET", "/healthz", None, 200),
        ("GET", "/readyz", None, 200),
        ("GET", "/fhir/metadata", None, 200),
    ],
)
def test_each_client_may_do_what_its_scopes_say(
    guarded: Asked, method: str, path: str, token: str | None, status: int
) -> None:
    headers = {"Authorization": token} if token else {}
    answer = guarded(method, path, GOOD if method == "POST" else None, **headers)
    assert answer.status_code == status
    if status in (401, 403):
        assert answer.json()["issue"][0]["code"] == {401: "login", 403: "forbidden"}[status]
        assert ("www-authenticate" in answer.headers) == (status == 401)
        (row,) = guarded.store.audit
        assert (row.outcome, row.detail["status"]) == ("refused", status)
    if token:
        assert (
            token.split()[-1] not in answer.text + guarded.log.getvalue() + str(guarded.store.audit) or len(token) < 9
        )


def test_replies_are_kept_by_client(guarded: Asked) -> None:
    one = guarded("POST", "/fhir", GOOD, Authorization=f"Bearer {ENGINE}", Idempotency_Key="k")
    assert one.status_code == 200
    assert {client for client, _ in guarded.store.replies} == {"engine"}


def test_a_flood_of_one_client_is_slowed_down(make: Make) -> None:
    service = make(client_rate="3/hour")
    statuses = [service("GET", "/fhir/ResearchStudy/cfmsc").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    last = service("GET", "/fhir/ResearchStudy/cfmsc")
    assert (last.headers["retry-after"], last.json()["issue"][0]["code"]) == ("1", "throttled")
    assert service("GET", "/healthz").status_code == 200


def test_who_guesses_tokens_is_slowed_down(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(f'[[client]]\nname = "a"\nsha256 = "{"0" * 64}"\nscopes = []\n')
    service = make(tokens_file=path, client_rate="3/hour")
    statuses = [service("GET", "/fhir/ResearchStudy", Authorization="Bearer guess-guess").status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert {each.client for each in service.store.audit} == {"unknown"}


@pytest.mark.parametrize("token", ["wrong-token", READER])
def test_what_cannot_be_written_down_is_not_answered(guarded: Asked, token: str) -> None:
    guarded.store.is_away = True
    answer = guarded("POST", "/fhir", GOOD, Authorization=f"Bearer {token}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


@pytest.mark.parametrize(
    "text",
    ["", "[[client]]\nname = 'a'", "client = 1", f"[[client]]\nname='a'\nsha256='{'0' * 63}g'\nscopes=[]", "\x00"],
)
def test_a_tokens_file_that_cannot_be_read_stops_the_start(make: Make, tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(text)
    with pytest.raises(AdapterError, match="tokens"):
        make(tokens_file=path)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "hospital.example.org", "10.0.0.1"])  # noqa: S104 (that it is refused is the test)
def test_patient_data_is_not_served_in_the_open_by_mistake(host: str, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"TLS .* and tokens"):
        read_settings(host=host)
    with pytest.raises(AdapterError, match="without tokens"):
        read_settings(host=host, behind_tls_proxy=True)
    with pytest.raises(AdapterError, match="TLS"):
        read_settings(host=host, tokens_file=tmp_path, allow_unprotected="yes")
    assert read_settings(host=host, tokens_file=tmp_path, behind_tls_proxy=True).host == host
    assert read_settings(host=host, allow_unprotected=UNPROTECTED).host == host
    for local in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        assert read_settings(host=local).is_local


def test_settings_come_from_a_file_and_the_environment_overrules_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "serve.toml"
    path.write_text('port = 9000\nfhir_version = "R5"\ndatabase = "sqlite:///x.db"\n')
    monkeypatch.setenv(FILE, str(path))
    monkeypatch.setenv(f"{PREFIX}PORT", "9001")
    settings = read_settings()
    assert (settings.port, settings.fhir_version) == (9001, "R5")
    assert "x.db" not in repr(settings)
    path.write_text('prot = 9000\ndatabase = "postgresql+psycopg://user:secret@host/db"')
    with pytest.raises(AdapterError, match="prot") as refused:
        read_settings()
    assert "secret" not in str(refused.value)
    path.write_text('database = "secret')
    with pytest.raises(AdapterError, match="not TOML") as refused:
        read_settings()
    assert "secret" not in str(refused.value)
