"""The list of known differences lets through what it names, and notices what it no longer needs."""

import pytest
from oracle.comparison import Compared
from oracle.differences import Held, Known, hold

KNOWN = Known(("X-I1*",), ("sample/a.json#*",), "cql-cannot", "unknown", "met", "because", "docs/semantics.md")
AGREES = Compared("sample/a.json#p", "X", "X-I1a", "atom", "met", "met")
DIFFERS = Compared("sample/a.json#p", "X", "X-I1a", "atom", "unknown", "met")


def test_a_difference_that_is_named_is_explained() -> None:
    assert hold([AGREES, DIFFERS], (KNOWN,)) == Held((DIFFERS,), (), ())


@pytest.mark.parametrize(
    "found",
    [
        Compared("sample/b.json#p", "X", "X-I1a", "atom", "unknown", "met"),
        Compared("sample/a.json#p", "X", "X-I2a", "atom", "unknown", "met"),
        Compared("sample/a.json#p", "X", "X-I1a", "atom", "not-met", "met"),
        Compared("sample/a.json#p", "X", "X-I1a", "atom", "unknown", "not-met"),
    ],
)
def test_another_case_atom_or_truth_is_not(found: Compared) -> None:
    assert hold([DIFFERS, found], (KNOWN,)).unexplained == (found,)


def test_an_explanation_that_nothing_needs_is_noticed() -> None:
    assert hold([AGREES], (KNOWN,)).stale == ("X-I1* (because)", "sample/a.json#* (because)")


def test_so_is_a_pattern_of_one() -> None:
    wider = Known(("X-I1*", "X-I9a"), ("sample/a.json#*",), "engine", "unknown", "met", "because", "docs/semantics.md")
    assert hold([DIFFERS], (wider,)).stale == ("X-I9a (because)",)


def test_an_explanation_of_bundles_that_were_not_asked_is_left_alone() -> None:
    outside = Known(("X-I1*",), ("real/*",), "engine", "unknown", "met", "because", "docs/semantics.md")
    assert hold([AGREES], (outside,)).stale == ()
