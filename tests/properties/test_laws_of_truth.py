"""Laws of three-valued truth: what is decided stays decided when the unknown is filled in."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.eligibility.case import Case, ChildbearingRule, Rules
from adapter.eligibility.decide import favour
from adapter.eligibility.facts import Facts, Person, Sex, Source
from adapter.eligibility.trial import All, Any, AtomIs, Criterion, Logic, Not
from adapter.eligibility.truth import Truth, all_of, any_of, negation
from adapter.fhir.dates import parse_as_of

ATOMS = ("a", "b", "c", "d")
CASE = Case(
    Facts(Person("p", Source("Patient/p"), None, Sex.UNKNOWN, ""), {}, {}, {}, {}, {}, [], [], [], [], {}),
    parse_as_of("2026-11-01T00:00:00Z"),
    Rules(ChildbearingRule(55, 60, ())),
)
trees: st.SearchStrategy[Logic] = st.recursive(
    st.sampled_from(ATOMS).map(AtomIs),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Any(tuple(parts))),
    ),
    max_leaves=8,
)
truths = st.fixed_dictionaries({atom: st.sampled_from(Truth) for atom in ATOMS})


def fillings(known: dict[str, Truth]) -> list[dict[str, Truth]]:
    choices = [[known[a]] if known[a] is not Truth.UNKNOWN else [Truth.MET, Truth.NOT_MET] for a in ATOMS]
    return [dict(zip(ATOMS, filled, strict=True)) for filled in product(*choices)]


@given(trees, truths)
def test_filling_an_unknown_never_flips_a_decided_criterion(tree: Logic, known: dict[str, Truth]) -> None:
    decided = tree.holds(known, CASE)
    if decided is not Truth.UNKNOWN:
        assert {tree.holds(filled, CASE) for filled in fillings(known)} == {decided}


@given(trees, truths)
def test_what_is_known_gives_a_decided_criterion(tree: Logic, known: dict[str, Truth]) -> None:
    assert all(tree.holds(filled, CASE) is not Truth.UNKNOWN for filled in fillings(known))


@given(st.lists(st.sampled_from(Truth), max_size=6))
def test_de_morgan_holds(some: list[Truth]) -> None:
    assert negation(all_of(some)) is any_of([negation(each) for each in some])
    assert negation(any_of(some)) is all_of([negation(each) for each in some])


@given(
    st.lists(st.sampled_from(Truth), min_size=1, max_size=6).flatmap(
        lambda t: st.tuples(st.just(t), st.permutations(t))
    )
)
def test_order_never_matters(pair: tuple[list[Truth], list[Truth]]) -> None:
    some, shuffled = pair
    assert all_of(some) is all_of(shuffled)
    assert any_of(some) is any_of(shuffled)


@pytest.mark.parametrize("truth", list(Truth))
def test_a_truth_refuses_to_be_a_bool(truth: Truth) -> None:
    with pytest.raises(TypeError):
        bool(truth)


def without_repeats(tree: Logic) -> bool:
    def atoms(node: Logic) -> list[str]:
        match node:
            case AtomIs(id):
                return [id]
            case Not(of):
                return atoms(of)
            case All(of) | Any(of):
                return [atom for each in of for atom in atoms(each)]
        return []

    found = atoms(tree)
    return len(found) == len(set(found))


@given(trees.filter(without_repeats), truths, st.sampled_from(("inclusion", "exclusion")))
def test_the_sign_of_an_atom_says_which_answer_speaks_for_the_patient(
    tree: Logic, known: dict[str, Truth], kind: str
) -> None:
    criterion = Criterion("c", kind, "", tree, ())
    rank = {Truth.NOT_MET: 0, Truth.UNKNOWN: 1, Truth.MET: 2}
    for atom, positive in criterion.signs.items():
        good = {**known, atom: Truth.MET if positive else Truth.NOT_MET}
        bad = {**known, atom: Truth.NOT_MET if positive else Truth.MET}
        better, worse = (favour(criterion, tree.holds(each, CASE)) for each in (good, bad))
        assert rank[better] >= rank[worse]
