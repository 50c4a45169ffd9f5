"""What ``export`` refuses, and what it passes on: usage, trials, bases, compiled CQL, servers and pages."""

import json
import types
from pathlib import Path
from typing import Any

import cases
import pytest
from exporting.conftest import snapshot

from adapter import cli
from adapter.cql import trial_library
from adapter.delivery import export as delivery
from adapter.fhir.versions import FhirVersion

KEYS = [trial.key for trial in cases.catalog().trials]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "say where to: --out DIR, --server URL or --html DIR"),
        (["--trial", "CFMSC"], "say where to"),
        (["--html", "pages", "--package"], "--package has no effect without --out"),
        (["--out", "out", "--dry-run"], "--dry-run has no effect without --server"),
        (["--html", "pages", "--conditional"], "--conditional has no effect without --out or --server"),
        (["--out", "out", "--trial", "CFMS"], "no trial has the key CFMS; there are BMMSC, CFMSC, NCT01157403"),
        (["--out", "out", "--publisher", " "], "--publisher"),
        (["--out", "out", "--elm", "nowhere"], "--elm: there is no such folder"),
    ],
    ids=" ".join,
)
def test_usage_is_refused_before_anything_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", *options]) == cli.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "base",
    [
        "",
        "trials",
        "/fhir",
        "ftp://x.org",
        "urn:uuid:1",
        "https://",
        "https://x.org/a|b",
        "https://x.org/#a",
        "https://x.org/?a=b",
        "https://x.org/a b",
        "https://user:secret@x.org",
        "https://x.org:port",
        "https://[x",
    ],
)
def test_a_base_that_makes_no_canonical_url_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], base: str
) -> None:
    assert cli.main(["export", "--out", str(tmp_path / "out"), f"--base={base}"]) == cli.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert "--base" in line
    assert "secret" not in line
    assert not (tmp_path / "out").exists()


def test_a_broken_trial_stops_it_with_every_problem_located(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trials = tmp_path / "trials"
    trials.mkdir()
    (trials / "a.yaml").write_text("key: A\nversion: 1\n")
    (trials / "b.yaml").write_text("{")
    assert cli.main(["export", "--out", str(tmp_path / "out"), "--trials", str(trials)]) == cli.FAILED
    said = capsys.readouterr()
    assert said.out == ""
    assert {line.split(":")[0] for line in said.err.splitlines()} == {str(trials / "a.yaml"), str(trials / "b.yaml")}
    assert not (tmp_path / "out").exists()


def test_two_trials_whose_keys_differ_in_case_only_do_not_overwrite_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = tmp_path / "trials"
    trials.mkdir()
    source = Path(__file__).parents[1] / "catalog" / "sixth_trial.yaml"
    text = source.read_text(encoding="utf-8")
    (trials / "a.yaml").write_text(text, encoding="utf-8")
    (trials / "b.yaml").write_text(text.replace("DKD01", "dkd01"), encoding="utf-8")
    mappings = [str(source.parents[2] / "mappings"), str(source.parent / "sixth_mappings")]
    options = [part for each in mappings for part in ("--mappings", each)]
    assert cli.main(["export", "--out", str(tmp_path / "out"), "--trials", str(trials), *options]) == cli.FAILED
    assert capsys.readouterr().err.splitlines()[-1].endswith("give one of the trials another key [same-name]")


def elm_of(name: str, version: str | None, annotation: object = None, model: str = "4.0.1") -> bytes:
    library: dict[str, Any] = {"identifier": {"id": name, "version": version}}
    models = [{"localIdentifier": "System"}, {"localIdentifier": "FHIR", "version": model}]
    library["usings"] = {"def": models}
    if annotation is not None:
        library["annotation"] = annotation
    return json.dumps({"library": library}).encode()


@pytest.fixture
def elm(tmp_path: Path) -> Path:
    """Give a folder that holds something compiled for every library of every trial."""
    folder = tmp_path / "elm"
    folder.mkdir()
    catalog = cases.catalog()
    for trial in catalog.trials:
        pending = [trial_library(trial, catalog, FhirVersion.R4)]
        for library in pending:
            pending.extend(library.includes)
            (folder / f"{library.name}.json").write_bytes(elm_of(library.name, library.version))
    return folder


def test_compiled_cql_stands_in_the_libraries_byte_for_byte(
    tmp_path: Path, elm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert cli.main(["export", "--out", str(out), "--elm", str(elm)]) == cli.DONE
    assert capsys.readouterr().err == ""
    libraries = sorted(out.glob("Library-*.json"))
    assert {each.stem.removeprefix("Library-") for each in libraries} == {each.stem for each in elm.iterdir()}
    for each in libraries:
        kinds = [content["contentType"] for content in json.loads(each.read_bytes())["content"]]
        assert kinds == ["text/cql", "application/elm+json"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "elm-missing"),
        (b"library CfmscEligibility", "elm-unreadable"),
        (b"{}", "elm-unreadable"),
        (b"\xff", "elm-unreadable"),
        (elm_of("BmmscEligibility", "1.0.0"), "elm-other"),
        (elm_of("CfmscEligibility", "0.9.0"), "elm-other"),
        (elm_of("CfmscEligibility", None), "elm-other"),
        (elm_of("CfmscEligibility", "1.0.0", model="5.0.0"), "elm-other"),
        (elm_of("CfmscEligibility", "1.0.0", [{"errorSeverity": "error"}]), "elm-errors"),
    ],
    ids=str,
)
def test_compiled_cql_of_something_else_is_refused(
    tmp_path: Path, elm: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, code: str
) -> None:
    file = elm / "CfmscEligibility.json"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert cli.main(["export", "--out", str(tmp_path / "out"), "--elm", str(elm)]) == cli.FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file}: error: ")
    assert line.endswith(f"[{code}]")
    assert not (tmp_path / "out").exists()


