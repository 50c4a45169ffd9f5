"""The worklist: who stands on it, in which order, what is new since yesterday, and that no cell of it runs."""

import csv
import io
import json
import zipfile
from pathlib import Path

import msgspec
import pytest
from cases import catalog

from adapter.eligibility.decide import Verdict
from adapter.errors import AdapterError
from adapter.fhir.dates import parse_as_of
from adapter.population.decisions import Decided, Gathering
from adapter.population.worklist import Before, Lister, Row, gone, ordered
from adapter.population.worklist_files import HEAD, write_worklist
from adapter.screen import PatientScreening, screen_bundle

SAMPLES = Path(__file__).parents[2] / "sample_bundles"
FILES = {
    "bmmsc-candidate": "BMMSC-candidate-woman-with-a-fresh-negative-pregnancy-test",
    "bmmsc-eligible": "BMMSC-eligible-every-question-answered-by-a-reviewer",
    "bmmsc-potential": "BMMSC-potential-candidate-glucose-not-fasting-hba1c-preliminary",
    "cfmsc-candidate": "CFMSC-candidate-every-negative-said",
    "nct01157403-eligible": "NCT01157403-eligible-every-question-answered-by-a-reviewer",
}
"""By the id of the patient in it."""
NAMES = tuple(FILES)
AS_OF = "2026-11-01T00:00:00Z"


def bundle(name: str) -> dict:  # type: ignore[type-arg]  # JSON
    made: dict = json.loads((SAMPLES / f"{FILES[name]}.json").read_text(encoding="utf-8"))  # type: ignore[type-arg]
    return made


def screened(*bundles: dict, as_of: str = AS_OF) -> list[PatientScreening]:  # type: ignore[type-arg]
    found = [screen_bundle(json.dumps(each).encode(), catalog(), parse_as_of(as_of)).patients for each in bundles]
    return [patient for patients in found for patient in patients]


def decided(patients: list[PatientScreening], as_of: str = AS_OF) -> Decided:
    book = catalog()
    gathering = Gathering(book.trials, parse_as_of(as_of), book.rules, book.mappings.version, "1")
    for each in patients:
        gathering.add(each.patient, each.facts, each.screenings)
    return gathering.columns()


def rows(patients: list[PatientScreening], before: Before | None = None, as_of: str = AS_OF) -> list[Row]:
    lister = Lister(catalog(), catalog().trials, parse_as_of(as_of), before)
    found = [row for each in patients for row in lister.rows(each)]
    if before is not None:
        found += gone(before, frozenset(each.patient for each in patients))
    return ordered(found)


def before(patients: list[PatientScreening]) -> Before:
    return Before(decided(patients), catalog().trials)


def test_everyone_who_may_be_a_candidate_has_a_row_for_each_trial() -> None:
    patients = screened(*map(bundle, NAMES))
    expected = {
        (screening.trial.key, each.patient, screening.verdict.value)
        for each in patients
        for screening in each.screenings
        if screening.verdict is not Verdict.INELIGIBLE
    }
    found = rows(patients)
    assert {(row.trial, row.patient, row.verdict) for row in found} == expected
    assert len(found) == len(expected)
    assert all(row.mark == "" for row in found)


def test_those_who_lack_least_stand_first_within_their_trial() -> None:
    found = rows(screened(*map(bundle, NAMES)))
    for trial in {row.trial for row in found}:
        missing = [row.missing for row in found if row.trial == trial]
        assert missing == sorted(missing)
    first = next(row for row in found if row.trial == "BMMSC")
    assert (first.patient, first.missing, first.verdict) == ("bmmsc-eligible", 0, "eligible")


def test_nothing_is_marked_where_nothing_changed() -> None:
    patients = screened(*map(bundle, NAMES))
    assert {row.mark for row in rows(patients, before(patients))} == {""}


def test_new_changed_and_lost_ones_are_marked_with_the_datum_that_did_it() -> None:
    yesterday = screened(bundle("bmmsc-candidate"), bundle("bmmsc-potential"), bundle("cfmsc-candidate"))
    today = bundle("bmmsc-candidate")
    for entry in today["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] == "Patient":
            resource["birthDate"] = "1900-01-01"
    patients = screened(today, bundle("bmmsc-potential"), bundle("bmmsc-eligible"))
    found = {(row.trial, row.patient): row for row in rows(patients, before(yesterday))}
    lost = found["BMMSC", "bmmsc-candidate"]
    assert (lost.mark, lost.verdict) == ("lost", "ineligible")
    assert any(line.startswith("BMMSC-I3a was met, is not-met: age ") for line in lost.because)
    assert found["BMMSC", "bmmsc-eligible"].mark == "new"
    assert found["BMMSC", "bmmsc-potential"].mark == ""
    not_seen = found["CFMSC", "cfmsc-candidate"]
    assert (not_seen.mark, not_seen.because) == ("lost", ("is not among the patients that were screened",))
    in_order = [row.mark for row in rows(patients, before(yesterday)) if row.trial == "BMMSC"]
    assert in_order == sorted(in_order, key=lambda mark: mark == "lost")


def test_the_list_says_when_a_verdict_changes_by_itself() -> None:
    (patient,) = screened(bundle("bmmsc-candidate"))
    (row,) = (row for row in rows([patient]) if row.trial == "BMMSC")
    day, _, rest = row.change.partition(": ")
    (screening,) = (each for each in patient.screenings if each.trial.key == "BMMSC")
    (then,) = screened(bundle("bmmsc-candidate"), as_of=f"{day}T00:00:00Z")
    after = next(each for each in then.screenings if each.trial.key == "BMMSC")
    assert rest.startswith(after.verdict.value)
    assert after.verdict is not screening.verdict


EVIL = Row("T", "=cmd|' /C calc'!A0", "new", "candidate", 0, ("+1",), (), "", ('<script>alert("x")</script>',))


def test_a_csv_cell_is_never_a_formula(tmp_path: Path) -> None:
    write_worklist([EVIL], tmp_path / "list.csv", AS_OF, 0)
    head, row = csv.reader(io.StringIO((tmp_path / "list.csv").read_text(encoding="utf-8-sig"), newline=""))
    assert tuple(head) == HEAD
    assert row[1] == "'=cmd|' /C calc'!A0"
    assert row[5] == "'+1"


def test_a_spreadsheet_holds_texts_and_no_formula(tmp_path: Path) -> None:
    pytest.importorskip("xlsxwriter")
    write_worklist([EVIL], tmp_path / "list.xlsx", AS_OF, 3)
    with zipfile.ZipFile(tmp_path / "list.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        texts = book.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in sheet
    assert "=cmd|" in texts
    assert "3 more rows are not in this list" in texts


def test_a_page_escapes_what_senders_wrote(tmp_path: Path) -> None:
    write_worklist([EVIL], tmp_path / "list.html", AS_OF, 0)
    text = (tmp_path / "list.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "default-src &#x27;none&#x27;" in text


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"\.csv, \.xlsx, \.html"):
        write_worklist([], tmp_path / "list.doc", AS_OF, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_row_goes_between_processes_as_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(EVIL), type=Row) == EVIL
