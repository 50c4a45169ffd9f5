"""Several processes on one port: who watches them replaces, stops and outlives them as it should."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from reliability.engine import message
from reliability.running import running

_HEAD = "import os, signal, sys, time\nfrom adapter.verbs.watching import watch\n"


@contextlib.contextmanager
def _run(code: str) -> Iterator[tuple["subprocess.Popen[str]", IO[str]]]:
    with subprocess.Popen([sys.executable, "-c", _HEAD + code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.kill()


def test_one_that_cannot_begin_ends_all_with_its_code() -> None:
    with _run("sys.exit(watch([lambda: 3, lambda: time.sleep(60)], 1))") as (process, _):
        assert process.wait(30) == 3


def test_all_end_when_told_and_what_stands_after_is_done_by_each() -> None:
    code = """
def work():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.write(1, b"begun\\n")  # whole: the other one writes too
    time.sleep(60)
code = watch([work, work], 5)
print("after", code, flush=True)
sys.exit(code)
"""
    with _run(code) as (process, told):
        assert [told.readline(), told.readline()] == ["begun\n", "begun\n"]
        process.terminate()
        assert process.wait(30) == 0
        assert told.read() == "after 0\n"


def test_one_that_does_not_end_is_killed() -> None:
    code = """
def work():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("begun", flush=True)
    time.sleep(600)
sys.exit(watch([work], 0.2))
"""
    with _run(code) as (process, told):
        assert told.readline() == "begun\n"
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_that_is_killed_is_replaced(tmp_path: Path, which: int) -> None:
    # Two that answer and one that delivers: there is no difference.
    with running(tmp_path, workers=2, target="http://127.0.0.1:9/fhir") as service:
        before = service.children()
        assert len(before) == 3
        os.kill(before[which], signal.SIGKILL)
        until = time.monotonic() + 30
        while (now := service.children()) == before or len(now) < len(before):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert len(set(before) & set(now)) == 2
        assert service.ask("/fhir", message("after"))[0] == 200
        assert b"another begins" in service.log.read_bytes()
        assert service.stop() == 0
