"""A difference is one line a person can read: where, what was, what will be."""

import base64
from decimal import Decimal
from typing import Any

import pytest

from adapter.delivery.difference import differences


def said(sent: dict[str, Any], held: dict[str, Any]) -> list[str]:
    found = differences({"resourceType": "PlanDefinition", **sent}, {"resourceType": "PlanDefinition", **held})
    return [line for each in found for line in each.lines()]


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "a value": ({"title": "new"}, {"title": "old"}, ['PlanDefinition.title: "old" → "new"']),
    "added": ({"title": "new"}, {}, ['PlanDefinition.title: (nothing) → "new"']),
    "removed": ({}, {"title": "old"}, ['PlanDefinition.title: "old" → (nothing)']),
    "a number": (
        {"goal": [{"value": Decimal("7.10")}]},
        {"goal": [{"value": Decimal(7)}]},
        ["PlanDefinition.goal[0].value: 7 → 7.10"],
    ),
    "deep in a list in order, after one more before it": (
        {"action": [{"id": "I0"}, {"id": "I1"}, {"id": "I2", "title": "new"}]},
        {"action": [{"id": "I1"}, {"id": "I2", "title": "old"}]},
        ['PlanDefinition.action[0]: (nothing) → {"id":"I0"}', 'PlanDefinition.action[2].title: "old" → "new"'],
    ),
    "in a list of any order, told apart by code": (
        {"concept": [{"code": "b"}, {"code": "a", "display": "new"}]},
        {"concept": [{"code": "a", "display": "old"}, {"code": "b"}]},
        ['PlanDefinition.concept[1].display: "old" → "new"'],
    ),
    "an end of line and a terminal's command": (
        {"title": "a"},
        {"title": "b\n\x1b[2J"},
        ['PlanDefinition.title: "b\\n\\u001b[2J" → "a"'],
    ),
}


@pytest.mark.parametrize(("sent", "held", "expected"), CASES.values(), ids=CASES)
def test_a_difference_reads_as_old_and_new(sent: dict[str, Any], held: dict[str, Any], expected: list[str]) -> None:
    assert said(sent, held) == expected


def test_the_text_in_an_attachment_is_shown_by_its_lines() -> None:
    def content(text: str) -> dict[str, Any]:
        return {"content": [{"contentType": "text/cql", "data": base64.b64encode(text.encode()).decode()}]}

    new, old = content("library L\ndefine A: true\n"), content("library L\ndefine A: false\n")
    assert said(new, old) == [
        "PlanDefinition.content[0].data: the text differs",
        "    -define A: false",
        "    +define A: true",
    ]


def test_a_long_value_is_cut() -> None:
    (line,) = said({"title": "x" * 1000}, {})
    assert len(line) < 200