def test_a_warning_of_the_translator_is_no_hindrance(tmp_path: Path, elm: Path) -> None:
    (elm / "CfmscEligibility.json").write_bytes(elm_of("CfmscEligibility", "1.0.0", [{"errorSeverity": "warning"}]))
    assert cli.main(["export", "--out", str(tmp_path / "out"), "--elm", str(elm)]) == cli.DONE


Given = dict[str, Any]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Give what the exporter to servers is called with; it answers 1."""
    kept: Given = {}

    def run(trials: object, **options: object) -> int:
        kept.update(options, trials=trials)
        return 1

    monkeypatch.setattr(delivery, "run_server_export", run)
    return kept


def test_a_server_gets_the_trials_and_its_answer_is_the_exit_code(given: Given) -> None:
    options = ["--fhir-version", "R5", "--trial", "BMMSC", "--trial", "CFMSC", "--conditional", "--dry-run"]
    assert cli.main(["export", "--server", "https://fhir.site.org", *options]) == 1
    assert list(given["trials"]) == ["BMMSC", "CFMSC"]
    assert {each["resourceType"] for each in given["trials"]["CFMSC"]} >= {"ResearchStudy", "PlanDefinition"}
    told = {name: given[name] for name in ("url", "version", "conditional", "dry_run")}
    assert told == {
        "url": "https://fhir.site.org",
        "version": FhirVersion.R5,
        "conditional": True,
        "dry_run": True,
    }


def test_files_and_a_server_get_the_same_resources(tmp_path: Path, given: Given) -> None:
    assert cli.main(["export", "--server", "https://x.org", "--out", str(tmp_path), "--trial", "CFMSC"]) == 1
    named = {f"{each['resourceType']}-{each['id']}.json" for each in given["trials"]["CFMSC"]}
    assert named == {each.name for each in tmp_path.glob("*.json")}


def test_pages_are_written_for_the_trials_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = tmp_path / "pages"
    assert cli.main(["export", "--html", str(pages), "--trial", "CFMSC"]) == cli.DONE
    written = snapshot(pages)
    assert any(b"CFMSC" in each for each in written.values())
    said = capsys.readouterr()
    assert said.out.endswith(f"{len(written)} pages\n")
    assert said.err == ""


def test_a_full_standard_output_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stdout", types.SimpleNamespace(write=full, flush=lambda: None, fileno=lambda: 99))
    assert cli.main(["export", "--out", str(tmp_path), "--trial", "CFMSC"]) == cli.FAILED
    assert capsys.readouterr().err.splitlines()[-1].endswith("[unwritable]")
