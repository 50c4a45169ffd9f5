"""The Group of a trial: its characteristics together say what the criteria say, no more and no less."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meaning import ATOMS, EVERY_SENTENCE, PREMISE, Problems, bmi, criterion, emitted, favour, read_group, truths_of

from adapter.catalog.catalog import Catalog
from adapter.eligibility.facts import Sex
from adapter.eligibility.trial import All, Atom, AtomIs, Criterion, Logic, Not, Premise
from adapter.eligibility.trial import Any as AnyOf
from adapter.eligibility.truth import Truth, negation
from adapter.eligibility.values import Period
from adapter.emission.group import cohort_group, eligibility_group, held_of
from adapter.emission.names import IS_ELIGIBLE, Naming
from adapter.emission.terms import Terms
from adapter.fhir.versions import FhirVersion

A, B, C = AtomIs("T-words"), AtomIs("T-one"), AtomIs("T-human")
STRICT, EITHER, BOTH, TIMED = AtomIs("T-strict"), AtomIs("T-either"), AtomIs("T-both"), AtomIs("T-timed")
WHOLE = "T-X1"
VERBATIM = "http://hl7.org/fhir/6.0/StructureDefinition/extension-Group.characteristic.description"

CASES: list[tuple[str, Logic, list[tuple[str, bool]]]] = [
    # side, logic, characteristics with exclude
    ("inclusion", A, [("T-words", False)]),
    ("exclusion", A, [("T-words", True)]),
    ("inclusion", All((A, B)), [("T-words", False), ("T-one", False)]),
    ("inclusion", AnyOf((A, B)), [(WHOLE, False)]),
    ("exclusion", AnyOf((A, B)), [("T-words", True), ("T-one", True)]),
    ("exclusion", All((A, B)), [(WHOLE, True)]),
    ("inclusion", Not(A), [("T-words", True)]),
    ("exclusion", Not(A), [("T-words", False)]),
    ("inclusion", Not(AnyOf((A, B))), [("T-words", True), ("T-one", True)]),
    ("inclusion", Not(All((A, B))), [(WHOLE, False)]),
    ("exclusion", Not(All((A, B))), [("T-words", False), ("T-one", False)]),
    ("inclusion", All((Not(AnyOf((A, B))), C)), [("T-words", True), ("T-one", True), ("T-human", False)]),
    ("exclusion", AnyOf((A, All((B, C)))), [(WHOLE, True)]),
    ("exclusion", AnyOf((A, All((B,)))), [("T-words", True), ("T-one", True)]),
    ("inclusion", All((A, AnyOf((Not(Premise("childbearing_potential")), B)))), [(WHOLE, False)]),
    ("exclusion", AnyOf((A, Not(A))), [(WHOLE, True)]),  # an atom twice would give one id twice
    # inside an atom the same rules hold
    ("inclusion", STRICT, [("T-strict", False), ("T-strict.2", False)]),
    ("exclusion", STRICT, [("T-strict", True)]),
    ("inclusion", EITHER, [("T-either", False)]),
    ("exclusion", EITHER, [("T-either", True), ("T-either.2", True)]),
    ("inclusion", BOTH, [("T-both", False), ("T-both.2", False)]),
    ("exclusion", All((TIMED,)), [("T-timed", True)]),
]


@pytest.mark.parametrize(("side", "logic", "expected"), CASES)
def test_a_criterion_is_taken_apart_only_where_all_parts_must_hold(
    side: str, logic: Logic, expected: list[tuple[str, bool]], catalog: Catalog, naming: Naming
) -> None:
    group, _ = emitted(criterion(side, logic, list(ATOMS)), catalog, naming)
    assert [(each["id"], each["exclude"]) for each in group["characteristic"]] == expected


TREES = st.recursive(
    st.sampled_from([*map(AtomIs, ATOMS), Premise("childbearing_potential"), Premise("male")]),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
    ),
    max_leaves=6,
)
TRUTHS = st.fixed_dictionaries({key: st.sampled_from(Truth) for key in EVERY_SENTENCE})
MALE = {Sex.MALE: Truth.MET, Sex.FEMALE: Truth.NOT_MET, Sex.UNKNOWN: Truth.UNKNOWN}


@given(
    side=st.sampled_from(["inclusion", "exclusion"]),
    logic=TREES,
    known=TRUTHS,
    sex=st.sampled_from(Sex),
    childbearing=st.sampled_from(Truth),
)
@settings(max_examples=500, deadline=None)
def test_the_characteristics_together_say_what_the_criterion_says(
    side: str,
    logic: Logic,
    known: dict[tuple[str, object], Truth],
    sex: Sex,
    childbearing: Truth,
    catalog: Catalog,
    naming: Naming,
) -> None:
    one = criterion(side, logic, list(ATOMS))
    wanted = favour(one, known, sex, childbearing)
    sentence_as_printed = wanted if side == "inclusion" else negation(wanted)
    known |= {("text", PREMISE): childbearing, ("code", "male"): MALE[sex], ("text", one.text): sentence_as_printed}
    # In R4 the words of an atom that only a combination holds are its sentence.
    known |= {("text", ATOMS[id_].text): truth for id_, truth in truths_of(known).items()}
    group, variables = emitted(one, catalog, naming)
    assert read_group(group, variables, known) is wanted


def test_a_characteristic_turned_round_is_noticed(catalog: Catalog, naming: Naming) -> None:
    group, variables = emitted(criterion("inclusion", All((A, B)), list(ATOMS)), catalog, naming)
    known = dict.fromkeys(EVERY_SENTENCE, Truth.MET)
    assert read_group(group, variables, known) is Truth.MET
    group["characteristic"][0]["exclude"] = True
    assert read_group(group, variables, known) is Truth.NOT_MET


def characteristic(id_: str, group: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in group["characteristic"] if each["id"] == id_)


def group_of(key: str, catalog: Catalog, naming: Naming) -> dict[str, Any]:
    return eligibility_group(*_parts(key, catalog), catalog, naming)


def _parts(key: str, catalog: Catalog) -> tuple[Any, Any]:
    (trial,) = catalog.only((key,))
    return trial, catalog.files[key]


@pytest.mark.parametrize(
    ("key", "id_", "value"),
    [
        # both ends inside: a Range, which takes no comparator
        ("BMMSC", "BMMSC-I4a", ("valueRange", {"low": ("19", "kg/m2"), "high": ("30", "kg/m2")})),
        ("CFMSC", "CFMSC-I3a", ("valueRange", {"low": ("18", "a"), "high": ("75", "a")})),
        # one end: a Quantity with a comparator, in the unit the trial prints
        ("NCT06751199", "NCT06751199-I3a", ("valueQuantity", ("<", "0.1", "nmol/L"))),
        ("BMMSC", "BMMSC-I5a", ("valueQuantity", (">=", "7.0", "mmol/L"))),
        # a multiple of a reference limit is a plain number
        ("CFMSC", "CFMSC-I7a", ("valueQuantity", ("<", "1.5", "1"))),
        # how long a disease has lasted
        ("CFMSC", "CFMSC-I2b", ("valueQuantity", (">", "3", "a"))),
        ("NCT01157403", "NCT01157403-I2c", ("valueQuantity", ("<", "126", "d"))),
    ],
)
def test_limits_are_written_as_printed(
    key: str, id_: str, value: tuple[str, Any], catalog: Catalog, naming: Naming
) -> None:
    kind, expected = value
    found = characteristic(id_, group_of(key, catalog, naming))[kind]
    if kind == "valueRange":
        assert {end: (str(each["value"]), each["code"]) for end, each in found.items()} == expected
    else:
        assert (found["comparator"], str(found["value"]), found["code"]) == expected


@pytest.mark.parametrize(
    ("key", "id_", "code"),
    [
        ("BMMSC", "BMMSC-I5b", "4548-4"),  # %
        ("CFMSC", "CFMSC-I4a", "13037-7"),  # ng/mL: the code of a mass
        ("NCT06751199", "NCT06751199-I3a", "42180-0"),  # nmol/L: the code of an amount
    ],
)
def test_the_code_carries_the_unit_of_the_limit(
    key: str, id_: str, code: str, catalog: Catalog, naming: Naming
) -> None:
    found = characteristic(id_, group_of(key, catalog, naming))["code"]
    assert [each["code"] for each in found["coding"]] == [code]
    assert "extension" not in found  # its other codes are reported in other kinds of units


def test_a_multiple_of_a_limit_does_not_carry_the_code_of_the_concentration(catalog: Catalog, naming: Naming) -> None:
    assert "coding" not in characteristic("CFMSC-I7a", group_of("CFMSC", catalog, naming))["code"]


@pytest.mark.parametrize(("window", "how"), [(None, "coded"), ("P90D", "coded"), ("P14D", "combined")])
def test_a_window_of_the_sentence_is_not_lost_and_one_of_the_mappings_not_added(
    window: str | None, how: str, catalog: Catalog, naming: Naming
) -> None:
    kind = msgspec.structs.replace(bmi(at_least=19), window=Period.parse(window) if window else None)
    atom = Atom("T-one", "BMI at least 19", "A", kind)
    (held,) = held_of(Criterion("T-X1", "inclusion", "BMI", B, (atom,)), Terms(catalog, naming))
    usual = catalog.mappings.inputs["bmi"].freshness
    assert usual == Period.parse("P90D")
    assert held.how == how


def test_what_only_people_judge_says_so(catalog: Catalog, naming: Naming) -> None:
    found = characteristic("CFMSC-I1a", group_of("CFMSC", catalog, naming))
    assert found["code"] == {"text": "Investigator-assessed criterion"}
    assert found["valueCodeableConcept"] == {"text": "Ability to understand the study protocol"}


def test_what_no_list_of_characteristics_holds_is_words_in_r4_and_an_evidence_variable_in_r5(
    catalog: Catalog, naming: Naming
) -> None:
    found = characteristic("NCT06751199-I4", group_of("NCT06751199", catalog, naming))
    if naming.is_r4:
        assert found["valueBoolean"] is True
        assert found["code"]["text"] == next(
            each.text for each in _parts("NCT06751199", catalog)[0].criteria if each.id == "NCT06751199-I4"
        )
    else:
        assert found["valueReference"] == {"reference": "EvidenceVariable/nct06751199-i4"}


def test_every_criterion_and_its_words_stand_in_the_group(catalog: Catalog, naming: Naming) -> None:
    for trial in catalog.trials:
        group = group_of(trial.key, catalog, naming)
        ids = [each["id"] for each in group["characteristic"]]
        assert len(ids) == len(set(ids))
        told = {each["id"]: each["extension"][0] for each in group["characteristic"]}
        assert {each["url"] for each in told.values()} == {VERBATIM}
        for one in trial.criteria:
            whole = told.get(one.id)
            parts = [told[atom.id]["valueMarkdown"] for atom in one.atoms if atom.id in told]
            assert whole is None or whole["valueMarkdown"] == one.text
            assert whole is not None or parts == [atom.text for atom in one.atoms]
            assert one.text in (group["description"] if not naming.is_r4 else group["extension"][2]["valueMarkdown"])


def test_the_groups_are_fhir(catalog: Catalog, naming: Naming, problems: Problems) -> None:
    for trial in catalog.trials:
        assert problems(group_of(trial.key, catalog, naming)) == []


def test_the_cohort_names_the_decision_of_the_library_and_has_no_characteristics(catalog: Catalog) -> None:
    naming = Naming(FhirVersion.R4)
    (trial,) = catalog.only(("CFMSC",))
    cohort = cohort_group(trial, naming)
    told = {each["url"].rpartition("/")[2]: each for each in cohort["extension"]}
    assert told["cqf-library"]["valueCanonical"].endswith("/Library/CfmscEligibility|1.0.0")
    assert told["characteristicExpression"]["valueExpression"]["expression"] == IS_ELIGIBLE
    assert "characteristic" not in cohort
