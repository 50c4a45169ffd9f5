"""The connection: secrets go nowhere they should not, and busy servers are asked again with patience."""

import datetime
import socket
import traceback
from pathlib import Path

import pytest
from delivery_server import FakeServer, Reply, outcome
from exported import Heard, export
from small_trial import small_trial

from adapter.delivery.backoff import Patience, retry_after_s
from adapter.delivery.client import Client
from adapter.delivery.settings import NAMES, Secret, Server, server_settings
from adapter.errors import AdapterError

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
TRIALS = {"T1": small_trial()}
SECRET = "s3cret-token-that-nobody-sees"  # noqa: S105 (a test's)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds


def test_the_wait_doubles_is_bounded_and_never_less_than_asked() -> None:
    patience = Patience()
    for attempt, ceiling in enumerate((1, 2, 4, 8, 16, 30, 30), 1):
        waits = [patience.wait_s(attempt) for _ in range(200)]
        assert 0 <= min(waits) < ceiling / 4
        assert ceiling * 3 / 4 < max(waits) <= ceiling
    assert all(9 <= patience.wait_s(1, 9.0) <= 10 for _ in range(50))


def test_the_token_is_sent_and_never_shown(server: FakeServer) -> None:
    server.before = lambda *request: (
        None if request[3].get("authorization") == f"Bearer {SECRET}" else (401, {}, outcome("who are you?"))
    )
    heard = Heard()
    export(server.url, TRIALS, heard, settings={"token": Secret(SECRET)})
    assert SECRET not in repr(server_settings(server.url, {"TRIAL_ADAPTER_TOKEN": SECRET}))
    server.before = lambda _m, path, _b, headers: (
        (422, {}, outcome(f"refused: {headers}")) if path != "metadata" else None
    )
    with pytest.raises(AdapterError) as refused:
        export(server.url, TRIALS, heard, settings={"token": Secret(SECRET)})
    shown = "".join(traceback.format_exception(refused.value)) + repr(heard.lines)
    assert SECRET not in shown


def test_a_redirect_is_told_and_not_followed(server: FakeServer) -> None:
    with FakeServer() as elsewhere:
        there = f"{elsewhere.url}/metadata?secret=1"
        server.before = lambda *_: (307, {"Location": there}, None)
        with pytest.raises(AdapterError, match=rf"redirects to {elsewhere.url}/metadata; redirects are not followed"):
            export(server.url, TRIALS, settings={"token": Secret(SECRET)})
        assert elsewhere.requests == []


def test_the_credentials_of_a_netrc_are_not_used(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    export(server.url, TRIALS)
    assert all("authorization" not in headers for _, _, _, headers in server.requests)


def test_a_server_that_does_not_run_is_told_after_patience() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    heard = Heard()
    with pytest.raises(AdapterError, match="gives no answer"):
        export(f"http://127.0.0.1:{port}/fhir", TRIALS, heard, settings={"retries": 2})
    assert len(heard.waits) == 2


def test_a_server_that_is_silent_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = Client(Server(url=url, timeout_s=0.2, retries=0), print)
        with pytest.raises(AdapterError, match=r"no answer within 0\.2 s"):
            client.read("metadata")


@pytest.mark.parametrize(
    ("url", "environment", "said"),
    [
        ("ftp://fhir.example.org", {}, "not an address"),
        ("fhir.example.org", {}, "not an address"),
        ("http://host:port/", {}, "not an address"),
        ("https://me:pw@fhir.example.org", {}, "must not stand in the address"),
        ("https://fhir.example.org?x=1", {}, r"without \? and #"),
        ("http://fhir.example.org", {"TRIAL_ADAPTER_TOKEN": SECRET}, "only by https"),
        ("https://fhir.example.org", {"TRIAL_ADAPTER_TOKEN": f"{SECRET}\nX: y"}, "one line of ASCII"),
        ("https://fhir.example.org", {"TRIAL_ADAPTER_TOKEN": SECRET, "TRIAL_ADAPTER_TOKEN_FILE": "x"}, "not both"),
        ("https://fhir.example.org", {"TRIAL_ADAPTER_TOKEN_FILE": "/nowhere"}, "cannot be read"),
        ("https://fhir.example.org", {"TRIAL_ADAPTER_CA_BUNDLE": "/nowhere"}, "no such file"),
        ("https://fhir.example.org", {"TRIAL_ADAPTER_TIMEOUT": "soon"}, "a number from"),
        ("https://fhir.example.org", {"TRIAL_ADAPTER_TIMEOUT": "nan"}, "a number from"),
        ("https://fhir.example.org", {"TRIAL_ADAPTER_RETRIES": "-1"}, "a number from"),
        ("https://fhir.example.org", {"TRIAL_ADAPTER_CLIENT_ID": "me"}, "needs TRIAL_ADAPTER_CLIENT_ID and"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told_without_its_value(
    url: str, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(AdapterError, match=said) as refused:
        server_settings(url, environment)
    assert SECRET not in str(refused.value)


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{SECRET}\n")
    read = server_settings(
        "https://fhir.example.org/r4/",
        {"TRIAL_ADAPTER_TOKEN_FILE": str(token), "TRIAL_ADAPTER_TIMEOUT": "3", "TRIAL_ADAPTER_RETRIES": "0"},
    )
    assert read.token is not None
    assert (read.url, read.token.reveal(), read.timeout_s, read.retries) == (
        "https://fhir.example.org/r4",
        SECRET,
        3.0,
        0,
    )


def test_every_setting_is_described() -> None:
    source = (Path(__file__).parents[2] / "adapter/delivery/settings.py").read_text(encoding="utf-8")
    assert {each for each in source.split('"') if each.startswith("TRIAL_ADAPTER_") and each.isupper()} <= set(NAMES)


def test_an_answer_that_is_too_large_is_refused(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.delivery.client._MAX_BYTES", 1000)
    reply: Reply = (200, {}, b" " * 100_000)
    server.before = lambda *_: reply
    with pytest.raises(AdapterError, match="too large"):
        export(server.url, TRIALS)
