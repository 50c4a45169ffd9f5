"""What is lost from an export leaves open what it could have decided, for everyone it could have been about."""

import gzip
import json
import os
from pathlib import Path

import pytest
from population.exported import Answers, Resource, sample_patients, write_export
from reading.chart import A1C, AGE, T2DM, a1c, insulin, newer, older, patient, type_2

from adapter.population.listing import TYPES

BROKEN = json.dumps(newer())[:-30]
ON_INSULIN = "NCT02302599-I4a"


def lines_of(*resources: Resource | str) -> str:
    return "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in resources)


def write(folder: Path, manifest: Resource | None = None, /, **files: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        data = text if isinstance(text, bytes) else text.encode()
        (folder / f"{name}.ndjson").write_bytes(data)
    if manifest is not None:
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def of_two(tmp_path: Path, **files: str | bytes) -> Answers:
    """Screen an export of two patients who both have a diagnosis and an older value."""
    people = lines_of(patient("p1"), patient("p2"))
    known = lines_of(type_2(), type_2("dm2", subject={"reference": "Patient/p2"}))
    return Answers(write(tmp_path / "in", Patient=people, Condition=known, **files), work=tmp_path / "work")


VALUES = lines_of(older(), a1c("b", 8.0, "2026-10-01", "Patient/p2"))
PACKED = gzip.compress(VALUES.encode() + os.urandom(100_000).hex().encode(), mtime=0)


@pytest.mark.parametrize(
    ("files", "code", "line"),
    [
        ({"Observation": VALUES + BROKEN}, "not-json", 3),
        ({"Observation": VALUES + BROKEN + "\n\n" + lines_of(older())}, "not-json", 3),
        ({"Observation": BROKEN + "\n" + VALUES}, "not-json", 1),
        ({"Observation": VALUES, "more": lines_of(older()) + '{"resourceType": "Obs'}, "not-json", 2),
        ({"Observation": VALUES, "more": BROKEN}, "not-json", 1),
        ({"Observation": VALUES + '{"resourceType":"Observation","subject":5,'}, "not-json", 3),
        ({"Observation": VALUES + "\x00\n"}, "not-json", 3),
        ({"Observation": VALUES, "Observation.1": ""}, "empty", None),
        ({"Observation": VALUES, "Observation.1": "\n \n"}, "empty", None),
    ],
)
def test_a_line_that_is_lost_leaves_open_what_its_type_decides_for_all_and_nothing_else(
    tmp_path: Path, files: dict[str, str], code: str, line: int | None
) -> None:
    answers = of_two(tmp_path, **files)
    for name in ("p1", "p2"):
        assert answers.word(name, A1C) == "unknown"
        assert (answers.word(name, T2DM), answers.word(name, AGE)) == ("met", "met")
    (issue,) = answers.set_aside
    assert (issue.code, issue.line, answers.count) == (code, line, 1)
    assert "Observation" in issue.message
    assert "Condition" not in issue.message


def test_gzip_that_breaks_off_leaves_open_what_its_type_decides(tmp_path: Path) -> None:
    answers = of_two(tmp_path, Observation=PACKED[:-1000])
    assert [answers.word(name, A1C) for name in ("p1", "p2")] == ["unknown", "unknown"]
    assert answers.word("p1", T2DM) == "met"
    assert "truncated" in answers.codes()


@pytest.mark.parametrize("name", ["lost", "part-0"])
def test_what_can_have_been_anything_leaves_everything_open(tmp_path: Path, name: str) -> None:
    answers = of_two(tmp_path, Observation=VALUES, **{name: "{{{"})
    for each in ("p1", "p2"):
        words = {word for word, _ in answers.patients[each][0].values()}
        assert words == {"unknown"}
    assert "all data" in answers.set_aside[0].message


def test_a_file_that_is_not_read_loses_nothing(tmp_path: Path) -> None:
    claim = {"resourceType": "Claim", "id": "c", "patient": {"reference": "Patient/p1"}}
    answers = of_two(tmp_path, Observation=VALUES, Claim=lines_of(claim, '{"resourceType":"Claim","id'))
    assert [answers.word(name, A1C) for name in ("p1", "p2")] == ["met", "met"]


def test_what_is_there_may_have_a_newer_version_among_what_is_lost(tmp_path: Path) -> None:
    known = lines_of(type_2()) + '{"resourceType":"Condition","id":"dm","meta":{"versionId":"2"}'
    folder = write(tmp_path / "in", Patient=lines_of(patient()), Condition=known, Observation=lines_of(newer()))
    answers = Answers(folder, work=tmp_path / "work")
    assert (answers.word("p1", T2DM), answers.word("p1", A1C)) == ("unknown", "met")


def test_an_export_without_any_patient_is_set_aside(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", Observation=lines_of(newer()), Condition=lines_of(type_2()))
    answers = Answers(folder, work=tmp_path / "work")
    assert (answers.codes(), answers.count, dict(answers.patients)) == (["no-patient"], 1, {})


def test_a_lost_patient_may_be_a_newer_version_of_any(tmp_path: Path) -> None:
    people = lines_of(patient("p1"), '{"resourceType":"Patient","id":"p')
    folder = write(tmp_path / "in", Patient=people, Observation=lines_of(newer()))
    answers = Answers(folder, work=tmp_path / "work")
    assert (answers.word("p1", AGE), answers.word("p1", A1C)) == ("unknown", "met")


def test_a_lost_medication_may_be_a_newer_version_of_any_that_is_referred_to(tmp_path: Path) -> None:
    rxnorm = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "274783"}]}
    drug = {"resourceType": "Medication", "id": "m", "code": rxnorm}
    order = insulin(medicationReference={"reference": "Medication/m"})
    del order["medicationCodeableConcept"]
    whole = write_export(tmp_path / "whole", [patient(), drug, order])
    sure = Answers(whole, work=tmp_path / "1").patients["p1"][0]
    with (whole / "Medication.000.ndjson").open("a") as stream:
        stream.write('{"resourceType":"Medication"')
    unsure = Answers(whole, work=tmp_path / "2").patients["p1"][0]
    assert sure[ON_INSULIN][0] != "unknown"
    assert unsure[ON_INSULIN][0] == "unknown"


