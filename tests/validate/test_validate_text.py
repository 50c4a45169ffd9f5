"""What is not exactly one JSON text is refused, with its line, its column and nothing of its content."""

import json
from typing import Any

import pytest

from adapter.errors import Severity
from adapter.fhir.versions import FhirVersion
from adapter.validate import validate
from adapter.validate.text import MAX_DEPTH, read

PATIENT = b'{"resourceType": "Patient", "id": "p1"}'


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


ROWS = [
    ("nothing", b"", "truncated", 1, None),
    ("blanks only", b" \n ", "truncated", 1, None),
    ("an object cut short", b'{"resourceType": "Patient",\n "id": "p', "truncated", 2, 10),
    ("a word cut short", b'{"active": tru', "truncated", 1, 12),
    ("two documents", PATIENT + b"\n" + PATIENT, "trailing-text", 2, 1),
    ("a trailing comma", b'{"id": "p1",\n}', "not-json", 2, 1),
    ("single quotes", b"{'id': 1}", "not-json", 1, 2),
    ("a comment", b'{// a patient\n"id": "p1"}', "not-json", 1, 2),
    ("an unescaped newline in a string", b'{"id": "p\n1"}', "not-json", 1, 10),
    ("a wrong escape", b'{"id": "p\\x1"}', "not-json", 1, 10),
    ("NaN", b'{"valueDecimal":\n NaN}', "not-a-number", 2, 2),
    ("minus Infinity", b'{"valueDecimal": -Infinity}', "not-a-number", 1, 18),
    ("Latin-1", 'é{"id": "Müller"}'.encode("latin-1"), "not-utf-8", 1, 1),
    ("Latin-1 on its second line", '{\n"id": "Müller"}'.encode("latin-1"), "not-utf-8", 2, 9),
    ("UTF-16", '{"id": 1}'.encode("utf-16"), "not-utf-8", 1, None),
    ("half a character", b'{"id": "\\ud83d"}', "not-a-character", 1, 8),
    ("too deep", deep(MAX_DEPTH + 1), "too-deep", 1, MAX_DEPTH + 1),
    ("absurdly deep", b'{"a":' * 200_000, "too-deep", 1, None),
    ("a number of 5000 digits", b"[" + b"9" * 5000 + b"]", "not-json", None, None),
]


@pytest.mark.parametrize(("data", "code", "line", "column"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_what_is_not_json_is_refused_at_its_place(data: bytes, code: str, line: int | None, column: int | None) -> None:
    issue = next(issue for issue in read(data).issues if issue.severity is Severity.ERROR)
    assert (issue.code, issue.line) == (code, line)
    assert column is None or f"(column {column})" in issue.message


def test_a_nesting_at_the_limit_is_read() -> None:
    assert read(deep(MAX_DEPTH)).issues == ()


def test_brackets_inside_strings_are_text() -> None:
    assert read(b'["' + b"[" * 500 + b'\\"{"]').issues == ()


@pytest.mark.parametrize(
    ("data", "line", "expression"),
    [
        (b'{"resourceType": "Patient",\n"id": "a",\n"id": "b"}', 3, "id"),
        (
            b'{"resourceType":"Patient","name":[{"family":"a"},{"family":"b",\n"famil\\u0079":"c"}]}',
            2,
            "name[1].family",
        ),
        (b'{"Maria Muster": {"id": 1,\n "id": 2}}', 2, None),
    ],
)
def test_a_name_that_comes_twice_is_found(data: bytes, line: int, expression: str | None) -> None:
    (issue,) = read(data).issues
    assert (issue.code, issue.line, issue.expression) == ("duplicate-name", line, expression)


def test_a_byte_order_mark_is_read_over_and_reported() -> None:
    report = validate(b"\xef\xbb\xbf" + PATIENT, FhirVersion.R4)
    assert [(issue.code, issue.severity) for issue in report.issues] == [("byte-order-mark", Severity.WARNING)]


def test_decimals_keep_the_digits_they_were_sent_with() -> None:
    assert str(read(b'{"value": 7.50}').value["value"]) == "7.50"


@pytest.mark.parametrize("value", [[], 5, "text", None, True, {}, {"resourceType": 5}, {"patient": {"id": "p1"}}])
def test_json_that_is_not_fhir_is_said_to_be_so(value: Any) -> None:  # noqa: ANN401 - any JSON
    (issue,) = validate(json.dumps(value).encode()).issues
    assert issue.code == "not-fhir"
