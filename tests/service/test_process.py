"""The command itself: a process, a socket, a file; and what an ASGI server does not bound."""

import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from service.conftest import FHIR, sample
from service.hospital import hospital
from service.served import Served, served

GOOD = sample("shape-transaction")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), body_seconds=1) as found:
        yield found


def test_a_bundle_is_answered_and_answered_again_after_a_restart(tmp_path: Path) -> None:
    with served(tmp_path) as first:
        answer = httpx.post(f"{first.url}/fhir", content=GOOD, headers=FHIR)
        again = httpx.post(f"{first.url}/fhir", content=GOOD, headers=FHIR)
        assert first.stop() == 0
    with served(tmp_path) as second:
        later = httpx.post(f"{second.url}/fhir", content=GOOD, headers=FHIR)
    assert answer.status_code == 200
    assert b"ResearchSubject" in answer.content
    assert (again.content, later.content) == (answer.content, answer.content)
    assert again.headers["x-idempotent-replay"] == later.headers["x-idempotent-replay"] == "true"


def test_what_is_answered_arrives_at_the_hospital_s_server_once(tmp_path: Path) -> None:
    with hospital() as target, served(tmp_path, target=target.url) as running:
        answer = httpx.post(f"{running.url}/fhir", content=GOOD, headers=FHIR).json()
        httpx.post(f"{running.url}/fhir", content=GOOD, headers=FHIR)
        told = [each["resource"] for each in answer["entry"] if "resource" in each]
        until = time.monotonic() + 10
        while len(target.kept) < 3 * len(told) and time.monotonic() < until:
            time.sleep(0.05)
        assert running.stop() == 0
    subjects = {path: versions for path, versions in target.kept.items() if path.startswith("ResearchSubject/")}
    assert sorted(subjects) == sorted(f"ResearchSubject/{each['id']}" for each in told)
    assert all(len(versions) == 1 for versions in target.kept.values())
    assert {each["status"] for (each,) in subjects.values()} == {each["status"] for each in told}


def test_32_twins_are_one_message_on_disk_too(running: Served) -> None:
    def post(_: int) -> httpx.Response:
        return httpx.post(f"{running.url}/fhir", content=GOOD, headers=FHIR | {"Idempotency-Key": "twins"})

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(post, range(32)))
    assert {each.status_code for each in answers} == {200}
    assert len({each.content for each in answers}) == 1
    assert sum("x-idempotent-replay" in each.headers for each in answers) == 31


def _raw(running: Served, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", running.port), timeout=5) as connection:
        connection.sendall(sent)
        got = b""
        while chunk := connection.recv(65536):
            got += chunk
        return got


def test_two_lengths_are_refused_and_the_connection_ends(running: Served) -> None:
    head = b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n"
    got = _raw(running, head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert re.match(rb"HTTP/1.1 400 ", got)


def test_a_slow_body_is_not_waited_for(running: Served) -> None:
    head = b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: 50\r\n\r\n{"
    got = _raw(running, head)
    assert re.match(rb"HTTP/1.1 408 ", got)
    assert b"OperationOutcome" in got


def test_a_body_without_a_length_is_bounded_all_the_same(running: Served) -> None:
    head = (
        b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", running.port), timeout=5) as connection:
        connection.sendall(head)
        try:
            for _ in range(20):
                connection.sendall(piece)
            got = connection.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            got = b"HTTP/1.1 413 "
    assert got.startswith(b"HTTP/1.1 413 ")
    assert httpx.get(f"{running.url}/readyz").status_code == 200


def test_long_headers_are_refused(running: Served) -> None:
    got = _raw(running, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")
    assert re.match(rb"HTTP/1.1 (400|431) ", got)
