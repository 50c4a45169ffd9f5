"""A service that is measured: its processes, what they use, and how one bundle is posted to it."""

import os
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self

HERE = Path(__file__).resolve().parent
_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _SYSTEM = 1, 11, 12
"""Of the fields of /proc/PID/stat that stand after the name."""


class Service:
    """``listening.py`` in one of its modes, on a database of its own."""

    def __init__(self, mode: str, folder: Path, **settings: object) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.database = folder / "store.db"
        self._command = [sys.executable, str(HERE / "listening.py"), mode]
        every = {
            "port": self.port,
            "database": f"sqlite:///{self.database}",
            "client_rate": "1000000/second",
            "max_outbox": 100_000_000,  # nothing is delivered: what is measured is what is taken
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIAL_ADAPTER_")}
        self._environment = kept | {
            f"TRIAL_ADAPTER_SERVE_{name.upper()}": str(value) for name, value in (every | settings).items()
        }
        self._log = folder / "log.txt"
        self.pid = 0

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        with self._log.open("wb") as stream:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=stream, stderr=stream)
        self.pid = self._process.pid
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            if self._ask("GET", "/readyz", b"", {}):
                return self
            time.sleep(0.05)
        sys.exit(self._log.read_text(encoding="utf-8")[-2000:])

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def post(self, body: bytes, key: str) -> int:
        """Post a bundle; gives the status."""
        return self._ask("POST", "/fhir", body, {"Content-Type": "application/fhir+json", "Idempotency-Key": key})

    def cpu_s(self) -> float:
        """Processor time of all its processes so far."""
        return Watched(tree_of(self.pid)).cpu_s()

    def database_bytes(self) -> int:
        """The size of the database with its write-ahead log."""
        return sum(each.stat().st_size for each in self.database.parent.glob("store.db*"))

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()
        return answer.status


class Watched:
    """What some processes use, as the kernel counts it."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids

    def cpu_s(self) -> float:
        """Processor time."""
        fields = [_stat(each) for each in self._pids]
        return sum(int(each[_USER]) + int(each[_SYSTEM]) for each in fields) / _TICKS

    def rss_mb(self) -> float:
        """Resident memory of all."""
        return sum(_memory(each, "VmRSS") for each in self._pids)

    def peak_mb(self) -> float:
        """Peak resident memory of the one that had most."""
        return max(_memory(each, "VmHWM") for each in self._pids)

    def files(self) -> int:
        """Open descriptors of all."""
        return sum(len(list(Path(f"/proc/{each}/fd").iterdir())) for each in self._pids)


def tree_of(pid: int) -> list[int]:
    """Give a process and those it began."""
    parents = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                parents[int(each.name)] = int(_stat(int(each.name))[_PARENT])
            except (OSError, IndexError):
                continue
    return [pid, *(child for child, parent in parents.items() if parent == pid)]


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def _memory(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0
