"""What an atom states in codes and values: no part of its sentence is lost, and nothing is added."""

from decimal import Decimal

import pytest
from meaning import bmi, sentence

from adapter.catalog.catalog import Catalog
from adapter.eligibility.kinds import Kind
from adapter.eligibility.kinds.condition import ConditionClause, State
from adapter.eligibility.kinds.dose import DailyDosePerWeight
from adapter.eligibility.kinds.medication import MedicationClause, Taken
from adapter.eligibility.kinds.quantity import Quantity
from adapter.eligibility.kinds.record import AllClause, Record, ValueClause
from adapter.eligibility.reason import Reason
from adapter.eligibility.trial import Atom
from adapter.eligibility.values import Limits, Period
from adapter.emission.names import Naming
from adapter.emission.stated import stated
from adapter.emission.statement import Coded, Every, InWords, Some, Statement
from adapter.emission.terms import Terms, length, values

D = Decimal
HIV, ANGINA = ConditionClause(("hiv",)), ConditionClause(("angina",))
OPEN = ConditionClause(("angina",), gives=Reason.VERIFY)
IN_WORDS = "its words"
BOTH = ("every", ("set", "hiv"), ("set", "angina"))
MALE = Quantity("hemoglobin", Limits(less_than=D(8)), "g/dL", only="male", as_printed=Limits(less_than=D(8)))


def shape(said: Statement) -> object:
    """Write a statement as nested tuples of the sentences in it."""
    match said:
        case Coded():
            return sentence(said.code, said.value)
        case InWords():
            return IN_WORDS
        case Every() | Some():
            return ("every" if isinstance(said, Every) else "some", *(shape(each) for each in said.of))
        case _:
            raise AssertionError(said)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Record((HIV,)), ("set", "hiv")),
        (Record((HIV, ANGINA)), ("some", ("set", "hiv"), ("set", "angina"))),
        # what only leaves it open makes nothing true
        (Record((HIV, OPEN)), ("set", "hiv")),
        (Record((OPEN,)), IN_WORDS),
        # together, and a part that leaves the whole open
        (Record((AllClause((HIV, ANGINA)),)), BOTH),
        (Record((AllClause((HIV, OPEN)),)), IN_WORDS),
        (Record((HIV, AllClause((HIV, ANGINA)))), ("some", ("set", "hiv"), BOTH)),
        # of whom the sentence speaks
        (MALE, ("every", ("code", "male"), ("<", 8))),
        (bmi(more_than=20, less_than=30), ("every", (">", 20), ("<", 30))),
        (bmi(at_least=20, less_than=30), ("every", (">=", 20), ("<", 30))),
        # a duration that FHIR cannot write as one number
        (Record((MedicationClause(("rx_insulin",), Taken.CONTINUOUSLY, Period.parse("P1M3D")),)), IN_WORDS),
        (Record((MedicationClause(("rx_insulin",), Taken.CONTINUOUSLY, Period.parse("P28D")),)), ("set", "rx-insulin")),
    ],
)  # fmt: skip
def test_a_kind_states_what_makes_it_met(kind: Kind, expected: object, catalog: Catalog, naming: Naming) -> None:
    assert shape(stated(Atom("T-X1a", "words", "A", kind), Terms(catalog, naming))) == expected


@pytest.mark.parametrize("grade", ["B", "C"])
def test_what_people_answer_is_left_in_words(grade: str, catalog: Catalog, naming: Naming) -> None:
    said = stated(Atom("T-X1a", "words", grade, Record((HIV,)), ask="Is it so?"), Terms(catalog, naming))
    assert said == (InWords("words", by_people=True) if grade == "C" else InWords("Is it so?"))


@pytest.mark.parametrize(
    ("clause", "within", "lasting", "times"),
    [
        (ConditionClause(("hiv",), State.WITHIN, Period.parse("P5Y")), "P5Y", None, 1),
        (ConditionClause(("hiv",), dated_in=Period.parse("P30D")), "P30D", None, 1),
        (MedicationClause(("rx_insulin",), Taken.WITHIN, Period.parse("P7D")), "P7D", None, 1),
        (MedicationClause(("rx_insulin",), Taken.THROUGHOUT, Period.parse("P84D")), None, "P84D", 1),
        (ValueClause("hba1c", {"%": Limits(at_least=D(7))}, 2, Period.parse("P6M")), "P6M", None, 2),
    ],
)
def test_times_and_counts_are_kept(
    clause: ConditionClause | MedicationClause | ValueClause,
    within: str | None,
    lasting: str | None,
    times: int,
    catalog: Catalog,
    naming: Naming,
) -> None:
    said = stated(Atom("T-X1a", "words", "A", Record((clause,))), Terms(catalog, naming))
    assert isinstance(said, Coded)
    assert (said.within and said.within.text, said.lasting and said.lasting.text, said.times) == (
        within,
        lasting,
        times,
    )
    assert not said.fits_group


def test_a_stable_dose_lasts(catalog: Catalog, naming: Naming) -> None:
    kind = DailyDosePerWeight(
        "insulin_daily_dose_per_kg",
        ("rx_insulin",),
        "weight",
        Period.parse("P30D"),
        Limits(at_least=D("0.5")),
        "[iU]/kg/d",
        Period.parse("P3M"),
    )
    said = stated(Atom("T-X1a", "words", "A", kind), Terms(catalog, naming))
    assert isinstance(said, Coded)
    assert said.lasting == Period.parse("P3M")


@pytest.mark.parametrize(
    ("limits", "kinds"),
    [
        (Limits(at_least=D(1), at_most=D(2)), ["valueRange"]),
        (Limits(at_least=D(1)), ["valueQuantity"]),
        (Limits(at_least=D(1), less_than=D(2)), ["valueQuantity"] * 2),
        (Limits(at_least=D(1), at_most=D(3), less_than=D(2)), ["valueQuantity"] * 3),
    ],
)
def test_only_two_ends_inside_are_a_range(limits: Limits, kinds: list[str]) -> None:
    found = values(limits, "g")
    assert [next(iter(each)) for each in found] == kinds
    assert all("comparator" not in end for each in found for end in each.get("valueRange", {}).values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P3Y", (3, "a")),
        ("P18M", (18, "mo")),
        ("P1Y6M", (18, "mo")),
        ("P2W", (14, "d")),
        ("P1M1D", None),
        ("P1Y1D", None),
    ],
)
def test_a_length_is_one_number_or_none(text: str, expected: tuple[int, str] | None) -> None:
    assert length(Period.parse(text)) == expected
