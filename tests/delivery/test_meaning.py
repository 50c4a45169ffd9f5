"""What counts as the same meaning, and what as a change."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.delivery.difference import differences
from adapter.delivery.meaning import canonical, same_meaning

PLAN: dict[str, Any] = {
    "resourceType": "PlanDefinition",
    "id": "p",
    "meta": {"profile": ["https://a.example.org/p"], "tag": [{"system": "s", "code": "ours"}]},
    "status": "active",
    "date": "2026-01-01T00:00:00Z",
    "identifier": [{"system": "a", "value": "1"}, {"system": "b", "value": "2"}],
    "action": [{"id": "I1"}, {"id": "I2"}],
    "extension": [{"url": "u", "valueDecimal": Decimal("7.0")}],
}
THE_SAME = {
    "the server's own meta": {"meta": {**PLAN["meta"], "versionId": "3", "lastUpdated": "x", "source": "#1"}},
    "a profile and a tag more": {
        "meta": {
            "profile": ["https://b.example.org", *PLAN["meta"]["profile"]],
            "tag": [{"code": "z"}, *PLAN["meta"]["tag"]],
        }
    },
    "a narrative": {"text": {"status": "generated", "div": "<div/>"}},
    "another id": {"id": "given-1"},
    "identifiers in another order": {"identifier": PLAN["identifier"][::-1]},
    "a decimal of more digits": {"extension": [{"url": "u", "valueDecimal": Decimal("7.000")}]},
    "a decimal that became a whole number": {"extension": [{"url": "u", "valueDecimal": 7}]},
    "the same instant elsewhere": {"date": "2026-01-01T01:00:00+01:00"},
    "what is empty": {"note": [], "subtitle": None, "usage": {}},
}
ANOTHER = {
    "another value": {"status": "retired"},
    "an element less": {"status": None},
    "an element more": {"title": "of an older version"},
    "actions in another order": {"action": PLAN["action"][::-1]},
    "an action more": {"action": [*PLAN["action"], {"id": "I3"}]},
    "an identifier twice": {"identifier": [*PLAN["identifier"], PLAN["identifier"][0]]},
    "our profile missing": {"meta": {"tag": PLAN["meta"]["tag"]}},
    "no meta": {"meta": None},
    "a decimal of another value": {"extension": [{"url": "u", "valueDecimal": Decimal("7.01")}]},
    "a number that became a text": {"extension": [{"url": "u", "valueDecimal": "7.0"}]},
    "a coarser date": {"date": "2026-01-01"},
}


@pytest.mark.parametrize("added", THE_SAME.values(), ids=THE_SAME)
def test_what_a_server_adds_or_reorders_is_no_change(added: dict[str, Any]) -> None:
    held = {**PLAN, **added}
    assert same_meaning(PLAN, held)
    assert differences(PLAN, held) == []


@pytest.mark.parametrize("changed", ANOTHER.values(), ids=ANOTHER)
def test_what_means_something_else_is_a_change_that_can_be_shown(changed: dict[str, Any]) -> None:
    held = {**PLAN, **changed}
    assert not same_meaning(PLAN, held)
    assert differences(PLAN, held)


def test_an_expansion_counts_only_where_we_send_one() -> None:
    ours = {"resourceType": "ValueSet", "url": "u"}
    assert same_meaning(ours, {**ours, "expansion": {"total": 3}})
    assert not same_meaning({**ours, "expansion": {"total": 2}}, {**ours, "expansion": {"total": 3}})


def test_true_is_not_one_and_null_keeps_its_place() -> None:
    assert canonical({"a": True}) != canonical({"a": 1})
    assert canonical(["x", None]) != canonical([None, "x"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.decimals(-9, 9, places=2) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "action", "_c"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_two_resources_differ_exactly_when_a_difference_is_shown(one: object, other: object) -> None:
    sent, held = {"resourceType": "X", "value": one}, {"resourceType": "X", "value": other}
    assert same_meaning(sent, held) == (differences(sent, held) == [])
    assert same_meaning(sent, sent)


@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_are_compared_by_value(one: Decimal, other: Decimal) -> None:
    assert (canonical(one) == canonical(other)) == (one == other)
