"""The command: what it prints where, its exit codes, and that nothing it is given makes it fall."""

import functools
import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from whole import LOINC, R4_REQUEST, R5_REQUEST, bundle, coded, put

from adapter import inputs
from adapter.catalog.catalog import Catalog
from adapter.catalog.load import load_catalog
from adapter.cli import main
from adapter.errors import AdapterError, Category
from adapter.fhir.definitions import check_resource
from adapter.fhir.versions import FhirVersion
from adapter.verbs.validating import run

Said = pytest.CaptureFixture[str]


@functools.cache
def catalog() -> Catalog:
    return load_catalog()


def dumped(tree: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps(tree).encode()


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


GOOD = dumped(bundle(R4_REQUEST))
PATIENT = b'{"resourceType": "Patient", "gender": "female", "birthDate": "1961"}'

# name, file name, bytes, the code told, the line told, exit code
BAD: list[tuple[str, str, bytes, str, int | None, int]] = [
    ("not JSON", "a.json", b"Hello, patient", "not-json", 1, 1),
    ("an empty file", "a.json", b"", "truncated", 1, 1),
    ("cut short", "a.json", GOOD[: len(GOOD) // 2], "truncated", 1, 1),
    ("Latin-1", "a.json", '{"resourceType":\n"Müller"}'.encode("latin-1"), "not-utf-8", 2, 1),
    ("NaN", "a.json", b'{"resourceType": "Basic",\n "x": NaN}', "not-a-number", 2, 1),
    ("objects 100,000 deep", "a.json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too-deep", 1, 1),
    ("arrays 100,000 deep, never closed", "a.json", b"[" * 100_000, "too-deep", 1, 1),
    ("millions of values", "a.json", b"[" + b"1," * 5_000_001 + b"1]", "too-large", None, 1),
    ("no FHIR", "a.json", b"[1, 2]", "not-fhir", None, 1),
    ("an answer", "a.json", b'{"resourceType": "Bundle", "type": "batch-response"}', "response-bundle", None, 1),
    ("an unknown resource type", "a.json", b'{"resourceType": "Zyxwvut"}', "unknown-resource-type", None, 1),
    ("a gzip file cut short", "a.json.gz", gzip.compress(GOOD)[:200], "truncated", None, 1),
    ("a damaged gzip file", "a.json.gz", gzip.compress(GOOD)[:40] + b"\x00" * 80, "not-gzip", None, 1),
    ("a bad line of many", "a.ndjson", PATIENT + b"\n{\n" + PATIENT, "truncated", 2, 1),
]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("name", "data", "code", "line", "exit_code"), [pytest.param(*row[1:], id=row[0]) for row in BAD]
)
def test_bad_input_is_one_located_error(
    tmp_path: Path, capsys: Said, form: str, name: str, data: bytes, code: str, line: int | None, exit_code: int
) -> None:
    path = written(tmp_path, name, data)
    assert run([path], form, "R4", catalog()) == exit_code
    said = capsys.readouterr()
    if form == "text":
        told = [each for each in (said.out + said.err).splitlines() if ": error: " in each]
        assert len(told) == 1
        assert told[0].endswith(f"[{code}]")
        assert told[0].startswith(f"{path.as_posix()}:" if line is None else f"{path.as_posix()}:{line}: ")
        return
    (outcome,) = [json.loads(each) for each in said.out.splitlines()]
    errors = [issue for issue in outcome["issue"] if issue["severity"] == "error"]
    assert [issue["details"]["coding"][0]["code"] for issue in errors] == [code]
    assert errors[0].get("diagnostics") == (None if line is None else f"line {line}")
    assert outcome["extension"][0]["valueString"] == path.as_posix()


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(
    tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MAX_BYTES", 1 << 20)
    bomb = written(tmp_path, "bomb.json.gz", gzip.compress(b" " * (64 << 20)))
    catalog()
    tracemalloc.start()
    assert run([bomb], "text", None, catalog()) == 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert "[too-large]" in capsys.readouterr().err


def test_what_cannot_be_read_is_set_aside_and_the_rest_is_done(tmp_path: Path, capsys: Said) -> None:
    written(tmp_path, "a.json", PATIENT)
    written(tmp_path, "b.json.gz", gzip.compress(PATIENT)[:20])
    assert run([tmp_path], "text", None, catalog()) == 3
    assert "1 set aside" in capsys.readouterr().err
    written(tmp_path, "c.json", PATIENT.replace(b"female", b"f"))
    assert run([tmp_path], "text", None, catalog()) == 1


@pytest.mark.parametrize(("name", "code"), [("nowhere", "not-found"), (".", "empty-folder")])
def test_a_path_that_is_not_there_is_a_usage_error(tmp_path: Path, capsys: Said, name: str, code: str) -> None:
    with pytest.raises(AdapterError) as caught:
        run([tmp_path / name], "text", None, catalog())
    assert caught.value.category is Category.NOT_FOUND
    assert main(["validate", str(tmp_path / name)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0].endswith(f"[{code}]")


@pytest.mark.parametrize(("request_", "version"), [(R4_REQUEST, "R4"), (R5_REQUEST, "R5")])
def test_a_good_bundle_is_done_and_counted(tmp_path: Path, capsys: Said, request_: Any, version: str) -> None:  # noqa: ANN401
    path = written(tmp_path, "a.json", dumped(bundle(request_)))
    assert main(["validate", str(path)]) == 0
    said = capsys.readouterr()
    assert said.err == f"1 file read (1 as {version}), 6 resources, 0 errors, 0 warnings\n"
    assert all(": information: " in line for line in said.out.splitlines())


def test_a_run_may_hold_both_versions(tmp_path: Path, capsys: Said) -> None:
    written(tmp_path, "a.json", dumped(bundle(R5_REQUEST)))
    written(tmp_path, "b.json", dumped(bundle(R4_REQUEST)))
    assert run([tmp_path], "text", None, catalog()) == 0
    assert capsys.readouterr().err == "2 files read (1 as R4, 1 as R5), 12 resources, 0 errors, 0 warnings\n"


def test_the_version_asked_for_is_the_one_judged_by(tmp_path: Path, capsys: Said) -> None:
    path = written(tmp_path, "a.json", dumped(bundle(R4_REQUEST)))
    assert main(["validate", "--fhir-version", "R5", str(path)]) == 1
    assert "medicationReference is no element of MedicationRequest in FHIR R5; it is in R4" in capsys.readouterr().out


def test_lines_for_people_say_file_place_and_rank_codes_over_the_run(tmp_path: Path, capsys: Said) -> None:
    for index in range(3):
        tree = bundle(R4_REQUEST)
        put("entry[1].resource.code", coded(LOINC, "111-1"))(tree)
        put("entry[3].resource.code", coded(LOINC, f"222-{index}"))(tree)
        if index == 1:
            put("entry[0].resource.gender", "f")(tree)
        written(tmp_path, f"{index}.json", dumped(tree))
    assert run([tmp_path], "text", None, catalog()) == 1
    lines = capsys.readouterr().out.splitlines()
    first = tmp_path.as_posix()
    assert lines[0].startswith(
        f"{first}/1.json: Bundle.entry[5].resource.medicationReference: information: read as FHIR R4"
    )
    assert lines[1].startswith(f"{first}/1.json: Bundle.entry[0].resource.gender: error: ")
    ranked = [line for line in lines if line.endswith("[code-unmapped]")]
    assert "http://loinc.org|111-1" in ranked[0] or "http://loinc.org|111-1" in ranked[1]
    assert sum("(3 times, in 3 documents)" in line for line in ranked) == 2
    assert ranked[-1].endswith("(once) [code-unmapped]")


def test_an_outcome_per_file_is_valid_fhir_and_holds_the_remarks(tmp_path: Path, capsys: Said) -> None:
    tree = bundle(R4_REQUEST)
    put("entry[1].resource.code", coded(LOINC, "111-1"))(tree)
    written(tmp_path, "a.json", dumped(tree))
    written(tmp_path, "b.ndjson", PATIENT + b"\n" + PATIENT.replace(b"1961", b"61"))
    assert run([tmp_path], "json", None, catalog()) == 1
    outcomes = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(each["extension"][0]["valueString"]).name for each in outcomes] == ["a.json", "b.ndjson"]
    for outcome in outcomes:
        for version in FhirVersion:
            assert check_resource(outcome, version) == []
    codes = [issue["details"]["coding"][0]["code"] for issue in outcomes[0]["issue"]]
    assert codes[0] == "version-inferred"
    assert "code-unmapped" in codes
    assert [
        (each["code"], each.get("diagnostics")) for each in outcomes[1]["issue"] if each["severity"] == "error"
    ] == [("value", "line 2")]


def test_a_bulk_file_without_patients_is_read_for_its_codes(tmp_path: Path, capsys: Said) -> None:
    observation = bundle(R4_REQUEST)["entry"][1]["resource"]
    observation["subject"] = {"reference": "Patient/p1"}
    lines = [dumped(observation), dumped({**observation, "code": coded(LOINC, "111-1")})]
    path = written(tmp_path, "Observation.ndjson", b"\n".join(lines))
    assert run([path], "text", None, catalog()) == 0
    said = capsys.readouterr().out
    assert f"{path.as_posix()}:2: Observation.code: information: Observation with http://loinc.org|111-1" in said
    assert "[no-patient]" in said
