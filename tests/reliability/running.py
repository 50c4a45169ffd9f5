"""``trial-adapter serve`` as its operator has it: the real command on one port, killed and begun again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

IS_WHOLE = os.environ.get("RELIABILITY") == "whole"
"""Whether the figures of docs/performance.md are run, or only as much as shows that nothing is broken."""
HANG_S = 60


class Running:
    """The service in a process of its own; ``folder`` has its database and its log."""

    def __init__(self, folder: Path, port: int = 0, **settings: object) -> None:
        self.database = folder / "store.db"
        self.log = folder / "log.txt"
        self.port = port or _free_port()
        every = {"port": self.port, "database": f"sqlite:///{self.database}", "client_rate": "100000/second"} | settings
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIAL_ADAPTER_")}
        self.environment = kept | {f"TRIAL_ADAPTER_SERVE_{name.upper()}": str(value) for name, value in every.items()}
        self.command = [str(Path(sys.executable).with_name("trial-adapter")), "serve"]
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> float:
        """Start it and wait until it is ready; gives how long that took."""
        began = time.monotonic()
        self.start()
        self.wait_ready()
        return time.monotonic() - began

    def start(self) -> None:
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                self.command,
                stdout=stream,
                stderr=stream,
                env=self.environment,
                # Of its own group, so that all of its processes can be ended at the end of a test.
                start_new_session=True,
            )

    def wait_ready(self, within_s: float = HANG_S) -> None:
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(self.log.read_text()[-3000:])
            if self.ask("/readyz")[0] == 200:
                return
            time.sleep(0.02)
        raise AssertionError(self.log.read_text()[-3000:])

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def children(self) -> list[int]:
        """The processes that the first one watches."""
        listed = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False)  # noqa: S607 (where it stands differs)
        return [int(each) for each in listed.stdout.split()]

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(HANG_S)

    def stop(self) -> int:
        """End it as a service manager does; gives the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(HANG_S)

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Ask once; the status is 0 where no whole answer came."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=HANG_S)
        try:
            return said(connection, path, body, headers)
        except (OSError, HTTPException):
            return 0, {}, b""
        finally:
            connection.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def said(
    connection: HTTPConnection, path: str, body: bytes | None, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """Ask on a connection, and read the answer to its end; raises OSError, HTTPException."""
    sent = {"Content-Type": "application/fhir+json"} | {name.replace("_", "-"): each for name, each in headers.items()}
    connection.request("GET" if body is None else "POST", path, body, sent)
    answer = connection.getresponse()
    whole = answer.read()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, whole


@contextlib.contextmanager
def running(folder: Path, port: int = 0, **settings: object) -> Iterator[Running]:
    """Give a service that is ready, and leave none behind."""
    made = Running(folder, port, **settings)
    try:
        made.begin()
        yield made
    finally:
        if made.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(made.pid, signal.SIGKILL)
            made.process.wait(HANG_S)
