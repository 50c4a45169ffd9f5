"""A computable form in words says what the judge does: every number, every concept, every way of being open."""

import functools

import pytest
from cases import cases, catalog, findings
from forms import atoms, plain, plain_lines

from adapter.catalog.prepare import policies_in
from adapter.eligibility.kinds.human import SameAs
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Period
from adapter.rendering.wording import NEVER, Words, length, unit_in_print

IDLE = {("CFMSC-E4d", "fresh.serology_negative"): "no negative test rules out an open list of pathogens"}
"""Numbers that a file gives and that decide nothing."""
REVIEWERS = {Reason.CONFLICT, Reason.DATE}
"""How reviewers who disagree leave any atom open; the page says so once."""


@pytest.mark.parametrize("atom", atoms())
def test_every_number_that_is_not_the_sources_is_said_with_its_name(atom: str) -> None:
    _, entry, form = atoms()[atom]
    written = {name for name, _ in policies_in(entry.judge) if (atom, name) not in IDLE}
    assert written <= {number.policy for number in form.numbers}


@pytest.mark.parametrize("atom", atoms())
def test_every_input_and_value_set_that_is_judged_by_is_named(atom: str) -> None:
    kind, _, form = atoms()[atom]
    mappings = catalog().mappings
    known = {*mappings.inputs, *mappings.value_sets}
    assert (kind.reads or frozenset()) & known <= {concept.name for concept in form.concepts}


@functools.cache
def seen() -> frozenset[tuple[str, Truth, Reason | None, bool]]:
    """Give what the tables of cases make of any atom: truth, reason, whether a reviewer settled it."""
    return frozenset(
        (atom, finding.truth, finding.judgement.reason, finding.judgement.attested)
        for _, case in cases()
        for atom, finding in findings(case).items()
    )


def test_no_reason_that_the_tables_of_cases_show_is_kept_from_the_reader() -> None:
    kept = set()
    compared = 0
    for atom, _, reason, _ in seen():
        kind, entry, form = atoms()[atom]
        if reason is None or isinstance(kind.kind, SameAs):
            continue
        compared += 1
        if reason not in {left.reason for left in form.unknown} and not (entry.ask and reason in REVIEWERS):
            kept.add((atom, reason))
    assert kept == set()
    assert compared > 500


def test_what_is_called_never_decided_by_the_record_never_is() -> None:
    never = {
        (atom, truth)
        for atom, (_, _, form) in atoms().items()
        for truth, says in ((Truth.MET, form.met), (Truth.NOT_MET, form.not_met))
        if says == (NEVER,)
    }
    assert len(never) > 5
    assert never & {(atom, truth) for atom, truth, _, is_attested in seen() if not is_attested} == set()


@pytest.mark.parametrize("atom", atoms())
def test_every_atom_says_how_it_is_met_and_how_not_and_repeats_no_case(atom: str) -> None:
    kind, _, form = atoms()[atom]
    assert form.met
    assert form.not_met
    assert form.unknown or isinstance(kind.kind, SameAs)
    assert len(set(form.unknown)) == len(form.unknown)
    assert not any("  " in text or " ," in text for text in plain_lines((*form.met, *form.not_met, *form.notes)))


SENTENCES = {
    "CFMSC-I3b": [
        "the latest body-mass index, no older than 90 days*, is at least 18.5 and at most 35 kg/m²",
    ],
    "CFMSC-I7a": [
        (
            "the latest total bilirubin, no older than 30 days*, is less than 1.5 times the upper reference limit"
            " of the same result"
        ),
    ],
    "CFMSC-I7f": ["the latest platelet count, no older than 30 days*, is at least 100 × 10⁹/L"],  # noqa: RUF001
    "BMMSC-I5a": [
        (
            "the latest fasting glucose, no older than 30 days*, is at least 7 mmol/L; reported in mg/dL, at least"
            " 126 mg/dL"
        ),
    ],
    "NCT06751199-I3a": [
        (
            "the latest fasting C-peptide, no older than 90 days*, is less than 0.1 nmol/L (compared in one unit: less"
            " than 0.30203 ng/mL)"
        ),
    ],
    "CFMSC-I9a": [
        "a negative pregnancy test, no older than 7 days, and no other in that time",
        "the patient is male, or of no childbearing potential: the sentence does not apply",
    ],
    "CFMSC-E3a": [
        "an active condition: Malignant neoplasm (invasive)",
        (
            "a condition: Malignant neoplasm (invasive) or Personal history of malignant neoplasm, its beginning or end"
            " dated within the last 5 years"
        ),
        "all of these together:",
        "a condition, present or past: Malignant neoplasm (invasive) or Personal history of malignant neoplasm",
        "a drug: Antineoplastic agent, taken at some time within the last 5 years",
    ],
    "NCT02302599-I4c": [
        "all of these together:",
        (
            "daily insulin dose per kg, all products of Insulin and analogues or Insulin + GLP-1 RA fixed-ratio product"
            " together, is at least 0.5 and at most 1 IU/kg/day"
        ),
        "the body weight is no older than 30 days*",
        "so for the last 3 months*, never changed by more than 10 %*",
    ],
    "NCT06751199-E10a": ["an active condition: Malignant neoplasm (invasive) or Carcinoma in situ"],
    "NCT06751199-I1a": [
        "all of these together:",
        "an active condition: Diabetes mellitus, any type",
        "fasting glucose (primary, accept, fasting) at least 7 mmol/L* or at least 126 mg/dL*, on 2 different days",
    ],
    "NCT06751199-I4ii-b": ["as criterion NCT06751199-I3 of this trial was decided"],
}


@pytest.mark.parametrize("atom", SENTENCES)
def test_the_sentence_of_met_reads(atom: str) -> None:
    assert plain_lines(atoms()[atom][2].met) == SENTENCES[atom]


def test_a_match_that_leaves_it_open_is_no_way_of_being_met() -> None:
    _, _, form = atoms()["NCT06751199-E5d"]
    assert form.met == (NEVER,)
    assert (Reason.HUMAN, "on record: an active condition: Active infection (proxy)") in [
        (left.reason, plain(left.text)) for left in form.unknown
    ]


def test_a_window_that_the_source_prints_is_not_called_ours() -> None:
    _, _, form = atoms()["NCT02302599-I4d"]
    (said,) = plain_lines(form.met)
    assert said.endswith("taken at some time within the last 3 months")


def test_a_part_that_is_not_written_has_no_policy() -> None:
    words = Words(catalog(), {"any": [{"within": "$recent.met"}]})
    assert words.at("any", 0, "within").policy == "recent.met"
    assert words.at("any", 1, "within").policy is None
    assert words.at("any", 0, "within", "deeper").policy is None


@pytest.mark.parametrize(
    ("unit", "printed"),
    [
        ("10*9/L", "10⁹/L"),
        ("kg/m2", "kg/m²"),
        ("umol/L", "µmol/L"),
        ("[iU]/kg/d", "IU/kg/day"),
        ("mm[Hg]", "mmHg"),
        ("{score}", ""),
        ("Cel", "°C"),
        ("mg/dL", "mg/dL"),
        ("%", "%"),
    ],
)
def test_a_unit_is_written_as_it_is_printed(unit: str, printed: str) -> None:
    assert unit_in_print(unit) == printed


@pytest.mark.parametrize(
    ("text", "said"), [("P42W", "42 weeks"), ("P1W", "1 week"), ("P12M", "12 months"), ("P1Y", "1 year")]
)
def test_a_length_of_time_is_written_as_it_is_counted(text: str, said: str) -> None:
    assert length(Period.parse(text)) == said
