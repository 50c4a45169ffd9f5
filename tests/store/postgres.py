"""A PostgreSQL server of this machine, in a folder of its own, where Debian's binaries are installed."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

_FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
_BIN = _FOUND[-1].parent if _FOUND else None


class Postgres:
    """A running server, which gives databases."""

    def __init__(self, address: str) -> None:
        self._address = address

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of an empty database, which is gone afterwards."""
        name = f"t{uuid.uuid4().hex}"
        engine = create_engine(f"{self._address}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield f"{self._address}/{name}"
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


@contextlib.contextmanager
def postgres_running() -> Iterator[Postgres]:
    """Start a server, and stop it; skips where there is none to start."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    if _BIN is None:
        pytest.skip("no PostgreSQL server in /usr/lib/postgresql; Debian: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    # PostgreSQL refuses to run as root; Debian's package brings a user for it.
    started = {"user": "postgres"} if os.geteuid() == 0 else {}
    if started:
        shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    init = [str(_BIN / "initdb"), "-D", str(data), "-U", "adapter", "--auth=trust", "--no-sync"]
    subprocess.run(init, check=True, capture_output=True, cwd=folder, **started)
    options = f"-p {port} -k {folder} -h 127.0.0.1 -c fsync=off"
    control = [str(_BIN / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
    subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd=folder, **started)
    try:
        yield Postgres(f"postgresql+psycopg://adapter@127.0.0.1:{port}")
    finally:
        stop = [*control, "-m", "immediate", "stop"]
        subprocess.run(stop, check=True, capture_output=True, cwd=folder, **started)
        shutil.rmtree(folder)
