"""SEKMET, a hospital system that others wrote, in processes of its own; it stands in an environment of its own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

VERSION = "0.1.1"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fhir-trial-adapter" / "sekmet"
PEER = "adapter"


def python() -> Path | None:
    """Give the Python that has SEKMET; None where there is none."""
    named = os.environ.get("SEKMET")
    found = Path(named) if named else _CACHE / "bin" / "python"
    return found if found.is_file() else None


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class HospitalSystem:
    """One SEKMET with the adapter as its peer."""

    def __init__(self, interpreter: Path, folder: Path, adapter_url: str) -> None:
        self._command = [str(interpreter), "-m", "sekmet.cli"]
        self._folder = folder
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}/fhir"
        settings = {
            "host": "127.0.0.1",
            "port": self.port,
            "base_url": self.base,
            "data_dir": str(folder / "data"),
            "peers": {PEER: {"base_url": f"{adapter_url}/fhir", "mode": "messaging"}},
        }
        # JSON is YAML.
        (folder / "settings.yaml").write_text(json.dumps(settings), encoding="utf-8")

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run one command; gives exit code and what it said."""
        command = [*self._command, *arguments, "-c", "settings.yaml"]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, done.stdout + done.stderr

    def report(self, name: str) -> dict[str, Any]:
        """Read the newest report of a kind."""
        found = max(self._folder.glob(f"reports/*/{name}"), key=lambda each: each.stat().st_mtime)
        report: dict[str, Any] = json.loads(found.read_bytes())
        return report

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Let it listen."""
        with (self._folder / "log.txt").open("wb") as log:
            command = [*self._command, "serve", "-c", "settings.yaml"]
            process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        try:
            until = time.monotonic() + 60
            while self.ask("GET", "/metadata")[0] != 200:
                assert process.poll() is None, (self._folder / "log.txt").read_text()[-2000:]
                assert time.monotonic() < until
                time.sleep(0.1)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(self, method: str, path: str, resource: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Ask its FHIR server; the status is 0 where it does not listen."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = None if resource is None else json.dumps(resource).encode()
        try:
            connection.request(method, f"/fhir{path}", body, {"Content-Type": "application/fhir+json"})
            answer = connection.getresponse()
            read = answer.read()
            return answer.status, json.loads(read) if read else {}
        except (OSError, HTTPException):
            return 0, {}
        finally:
            connection.close()

    def put(self, resource: dict[str, Any]) -> None:
        """Keep a resource under its own id."""
        status, said = self.ask("PUT", f"/{resource['resourceType']}/{resource['id']}", resource)
        assert status in (200, 201), said
