"""What ``screen --out`` writes is whole or not there: on errors, on a full disk, when killed, and twice at once."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from reading.chart import AS_OF, SERVER, bundle, newer, patient

from adapter import cli
from adapter.population import screened

GOOD = json.dumps(bundle(patient(), newer()))
FORMATS = ("findings", "bundle", "table")


def run(paths: list[Path], out: Path, form: str = "findings") -> int:
    return cli.main(["screen", *map(str, paths), "--as-of", AS_OF, "--format", form, "--out", str(out)])


def command(folder: Path, out: Path, form: str) -> list[str]:
    options = ["--as-of", AS_OF, "--format", form, "--out", str(out)]
    return [sys.executable, "-m", "adapter", "screen", str(folder), *options]


def patients(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for number, name in enumerate(names):
        (folder / f"{number}.json").write_text(
            GOOD.replace('"p1"', f'"{name}"').replace("Patient/p1", f"Patient/{name}")
        )
    return folder


def written(out: Path) -> list[str]:
    return sorted(each.name for each in out.iterdir())


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_but_whole_files_is_left(tmp_path: Path, form: str) -> None:
    out = tmp_path / "new" / "folder"
    assert run([patients(tmp_path / "in", "p1", "p2")], out, form) == 0
    expected = {"findings": ["findings.ndjson"], "bundle": ["p1.json", "p2.json"], "table": ["table.txt"]}
    assert written(out) == expected[form]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("below", [False, True])
def test_a_folder_that_is_a_file_is_a_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, *, below: bool
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert run([patients(tmp_path / "in", "p1")], taken / "x" if below else taken, form) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("[unwritable]")
    assert taken.read_text() == "mine"


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_leaves_what_was_there_and_names_no_patient(tmp_path: Path, form: str) -> None:
    folder, out = patients(tmp_path / "in", "anna-smith"), tmp_path / "out"
    out.mkdir()
    name = {"findings": "findings.ndjson", "bundle": "anna-smith.json", "table": "table.txt"}[form]
    (out / name).write_text("of before")

    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = subprocess.run(
        command(folder, out, form),
        preexec_fn=small,
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    assert (done.returncode, written(out), (out / name).read_text()) == (1, [name], "of before")
    assert line.endswith("[unwritable]")
    assert "anna" not in line


@pytest.mark.parametrize("form", FORMATS)
def test_an_error_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    monkeypatch.setattr(screened, "screen_bundle", broken)
    assert run([patients(tmp_path / "in", "p1")], out, form) == 1
    assert written(out) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 1), (signal.SIGKILL, -9)])
def test_a_run_that_is_ended_half_way_leaves_no_half_written_file(tmp_path: Path, number: int, code: int) -> None:
    folder = patients(tmp_path / "in", "p1", "p2")
    os.mkfifo(tmp_path / "pipe")
    (folder / "1.json").unlink()
    script = (
        "import signal, sys\n"
        "from adapter import cli, inputs\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whoever started the tests may ignore it
        "read = inputs.read_bytes\n"
        "def slow(path):\n"
        f"    if not path.name.startswith('0'): open({str(tmp_path / 'pipe')!r}).read()\n"
        "    return read(path)\n"
        "inputs.read_bytes = slow\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    (folder / "1.json").write_text(GOOD)
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", script, *command(folder, out, "findings")[3:]])
    with (tmp_path / "pipe").open("w"):  # opens only when the second file is asked for
        assert not (out / "findings.ndjson").exists()
        assert len(written(out)) == 1
        process.send_signal(number)
        process.wait(timeout=30)
    assert process.returncode == code
    left = written(out)
    assert [name for name in left if not name.startswith(".")] == []
    assert bool(left) is (number == signal.SIGKILL)


def test_two_runs_at_once_into_one_folder_leave_whole_files(tmp_path: Path) -> None:
    folder, out = patients(tmp_path / "in", *(f"p{number}" for number in range(30))), tmp_path / "out"
    runs = [subprocess.Popen(command(folder, out, form)) for form in ("findings", "findings", "bundle", "bundle")]
    assert [each.wait(timeout=120) for each in runs] == [0, 0, 0, 0]
    assert written(out) == sorted([*(f"p{number}.json" for number in range(30)), "findings.ndjson"])
    for each in out.glob("*.json"):
        assert json.loads(each.read_bytes())["resourceType"] == "Bundle"
    assert len((out / "findings.ndjson").read_bytes().splitlines()) > 30


def test_patients_of_one_id_get_a_file_each(tmp_path: Path) -> None:
    folder, out = patients(tmp_path / "in", "x", "x", "x-2", "X", "../up", "con é", "a" * 70), tmp_path / "out"
    assert run([folder], out, "bundle") in (0, 3)
    names = written(out)
    assert len(names) == len({name.lower() for name in names}) == 7
    assert [name for name in names if name.lower().startswith("x")] == ["X-3.json", "x-2-2.json", "x-2.json", "x.json"]
    assert written(tmp_path) == ["in", "out"]


def test_two_patients_of_one_id_in_one_bundle_get_a_file_each(tmp_path: Path) -> None:
    document = bundle(patient())
    document["entry"].append({"fullUrl": f"{SERVER}/elsewhere/Patient/p1", "resource": patient()})
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(document))
    assert run([folder], tmp_path / "out", "bundle") == 0
    assert len(written(tmp_path / "out")) == 2


def test_a_run_with_every_file_set_aside_still_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.json").write_text("x")
    assert run([folder], tmp_path / "out") == 3
    assert (tmp_path / "out" / "findings.ndjson").read_bytes() == b""
