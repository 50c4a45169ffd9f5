"""Laws of screening, tried on the cases of the tables: order, coarser dates, silence, death."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest
from cases import AS_OF, bundle_of, cases, catalog
from hypothesis import given, settings
from hypothesis import strategies as st
from screened import screened

CASES = [case for _, case in cases()]
PARTS = 4
_DATES = (
    "effectiveDateTime",
    "onsetDateTime",
    "abatementDateTime",
    "recordedDate",
    "authoredOn",
    "performedDateTime",
    "authored",
    "issued",
    "start",
    "end",
    "birthDate",
)


def truths(bundle: dict[str, Any], as_of: str) -> dict[str, str]:
    return {atom: finding.truth.word for atom, finding in screened(bundle, as_of).findings.items()}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CASES), st.randoms(use_true_random=False))
def test_the_order_of_entries_never_matters(case: dict[str, Any], chance: random.Random) -> None:
    bundle = bundle_of(case)
    shuffled = copy.deepcopy(bundle)
    chance.shuffle(shuffled["entry"])
    as_of = case.get("as_of", AS_OF)
    before, after = screened(bundle, as_of), screened(shuffled, as_of)
    assert before.verdicts == after.verdicts
    for atom, finding in before.findings.items():
        other = after.findings[atom].judgement
        assert (other.truth, other.reason) == (finding.judgement.truth, finding.judgement.reason), atom
        assert set(other.evidence) == set(finding.judgement.evidence), atom


@pytest.mark.parametrize("part", range(PARTS))
def test_a_coarser_date_moves_an_answer_only_towards_unknown(part: int) -> None:
    """Every date of every case, cut to its month and to its year; a reviewer may answer what it leaves open."""
    flipped = []
    for case in CASES[part::PARTS]:
        bundle, as_of = bundle_of(case), case.get("as_of", AS_OF)
        before = truths(bundle, as_of)
        for holder, key in list(dates_of(bundle)):
            full = holder[key]
            for length in (len("2026"), len("2026-11")):
                holder[key] = full[:length]
                for atom, finding in screened(bundle, as_of).findings.items():
                    after = finding.truth.word
                    said = {before[atom], after}
                    if said == {"met", "not-met"} and not finding.judgement.attested:
                        flipped.append((case.get("why"), key, holder[key], atom, before[atom], after))
            holder[key] = full
    assert not flipped


def dates_of(node: object) -> Iterator[tuple[dict[str, Any], str]]:
    """Give each date of a bundle with what holds it."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _DATES and isinstance(value, str) and len(value) >= len("2026-11-01"):
                yield node, key
            else:
                yield from dates_of(value)
    elif isinstance(node, list):
        for each in node:
            yield from dates_of(each)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(("male", "female", "other", "unknown", None)),
    st.one_of(st.none(), st.dates().map(str), st.sampled_from(("1980", "1980-05"))),
)
def test_a_patient_alone_is_never_a_candidate(sex: str | None, born: str | None) -> None:
    said = {key: value for key, value in (("sex", sex), ("born", born)) if value is not None}
    verdicts = screened(bundle_of({"patient": said}), AS_OF).verdicts
    assert not {"eligible", "candidate"}.intersection(verdicts.values())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CASES), st.sampled_from((True, "2026", "2026-10-31", "2026-11-01T11:59:59Z")))
def test_the_dead_are_never_candidates(case: dict[str, Any], died: object) -> None:
    dead = {**case, "patient": {**(case.get("patient") or {}), "died": died}, "as_of": AS_OF}
    assert set(screened(bundle_of(dead), AS_OF).verdicts.values()) == {"ineligible"}


@pytest.mark.parametrize("died", ["2026-11-02", "2027", False])
def test_a_death_after_the_question_has_no_effect(died: object) -> None:
    alive = screened(bundle_of({"patient": {"born": "1980-01-01", "died": died}}), AS_OF).verdicts
    assert alive == screened(bundle_of({"patient": {"born": "1980-01-01"}}), AS_OF).verdicts


def test_every_finding_of_every_case_has_a_reason_exactly_when_it_is_unknown() -> None:
    for case in CASES:
        for atom, finding in screened(bundle_of(case), case.get("as_of", AS_OF)).findings.items():
            judgement = finding.judgement
            assert (judgement.reason is None) == (judgement.truth.word != "unknown"), atom
            assert judgement.message, atom


def test_every_atom_of_every_trial_is_found() -> None:
    (answered,) = (screened(bundle_of({}), AS_OF),)
    atoms = [atom.id for trial in catalog().trials for criterion in trial.criteria for atom in criterion.atoms]
    assert sorted(answered.findings) == sorted(atoms)
