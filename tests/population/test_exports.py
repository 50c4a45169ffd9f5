"""A Bulk Data export is answered as the same patients sent as Bundles are, to the letter."""

import json
import random
from pathlib import Path

import pytest
from population.exported import Answers, Resource, resources_of, sample_patients, write_bundles, write_export
from reading.chart import A1C, T2DM, a1c, newer, older, patient, type_2

from adapter.population import partition
from adapter.population import parts as cutting

BASE = "https://ehr.example.org/fhir"


def lines_of(*resources: Resource | str) -> str:
    return "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in resources)


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.ndjson").write_text(text)
    return folder


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    folder = tmp_path_factory.mktemp("bundled")
    return Answers(write_bundles(folder / "in", sample_patients()), work=folder / "work")


@pytest.mark.parametrize(
    ("files", "packed", "buckets"), [(1, False, 1), (3, False, 1), (2, True, 1), (1, False, 40), (3, True, 40)]
)
def test_the_samples_as_an_export_give_the_same_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundled: Answers, files: int, buckets: int, *, packed: bool
) -> None:
    monkeypatch.setattr(cutting, "BUCKET_BYTES", 20_000 if buckets > 1 else 32 << 20)
    monkeypatch.setattr(partition, "_SEGMENT_BYTES", 5_000 if buckets > 1 else 64 << 20)
    everything = [each for resources in sample_patients() for each in resources]
    random.Random(7).shuffle(everything)  # noqa: S311 (an order, no secret)
    exported = Answers(write_export(tmp_path / "in", everything, files=files, packed=packed), work=tmp_path / "work")
    assert len(exported.patients) > len("the samples of one patient")
    assert exported.lines == bundled.lines
    assert exported.set_aside == []


def test_real_sized_patients_give_the_same_findings(tmp_path: Path, real_bundles: list[Resource]) -> None:
    patients = [resources_of(each) for each in real_bundles]
    bundled_ = Answers(write_bundles(tmp_path / "bundles", patients), work=tmp_path / "1")
    exported = write_export(tmp_path / "export", [one for each in patients for one in each], files=2)
    assert Answers(exported, work=tmp_path / "2").lines == bundled_.lines


def test_absolute_references_mean_the_same_as_relative_ones(tmp_path: Path, bundled: Answers) -> None:
    text = json.dumps([each for resources in sample_patients() for each in resources])
    absolute = json.loads(text.replace('"reference": "', f'"reference": "{BASE}/').replace(f"{BASE}/#", "#"))
    exported = Answers(write_export(tmp_path / "in", absolute), work=tmp_path / "work")
    assert exported.set_aside == []
    assert exported.patients == bundled.patients


def test_a_medication_is_found_wherever_it_stands_and_through_another(tmp_path: Path) -> None:
    drug = {
        "resourceType": "Medication",
        "id": "m1",
        "ingredient": [{"itemReference": {"reference": "Medication/m2"}}],
    }
    substance = {
        "resourceType": "Medication",
        "id": "m2",
        "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "274783"}]},
    }
    order = {
        "resourceType": "MedicationRequest",
        "id": "r1",
        "status": "active",
        "intent": "order",
        "medicationReference": {"reference": "Medication/m1"},
        "subject": {"reference": "Patient/p1"},
        "authoredOn": "2026-01-01",
    }
    resources = [patient(), drug, substance, order]
    exported = Answers(write_export(tmp_path / "in", resources), work=tmp_path / "work")
    assert exported.lines == Answers(write_bundles(tmp_path / "b", [resources]), work=tmp_path / "w").lines
    assert exported.remarks == []
    escaped = json.dumps(order).replace("Medication/m1", "Medication\\/m1")
    folder = write(tmp_path / "e", a=lines_of(patient(), drug), b=lines_of(substance, escaped))
    assert Answers(folder, work=tmp_path / "w2").lines == exported.lines
    missing = Answers(write_export(tmp_path / "m", [patient(), drug, order]), work=tmp_path / "w3")
    assert "unknown-drug" not in [each.code for each in missing.remarks]  # the order's own Medication is there
    dangling = Answers(write_export(tmp_path / "d", [patient(), substance, order]), work=tmp_path / "w4")
    assert [each.code for each in dangling.remarks] == ["unknown-drug"]


@pytest.mark.parametrize("order", [1, -1])
def test_of_one_resource_in_two_versions_the_newer_counts_in_whatever_file_it_stands(
    tmp_path: Path, order: int
) -> None:
    first = a1c("x", 8.4, "2026-10-20", meta={"versionId": "1"})
    second = a1c("x", 6.0, "2026-10-20", meta={"versionId": "2"})
    files = {f"o{number}": lines_of(each) for number, each in enumerate((first, second)[::order])}
    answers = Answers(write(tmp_path / "in", p=lines_of(patient()), **files), work=tmp_path / "work")
    assert answers.word("p1", A1C) == "not-met"


