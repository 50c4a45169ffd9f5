"""What a patient lacks: enough to make a candidate, and nothing that could be left out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import AS_OF, bundle_of, cases, catalog

from adapter.eligibility import decide as rules
from adapter.eligibility.case import Case
from adapter.eligibility.decide import Screening, Verdict, favour
from adapter.eligibility.truth import Truth
from adapter.errors import AdapterError
from adapter.fhir.dates import parse_as_of
from adapter.population.needs import Names, _names, needs_of
from adapter.screen import PatientScreening, screen_bundle

SAMPLES = Path(__file__).parents[2] / "sample_bundles"
MOMENT = parse_as_of("2026-11-01T00:00:00Z")


def patients() -> Iterator[PatientScreening]:
    texts = [path.read_bytes() for path in sorted(SAMPLES.glob("*.json"))]
    texts += [json.dumps(bundle_of(case)).encode() for _, case in cases() if case.get("as_of", AS_OF) == AS_OF][::25]
    for data in texts:
        try:
            yield from screen_bundle(data, catalog(), MOMENT).patients
        except AdapterError:
            continue


def open_trials(patient: PatientScreening) -> list[Screening]:
    return [each for each in patient.screenings if each.verdict is not Verdict.INELIGIBLE]


def would_be_candidate(screening: Screening, case: Case, got: set[Names]) -> bool:
    """Settle every open atom that ``got`` answers in the patient's favour, and decide anew."""
    trial = screening.trial
    truths = {name: finding.truth for name, finding in screening.by_atom.items()}
    for criterion in trial.criteria:
        for atom in criterion.atoms:
            if truths[atom.id] is Truth.UNKNOWN and _names(atom) in got and atom.grade == "A":
                truths[atom.id] = Truth.MET if criterion.signs[atom.id] else Truth.NOT_MET
    whole = {each.id: each.logic.holds(truths, case) for each in trial.criteria}
    against = any(favour(each, whole[each.id]) is Truth.NOT_MET for each in trial.criteria)
    return not against and rules._only_people_can_tell(trial, truths, whole, case)


def test_what_is_needed_is_enough_and_nothing_of_it_is_too_much() -> None:
    seen = 0
    for patient in patients():
        case = Case(patient.facts, MOMENT, catalog().rules)
        if case.deceased or patient.facts.person.death_unclear:
            continue
        screenings = open_trials(patient)
        for screening, needs in zip(screenings, needs_of(screenings, case), strict=True):
            names = {need.names for need in needs.order}
            if ("sex",) in names:
                continue  # what only the patient's own record can settle
            assert would_be_candidate(screening, case, names), (patient.patient, screening.trial.key)
            if len(screenings) == 1:  # with several, what another trial needs anyway may come in for nothing
                for one in names:
                    assert not would_be_candidate(screening, case, names - {one}), (patient.patient, one)
            seen += bool(names)
    assert seen > 100


def test_a_candidate_lacks_nothing_but_answers() -> None:
    seen = 0
    for patient in patients():
        screenings = open_trials(patient)
        found = needs_of(screenings, Case(patient.facts, MOMENT, catalog().rules))
        for screening, needs in zip(screenings, found, strict=True):
            if screening.verdict in (Verdict.CANDIDATE, Verdict.ELIGIBLE):
                assert needs.order == ()
                seen += 1
            if screening.verdict is Verdict.ELIGIBLE:
                assert needs.ask == ()
    assert seen


def test_what_helps_in_most_trials_stands_first() -> None:
    for patient in patients():
        found = needs_of(open_trials(patient), Case(patient.facts, MOMENT, catalog().rules))
        counted = [need.names for each in found for need in each.order]
        for each in found:
            assert [need.trials for need in each.order] == sorted((need.trials for need in each.order), reverse=True)
            assert all(need.trials == counted.count(need.names) for need in each.order)


@pytest.mark.parametrize("turn", [0, 1])
def test_the_same_patient_needs_the_same_every_time(turn: int) -> None:
    for patient in list(patients())[turn::2]:
        case = Case(patient.facts, MOMENT, catalog().rules)
        assert needs_of(open_trials(patient), case) == needs_of(open_trials(patient), case)
