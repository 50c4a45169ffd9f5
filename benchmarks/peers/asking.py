"""One engine's process: started once, asked many times."""

import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from peers.answering import Answer
from peers.engines import HERE, Engine

MB = 1_000_000


class Said(msgspec.Struct, frozen=True):
    """What an engine answered to one line."""

    seconds: tuple[float, ...]
    """Of each patient, as the engine's process measured them."""
    cpu: float
    answers: tuple[Answer, ...] | None = None


class Asked:
    """A running engine."""

    def __init__(self, engine: Engine, ask: Path, log: Path) -> None:
        self.engine = engine
        self.versions: dict[str, str] = {}
        self.start_up = 0.0
        self._log = log.open("wb")
        began = time.perf_counter()
        self._process = subprocess.Popen(
            engine.command(ask),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        )
        self.versions = self._line()["ready"]
        self.start_up = time.perf_counter() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def ask(self, patients: list[int], *, answers: bool = False) -> Said:
        """Ask about some patients; raises ``StoppedError`` when the process ended instead of answering."""
        if self._process.stdin is None:
            raise StoppedError(self.engine.name)
        self._process.stdin.write(json.dumps({"patients": patients, "answers": answers}).encode() + b"\n")
        self._process.stdin.flush()
        return msgspec.convert(self._line(), Said)

    def peak(self) -> float | None:
        """Give the peak resident memory so far, in MB; None where the system does not tell."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        except OSError:
            return None
        (line,) = (each for each in status.splitlines() if each.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / MB

    def _line(self) -> Any:
        line = self._process.stdout.readline() if self._process.stdout is not None else b""
        if not line:
            self._log.flush()
            raise StoppedError(f"{self.engine.name} stopped; what it said is in {self._log.name}")
        return json.loads(line)


class StoppedError(Exception):
    """An engine ended before it answered."""
