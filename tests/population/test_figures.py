"""Every number of a report is what one gets by going through the findings patient by patient."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from cases import AS_OF, bundle_of, cases, catalog

from adapter.eligibility.decide import Screening, Verdict, favour, screen
from adapter.eligibility.kinds.quantity import Quantity
from adapter.eligibility.trial import Trial
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Bounds, Limits
from adapter.errors import AdapterError
from adapter.fhir.dates import parse_as_of
from adapter.population.decisions import Decided, Gathering
from adapter.population.disclosure import Disclosure
from adapter.population.figures import ASKABLE, Stand, count, stand
from adapter.population.what_if import curves, held, near_misses
from adapter.screen import PatientScreening, screen_bundle

pytestmark = pytest.mark.xdist_group("figures")  # what they share is made once
EXACT = Disclosure(1)
SAMPLES = Path(__file__).parents[2] / "sample_bundles"
MOMENT = parse_as_of("2026-11-01T00:00:00Z")
Group = tuple[Decided, list[PatientScreening]]
TRIALS = list(range(len(catalog().trials)))


@pytest.fixture(scope="module")
def group() -> Group:
    """The samples, among them candidates, and some cases of the tables."""
    book = catalog()
    gathering = Gathering(book.trials, MOMENT, book.rules, book.mappings.version, "1")
    texts = [path.read_bytes() for path in sorted(SAMPLES.glob("*.json"))]
    texts += [json.dumps(bundle_of(case)).encode() for _, case in cases() if case.get("as_of", AS_OF) == AS_OF][::5]
    patients: list[PatientScreening] = []
    for data in texts:
        try:
            found = screen_bundle(data, book, MOMENT).patients
        except AdapterError:
            continue
        for patient in found:
            gathering.add(patient.patient, patient.facts, patient.screenings)
            patients.append(patient)
    return gathering.columns(), patients


def stands(group: Group, place: int) -> tuple[Stand, list[Screening]]:
    return stand(catalog().trials[place], group[0]), [each.screenings[place] for each in group[1]]


def favours(screening: Screening) -> dict[str, Truth]:
    paired = zip(screening.trial.criteria, screening.criteria, strict=True)
    return {criterion.id: favour(criterion, truth) for criterion, truth in paired}


def number(screenings: list[Screening], is_so: Callable[[Screening], bool]) -> int:
    return sum(map(is_so, screenings))


def is_candidate(screening: Screening) -> bool:
    return screening.verdict in (Verdict.CANDIDATE, Verdict.ELIGIBLE)


@pytest.mark.parametrize("place", TRIALS)
def test_verdicts_and_the_ends_of_the_funnel(group: Group, place: int) -> None:
    found, screenings = stands(group, place)
    counts = count(found, EXACT)
    verdicts = Counter(each.verdict.value for each in screenings)
    assert counts.verdicts == {verdict.value: verdicts[verdict.value] for verdict in Verdict}
    assert counts.deceased == number(screenings, lambda each: each.deceased)
    first, middle, last = counts.funnel
    assert first.surely == first.possibly == len(screenings)
    assert last.surely == number(screenings, is_candidate)
    assert last.possibly == number(screenings, lambda each: each.verdict is not Verdict.INELIGIBLE)
    exclusions = [each.id for each in found.trial.criteria if each.type == "exclusion"]
    assert middle.possibly == number(
        screenings,
        lambda each: not each.deceased and all(favours(each)[name] is not Truth.NOT_MET for name in exclusions),
    )


@pytest.mark.parametrize("place", TRIALS)
def test_each_criterion_and_what_it_alone_costs(group: Group, place: int) -> None:
    found, screenings = stands(group, place)
    for index, counted in enumerate(count(found, EXACT).criteria):
        truths = Counter(each.criteria[index] for each in screenings)
        assert (counted.met, counted.not_met, counted.unknown) == (
            truths[Truth.MET],
            truths[Truth.NOT_MET],
            truths[Truth.UNKNOWN],
        )
        only_this = [
            each
            for each in screenings
            if not each.deceased
            and [name for name, one in favours(each).items() if one is Truth.NOT_MET] == [counted.id]
        ]
        assert counted.alone_against == len(only_this), counted.id
        for atom in counted.atoms:
            judged = [each.by_atom[atom.id].judgement for each in screenings]
            assert atom.met == sum(one.truth is Truth.MET for one in judged)
            assert atom.reasons == Counter(one.reason.value for one in judged if one.reason is not None)


@pytest.mark.parametrize("place", TRIALS)
def test_a_missing_datum_decides_whom_it_alone_would_make_a_candidate(group: Group, place: int) -> None:
    """Gone through by hand: each askable atom of the input is answered for the patient, and the trial decided anew."""
    found, screenings = stands(group, place)
    trial = found.trial
    decides: Counter[str] = Counter()
    for patient, screening in zip(group[1], screenings, strict=True):
        if screening.verdict is not Verdict.POTENTIAL_CANDIDATE or patient.facts.person.death_unclear:
            continue
        for name in {each for one in trial.criteria for atom in one.atoms for each in atom.inputs}:
            settled = {
                atom.id: one.signs[atom.id]
                for one in trial.criteria
                for atom in one.atoms
                if name in atom.inputs and screening.by_atom[atom.id].judgement.reason in ASKABLE
            }
            if settled and verdict_with(patient, trial, screening, settled):
                decides[name] += 1
    counted = {each.input: each.decides for each in count(found, EXACT).missing if each.decides}
    assert counted == dict(decides)


def verdict_with(patient: PatientScreening, trial: Trial, screening: Screening, settled: dict[str, bool]) -> bool:
    from adapter.eligibility import decide as rules  # noqa: PLC0415 (its parts, only here)
    from adapter.eligibility.case import Case  # noqa: PLC0415 (the same)

    case = Case(patient.facts, MOMENT, catalog().rules)
    truths = {name: finding.truth for name, finding in screening.by_atom.items()}
    truths |= {name: Truth.MET if speaks_for else Truth.NOT_MET for name, speaks_for in settled.items()}
    whole = {each.id: each.logic.holds(truths, case) for each in trial.criteria}
    if any(favour(each, whole[each.id]) is Truth.NOT_MET for each in trial.criteria):
        return False
    return rules._only_people_can_tell(trial, truths, whole, case)


@pytest.mark.parametrize("place", TRIALS)
def test_a_curve_says_what_screening_with_another_limit_says(group: Group, place: int) -> None:
    """For whoever moves along it; the others stay as they were judged.  Some points of each curve, screened anew."""
    found, screenings = stands(group, place)
    drawn = 0
    for curve in curves(found, EXACT):
        low, high, _ = found.decided.numbers[curve.atom]
        movable = ~(np.isnan(low) & np.isnan(high))
        assert curve.movable == np.count_nonzero(movable)
        printed = next(each for each in curve.points if each.limit == curve.limit)
        assert printed.surely == number(screenings, is_candidate)
        assert printed.possibly == number(screenings, lambda each: each.verdict is not Verdict.INELIGIBLE)
        for point in curve.points[::5]:
            other = with_limit(found.trial, curve.atom, curve.end, point.limit)
            again = [
                screen((other,), patient.facts, MOMENT, catalog().rules, attestation_lasts=catalog().attestation_lasts)[
                    0
                ]
                if moves
                else screening
                for patient, moves, screening in zip(group[1], movable, screenings, strict=True)
            ]
            assert point.surely == number(again, is_candidate), (curve.atom, point.limit)
            assert point.possibly == number(again, lambda each: each.verdict is not Verdict.INELIGIBLE)
            drawn += 1
    assert drawn or not any(isinstance(atom.kind, Quantity) for each in found.trial.criteria for atom in each.atoms)


def with_limit(trial: Trial, name: str, end: str, value: object) -> Trial:
    criteria = []
    for criterion in trial.criteria:
        atoms = []
        for atom in criterion.atoms:
            if atom.id == name:
                assert isinstance(atom.kind, Quantity)
                limits = msgspec.structs.replace(atom.kind.limits, **{end: value})
                kind = msgspec.structs.replace(atom.kind, limits=limits, as_printed=None, as_printed_unit="")
                atoms.append(msgspec.structs.replace(atom, kind=kind))
            else:
                atoms.append(atom)
        criteria.append(msgspec.structs.replace(criterion, atoms=tuple(atoms)))
    return msgspec.structs.replace(trial, criteria=tuple(criteria))


def test_a_near_miss_is_kept_out_by_that_number_alone(group: Group) -> None:
    seen = 0
    for place in TRIALS:
        found, screenings = stands(group, place)
        for near in near_misses(found, EXACT):
            low, high, _ = found.decided.numbers[near.atom]
            close = [
                each
                for each, lowest, highest in zip(screenings, low, high, strict=True)
                if abs((highest if np.isnan(lowest) else lowest) - float(near.limit)) <= float(near.within)
                and each.verdict is Verdict.INELIGIBLE
                and not each.deceased
                and list(favours(each).values()).count(Truth.NOT_MET) == 1
            ]
            assert 0 < (near.patients or 0) <= len(close)
            seen += 1
    assert seen


@pytest.mark.parametrize("low_open", [False, True])
@pytest.mark.parametrize("high_open", [False, True])
def test_columns_hold_limits_as_the_judge_does(*, low_open: bool, high_open: bool) -> None:
    from decimal import Decimal  # noqa: PLC0415 (only here)

    ends = [None, Decimal(4), Decimal(5), Decimal(6)]
    kinds = [Limits(**{name: Decimal(5)}) for name in ("at_least", "more_than", "at_most", "less_than")]
    kinds.append(Limits(at_least=Decimal(4), less_than=Decimal(6)))
    for limits in kinds:
        for low in ends:
            for high in ends:
                if (low is None and high is None) or (low is not None and high is not None and low > high):
                    continue
                bounds = Bounds(low, high, low_open, high_open)
                lows, highs = (np.array([np.nan if end is None else float(end)]) for end in (low, high))
                opens = np.array([low_open + 2 * high_open], np.uint8)
                assert held(limits, lows, highs, opens)[0] == limits.hold(bounds).value, (limits, bounds)


@pytest.mark.parametrize("smallest", [2, 5, 10])
def test_no_difference_of_told_counts_singles_anyone_out(smallest: int) -> None:
    told = {Disclosure(smallest).count(each) for each in range(200)} - {None}
    assert all((one - other) % smallest == 0 for one in told for other in told)  # type: ignore[operator]  # None is out
    assert all(Disclosure(smallest).count(each) is None for each in range(1, smallest))
