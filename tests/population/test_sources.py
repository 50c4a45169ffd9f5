"""Two patients with one id from two sources are never mixed; where nobody can tell them apart, neither counts."""

import json
from pathlib import Path

import pytest
from population.exported import Answers, Resource
from reading.chart import A1C, AGE, T2DM, a1c, bundle, newer, older, patient, type_2

HERE, THERE = "https://here.example.org/fhir", "https://there.example.org/fhir"


def write(folder: Path, *resources: Resource | str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    lines = (each if isinstance(each, str) else json.dumps(each) for each in resources)
    folder.write_text("".join(f"{line}\n" for line in lines))


def on(server: str, name: str = "x", value: float = 8.4) -> Resource:
    return a1c(name, value, "2026-10-20", f"{server}/Patient/p1")


def export(folder: Path, *values: Resource) -> Path:
    write(folder / "Patient.ndjson", patient())
    write(folder / "Observation.ndjson", *values)
    return folder


def test_two_exports_are_screened_apart(tmp_path: Path) -> None:
    one = export(tmp_path / "a", newer())
    other = export(tmp_path / "b", a1c("y", 6.0, "2026-10-25"))
    answers = Answers(one, other, work=tmp_path / "work")
    assert [said[A1C][0] for said in answers.patients["p1"]] == ["met", "not-met"]


def test_two_exports_under_one_path_are_screened_apart_or_not_at_all(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a" / "Patient.ndjson", patient("p1"), patient("only-a"))
    write(tmp_path / "in" / "a" / "Observation.ndjson", newer(), a1c("z", 8.0, "2026-10-20", "Patient/only-a"))
    write(tmp_path / "in" / "b" / "Patient.ndjson", patient("p1"))
    write(tmp_path / "in" / "b" / "Observation.ndjson", a1c("y", 6.0, "2026-10-25"))
    answers = Answers(tmp_path / "in", work=tmp_path / "work")
    assert answers.word("only-a", A1C) == "met"
    assert "p1" not in answers.patients
    (issue,) = answers.set_aside
    assert (issue.code, Path(issue.file or "").parent.name, issue.line) == ("two-sources", "a", 1)


def test_a_folder_for_each_type_is_one_export(tmp_path: Path) -> None:
    write(tmp_path / "in" / "Patient" / "1.ndjson", patient())
    write(tmp_path / "in" / "Observation" / "1.ndjson", newer())
    write(tmp_path / "in" / "Condition" / "1.ndjson", type_2())
    answers = Answers(tmp_path / "in", work=tmp_path / "work")
    assert (answers.word("p1", A1C), answers.word("p1", T2DM), answers.set_aside) == ("met", "met", [])


def test_files_that_each_hold_whole_patients_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.ndjson", patient("p1"), newer(), patient("p2"), type_2())
    write(tmp_path / "in" / "b.ndjson", patient("p1"), a1c("y", 6.0, "2026-10-25"), patient("p3"))
    answers = Answers(tmp_path / "in", work=tmp_path / "work")
    assert sorted(answers.patients) == ["p2", "p3"]
    assert answers.codes() == ["two-sources"]


def test_a_manifest_says_that_files_belong_together(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.ndjson", patient("p1"), older())
    write(tmp_path / "in" / "b.ndjson", newer(), patient("p2"))
    output = [{"type": "Patient", "url": f"https://x/{name}.ndjson"} for name in "ab"]
    manifest = {"transactionTime": "2026-01-01T00:00:00Z", "request": f"{HERE}/$export", "output": output}
    (tmp_path / "in" / "manifest.json").write_text(json.dumps(manifest))
    answers = Answers(tmp_path / "in", work=tmp_path / "work")
    assert (answers.word("p1", A1C), answers.set_aside) == ("met", [])


def test_a_broken_line_among_whole_patients_concerns_those_of_its_file(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.ndjson", patient("p1"), older(), json.dumps(newer())[:-20])
    write(tmp_path / "in" / "b.ndjson", patient("p2"), a1c("y", 8.0, "2026-10-25", "Patient/p2"))
    answers = Answers(tmp_path / "in", work=tmp_path / "work")
    assert (answers.word("p1", A1C), answers.word("p2", A1C)) == ("unknown", "met")


@pytest.mark.parametrize("base", [HERE, f"{HERE}/tenant/7"])
def test_absolute_references_to_one_server_are_the_exports_own(tmp_path: Path, base: str) -> None:
    answers = Answers(export(tmp_path / "in", on(base)), work=tmp_path / "work")
    assert (answers.word("p1", A1C), answers.set_aside) == ("met", [])


def test_a_version_in_a_reference_does_not_matter(tmp_path: Path) -> None:
    values = (a1c("x", 8.4, "2026-10-20", f"{HERE}/Patient/p1/_history/3"),)
    assert Answers(export(tmp_path / "in", *values), work=tmp_path / "work").word("p1", A1C) == "met"


def test_references_to_several_servers_are_used_only_when_it_is_said_which_is_meant(tmp_path: Path) -> None:
    folder = export(tmp_path / "in", on(HERE), on(THERE, "y", 6.0))
    write(folder / "Condition.ndjson", type_2())
    write(folder / "Patient.ndjson", patient(), patient("p2"))
    unclear = Answers(folder, work=tmp_path / "1")
    assert (list(unclear.patients), unclear.codes()) == (["p2"], ["two-sources"])
    assert "several-servers" in [each.code for each in unclear.remarks]
    assert unclear.word("p2", AGE) == "met"
    for base, word in ((HERE, "met"), (THERE, "not-met")):
        told = Answers(folder, work=tmp_path / word, base=base)
        assert (told.word("p1", A1C), told.set_aside) == (word, [])
        assert [each.code for each in told.remarks] == ["stranger"]


def test_the_server_of_a_manifest_is_the_one_that_is_meant(tmp_path: Path) -> None:
    folder = export(tmp_path / "in", on(THERE), on(HERE, "y", 6.0))
    output = [{"type": name, "url": f"{HERE}/files/{name}.ndjson"} for name in ("Patient", "Observation")]
    request = f"{HERE}/Patient/$export"
    manifest = {"transactionTime": "2026-01-01T00:00:00Z", "request": request, "output": output}
    (folder / "export.json").write_text(json.dumps(manifest))
    answers = Answers(folder, work=tmp_path / "work")
    assert (answers.word("p1", A1C), answers.set_aside) == ("not-met", [])


def test_bundles_beside_an_export_are_documents_of_their_own(tmp_path: Path) -> None:
    folder = export(tmp_path / "in", newer())
    (folder / "a.json").write_text(json.dumps(bundle(patient(), a1c("y", 6.0, "2026-10-25"))))
    answers = Answers(folder, work=tmp_path / "work")
    assert sorted(said[A1C][0] for said in answers.patients["p1"]) == ["met", "not-met"]
