"""One pass makes report, worklist and kept facts; kept facts are screened as their patients were."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from cases import catalog

from adapter.population.report import Report

SAMPLES = Path(__file__).parents[2] / "sample_bundles"
AS_OF = ("--as-of", "2026-11-01T00:00:00Z")
OTHER_TRIAL = ("--trial", "CFMSC")


def screen(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adapter", "screen", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything from one pass over the samples."""
    out = tmp_path_factory.mktemp("made")
    products = ("--report", out / "report", "--worklist", out / "list.csv", "--keep-facts", out / "facts")
    screen(SAMPLES, *AS_OF, *products, "--out", out / "out", "--format", "findings", "--smallest-cell", "1")
    return out


def sorted_lines(text: str) -> list[str]:
    return sorted(text.splitlines())


@pytest.mark.parametrize(
    "asked",
    [AS_OF, ("--as-of", "2027-05-01T00:00:00Z"), (*AS_OF, *OTHER_TRIAL)],
    ids=["the same question", "another instant", "one trial"],
)
def test_kept_facts_give_the_findings_of_the_resources(made: Path, asked: tuple[str, ...]) -> None:
    from_resources = screen(SAMPLES, *asked, "--format", "findings").stdout
    from_facts = screen(made / "facts", *asked, "--format", "findings").stdout
    assert sorted_lines(from_facts) == sorted_lines(from_resources)
    assert len(from_facts) > 100_000


def test_kept_facts_give_the_bundles_of_the_resources(made: Path) -> None:
    from_resources = screen(SAMPLES, *AS_OF, "--format", "bundles").stdout
    assert sorted_lines(screen(made / "facts", *AS_OF, "--format", "bundles").stdout) == sorted_lines(from_resources)


def test_results_beside_products_are_those_without(made: Path) -> None:
    alone = screen(SAMPLES, *AS_OF, "--format", "findings").stdout
    beside = (made / "out" / "findings.ndjson").read_text(encoding="utf-8")
    assert sorted_lines(beside) == sorted_lines(alone)
    assert {each.name for each in (made / "out").iterdir()} == {"findings.ndjson", "run.json"}


def test_the_report_counts_the_verdicts_of_the_findings(made: Path) -> None:
    said = msgspec.json.decode((made / "report" / "report.json").read_bytes(), type=Report)
    lines = [json.loads(line) for line in (made / "out" / "findings.ndjson").read_text(encoding="utf-8").splitlines()]
    verdicts = [(line["trial"], line["verdict"]) for line in lines if "verdict" in line]
    for trial in said.trials:
        for verdict, number in trial.counts.verdicts.items():
            assert number == verdicts.count((trial.counts.key, verdict))
        for criterion in trial.counts.criteria:
            for atom in criterion.atoms:
                truths = [line["truth"] for line in lines if line.get("criterion") == atom.id]
                assert (atom.met, atom.not_met, atom.unknown) == tuple(map(truths.count, ("met", "not-met", "unknown")))


def test_a_report_from_kept_facts_is_that_of_the_resources_but_for_codes(made: Path, tmp_path: Path) -> None:
    screen(made / "facts", *AS_OF, "--report", tmp_path, "--smallest-cell", "1")
    one, other = (
        msgspec.json.decode((folder / "report.json").read_bytes(), type=Report)
        for folder in (made / "report", tmp_path)
    )
    assert one.trials == other.trials
    assert [each for each in one.hindrances if each.kind == "unit"] == list(other.hindrances)


def test_a_second_worklist_is_compared_with_the_first(made: Path) -> None:
    first = (made / "list.csv").read_text(encoding="utf-8-sig")
    screen(SAMPLES, *AS_OF, "--worklist", made / "list.csv")
    assert (made / "list.csv").read_text(encoding="utf-8-sig") == first, "nothing changed, so nothing is marked"
    screen(SAMPLES, "--as-of", "2026-12-20T00:00:00Z", "--worklist", made / "list.csv")
    later = (made / "list.csv").read_text(encoding="utf-8-sig")
    assert ",changed," in later or ",lost," in later


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--report", "r", "--format", "findings"), "needs --out"),
        (("--report", "r", "--out", "o", "--format", "table"), "do not go with"),
        (("--worklist", "list.doc"), ".csv, .xlsx, .html"),
        (("--report", "r", "--smallest-cell", "0"), "1 or more"),
    ],
)
def test_what_does_not_go_together_is_told_before_anyone_is_screened(
    asked: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in screen(SAMPLES, *AS_OF, *asked, code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_facts_of_other_mappings_are_refused(made: Path, tmp_path: Path) -> None:
    kept = json.loads((made / "facts" / "facts.json").read_text(encoding="utf-8"))
    (tmp_path / "facts.json").write_text(json.dumps({**kept, "mappings": "others"}), encoding="utf-8")
    assert "another version of the mappings" in screen(tmp_path, *AS_OF, code=1).stderr


def test_products_of_a_killed_run_are_those_of_an_uninterrupted_one(made: Path, tmp_path: Path) -> None:
    def products(place: Path) -> tuple[str | Path, ...]:
        return ("--report", place / "report", "--keep-facts", place / "facts", "--smallest-cell", "1")

    asked = [sys.executable, "-m", "adapter", "screen", str(SAMPLES), *AS_OF, "--out", str(tmp_path / "out")]
    asked += ["--format", "findings", *map(str, products(tmp_path))]
    for wait_s in (0.9, 1.4, 2.0):
        more = ["--resume"] if (tmp_path / "out" / ".screening" / "run.json").exists() else []
        process = subprocess.Popen([*asked, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
    more = ["--resume"] if (tmp_path / "out" / ".screening" / "run.json").exists() else []
    subprocess.run([*asked, *more], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    assert (tmp_path / "report" / "report.json").read_bytes() == (made / "report" / "report.json").read_bytes()
    for name in ("patients.parquet", "facts.parquet", "decided.parquet"):
        ours, theirs = ({p.name: p.read_bytes() for p in (at / "facts" / name).iterdir()} for at in (tmp_path, made))
        assert ours == theirs


def test_the_catalog_and_the_kept_facts_name_one_version(made: Path) -> None:
    kept = json.loads((made / "facts" / "facts.json").read_text(encoding="utf-8"))
    assert kept["mappings"] == catalog().mappings.version
    assert set(kept["trials"]) == {trial.key for trial in catalog().trials}
