"""The EvidenceVariables of R5: alternatives, exceptions, times and counts as the criteria have them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meaning import ATOMS, EVERY_SENTENCE, PREMISE, Problems, criterion, emitted, read_variable, truths_of

from adapter.catalog.catalog import Catalog
from adapter.eligibility.facts import Sex
from adapter.eligibility.trial import All, AtomIs, Logic, Not, Premise
from adapter.eligibility.trial import Any as AnyOf
from adapter.eligibility.truth import Truth
from adapter.emission.evidence import evidence_variables
from adapter.emission.names import Naming
from adapter.fhir.versions import FhirVersion

R5 = Naming(FhirVersion.R5)


@pytest.fixture(scope="session")
def naming() -> Naming:
    """R4 has no EvidenceVariable of this kind."""
    return R5


def variable(key: str, id_: str, catalog: Catalog) -> dict[str, Any]:
    (trial,) = catalog.only((key,))
    return next(each for each in evidence_variables(trial, catalog, R5) if each["id"] == id_)


def part(link_id: str, inside: dict[str, Any]) -> dict[str, Any]:
    """Find a characteristic by its linkId, at any depth."""
    waiting = list(inside["characteristic"])
    while waiting:
        each = waiting.pop(0)
        if each.get("linkId") == link_id:
            return dict(each)
        waiting.extend(each.get("definitionByCombination", {}).get("characteristic", ()))
    raise AssertionError(link_id)


def test_there_is_none_in_r4(catalog: Catalog) -> None:
    assert [each for one in catalog.trials for each in evidence_variables(one, catalog, Naming(FhirVersion.R4))] == []


LEAVES = st.sampled_from([*map(AtomIs, ATOMS), Premise("childbearing_potential")])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
    ),
    max_leaves=8,
)


@given(
    logic=TREES,
    known=st.fixed_dictionaries({key: st.sampled_from(Truth) for key in EVERY_SENTENCE}),
    childbearing=st.sampled_from(Truth),
)
@settings(max_examples=500, deadline=None)
def test_a_variable_says_what_the_sentence_says(
    logic: Logic, known: dict[tuple[str, object], Truth], childbearing: Truth, catalog: Catalog
) -> None:
    # A premise beside the tree keeps the criterion whole, so that there is always a variable for all of it.
    whole = AnyOf((logic, All((Premise("male"), Premise("childbearing_potential")))))
    one = criterion("inclusion", whole, list(ATOMS))
    _, variables = emitted(one, catalog, R5)
    known |= {("text", PREMISE): childbearing, ("code", "male"): Truth.NOT_MET}
    case: Any = type("Case", (), {"sex": Sex.FEMALE, "childbearing": lambda _: childbearing})()
    assert read_variable(variables["EvidenceVariable/t-x1"], known) is whole.holds(truths_of(known), case)


def test_what_is_denied_inside_is_excluded_there(catalog: Catalog) -> None:
    found = variable("CFMSC", "cfmsc-e5", catalog)
    assert part("CFMSC-E5b", found)["exclude"] is False
    assert part("CFMSC-E5d", found)["exclude"] is True


def test_the_top_states_the_sentence_whatever_its_side(catalog: Catalog) -> None:
    for trial in catalog.trials:
        for each in evidence_variables(trial, catalog, R5):
            (top,) = each["characteristic"]
            assert top["linkId"].lower() == each["id"]


def test_a_time_before_screening_is_a_range_up_to_it(catalog: Catalog) -> None:
    found = part("CFMSC-I9a", variable("CFMSC", "cfmsc-i9", catalog))
    (when,) = found["timeFromEvent"]
    assert when["description"] == "within 7 days before screening"
    assert when["eventCodeableConcept"] == {"text": "Screening"}
    assert [(each["value"], each["code"]) for each in (when["range"]["low"], when["range"]["high"])] == [
        (-7, "d"),
        (0, "d"),
    ]


def test_a_state_that_lasted_has_its_duration_and_its_least_number_of_values(catalog: Catalog) -> None:
    found = part("CFMSC-I2d", variable("CFMSC", "cfmsc-i2d", catalog))
    assert found["durationQuantity"] == {
        "value": 3,
        "comparator": ">=",
        "unit": "months",
        "system": "http://unitsofmeasure.org",
        "code": "mo",
    }
    assert found["instancesQuantity"] == {"value": 2, "comparator": ">="}


def test_every_atom_of_a_whole_criterion_is_named_in_its_variable(catalog: Catalog) -> None:
    for trial in catalog.trials:
        variables = {each["id"]: each for each in evidence_variables(trial, catalog, R5)}
        for one in trial.criteria:
            if one.id.lower() in variables and len(one.atoms) > 1:
                for atom in one.atoms:
                    assert part(atom.id, variables[one.id.lower()])["description"] == atom.text


def test_the_variables_are_fhir(catalog: Catalog, problems: Problems) -> None:
    for trial in catalog.trials:
        for each in evidence_variables(trial, catalog, R5):
            assert problems(each) == []
