"""What a client in good order may do with a connection, and how many there can be."""

import socket
import subprocess
import sys

import pytest
from security.wire import head, heard, said, status
from service.conftest import sample
from service.served import Served

GOOD = sample("shape-transaction")


def test_requests_in_one_go_are_answered_in_their_order(running: Served) -> None:
    post = head("/fhir", f"Content-Length: {len(GOOD)}", "X-Request-Id: r-2") + GOOD
    first = head("/healthz", "X-Request-Id: r-1", method="GET")
    last = head("/fhir/nothing", "X-Request-Id: r-3", "Connection: close", method="GET")
    answers = said(running, first + post + last).split(b"HTTP/1.1 ")[1:]
    assert [each[:3] for each in answers] == [b"200", b"200", b"404"]
    assert [f"r-{number}".encode() in each for number, each in enumerate(answers, 1)] == [True] * 3


def test_a_connection_carries_many_requests_in_any_pieces(running: Served) -> None:
    ask = head("/healthz", method="GET")
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
        for _ in range(3):
            for start in range(0, len(ask), 7):
                connection.sendall(ask[start : start + 7])
            got = b""
            while not got.endswith(b"\r\n\r\nok\n"):
                got += connection.recv(65536)
            assert status(got) == 200
        connection.sendall(b"\r\n" + head("/healthz", "Connection: close", method="GET"))
        assert heard(connection).startswith(b"HTTP/1.1 200")


def test_what_is_no_request_does_not_spoil_the_answer_to_the_one_before(running: Served) -> None:
    post = head("/fhir", f"Content-Length: {len(GOOD)}") + GOOD
    answer = said(running, post + b"\0\0\0 nonsense\r\n\r\n")
    # The answer that is due, or none: never a refusal that would be taken for it.
    assert not answer or status(answer) == 200


def test_a_client_that_goes_away_is_forgotten(running: Served) -> None:
    half = head("/fhir", "Content-Length: 50") + b"{"
    for sent in (b"", b"POST /fh", half, head("/fhir", f"Content-Length: {len(GOOD)}") + GOOD):
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(sent)
    assert status(said(running, head("/healthz", "Connection: close", method="GET"))) == 200


@pytest.mark.parametrize(("soft", "hard", "expected"), [(200, 300, 172), (64, 64, 1), (5000, 5000, 4096)])
def test_there_are_no_more_connections_than_descriptors(soft: int, hard: int, expected: int) -> None:
    resource = pytest.importorskip("resource", reason="there are no such limits here")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("this machine allows fewer descriptors")
    lines = (
        "import resource",
        "from adapter.service.protocol import descriptors",
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))",
        "print(descriptors(4096))",
    )
    program = "\n".join(lines)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) == expected
