"""A file appears whole or not at all, an equal one is not touched, one that nobody writes any more is named."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from exporting.conftest import snapshot

from adapter import cli
from adapter.verbs import exporting

ONE = ["--trial", "CFMSC"]


def export(out: Path, *options: str) -> int:
    return cli.main(["export", "--out", str(out), *options])


def hidden(folder: Path) -> list[str]:
    return [name for name in snapshot(folder) if Path(name).name.startswith(".")]


def test_an_equal_file_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(tmp_path, "--package", *ONE) == cli.DONE
    for each in tmp_path.rglob("*"):
        os.utime(each, (1, 1))
    (tmp_path / "Group-cfmsc-eligibility.json").write_text("{}")
    capsys.readouterr()
    assert export(tmp_path, "--package", *ONE) == cli.DONE
    assert "1 written" in capsys.readouterr().out
    touched = [each.name for each in tmp_path.rglob("*") if each.is_file() and each.stat().st_mtime > 1]
    assert touched == ["Group-cfmsc-eligibility.json"]


def test_a_file_of_an_earlier_export_is_named_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bundles").mkdir()
    ours = ["Group-gone.json", "bundles/gone.json", "package.tgz"]
    for name in (*ours, "README.md", "notes.json", "bundles/read.me"):
        (tmp_path / name).write_text("before")
    assert export(tmp_path) == cli.DONE
    lines = [line for line in capsys.readouterr().err.splitlines() if line.endswith("[left-over]")]
    assert [line.split(":")[0] for line in lines] == [str(tmp_path / name) for name in ours]
    assert (tmp_path / "Group-gone.json").read_text() == "before"


def test_an_export_of_one_trial_says_nothing_of_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(tmp_path) == cli.DONE
    capsys.readouterr()
    assert export(tmp_path, *ONE) == cli.DONE
    assert "left-over" not in capsys.readouterr().err


@pytest.mark.parametrize("below", [False, True])
def test_a_folder_that_is_a_file_is_a_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, below: bool
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert export(taken / "x" if below else taken) == cli.FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("[unwritable]")
    assert taken.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_a_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o500)
    assert export(tmp_path) == cli.FAILED
    tmp_path.chmod(0o700)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("[unwritable]")


def test_a_full_disk_leaves_what_was_there_and_no_part(tmp_path: Path) -> None:
    assert export(tmp_path, *ONE) == cli.DONE
    large = tmp_path / "bundles" / "cfmsc.json"
    large.write_bytes(large.read_bytes() + b" ")
    before = snapshot(tmp_path)

    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-m", "adapter", "export", "--out", str(tmp_path), *ONE]
    done = subprocess.run(command, preexec_fn=small, capture_output=True, text=True, check=False)
    assert done.returncode == cli.FAILED
    assert done.stderr.splitlines()[-1].endswith("[unwritable]")
    assert "Traceback" not in done.stderr
    assert snapshot(tmp_path) == before


def test_an_error_half_way_leaves_whole_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretty, calls = exporting.pretty, []

    def broken(content: object) -> bytes:
        calls.append(content)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return pretty(content)

    monkeypatch.setattr(exporting, "pretty", broken)
    assert export(tmp_path, *ONE) == cli.FAILED
    assert len(snapshot(tmp_path)) == 19
    assert hidden(tmp_path) == []


def opened(pipe: Path, process: "subprocess.Popen[bytes]") -> int:
    """Open a pipe for writing once the process reads from it; a process that ended before is no reason to wait."""
    for _ in range(600):
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert process.poll() is None
            time.sleep(0.05)
    raise AssertionError("the process never came to a large file")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 1), (signal.SIGKILL, -9)])
def test_a_run_that_is_ended_half_way_leaves_no_half_written_file(tmp_path: Path, number: int, code: int) -> None:
    out, pipe = tmp_path / "out", tmp_path / "pipe"
    os.mkfifo(pipe)
    script = (
        "import signal, sys\n"
        "from adapter import cli\n"
        "from adapter import outputs\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whoever started the tests may ignore it
        "def half(stream, data):\n"
        "    stream.write(data[: len(data) // 2])\n"
        "    stream.flush()\n"
        f"    if len(data) > 50_000: open({str(pipe)!r}).read()\n"
        "    stream.write(data[len(data) // 2 :])\n"
        "outputs._whole = half\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, "export", "--out", str(out), *ONE])
    held = opened(pipe, process)  # opens only when a large file is half written
    process.send_signal(number)
    process.wait(timeout=30)
    os.close(held)
    assert process.returncode == code
    assert bool(hidden(out)) is (number == signal.SIGKILL)
    whole = tmp_path / "whole"
    assert export(whole, *ONE) == cli.DONE
    left = {name: data for name, data in snapshot(out).items() if name not in hidden(out)}
    assert left.items() <= snapshot(whole).items()
    assert export(out, *ONE) == cli.DONE
    assert snapshot(whole).items() <= snapshot(out).items()


def test_two_exports_at_once_into_one_folder_leave_whole_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "adapter", "export", "--out", str(tmp_path / "both"), "--package"]
    runs = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(3)]
    assert [each.wait(timeout=120) for each in runs] == [0, 0, 0]
    assert export(tmp_path / "alone", "--package") == cli.DONE
    assert snapshot(tmp_path / "both") == snapshot(tmp_path / "alone")