MANIFEST = {
    "transactionTime": "2026-11-01T00:00:00Z",
    "request": "https://ehr.example.org/fhir/Group/7/$export?_type=Patient",
    "requiresAccessToken": True,
    "output": [
        {"type": "Patient", "url": "https://ehr.example.org/files/Patient.ndjson", "count": 1},
        {"type": "Observation", "url": "https://ehr.example.org/files/Observation.ndjson", "count": 1},
    ],
    "error": [],
}


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"Patient": lines_of(patient()), "Observation": lines_of(older())}, None),
        ({"Patient": lines_of(patient())}, "file-missing"),
        ({"Patient": lines_of(patient()), "Observation": ""}, "incomplete"),
    ],
)
def test_a_manifest_tells_what_is_missing(tmp_path: Path, files: dict[str, str], code: str | None) -> None:
    files = {**files, "Condition": lines_of(type_2()), "Extra": lines_of(a1c("x", 8.2, "2026-08-01"))}
    answers = Answers(write(tmp_path / "in", MANIFEST, **files), work=tmp_path / "work")
    assert answers.codes() == ([code] if code else [])
    assert answers.word("p1", A1C) == ("unknown" if code else "met")
    assert answers.word("p1", T2DM) == "met"


def test_fewer_lines_than_a_manifest_counts_are_lost_lines(tmp_path: Path) -> None:
    output = [MANIFEST["output"][0], {**MANIFEST["output"][1], "count": 3}]  # type: ignore[index]
    files = {"Patient": lines_of(patient()), "Observation": lines_of(older())}
    answers = Answers(write(tmp_path / "in", {**MANIFEST, "output": output}, **files), work=tmp_path / "work")
    assert (answers.codes(), answers.word("p1", A1C)) == (["incomplete"], "unknown")


def test_files_of_errors_and_deletions_are_no_data(tmp_path: Path) -> None:
    manifest = {
        **MANIFEST,
        "error": [{"type": "OperationOutcome", "url": "https://x/errors.ndjson"}],
        "deleted": [{"type": "Bundle", "url": "https://x/deleted.ndjson"}],
    }
    gone = {"resourceType": "Bundle", "type": "transaction", "entry": []}
    files = {
        "Patient": lines_of(patient()),
        "Observation": lines_of(newer()),
        "errors": lines_of({"resourceType": "OperationOutcome"}),
        "deleted": lines_of(gone),
    }
    answers = Answers(write(tmp_path / "in", manifest, **files), work=tmp_path / "work")
    assert (answers.set_aside, answers.word("p1", A1C)) == ([], "met")


def test_too_many_lines_of_unreadable_owners_leave_everything_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.population.export._MOST_FOR_ANYONE", 3)
    lost = lines_of(*(a1c(f"x{number}", 8, "2026-10-01", subject=True) for number in range(4)))
    answers = of_two(tmp_path, Observation=VALUES + lost)
    assert answers.word("p1", T2DM) == "unknown"
    assert answers.codes() == ["owner-unreadable"]


EVERY = 4 if not os.environ.get("EVERY_LOSS") else 1
"""Which of the sample patients take part: each fourth, or all of them (two minutes)."""


@pytest.mark.parametrize("resources", sample_patients()[::EVERY], ids=lambda resources: str(resources[0].get("id")))
def test_no_loss_of_any_line_turns_an_answer_round(tmp_path: Path, resources: list[Resource]) -> None:
    whole = Answers(write_export(tmp_path / "whole", resources), work=tmp_path / "work")
    (patient_id,) = whole.patients
    losable = [each for each in resources if each["resourceType"] in TYPES - {"Patient"}]
    assert losable
    for number, lost in enumerate(losable):
        folder = write_export(tmp_path / str(number), [each for each in resources if each is not lost])
        with (folder / f"{lost['resourceType']}.000.ndjson").open("a") as stream:
            stream.write(json.dumps(lost)[:-5])
        answers = Answers(folder, work=tmp_path / f"work-{number}")
        decided = {atom: said for atom, said in answers.patients[patient_id][0].items() if said[0] != "unknown"}
        assert decided.items() <= whole.patients[patient_id][0].items(), lost
        assert answers.codes() == ["not-json"]
