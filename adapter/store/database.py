"""How a database is opened so that what it says is committed stays committed."""

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from adapter.errors import AdapterError, Category

HEAD = "0005"
"""The revision this version of the adapter works with; a test holds it against the migrations."""
_BUSY_MS = 5000
_LOOK_S = 0.001
_WAL_BYTES = 32 * 1024 * 1024
"""What is left of SQLite's write-ahead log once all of it stands in the file."""
_LOCK = 7417190463
"""Any number, the same for all replicas: who migrates."""


class LockedError(SQLAlchemyError):
    """Somebody else has been writing all the while; who waited so long need not try again at once."""


def open_engine(url: str) -> Engine:
    """Open a database by its URL, made and migrated where needed; raises AdapterError."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _wrong("this is no database address such as sqlite:///adapter.db") from None
    if parsed.drivername == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        engine = _sqlite(url, str(parsed.database))
    elif parsed.drivername == "postgresql+psycopg":
        engine = create_engine(url, pool_size=4, pool_pre_ping=True, hide_parameters=True)
    else:
        raise _wrong("the store is sqlite:///FILE or postgresql+psycopg://...")
    try:
        with engine.begin() as connection:
            if _revision(connection) != HEAD:
                _migrate(connection)
    except (SQLAlchemyError, OSError) as error:
        engine.dispose()
        said = f"the database cannot be opened ({type(error).__name__}); is it there, and may we write to it?"
        raise AdapterError.of(Category.UNAVAILABLE, "store-unavailable", said) from None
    return engine


def _sqlite(url: str, file: str) -> Engine:
    try:
        # Made here and not by SQLite, so that at no moment others can read it; -wal and -shm inherit the mode.
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        Path(file).chmod(0o600)
    except OSError:
        raise _wrong("the database's file cannot be written; is its folder there?") from None
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=4, connect_args={"check_same_thread": False}, hide_parameters=True
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 (the driver's own connection)
    # The driver must not begin and commit by itself: savepoints would be lost.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={_BUSY_MS}",  # first: the next may have to wait
        "auto_vacuum=INCREMENTAL",  # of a new file; before WAL, which writes the first page
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"journal_size_limit={_WAL_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def has_given_back(engine: Engine, pages: int) -> bool:
    """Give some of the pages of SQLite's file that nothing is in back to the disk; whether there may be more."""
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        (before,) = cursor.execute("PRAGMA freelist_count").fetchone()
        if before:
            # As a script: by itself the driver stops after the first page.
            driver: Any = raw.driver_connection
            driver.executescript(f"PRAGMA incremental_vacuum({pages})")
        (after,) = cursor.execute("PRAGMA freelist_count").fetchone()
    except sqlite3.Error:
        return False  # somebody else writes for long: another time
    finally:
        raw.close()
    return bool(0 < after < before)


def checkpoint(engine: Engine) -> None:
    """Bring SQLite's write-ahead log into the file and cut it off, where nobody reads from it; else another time."""
    if engine.dialect.name != "sqlite":
        return
    raw = engine.raw_connection()
    try:
        # Without waiting: whoever waits here for a reader holds up all who write.
        for pragma in ("busy_timeout=0", "wal_checkpoint(TRUNCATE)", f"busy_timeout={_BUSY_MS}"):
            raw.cursor().execute(f"PRAGMA {pragma}").fetchall()
    finally:
        raw.close()


def _begin(connection: Connection) -> None:
    # A reader needs no lock; a writer takes it at once, since one that asks for it late cannot wait for it.
    reads = connection.get_execution_options().get("reads", False)
    if reads:
        connection.exec_driver_sql("BEGIN")
    else:
        _begin_writing(connection)


def _begin_writing(connection: Connection) -> None:
    """Begin as soon as no other process writes.

    SQLite itself looks again after up to a tenth of a second: where several processes take short turns, nearly all of
    that is waited for nothing.
    """
    raw: Any = connection.connection.driver_connection
    until = time.monotonic() + _BUSY_MS / 1000
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while time.monotonic() < until:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise OperationalError("BEGIN IMMEDIATE", None, error) from None
            else:
                return
            time.sleep(_LOOK_S)
        raise LockedError
    finally:
        raw.execute(f"PRAGMA busy_timeout={_BUSY_MS}")


def _revision(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _migrate(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 (only a new version migrates)
    from alembic.config import Config  # noqa: PLC0415 (the same)

    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _wrong(said: str) -> AdapterError:
    return AdapterError.of(Category.NOT_FOUND, "store-address", said)
