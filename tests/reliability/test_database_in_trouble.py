"""R9: while the database cannot be written nothing is acknowledged, readiness says so, and it heals by itself."""

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from reliability.engine import message
from reliability.running import HANG_S, IS_WHOLE, Running, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a running process' limits are Linux'")
LOCKED_S = 30 if IS_WHOLE else 6
_LOCK = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def no_room(service: Running) -> Iterator[None]:
    """Let no file of the service grow, as on a disk that is full."""
    every = [service.pid, *service.children()]
    for pid in every:
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        for pid in every:
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextlib.contextmanager
def locked(service: Running) -> Iterator[None]:
    """Hold the database from another process."""
    command = [sys.executable, "-c", _LOCK, str(service.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"held\n"
        began = time.monotonic()
        yield
        time.sleep(max(0, LOCKED_S - (time.monotonic() - began)))
        other.stdin.close()


@pytest.mark.parametrize(("trouble", "workers"), [(no_room, 1), (no_room, 2), (locked, 1)])
def test_nothing_is_acknowledged_until_it_is_over(
    tmp_path: Path, trouble: Callable[[Running], contextlib.AbstractContextManager[None]], workers: int
) -> None:
    with running(tmp_path, workers=workers) as service:
        before = service.ask("/fhir", message("before"))
        assert before[0] == 200
        with trouble(service):
            status, headers, body = service.ask("/fhir", message("meanwhile"))
            assert status == 503, body
            assert int(headers["retry-after"]) > 0
            assert json.loads(body)["issue"][0]["code"] == "transient"
            assert service.ask("/readyz")[0] == 503
            assert service.ask("/healthz")[0] == 200
        service.wait_ready()
        # It was refused and left nothing behind: now it is new, and then it is known.
        status, headers, _ = service.ask("/fhir", message("meanwhile"))
        assert (status, headers.get("x-idempotent-replay")) == (200, None)
        for number, first in (("before", before[2]), ("meanwhile", None)):
            status, headers, body = service.ask("/fhir", message(number))
            assert (status, headers.get("x-idempotent-replay")) == (200, "true")
            assert first is None or body == first
        assert service.stop() == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if _run("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)) != 0:
        pytest.skip("a file system can be mounted by root only")
    yield folder
    _run("umount", "-l", str(folder))


def test_a_disk_that_is_full_takes_messages_again_once_there_is_room(small_disk: Path) -> None:
    with running(small_disk) as service:
        assert service.ask("/fhir", message("before"))[0] == 200
        ballast = small_disk / "ballast"
        _fill(ballast)
        refused = []
        for number in range(200):
            status, _, _ = service.ask("/fhir", message(f"full-{number}"))
            assert status in (200, 503)
            if status == 503:
                refused.append(number)
        assert refused
        assert service.ask("/readyz")[0] in (200, 503)
        ballast.unlink()
        service.wait_ready()
        for number in range(200):
            status, headers, _ = service.ask("/fhir", message(f"full-{number}"))
            was_known = headers.get("x-idempotent-replay") == "true"
            if status == 503:
                break  # so many need more room than there is
            assert (status, was_known) == (200, number not in refused)
        assert service.stop() == 0


def _run(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode


def _fill(ballast: Path) -> None:
    taken = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while True:
            os.write(taken, b"\0" * 4096)
    os.close(taken)


def test_a_database_that_can_only_be_read_is_told_at_the_start(small_disk: Path) -> None:
    with running(small_disk) as service:
        assert service.ask("/fhir", message("before"))[0] == 200
        assert service.stop() == 0
        log = service.log.read_bytes()
        assert _run("mount", "-o", "remount,ro", str(small_disk)) == 0
        started = subprocess.run(
            service.command, env=service.environment, capture_output=True, timeout=HANG_S, check=False
        )
        assert started.returncode in (1, 2)
        assert b"database" in started.stderr
        assert b"Traceback" not in started.stderr
        assert _run("mount", "-o", "remount,rw", str(small_disk)) == 0
        service.begin()
        status, headers, _ = service.ask("/fhir", message("before"))
        assert (status, headers["x-idempotent-replay"]) == (200, "true")
        assert service.log.read_bytes().startswith(log)
        assert service.stop() == 0


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        assert service.log.stat().st_size > 0
        with no_room(service):
            # Nothing of it is kept, so it needs no disk; and the line that is written of it finds no room.
            assert service.ask("/healthz")[0] == 200
            assert service.ask("/fhir/metadata")[0] == 200
        assert service.ask("/fhir", message("after"))[0] == 200
        assert service.stop() == 0
