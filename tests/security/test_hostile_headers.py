"""Control characters, lengths and paths in whatever a client names: refused, and never said again (S7)."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from security.addresses import addresses
from security.wire import head, said, status
from service.conftest import sample
from service.served import Served

GOOD = sample("shape-transaction")
MARK = "canaryqz"
BAD = {
    "CR": f"a b {MARK}\rX-Made: 1",
    "LF": f"a b {MARK}\nX-Made: 1",
    "CRLF": f"a b {MARK}\r\nX-Made: 1",
    "folded": f"a b {MARK}\r\n X-Made: 1",
    "NUL": f"{MARK}\0",
    "ESC": f"{MARK}\x1b[31m",
    "10 KB": MARK + "a" * 10_240,
    "latin-1": f"{MARK}\xe9",
    "markup": f"{MARK}<script>alert(1)</script>",
    "a template": f"{MARK}" + "{{7*7}}${7*7}%{7*7}",
    "a format": f"{MARK}%s%n%x" + "{0.__class__}",
}
HEADERS = (
    "X-Request-Id",
    "traceparent",
    "tracestate",
    "Idempotency-Key",
    "If-None-Exist",
    "If-Match",
    "If-None-Match",
    "Prefer",
    "Accept",
    "Accept-Language",
    "Authorization",
    "Cookie",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "User-Agent",
)


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("bad", BAD)
def test_a_header_is_never_said_again(running: Served, name: str, bad: str) -> None:
    lines = (f"{name}: {BAD[bad]}", f"Content-Length: {len(GOOD)}", "Connection: close")
    answer = said(running, head("/fhir", *lines), GOOD)
    assert status(answer) in (200, 400, 406), answer
    headers, _, body = answer.partition(b"\r\n\r\n")
    assert MARK.encode() not in answer.lower()
    assert b"x-made" not in headers.lower()
    if status(answer) != 200:
        assert json.loads(body)["resourceType"] == "OperationOutcome"
    assert MARK not in running.log.read_text(errors="replace")


@pytest.mark.parametrize("bad", ["NUL", "CR", "LF"])
def test_what_is_no_http_is_refused_as_an_outcome(running: Served, bad: str) -> None:
    answer = said(running, head("/fhir", f"X-Request-Id: {BAD[bad]}", "Content-Length: 0", "Connection: close"))
    # A lone LF may end a line: what follows is then a header of its own, which means nothing to us.
    assert status(answer) == 400
    assert b"application/fhir+json" in answer


IDS = {
    "up": "../../metadata",
    "up, escaped": "..%2f..%2fmetadata",
    "up, escaped twice": "..%252f..%252fmetadata",
    "up, backslash": "..%5c..%5cmetadata",
    "NUL": f"{MARK}%00",
    "CRLF": f"{MARK}%0d%0aX-Made:%201",
    "not UTF-8": f"{MARK}%ff%fe",
    "10 KB": MARK + "a" * 10_240,
    "markup": quote(f"{MARK}<img src=x onerror=alert(1)>"),
    "SQL": quote(f"{MARK}' OR '1'='1"),
    "a glob": quote(f"{MARK}*"),
    "many dots": "....//....//etc/passwd",
    "absolute": "%2fetc%2fpasswd",
    "half an escape": f"{MARK}%",
}


@pytest.mark.parametrize("bad", IDS)
def test_a_path_leads_nowhere_else_and_is_never_said_again(running: Served, openapi: dict[str, Any], bad: str) -> None:
    paths = {
        "/fhir/ResearchStudy/{}",
        "/fhir/{}/cfmsc",
        "/fhir/{}",
        "/{}",
        "/fhir/ResearchStudy/{}/$evaluate-eligibility",
    }
    paths |= {path.replace("{", "{}{").partition("{}")[0] + "{}" for path in openapi["paths"] if "{" in path}
    for path in sorted(paths):
        for method in ("GET", "POST", "PUT", "DELETE"):
            sent = head(path.replace("{}", IDS[bad]), "Content-Length: 2", "Connection: close", method=method)
            answer = said(running, sent, b"{}")
            assert 400 <= status(answer) < 500, (method, path, answer)
            assert MARK.encode() not in answer, (method, path)
            assert b"root:" not in answer
            assert b"x-made" not in answer.lower()
    assert MARK not in running.log.read_text(errors="replace")


@pytest.mark.parametrize("bad", IDS)
def test_a_query_is_never_said_again(running: Served, bad: str) -> None:
    for name in ("_id", "url", "identifier", "_count", "_offset", "_format", "patient", IDS[bad][:200]):
        sent = head(
            f"/fhir/ResearchStudy?{name}={IDS[bad]}", "Prefer: handling=strict", "Connection: close", method="GET"
        )
        answer = said(running, sent)
        assert status(answer) in (200, 400, 404, 406, 422), (name, answer)
        assert MARK.encode() not in answer.partition(b'"link"')[0] + answer.partition(b'"entry"')[2], name
        if status(answer) == 200:
            assert b'"total":0' in answer.replace(b" ", b"") or name in ("_count", "_offset", "_format", "patient")


def test_every_address_answers_a_request_without_sense(running: Served, openapi: dict[str, Any]) -> None:
    for address in addresses(openapi):
        for line in ("Content-Length: 1", "Transfer-Encoding: chunked", "Expect: 100-continue", "Upgrade: websocket"):
            sent = head(address.path, line, "Connection: close", method=address.method)
            answer = said(running, sent, b"1\r\n{\r\n0\r\n\r\n" if "chunked" in line else b"{")
            # A client that upgrades, or waits to continue, sent no length: there is no body.
            assert 200 <= status(answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")) < 500, (address, line, answer)


REQUESTS = {
    "a length and an encoding": (head("/fhir", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "an encoding and a length": (head("/fhir", "Transfer-Encoding: chunked", "Content-Length: 5") + b"0\r\n\r\n", 400),
    "two lengths": (head("/fhir", "Content-Length: 5", "Content-Length: 6") + b"{}   ", 400),
    "two equal lengths": (head("/fhir", "Content-Length: 5", "Content-Length: 5") + b"{}   ", 400),
    "a negative length": (head("/fhir", "Content-Length: -1"), 400),
    "a length that is none": (head("/fhir", "Content-Length: 0x10"), 400),
    "a length beyond numbers": (head("/fhir", "Content-Length: " + "9" * 30), 400),
    "an encoding that hides": (head("/fhir", "Transfer-Encoding: xchunked"), 400),
    "chunked twice": (head("/fhir", "Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n", 400),
    "a space before the colon": (head("/fhir", "Content-Length : 5") + b"{}   ", 400),
    "a chunk size beyond numbers": (head("/fhir", "Transfer-Encoding: chunked") + b"f" * 20 + b"\r\n", 400),
    "a chunk size that is none": (head("/fhir", "Transfer-Encoding: chunked") + b"zz\r\n", 400),
    "no method": (b" / HTTP/1.1\r\n\r\n", 400),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 32, 400),
    "MLLP": (b"\x0bMSH|^~\\&|A|B|C|D|20261101||ORU^R01|1|P|2.5\r\x1c\r", 400),
    "a proxy's request": (b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "100 KB in one header": (head("/healthz", "X: " + "x" * 100_000, method="GET"), 431),
    "100 KB in many headers": (head("/healthz", *["X: " + "x" * 98] * 1000, method="GET"), 431),
    "100 KB in the path": (head("/" + "x" * 100_000, method="GET"), 431),
    "100 KB in the query": (head("/fhir/metadata?a=" + "x" * 100_000, method="GET"), 431),
    "headers without end": (b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 200_000, 431),
    "a line without end": (b"GET /" + b"x" * 2_000_000, 431),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_read_in_one_way_only_and_the_connection_ends(running: Served, name: str) -> None:
    sent, expected = REQUESTS[name]
    answer = said(running, sent)
    if not answer and expected == 431:
        return  # broken off while the client was still sending
    # A line beyond 64 KB is no address to the parser, a shorter one is too long to us.
    assert status(answer) in ((400, 431) if expected == 431 else (expected,)), answer[:200]
    assert b"connection: close" in answer.lower()
    assert b"OperationOutcome" in answer


def test_a_request_cannot_be_smuggled_behind_one_that_is_refused(running: Served) -> None:
    hidden = head("/fhir/metadata", "Connection: close", method="GET")
    for first in ("a length and an encoding", "two lengths", "chunked twice", "a space before the colon"):
        answer = said(running, REQUESTS[first][0] + hidden)
        assert answer.count(b"HTTP/1.1 ") == 1, first
        assert b"CapabilityStatement" not in answer, first
