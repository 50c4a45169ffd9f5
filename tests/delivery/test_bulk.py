"""Fetching a Bulk Data export: every step of the protocol, what goes wrong on the way, and where the token goes."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from delivery.bulk_server import BulkServer

from adapter.delivery.backoff import Patience
from adapter.delivery.bulk import STATE, Asked, Fetch, Fetched
from adapter.delivery.client import Client
from adapter.delivery.settings import Secret, Server
from adapter.errors import AdapterError
from adapter.outputs import Folder

FILES: dict[str, list[dict[str, Any]]] = {
    "Patient-1": [{"resourceType": "Patient", "id": f"p{number}", "birthDate": "1970-01-01"} for number in range(3)],
    "Observation-1": [{"resourceType": "Observation", "id": "a", "subject": {"reference": "Patient/p1"}}],
    "Observation-2": [{"resourceType": "Observation", "id": "b", "subject": {"reference": "Patient/p2"}}] * 2,
}


@pytest.fixture
def server() -> Iterator[BulkServer]:
    with BulkServer(FILES) as running:
        yield running


class Run:
    """A fetch, what it said and how long it waited."""

    def __init__(self, server: BulkServer, out: Path, **asked: Any) -> None:  # noqa: ANN401 (of Asked)
        also_from = asked.pop("also_from", ())
        self.said: list[str] = []
        self.waits: list[float] = []
        self.client = Client(
            Server(url=server.url, token=Secret(server.token), timeout_s=5.0),
            self.said.append,
            patience=Patience(attempts=3),
            sleep=self.waits.append,
        )
        self.fetch = Fetch(
            self.client,
            Asked(server.url, **asked),
            Folder.open(out),
            sleep=self.waits.append,
            also_from=also_from,
        )

    def __call__(self) -> Fetched:
        try:
            return self.fetch.run()
        finally:
            self.client.close()


def lines(out: Path) -> dict[str, int]:
    found = {}
    for path in sorted(out.glob("*.ndjson*")):
        data = path.read_bytes()
        found[path.name] = (gzip.decompress(data) if path.suffix == ".gz" else data).count(b"\n")
    return found


def test_an_export_is_begun_waited_for_fetched_and_deleted(server: BulkServer, tmp_path: Path) -> None:
    run = Run(server, tmp_path, group="clinic", types=("Patient", "Observation"), since="2026-01-01T00:00:00Z")
    assert run() == Fetched(3, 6, 0, 0, "2026-11-01T00:00:00Z")
    method, path, _, headers = server.seen[0]
    assert method == "GET"
    assert path.startswith("/fhir/Group/clinic/$export?")
    assert "_type=Patient%2CObservation" in path
    assert "_since=2026-01-01T00%3A00%3A00Z" in path
    assert headers["prefer"] == "respond-async"
    assert headers["accept"] == "application/fhir+json"
    assert run.waits == [7, 7], "the server's Retry-After is obeyed"
    assert any("1 of 2" in line for line in run.said)
    assert lines(tmp_path) == {
        "Observation.001.ndjson.gz": 1,
        "Observation.002.ndjson.gz": 2,
        "Patient.001.ndjson.gz": 3,
    }
    assert server.seen[-1][:2] == ("DELETE", "/fhir/jobs/1")


def test_what_is_not_sent_as_gzip_is_kept_as_it_came(server: BulkServer, tmp_path: Path) -> None:
    server.gzip = False
    Run(server, tmp_path)()
    assert "Patient.001.ndjson" in lines(tmp_path)


@pytest.mark.parametrize("status", [429, 503, 502])
def test_a_busy_server_is_asked_again(server: BulkServer, tmp_path: Path, status: int) -> None:
    server.script["/fhir/Patient/$export"] = [(status, {"Retry-After": "3"}, b"")]
    server.script["/fhir/jobs/1"] = [(status, {"Retry-After": "4"}, b"")]
    server.script["/files/Patient-1"] = [(status, {"Retry-After": "5"}, b"")]
    run = Run(server, tmp_path)
    assert run().lines == 6
    assert any(3 <= wait <= 4 for wait in run.waits)
    assert 4 in run.waits
    assert any(5 <= wait <= 6 for wait in run.waits)


def test_a_file_that_breaks_off_is_fetched_again_and_never_half_written(server: BulkServer, tmp_path: Path) -> None:
    server.cut = {"Observation-2"}
    assert Run(server, tmp_path)().lines == 6
    assert lines(tmp_path)["Observation.002.ndjson.gz"] == 2


def test_a_run_goes_on_where_the_last_one_stopped(server: BulkServer, tmp_path: Path) -> None:
    server.script["/files/Observation-2"] = [(403, {}, b"")]
    with pytest.raises(AdapterError, match="HTTP 403"):
        Run(server, tmp_path)()
    assert list(lines(tmp_path)) == ["Observation.001.ndjson.gz", "Patient.001.ndjson.gz"]
    asked = len(server.seen)
    assert Run(server, tmp_path)() == Fetched(3, 6, 2, 0, "2026-11-01T00:00:00Z")
    assert [path for _, path, _, _ in server.seen[asked:]] == ["/files/Observation-2", "/fhir/jobs/1"]
    assert Run(server, tmp_path)().resumed == 3, "a third run has nothing to do"


def test_an_export_that_the_server_forgot_is_begun_anew(server: BulkServer, tmp_path: Path) -> None:
    server.script["/fhir/jobs/1"] = [(404, {}, b"")]
    with pytest.raises(AdapterError, match="begin anew"):
        Run(server, tmp_path)()
    assert Run(server, tmp_path)().lines == 6


def test_a_failed_export_says_what_the_server_says(server: BulkServer, tmp_path: Path) -> None:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "exception", "diagnostics": "the cohort is too large"}],
    }
    server.script["/fhir/jobs/1"] = [(500, {"Content-Type": "application/fhir+json"}, json.dumps(outcome).encode())]
    with pytest.raises(AdapterError, match="the cohort is too large"):
        Run(server, tmp_path)()


def test_lines_that_are_announced_and_do_not_come_are_told(server: BulkServer, tmp_path: Path) -> None:
    manifest = server.manifest()
    manifest["output"][0]["count"] = 4
    server.script["/fhir/jobs/1"] = [(200, {}, json.dumps(manifest).encode())]
    with pytest.raises(AdapterError, match="announced 4 lines and sent 3"):
        Run(server, tmp_path)()


def test_another_request_does_not_go_into_the_same_folder(server: BulkServer, tmp_path: Path) -> None:
    Run(server, tmp_path)()
    with pytest.raises(AdapterError, match="another export"):
        Run(server, tmp_path, group="other")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.txt").write_text("mine")
    with pytest.raises(AdapterError, match="not empty"):
        Run(server, tmp_path / "elsewhere")


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"transactionTime": "2026-11-01T00:00:00Z", "requiresAccessToken": "yes", "output": []},
        {"transactionTime": "x", "requiresAccessToken": True, "output": [{"type": "../../etc", "url": "http://h/f"}]},
        {"transactionTime": "x", "requiresAccessToken": True, "output": [{"type": "Patient", "url": "file:///etc/x"}]},
    ],
    ids=["empty", "wrong type", "a path as type", "a file as address"],
)
def test_a_manifest_that_is_none_is_refused(server: BulkServer, tmp_path: Path, manifest: dict[str, Any]) -> None:
    server.script["/fhir/jobs/1"] = [(200, {}, json.dumps(manifest).encode())]
    with pytest.raises(AdapterError):
        Run(server, tmp_path)()
    assert [each.name for each in tmp_path.iterdir()] == [STATE]


def test_the_token_goes_to_the_server_alone(server: BulkServer, tmp_path: Path) -> None:
    with BulkServer(FILES) as store:
        store.needs_token = server.needs_token = False
        server.other = store.origin
        with pytest.raises(AdapterError, match="--also-from"):
            Run(server, tmp_path)()
        assert store.seen == [], "an origin that was not allowed is not asked"
        assert Run(server, tmp_path, also_from=(store.origin,))().lines == 6
        assert [authorization for _, _, authorization, _ in store.seen] == [None, None, None]


def test_the_token_stays_at_home_where_the_files_need_none(server: BulkServer, tmp_path: Path) -> None:
    server.needs_token = False
    Run(server, tmp_path)()
    files = [authorization for _, path, authorization, _ in server.seen if path.startswith("/files/")]
    assert files == [None, None, None]


def test_a_status_address_elsewhere_and_redirects_are_not_followed(server: BulkServer, tmp_path: Path) -> None:
    with BulkServer(FILES) as elsewhere:
        away = {"Content-Location": f"{elsewhere.url}/jobs/1", "Location": f"{elsewhere.url}/jobs/1"}
        server.script["/fhir/Patient/$export"] = [(202, away, b"")]
        with pytest.raises(AdapterError, match="another server"):
            Run(server, tmp_path)()
        server.script["/fhir/Patient/$export"] = [(302, away, b"")]
        with pytest.raises(AdapterError, match="redirects"):
            Run(server, tmp_path)()
        server.script["/files/Patient-1"] = [(302, away, b"")]
        with pytest.raises(AdapterError, match="redirects"):
            Run(server, tmp_path)()
        assert elsewhere.seen == []


def test_the_command_fetches_what_screen_then_reads(server: BulkServer, tmp_path: Path) -> None:
    environment = {**os.environ, "TRIAL_ADAPTER_TOKEN": server.token}
    command = [sys.executable, "-m", "adapter", "fetch", "--server", server.url, "--out", str(tmp_path / "export")]
    server.polls = 0
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, server.token in done.stdout + done.stderr) == (0, False), done.stderr
    assert "3 files, 6 resources" in done.stdout
    assert "_type=Patient%2CObservation" in server.seen[0][1], "only what mappings read is asked for"
    screened = subprocess.run(
        [sys.executable, "-m", "adapter", "screen", str(tmp_path / "export"), "--format", "findings"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert {json.loads(line)["patient"] for line in screened.stdout.splitlines()} == {"p0", "p1", "p2"}
