"""When a verdict changes by itself, compared with judging anew on every single day ahead."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import bundle_of, cases, catalog

from adapter.eligibility.decide import screen
from adapter.errors import AdapterError
from adapter.fhir.dates import parse_as_of
from adapter.population.coming import Calendar, Change, later
from adapter.screen import PatientScreening, screen_bundle

SAMPLES = Path(__file__).parents[2] / "sample_bundles"
HORIZON = 60
PARTS = 4


def patients(as_of: str) -> Iterator[PatientScreening]:
    texts = [path.read_bytes() for path in sorted(SAMPLES.glob("*.json"))]
    texts += [json.dumps(bundle_of(case)).encode() for _, case in cases()][::150]
    for data in texts:
        try:
            yield from screen_bundle(data, catalog(), parse_as_of(as_of)).patients
        except AdapterError:
            continue


@pytest.mark.parametrize("part", range(PARTS))
def test_the_first_change_is_the_one_that_every_day_would_show(part: int) -> None:
    book, as_of = catalog(), parse_as_of("2026-11-01T09:30:00+01:00")
    lasts = book.attestation_lasts
    calendars = [Calendar(trial, book.rules, lasts, HORIZON) for trial in book.trials]
    changes = 0
    for patient in list(patients("2026-11-01T09:30:00+01:00"))[part::PARTS]:
        for calendar, screening in zip(calendars, patient.screenings, strict=True):
            found = calendar.next_change(patient.facts, screening, as_of)
            expected = None
            for day in range(as_of.day + 1, as_of.day + HORIZON + 1):
                moment = later(as_of, day)
                (then,) = screen((screening.trial,), patient.facts, moment, book.rules, attestation_lasts=lasts)
                if then.verdict is not screening.verdict:
                    moved = (n for n, one in then.by_atom.items() if one.truth is not screening.by_atom[n].truth)
                    expected = Change(moment.date, then.verdict, tuple(moved))
                    break
            assert found == expected, (patient.patient, screening.trial.key)
            changes += found is not None
    assert changes


def test_another_day_keeps_the_hour_and_the_zone() -> None:
    as_of = parse_as_of("2026-11-01T09:30:00+01:00")
    assert later(as_of, as_of.day + 30) == parse_as_of("2026-12-01T09:30:00+01:00")
