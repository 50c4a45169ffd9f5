"""Bodies that are too much, packed too well, or not what they say they are (S2, S3)."""

import gzip
import re
import zlib

import httpx
import pytest
from security.wire import MIB, grown, head, said, status
from service.conftest import FHIR, Make, sample
from service.served import Served

GOOD = sample("shape-transaction")
MORE = 32 * MIB
"""How much a hostile body may cost in memory."""


@pytest.fixture(scope="module")
def bomb() -> bytes:
    return gzip.compress(b" " * 200_000_000)


def test_a_body_one_byte_too_long_is_refused_before_it_is_sent(running: Served) -> None:
    length = f"Content-Length: {16 * MIB + 1}"
    answers = []
    more = grown(running, lambda: answers.append(said(running, head("/fhir", length))))
    assert status(answers[0]) == 413
    assert b"connection: close" in answers[0].lower()
    assert more < MORE


def test_a_body_without_a_length_is_measured_while_it_comes(running: Served) -> None:
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    sent = (head("/fhir", "Transfer-Encoding: chunked"), *[piece] * 64)
    answers = []
    more = grown(running, lambda: answers.append(said(running, *sent)))
    assert not answers[0] or status(answers[0]) == 413, "it may be broken off before the client has read why"
    assert more < MORE


def test_a_bomb_is_not_unpacked(running: Served, bomb: bytes) -> None:
    headers = FHIR | {"Content-Encoding": "gzip"}
    answers = []
    more = grown(
        running, lambda: answers.append(httpx.post(f"{running.url}/fhir", content=bomb, headers=headers, timeout=20))
    )
    assert (answers[0].status_code, answers[0].headers["connection"]) == (413, "close")
    assert more < MORE


def test_many_bombs_at_once_are_not_unpacked_either(running: Served, bomb: bytes) -> None:
    sent = head("/fhir", "Content-Encoding: gzip", f"Content-Length: {len(bomb)}")
    more = grown(running, lambda: [said(running, sent, bomb) for _ in range(20)])
    assert more < MORE


@pytest.mark.parametrize(
    ("encoding", "packed", "expected", "code"),
    [
        ("gzip", gzip.compress(b" " * 3 * MIB), 413, "too-large"),
        ("gzip", gzip.compress(b" " * (16 * MIB + 1), 0)[:4_200_000], 413, "too-large"),
        ("gzip", gzip.compress(gzip.compress(GOOD)), 400, "not-utf-8"),
        ("gzip", gzip.compress(GOOD) * 2, 400, "bad-gzip"),
        ("gzip", gzip.compress(GOOD)[:-1], 400, "bad-gzip"),
        ("gzip", gzip.compress(GOOD)[:-8] + b"\0" * 8, 400, "bad-gzip"),
        ("gzip", b"", 400, "bad-gzip"),
        ("gzip", zlib.compress(GOOD), 400, "bad-gzip"),
        ("deflate", zlib.compress(GOOD), 415, "content-encoding"),
        ("gzip, gzip", gzip.compress(gzip.compress(GOOD)), 415, "content-encoding"),
        ("gzip, identity", gzip.compress(GOOD), 415, "content-encoding"),
        ("x-gzip", gzip.compress(GOOD), 415, "content-encoding"),
        ("br", GOOD, 415, "content-encoding"),
        ("zstd", GOOD, 415, "content-encoding"),
        ("", GOOD, 415, "content-encoding"),
    ],
)
def test_an_encoding_is_gzip_once_and_whole(
    running: Served, encoding: str, packed: bytes, expected: int, code: str
) -> None:
    headers = FHIR | {"Content-Encoding": encoding}
    answer = httpx.post(f"{running.url}/fhir", content=packed, headers=headers)
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (expected, code)


@pytest.mark.parametrize("header", ["Content-Encoding: gzip", "Content-Type: text/plain"])
def test_a_header_that_stands_twice_is_not_chosen_from(running: Served, header: str) -> None:
    name = header.partition(":")[0]
    both = [header, f"{name}: {'gzip' if 'Enc' in name else 'application/fhir+json'}"]
    packed = gzip.compress(GOOD)
    answer = said(running, head("/fhir", *both, f"Content-Length: {len(packed)}", "Connection: close"), packed)
    assert status(answer) == 415
    assert b"repeated-header" in answer


SENT = [
    ("application/fhir+json", 200),
    ("APPLICATION/FHIR+JSON", 200),
    ("application/json", 200),
    ("application/fhir+json; charset=utf-8", 200),
    ('application/fhir+json;charset="UTF-8"', 200),
    ("application/fhir+json; fhirVersion=4.0", 200),
    ("application/fhir+json; fhirVersion=3.0", 415),
    ("application/fhir+json; charset=latin-1", 415),
    ("application/fhir+json; charset=iso-8859-1", 415),
    ("application/fhir+json; charset=utf-16", 415),
    ("application/fhir+xml", 415),
    ("application/xml", 415),
    ("text/xml", 415),
    ("text/plain", 415),
    ("application/fhir+ndjson", 415),
    ("application/x-ndjson", 415),
    ("application/fhir+turtle", 415),
    ("application/x-www-form-urlencoded", 415),
    ("multipart/form-data; boundary=x", 415),
    ("application/json-patch+json", 415),
    ("application/fhir+json, text/plain", 415),
    ("*/*", 415),
    ("", 415),
]


@pytest.mark.parametrize(("media", "expected"), SENT)
def test_a_body_is_fhir_as_json_in_utf_8(running: Served, media: str, expected: int) -> None:
    answer = httpx.post(f"{running.url}/fhir", content=GOOD, headers={"Content-Type": media})
    assert answer.status_code == expected
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert expected == 200 or answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/fhir+json", 200),
        ("*/*", 200),
        ("application/fhir+xml, application/fhir+json;q=0.5", 200),
        ("application/fhir+xml", 406),
        ("text/html", 406),
        ("application/fhir+json;q=0", 406),
        ("application/fhir+json; fhirVersion=1.0", 406),
        ("application/fhir+turtle", 406),
    ],
)
def test_an_answer_is_fhir_as_json_too(running: Served, accept: str, expected: int) -> None:
    for method, path, body in (("POST", "/fhir", GOOD), ("GET", "/fhir/metadata", None)):
        answer = httpx.request(method, f"{running.url}{path}", content=body, headers=FHIR | {"Accept": accept})
        assert answer.status_code == expected
        assert expected == 200 or answer.json()["resourceType"] == "OperationOutcome"


def test_bodies_in_hand_are_bounded_together(make: Make) -> None:
    service = make(max_held_bytes=2 * len(GOOD))
    statuses = sorted(each.status_code for each in service.at_once(12, GOOD, Idempotency_Key="k"))
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    assert service("POST", "/fhir", GOOD).status_code == 200, "what was held is given back"


def test_utf_16_is_not_guessed(running: Served) -> None:
    answer = httpx.post(f"{running.url}/fhir", content=GOOD.decode().encode("utf-16"), headers=FHIR)
    assert answer.status_code == 400
    assert re.search(r"not-utf-8|not-json", answer.text)
