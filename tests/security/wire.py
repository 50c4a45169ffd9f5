"""Bytes to and from a socket as they are, and what a process holds in memory."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from service.served import Served

MIB = 1024 * 1024


def said(running: Served, *sent: bytes, timeout: float = 20) -> bytes:
    """Send pieces, and give all that comes back until the service closes the connection."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=timeout) as connection:
        try:
            for piece in sent:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what was sent was too much already
        return heard(connection)


def heard(connection: socket.socket) -> bytes:
    got = b""
    try:
        while chunk := connection.recv(65536):
            got += chunk
    except ConnectionResetError:
        pass
    return got


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    usual = ("Host: service", "Content-Type: application/fhir+json")
    return "\r\n".join((f"{method} {path} HTTP/1.1", *usual, *lines, "", "")).encode("latin-1")


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:80]
    return int(answer[9:12])


def grown(running: Served, act: Callable[[], object]) -> int:
    """Give by how much the process grew at most while something was done to it, in bytes."""
    folder = Path("/proc") / str(running.process.pid)
    try:
        (folder / "clear_refs").write_text("5")  # the peak begins anew
    except OSError:
        pytest.skip("the peak of a process' memory can only be measured on Linux")
    before = _of(folder, "VmRSS")
    act()
    time.sleep(0.1)
    return _of(folder, "VmHWM") - before


def _of(folder: Path, name: str) -> int:
    (line,) = (each for each in (folder / "status").read_text().splitlines() if each.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