def test_two_versions_of_which_nothing_says_which_is_newer_decide_nothing(tmp_path: Path) -> None:
    two = lines_of(a1c("x", 8.4, "2026-10-20"), a1c("x", 6.0, "2026-10-20"))
    answers = Answers(write(tmp_path / "in", p=lines_of(patient()), o=two), work=tmp_path / "work")
    assert answers.word("p1", A1C) == "unknown"
    (remark,) = answers.remarks
    assert (remark.code, Path(remark.file or "").name, remark.line) == ("two-versions", "o.ndjson", 2)


def test_what_is_about_nobody_here_is_counted_and_placed(tmp_path: Path) -> None:
    nobody = newer()
    del nobody["subject"]
    others = [a1c("s1", 8, "2026-10-20", "Patient/gone"), a1c("s2", 8, "2026-10-20", "Group/1"), nobody, nobody]
    folder = write(tmp_path / "in", p=lines_of(patient()), o=lines_of(older(), *others))
    answers = Answers(folder, work=tmp_path / "work")
    assert answers.word("p1", A1C) == "met"
    places = {(each.code, each.line, each.message.split(" ", 1)[0]) for each in answers.remarks}
    assert places == {("stranger", 2, "1"), ("stranger", 3, "1"), ("no-subject", 4, "2")}


def test_a_resource_without_an_id_is_named_by_its_line(tmp_path: Path) -> None:
    bare = newer()
    del bare["id"]
    answers = Answers(write(tmp_path / "in", p=lines_of(patient()), o=lines_of("", bare)), work=tmp_path / "work")
    assert answers.word("p1", A1C) == "met"
    assert any(b'"reference":"o.ndjson:2"' in line for line in answers.lines)


def test_a_patient_without_an_id_and_a_bundle_among_the_lines_are_set_aside(tmp_path: Path) -> None:
    bare = patient()
    del bare["id"]
    inner = {"resourceType": "Bundle", "type": "collection", "entry": []}
    folder = write(tmp_path / "in", p=lines_of(bare, patient("p2")), o=lines_of(newer(), inner))
    answers = Answers(folder, work=tmp_path / "work")
    assert (sorted(answers.codes()), answers.count) == (["bundle", "no-id"], 2)
    assert list(answers.patients) == ["p2"]


def test_whose_a_line_is_can_be_unreadable_and_then_it_decides_nothing_for_anyone(tmp_path: Path) -> None:
    lost = newer(subject=True)
    lost["valueQuantity"]["value"] = 5.0
    folder = write(tmp_path / "in", p=lines_of(patient(), patient("p2")), o=lines_of(older(), lost, type_2()))
    answers = Answers(folder, work=tmp_path / "work")
    assert [answers.word(name, A1C) for name in ("p1", "p2")] == ["unknown", "unknown"]
    assert answers.word("p1", T2DM) == "met"


@pytest.mark.parametrize(
    "subject", ["Patient/p1", [{"reference": "Patient/p1"}], {"reference": "Patient/p1", "display": 5}]
)
def test_a_subject_of_another_shape_still_says_whose_it_is_and_decides_nothing(tmp_path: Path, subject: object) -> None:
    folder = write(
        tmp_path / "in",
        p=lines_of(patient(), patient("p2")),
        o=lines_of(older(), newer(subject=subject), a1c("b", 8.0, "2026-10-01", "Patient/p2")),
    )
    answers = Answers(folder, work=tmp_path / "work")
    assert (answers.word("p1", A1C), answers.word("p2", A1C)) == ("unknown", "met")


def test_a_deep_or_careless_line_costs_only_its_own_patient(tmp_path: Path) -> None:
    deep = json.dumps(newer(extra=0)).replace('"extra": 0', '"extra": ' + "[" * 500 + "]" * 500)
    latin = json.dumps(newer(note="\u00e4"), ensure_ascii=False).encode("latin-1")
    folder = write(tmp_path / "in", p=lines_of(patient(), patient("p2")), o=lines_of(deep))
    (folder / "q.ndjson").write_bytes(latin + b"\n" + lines_of(a1c("b", 8.0, "2026-10-01", "Patient/p2")).encode())
    answers = Answers(folder, work=tmp_path / "work")
    assert answers.word("p2", A1C) == "met"
    assert "p1" not in answers.patients
    assert answers.codes() == ["not-utf-8"]
