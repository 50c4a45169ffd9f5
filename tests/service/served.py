"""A real ``serve`` in a process of its own, on this machine only."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_MAIN = """
import argparse, sys
import adapter
from adapter.errors import AdapterError
from adapter.verbs.serving import run
sys.exit(run(argparse.Namespace(), adapter.load_catalog()))
"""


class Served:
    """The process, and where it listens."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.url = f"http://127.0.0.1:{port}"
        self.secure_url = f"https://127.0.0.1:{port}"

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


@contextlib.contextmanager
def served(folder: Path, **settings: object) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRIAL_ADAPTER_")}
    every = {"port": port, "database": f"sqlite:///{folder / 'store.db'}", **settings}
    environment |= {f"TRIAL_ADAPTER_SERVE_{name.upper()}": str(value) for name, value in every.items()}
    log = folder / f"log-{port}.txt"
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-c", _MAIN], stderr=stream, stdout=stream, env=environment)
    try:
        _wait(process, port, log)
        yield Served(process, port, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
