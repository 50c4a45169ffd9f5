"""Columns say of every patient what the judge says: verdicts, criteria and truths, folded for all at once."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cases import AS_OF, bundle_of, cases, catalog

from adapter.eligibility.kinds.quantity import Quantity
from adapter.eligibility.reason import Reason
from adapter.errors import AdapterError
from adapter.fhir.dates import parse_as_of
from adapter.population.decisions import (
    Decided,
    Gathering,
    attested_of,
    joined,
    read,
    reason_at,
    reasons_of,
    truths_of,
    write,
)
from adapter.population.verdicts import ORDER, fold
from adapter.screen import PatientScreening, screen_bundle

pytestmark = pytest.mark.xdist_group("columns")  # what they share is made once
Group = tuple[Decided, list[PatientScreening]]


SAMPLES = Path(__file__).parents[2] / "sample_bundles"


def answered(as_of: str, wanted: list[dict[str, object]], others: Iterable[bytes] = ()) -> Group:
    book, moment = catalog(), parse_as_of(as_of)
    gathering = Gathering(book.trials, moment, book.rules, book.mappings.version, "1")
    patients = []
    for data in (*(json.dumps(bundle_of(case)).encode() for case in wanted), *others):
        try:
            found = screen_bundle(data, book, moment).patients
        except AdapterError:
            continue  # some samples show what cannot be screened
        for patient in found:
            gathering.add(patient.patient, patient.facts, patient.screenings)
            patients.append(patient)
    return gathering.columns(), patients


@pytest.fixture(scope="module")
def groups() -> list[Group]:
    """Every case of the tables, together with all others that are asked at its instant."""
    by_moment: dict[str, list[dict[str, object]]] = {}
    for _, case in cases():
        by_moment.setdefault(str(case.get("as_of", AS_OF)), []).append(case)
    samples = [path.read_bytes() for path in sorted(SAMPLES.glob("*.json"))]
    return [answered("2026-11-01T00:00:00Z", [], samples), *(answered(*each) for each in by_moment.items())]


def each_patient(groups: list[Group]) -> Iterator[tuple[Decided, int, PatientScreening]]:
    for decided, patients in groups:
        for number, patient in enumerate(patients):
            yield decided, number, patient


def test_every_verdict_folded_from_columns_is_the_judges(groups: list[Group]) -> None:
    seen = set()
    for decided, patients in groups:
        for place, trial in enumerate(catalog().trials):
            folded = fold(trial, decided)
            for number, patient in enumerate(patients):
                screening = patient.screenings[place]
                seen.add(screening.verdict)
                assert ORDER[folded.verdicts[number]] is screening.verdict, (trial.key, patient.patient)
                truths = [folded.criteria[each.id][number] for each in trial.criteria]
                assert truths == [each.value for each in screening.criteria], (trial.key, patient.patient)
    assert seen == set(ORDER), "every verdict must occur, or this shows little"


def test_every_byte_says_truth_reason_and_attestation(groups: list[Group]) -> None:
    reasons = set()
    for decided, number, patient in each_patient(groups):
        for screening in patient.screenings:
            for atom, finding in screening.by_atom.items():
                column = decided.atoms[atom][number : number + 1]
                judgement = finding.judgement
                assert truths_of(column)[0] == judgement.truth.value
                assert reason_at(int(reasons_of(column)[0])) is judgement.reason
                assert attested_of(column)[0] == judgement.attested
                reasons.add(judgement.reason)
    assert len(reasons) > len(Reason) // 2


def test_the_number_of_an_atom_is_the_one_that_was_compared(groups: list[Group]) -> None:
    compared = 0
    atoms = [atom for trial in catalog().trials for each in trial.criteria for atom in each.atoms]
    kinds = {atom.id: atom.kind for atom in atoms if isinstance(atom.kind, Quantity)}
    for decided, number, patient in each_patient(groups):
        for screening in patient.screenings:
            for atom, finding in screening.by_atom.items():
                if atom not in decided.numbers:
                    continue
                low, high, _ = (column[number] for column in decided.numbers[atom])
                observed, kind = finding.judgement.observed, kinds[atom]
                is_alone = len(finding.judgement.evidence) == 1 and not kind.times_uln
                if observed is None or observed.bounds is None or not is_alone or observed.unit != kind.unit:
                    assert np.isnan(low)
                    assert np.isnan(high)
                    continue
                compared += 1
                assert observed.bounds.low is None or low == float(observed.bounds.low)
                assert observed.bounds.high is None or high == float(observed.bounds.high)
    assert compared > 100


def test_columns_come_back_from_a_file_as_they_went(groups: list[Group], tmp_path: Path) -> None:
    decided = groups[0][0]
    write(decided, tmp_path / "decided.parquet")
    again = read(tmp_path / "decided.parquet")
    assert (again.patients, again.keys) == (decided.patients, decided.keys)
    for name, column in decided.atoms.items():
        assert np.array_equal(again.atoms[name], column)
    for name, columns in decided.numbers.items():
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(again.numbers[name], columns, strict=True))
    for name, column in decided.person.items():
        assert np.array_equal(again.person[name], column)


def test_a_column_of_another_question_is_not_read(groups: list[Group], tmp_path: Path) -> None:
    decided = groups[0][0]
    write(decided, tmp_path / "decided.parquet")
    first, *others = decided.keys
    asked = {**decided.keys, first: "another question"}
    assert list(read(tmp_path / "decided.parquet", asked).atoms) == others


def test_parts_of_one_run_are_joined_in_their_order_and_others_are_not() -> None:
    some = [case for _, case in cases() if case.get("as_of", AS_OF) == AS_OF][:40]
    whole, one, two = answered(AS_OF, some)[0], answered(AS_OF, some[:15])[0], answered(AS_OF, some[15:])[0]
    both = joined([one, two])
    assert both.patients == whole.patients
    assert all(np.array_equal(both.atoms[name], column) for name, column in whole.atoms.items())
    elsewhen = answered("2020-01-01T00:00:00Z", some[:15])[0]
    with pytest.raises(ValueError, match="same questions"):
        joined([one, elsewhen])
