"""A population in parts: the same to the byte however it is shared out, and however often it was ended on its way."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from population.crowds import command, digests, screened, write_crowd
from population.exported import AS_OF

from adapter import cli

KILLS = int(os.environ.get("KILLS", "4"))
"""At how many random moments the run is killed; 50 take some minutes."""


@pytest.fixture(scope="module")
def alone(crowd: Path) -> Path:
    """Give what one process writes without being disturbed."""
    out = crowd.parent / "alone"
    code, said = screened(crowd, out, "--processes", "1")
    assert code == 3, said
    return out


def test_every_patient_is_there_once_in_every_format(alone: Path) -> None:
    lines = [json.loads(line) for line in (alone / "findings.ndjson").read_bytes().splitlines()]
    verdicts = Counter((each["patient"], each["trial"]) for each in lines if "verdict" in each)
    assert set(verdicts.values()) == {1}
    patients = {patient for patient, _ in verdicts}
    about = json.loads((alone / "run.json").read_bytes())
    assert len(patients) == about["patients"] > len("more than one part of them")
    rows = (alone / "verdicts.csv").read_text().splitlines()
    assert len(rows) == 1 + len(verdicts)
    assert rows[0] == "patient,trial,verdict,reason,in_favour,against,open"
    assert len((alone / "bundles.ndjson").read_bytes().splitlines()) == len(patients)


def test_the_verdict_table_says_what_the_findings_say(alone: Path) -> None:
    lines = [json.loads(line) for line in (alone / "findings.ndjson").read_bytes().splitlines()]
    said = [(each["patient"], each["trial"], each["verdict"]) for each in lines if "verdict" in each]
    rows = [tuple(row.split(",")[:3]) for row in (alone / "verdicts.csv").read_text().splitlines()[1:]]
    assert rows == said


def test_verdicts_alone_are_the_same_table(crowd: Path, alone: Path, tmp_path: Path) -> None:
    assert screened(crowd, tmp_path, "--processes", "2", formats=("verdicts",))[0] == 3
    assert (tmp_path / "verdicts.csv").read_bytes() == (alone / "verdicts.csv").read_bytes()


def test_columns_say_what_the_lines_say(alone: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(alone / "findings.parquet").to_pylist()
    lines = [json.loads(line) for line in (alone / "findings.ndjson").read_bytes().splitlines()]
    findings = [each for each in lines if "criterion" in each]
    assert len(table) == len(findings)
    for row, line in zip(table, findings, strict=True):
        evidence = [{name: value for name, value in each.items() if value is not None} for each in row["evidence"]]
        assert evidence == line["evidence"]
        assert (row["applicable"], row["attested"]) == (line.get("applicable", True), line.get("attested", False))
        for name in ("patient", "trial", "criterion", "truth", "reason", "message"):
            assert row[name] == line[name]
    verdicts = parquet.read_table(alone / "verdicts.parquet").to_pylist()
    assert [each["verdict"] for each in verdicts] == [each["verdict"] for each in lines if "verdict" in each]


def test_what_is_set_aside_is_listed_with_its_line_in_the_whole_file(crowd: Path, alone: Path) -> None:
    (said,) = (json.loads(line) for line in (alone / "set-aside.ndjson").read_bytes().splitlines())
    lines = (crowd / "bundles.ndjson").read_text().splitlines()
    assert said["code"] == "not-json"
    assert "broken" in lines[said["line"] - 1]


@pytest.mark.parametrize("processes", ["2", "3"])
def test_the_number_of_processes_changes_nothing(crowd: Path, alone: Path, processes: str) -> None:
    out = crowd.parent / f"with-{processes}"
    code, said = screened(crowd, out, "--processes", processes)
    assert (code, digests(out)) == (3, digests(alone))
    assert any("1 documents, lines or files set aside" in line for line in said)


def test_standard_output_takes_the_same_lines(crowd: Path, alone: Path, tmp_path: Path) -> None:
    asked = command(crowd, tmp_path, "--processes", "2", formats=("findings",))
    asked = [each for each in asked if each not in ("--out", str(tmp_path))]
    done = subprocess.run(asked, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (3, (alone / "findings.ndjson").read_bytes())


def test_a_few_files_give_the_same_lines_at_once_and_in_parts(
    crowd: Path, alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--as-of", AS_OF, "--format", "findings", "--format", "verdicts", "--out", str(tmp_path)]
    assert cli.main(["screen", str(crowd), *options]) == 3
    capsys.readouterr()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["findings.ndjson", "set-aside.ndjson", "verdicts.csv"]
    for name in ("findings.ndjson", "verdicts.csv"):
        at_once, parted = ((folder / name).read_bytes().splitlines() for folder in (tmp_path, alone))
        assert sorted(at_once) == sorted(parted)


def test_killed_at_any_moment_and_resumed_it_gives_the_same(crowd: Path, alone: Path, tmp_path: Path) -> None:
    moments = random.Random(11)  # noqa: S311 (moments, no secret)
    killed = runs = 0
    while killed < KILLS:
        out = tmp_path / str(runs)
        runs += 1
        for last in (False, False, True):
            resumed = (out / ".screening").exists()
            process = subprocess.Popen(
                command(crowd, out, "--processes", "2", "--resume", "--quiet"), stderr=subprocess.DEVNULL
            )
            if last:
                process.wait()
            else:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(moments.uniform(0.5, 1.5 if resumed else 3))
                process.kill()
                process.wait()
                killed += process.returncode == -signal.SIGKILL
                for each in out.glob("*.*"):  # whatever has appeared is whole
                    assert each.is_dir() or each.read_bytes() == (alone / each.name).read_bytes()
        assert process.returncode == 3
        assert digests(out) == digests(alone)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 1)])
def test_a_run_that_is_told_to_stop_leaves_no_process_and_can_be_resumed(
    crowd: Path, alone: Path, tmp_path: Path, number: int, code: int
) -> None:
    out = tmp_path / "out"
    patched = (
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from adapter.population import screened\n"
        "whole = screened.screen_bundle\n"
        "def slow(*given, **named):\n"
        "    import time; time.sleep(0.2); return whole(*given, **named)\n"
        "screened.screen_bundle = slow\n"
    )
    process = subprocess.Popen(
        command(crowd, out, "--processes", "2", "--quiet", patched=patched),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (out / ".screening" / "journal").exists():
        time.sleep(0.05)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert "--resume goes on with it" in said
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert sorted(each.name for each in out.iterdir()) == [".screening"]
    assert screened(crowd, out, "--processes", "2", "--resume")[0] == 3
    assert digests(out) == digests(alone)


def begun(crowd: Path, out: Path, *options: str) -> None:
    """Begin a run that ends at its second part."""
    patched = (
        "from adapter.population import run\n"
        "take = run.Run.take\n"
        "def once(self, done, *given, **named):\n"
        "    if done.number > 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    said = take(self, done, *given, **named)\n"
        "    self.commit()\n"
        "    return said\n"
        "run.Run.take = once\n"
    )
    assert screened(crowd, out, "--processes", "1", *options, patched=patched)[0] == -signal.SIGKILL


def test_an_unfinished_run_is_not_overwritten(crowd: Path, tmp_path: Path) -> None:
    begun(crowd, tmp_path / "out")
    code, said = screened(crowd, tmp_path / "out", "--processes", "1")
    assert (code, said[-1].rsplit(" ", 1)[1]) == (1, "[unfinished-run]")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--as-of", "2026-11-02T00:00:00Z"], "as_of"),
        (["--trial", "BMMSC"], "trials"),
        (["--base", "https://elsewhere.example.org"], "base"),
        (["--format", "findings"], None),
        (["--fhir-version", "R5"], "fhir_version"),
        (["--export-base", "https://x"], "export_base"),
    ],
)
def test_a_run_is_gone_on_with_only_as_it_was_begun(
    crowd: Path, alone: Path, tmp_path: Path, options: list[str], named: str | None
) -> None:
    out = tmp_path / "out"
    begun(crowd, out)
    code, said = screened(crowd, out, "--processes", "1", "--resume", *options)
    if named is None:
        assert (code, digests(out)) == (3, digests(alone))
        return
    assert (code, said[-1].rsplit(" ", 1)[1]) == (1, "[other-run]")
    assert f"other {named};" in said[-1]
    assert screened(crowd, out, "--processes", "1", "--resume")[0] == 3
    assert digests(out) == digests(alone)


@pytest.mark.parametrize("change", ["touched", "gone", "new"])
def test_a_run_is_not_gone_on_with_over_other_files(tmp_path: Path, change: str) -> None:
    folder, out = write_crowd(tmp_path / "in", times=1), tmp_path / "out"
    begun(folder, out)
    file = folder / "export" / "Condition.000.ndjson"
    if change == "touched":
        os.utime(file)
    elif change == "gone":
        file.unlink()
    else:
        file = folder / "another.json"
        file.write_text("{}")
    code, said = screened(folder, out, "--processes", "1", "--resume")
    assert (code, said[-1].rsplit(" ", 1)[1]) == (1, "[other-input]")
    assert said[-1].startswith(str(folder))


def test_the_instant_of_a_run_that_is_resumed_is_that_of_its_begin(crowd: Path, alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    begun(crowd, out)
    asked = command(crowd, out, "--processes", "1", "--resume")
    asked = [each for each in asked if each not in ("--as-of", AS_OF)]
    assert subprocess.run(asked, capture_output=True, check=False).returncode == 3
    assert digests(out) == digests(alone)


def test_two_runs_never_write_into_one_folder(crowd: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    slow = "from adapter.population import run\nrun.Run.take = lambda *_, **__: __import__('time').sleep(60)\n"
    first = subprocess.Popen(command(crowd, out, "--processes", "1", patched=slow), stderr=subprocess.DEVNULL)
    try:
        while not (out / ".screening" / "run.json").exists():
            time.sleep(0.05)
        code, said = screened(crowd, out, "--processes", "1", "--resume")
        assert (code, said[-1].rsplit(" ", 1)[1]) == (1, "[run-in-progress]")
    finally:
        first.kill()
        first.wait()


def test_sorted_exports_can_lie_elsewhere_and_are_removed_at_the_end(crowd: Path, alone: Path, tmp_path: Path) -> None:
    out, work = tmp_path / "out", tmp_path / "work"
    begun(crowd, out, "--work", str(work))
    assert [each.name.split("-")[0] for each in work.iterdir()] == ["screening"]
    assert not list((out / ".screening").glob("export-*"))
    assert screened(crowd, out, "--processes", "2", "--resume", "--work", str(work))[0] == 3
    assert (digests(out), list(work.iterdir())) == (digests(alone), [])


@pytest.mark.parametrize(
    "options",
    [
        ["--format", "findings", "--format", "verdicts"],
        ["--format", "parquet"],
        ["--resume"],
        ["--resume", "--format", "table", "--out", "x"],
        ["--processes", "0"],
    ],
)
def test_what_does_not_go_together_is_a_usage_error(
    crowd: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert cli.main(["screen", str(crowd), *options]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("[usage]")
