"""Documents that two readers would understand in two ways, or that cost more to read than to send (S1)."""

import time
from typing import Any

import httpx
import pytest
from security.addresses import Address, addresses
from service.conftest import FHIR
from service.served import Served

KNOWN = frozenset(
    (
        "/fhir",
        "/fhir/$process-message",
        "/fhir/ResearchStudy/$evaluate-eligibility",
        "/fhir/ResearchStudy/cfmsc/$evaluate-eligibility",
        "/fhir/ResearchStudy/$match",
        "/fhir/Bundle/$validate",
        "/cds-services/trial-eligibility",
    )
)


def holding(value: bytes) -> bytes:
    return b'{"resourceType":"Bundle","type":"collection","entry":[],"x":' + value + b"}"


REFUSED = {
    "a key twice": b'{"resourceType":"Bundle","type":"collection","type":"batch"}',
    "a key twice, once escaped": b'{"resourceType":"Bundle","type":"collection","\\u0074ype":"batch"}',
    "a key twice, deep": holding(b'[{"a":{"b":1,"b":1}}]'),
    "NaN": holding(b"NaN"),
    "Infinity": holding(b"Infinity"),
    "-Infinity": holding(b"-Infinity"),
    "1e400": holding(b"1e400"),
    "-1e400": holding(b"-1e400"),
    "a 5,000-digit integer": holding(b"9" * 5000),
    "a 19-digit integer": holding(b"9" * 20),
    "a 65-character number": holding(b"0." + b"1" * 63),
    "a 65-character number with an exponent": holding(b"1." + b"1" * 61 + b"e1"),
    "a leading zero": holding(b"007"),
    "a plus": holding(b"+7"),
    "a hexadecimal": holding(b"0x7"),
    "a lone surrogate": holding(b'"\\ud800"'),
    "a lone low surrogate": holding(b'"\\udc00x"'),
    "a lone surrogate as a name": holding(b'{"\\ud83d":1}'),
    "a surrogate in UTF-8": holding(b'"\xed\xa0\x80"'),
    "UTF-8 too long": holding(b'"\xc0\xaf"'),
    "latin-1": holding(b'"\xe9"'),
    "a control character": holding(b'"\x01"'),
    "a bare newline": holding(b'"\n"'),
    "a comment": holding(b"1 /* one */"),
    "a comma too many": holding(b"[1,]"),
    "single quotes": holding(b"'a'"),
    "two documents": holding(b"1") * 2,
    "a NUL at the end": holding(b"1") + b"\0",
    "UTF-16": holding(b"1").decode().encode("utf-16"),
    "two byte-order marks": b"\xef\xbb\xbf" * 2 + holding(b"1"),
    "65 deep": holding(b"[" * 64 + b"]" * 64),
    "65 deep, objects": holding(b'{"a":' * 64 + b"1" + b"}" * 64),
    "100,000 deep": holding(b"[" * 100_000 + b"]" * 100_000),
    "100,000 deep and not closed": holding(b'{"a":[' * 100_000),
    "500,001 values": holding(b"[" + b"1," * 500_000 + b"1]"),
    "500,001 empty lists": holding(b"[" + b"[]," * 500_000 + b"[]]"),
    "a string of more than 1 MiB": holding(b'"' + b"a" * (1024 * 1024 + 1) + b'"'),
}
TAKEN = {
    "a byte-order mark": b"\xef\xbb\xbf" + holding(b"1"),
    "64 deep": holding(b"[" * 63 + b"]" * 63),
    "an 18-digit integer": holding(b"-" + b"9" * 18),
    "a 64-character number": holding(b"0." + b"1" * 62),
    "a pair of surrogates": holding(b'"\\ud83d\\ude00"'),
    "499,000 values": holding(b"[" + b"1," * 499_000 + b"1]"),
    "a string of 1 MiB": holding(b'"' + b"a" * 1024 * 1024 + b'"'),
}
TRACES = ("Traceback", 'File "', ".py", "json.decoder", "msgspec", "ValueError", "RecursionError")


def posted(running: Served, address: Address, body: bytes) -> httpx.Response:
    media = {"Content-Type": address.media or FHIR["Content-Type"]}
    return httpx.request(address.method, f"{running.url}{address.path}", content=body, headers=media, timeout=20)


def is_told_as_an_outcome(answer: httpx.Response) -> bool:
    said = answer.json()
    return said["resourceType"] == "OperationOutcome" and all(each["severity"] == "error" for each in said["issue"])


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_at_every_address_that_takes_a_body(running: Served, openapi: dict[str, Any], name: str) -> None:
    asked = [each for each in addresses(openapi) if each.media is not None]
    assert {each.path for each in asked} >= KNOWN
    for address in asked:
        began = time.monotonic()
        answer = posted(running, address, REFUSED[name])
        taken = time.monotonic() - began
        expected = (400,) if address.path in KNOWN else range(400, 500)
        assert answer.status_code in expected, f"{address}: {answer.text}"
        assert is_told_as_an_outcome(answer), address
        assert [each for each in TRACES if each in answer.text] == [], address
        assert taken < 20, address


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_just_within_bounds_is_refused_for_what_it_says_only(running: Served, name: str) -> None:
    answer = posted(running, Address("POST", "/fhir", None), TAKEN[name])
    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["details"]["coding"][0]["code"]) == (422, "no-patient")


def test_what_is_refused_is_not_quoted(running: Served) -> None:
    for name, body in REFUSED.items():
        marked = body.replace(b'"resourceType"', b'"canaryqx":"canaryqy","resourceType"')
        answer = posted(running, Address("POST", "/fhir", None), marked)
        assert "canaryq" not in answer.text, name
