"""What opens a socket is seen: in a process by Python's own audit events, and by its system calls where strace is."""

import contextlib
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

SEEN = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
    "socket.sendmsg",
    "urllib.Request",
)
HOOK = f"""
import os, sys

_seen = {SEEN!r}
_file = os.open({{path!r}}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def _hook(event, arguments):
    if event in _seen:
        os.write(_file, (event + " " + repr(arguments[1:] or arguments) + "\\n").encode())

sys.addaudithook(_hook)
"""
"""A ``sitecustomize`` that writes down each attempt of the process it is loaded in."""


def install(folder: Path) -> Path:
    """Write the hook where a child finds it by PYTHONPATH; give the file that it writes to."""
    seen = folder / "sockets.txt"
    (folder / "sitecustomize.py").write_text(HOOK.format(path=str(seen)), encoding="utf-8")
    return seen


@contextlib.contextmanager
def traced(process: int, to: Path) -> Iterator[bool]:
    """Write down each connection the process makes, by whatever library; false where that cannot be seen here."""
    strace = shutil.which("strace")
    if strace is None:
        yield False
        return
    command = [strace, "-f", "-q", "-e", "trace=connect,sendto,sendmsg", "-o", str(to), "-p", str(process)]
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        yield tracer.poll() is None  # it may not be allowed to
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        tracer.wait(10)


def connections(trace: str) -> list[str]:
    """Give the calls of a trace that go out: those of IP, save answers on connections that others opened."""
    return [line for line in trace.splitlines() if re.search(r"connect\(|sin6?_port=", line) and "AF_UNIX" not in line]
