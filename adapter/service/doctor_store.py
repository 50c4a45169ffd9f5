"""Does the database open, is it ours, does it take writes, how full is it, does its audit hold; nothing is changed."""

import datetime
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from adapter.errors import AdapterError
from adapter.service.doctor import Checked, fault, ok, warning
from adapter.service.settings import Settings
from adapter.store.chain import is_keyed, verified
from adapter.store.chain_key import read_chain_keys, use
from adapter.store.database import HEAD
from adapter.store.tables import metadata, moment, outbox

_CHECK = "database"
_MB = 1024 * 1024
_BUSY_S = 5.0
_FREE_FAULT = 200 * _MB
_FREE_WARNING = 2048 * _MB
_WAL = 64 * _MB
_WAITING = datetime.timedelta(hours=1)
_CODE = re.compile(r"[A-Za-z0-9 :._-]{1,80}")


def check_store(settings: Settings) -> Iterator[Checked]:
    """Examine the database without changing it."""
    try:
        url = make_url(settings.database.get_secret_value())
    except ArgumentError:
        yield fault(_CHECK, "database is no address", "set it as sqlite:///FILE or postgresql+psycopg://...")
        return
    if url.drivername == "sqlite":
        path = Path(url.database or "")
        if url.database in (None, "", ":memory:"):
            yield fault(_CHECK, "database names no file", "set it as sqlite:///FILE")
            return
        if not path.exists():
            yield from _missing(path)
            return
        yield from _disk(path)
        # By a URI, so that looking at it neither makes it nor changes its journal.
        address = f"sqlite:///file:{quote(str(path.absolute()))}?mode=rw&uri=true"
        engine = create_engine(address, hide_parameters=True, connect_args={"timeout": _BUSY_S})
    elif url.drivername == "postgresql+psycopg":
        try:
            engine = create_engine(url, hide_parameters=True, connect_args={"connect_timeout": 5})
        except (ImportError, NoSuchModuleError):
            todo = "pip install 'fhir-trial-adapter[postgresql]'"
            yield fault(_CHECK, "the driver of PostgreSQL is not installed", todo)
            return
    else:
        yield fault(_CHECK, "the database is neither SQLite nor PostgreSQL", "set it as docs/http.md says")
        return
    try:
        yield from _opened(engine, settings)
    finally:
        engine.dispose()


def _missing(path: Path) -> Iterator[Checked]:
    folder = path.absolute().parent
    if not folder.is_dir():
        yield fault(_CHECK, "the folder of the database's file is not there", "make it, for the user that serves")
        return
    yield from _free(folder)
    yield ok(_CHECK, "there is no database yet: serve will make it")


def _disk(path: Path) -> Iterator[Checked]:
    yield from _free(path.absolute().parent)
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield warning(_CHECK, f"the database's file has the mode {stat.S_IMODE(mode):04o}", "chmod 600 it")
    size = path.stat().st_size
    with suppress(FileNotFoundError):
        wal = path.with_name(f"{path.name}-wal").stat().st_size
        said = f"the file has {size // _MB} MB, its write-ahead log {wal // _MB} MB"
        if wal > _WAL:
            yield warning(_CHECK, said, "a reader holds it back: look for a long copy or query of the database")
        else:
            yield ok(_CHECK, said)


def _free(folder: Path) -> Iterator[Checked]:
    free = shutil.disk_usage(folder).free
    said = f"{free // _MB} MB are free where the database is"
    if free < _FREE_FAULT:
        yield fault("disk", said, "make room: without it no message is taken")
    elif free < _FREE_WARNING:
        yield warning("disk", said, "make room soon")
    else:
        yield ok("disk", said)


def _opened(engine: Engine, settings: Settings) -> Iterator[Checked]:
    try:
        with engine.connect() as connection:
            yield from _kind_of(connection)
            revision = _revision(connection)
    except (SQLAlchemyError, OSError) as error:
        todo = "is it there, do we know its password, and is it a database of this adapter?"
        yield fault(_CHECK, f"the database cannot be opened ({type(error).__name__})", todo)
        return
    if revision is None:
        yield warning(_CHECK, "the database is empty: its tables are made at the first start", "start serve once")
        return
    if revision != HEAD:
        later = revision > HEAD
        said = f"the tables are those of another version ({revision}; this one works with {HEAD})"
        todo = "install the newer adapter that made them" if later else "start serve once: it brings them up to date"
        yield fault(_CHECK, said, todo) if later else warning(_CHECK, said, todo)
        return
    yield ok(_CHECK, f"the tables are those of this version ({HEAD})")
    yield from _writable(engine)
    with engine.connect() as connection:
        yield from _outbox(connection)
    yield from _audit(engine, settings)


def _revision(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _kind_of(connection: Connection) -> Iterator[Checked]:
    if connection.dialect.name == "sqlite":
        mode = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
        if mode == "wal":
            yield ok(_CHECK, "SQLite, journal mode WAL")
        else:
            todo = "start serve once; on a network drive it cannot be WAL: move it to a local disk"
            yield warning(_CHECK, f"SQLite, journal mode {mode}", todo)
        return
    version = str(connection.exec_driver_sql("SHOW server_version").scalar()).split()[0]
    if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar():
        todo = "name the primary server in database"
        yield fault(_CHECK, f"PostgreSQL {version}, a standby that takes no write", todo)
    else:
        yield ok(_CHECK, f"PostgreSQL {version}")


def _writable(engine: Engine) -> Iterator[Checked]:
    """Take the lock of a writer and give it back, or ask for the right: nothing is written."""
    todo = "is the disk full or read-only, is the file ours, and does another program hold it?"
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                driver = connection.connection.driver_connection
                assert driver is not None  # noqa: S101 (an open connection has one)
                driver.isolation_level = None
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                connection.exec_driver_sql("ROLLBACK")
                takes = True
            else:
                asked = text(
                    "SELECT bool_and(has_table_privilege(name, 'INSERT') AND has_table_privilege(name, 'UPDATE'))"
                    " FROM unnest(CAST(:names AS text[])) AS name"
                )
                names = sorted(metadata.tables)
                takes = bool(connection.execute(asked, {"names": names}).scalar())
                todo = "grant SELECT, INSERT, UPDATE, DELETE on its tables to the user that serves"
                takes = takes and connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "off"
    except SQLAlchemyError as error:
        yield fault(_CHECK, f"the database takes no write ({type(error).__name__})", todo)
        return
    if takes:
        yield ok(_CHECK, "the database takes writes")
    else:
        yield fault(_CHECK, "the database takes no write", todo)


def _outbox(connection: Connection) -> Iterator[Checked]:
    asked = select(outbox.c.state, func.count(), func.min(outbox.c.created)).group_by(outbox.c.state)
    found = {state: (count, moment(oldest)) for state, count, oldest in connection.execute(asked)}
    waiting, oldest = found.get("pending", (0, None))
    if oldest is not None and datetime.datetime.now(datetime.UTC) - oldest > _WAITING:
        since = oldest.isoformat(timespec="seconds").replace("+00:00", "Z")
        todo = "trial-adapter outbox list says why; the target may be away, or none be set"
        yield warning("outbox", f"{waiting} deliveries wait, the oldest since {since}", todo)
    else:
        yield ok("outbox", f"{waiting} deliveries wait")
    dead = found.get("dead", (0, None))[0]
    if not dead:
        yield ok("outbox", "no delivery was given up")
        return
    by_code = select(outbox.c.last_error, func.count()).where(outbox.c.state == "dead").group_by(outbox.c.last_error)
    codes = sorted(connection.execute(by_code), key=lambda each: (-each[1], each[0] or ""))
    said = ", ".join(f"{count} {_code(code)}" for code, count in codes[:5])
    todo = "trial-adapter outbox list; when the cause is gone: outbox replay --all-dead"
    yield warning("outbox", f"{dead} deliveries were given up: {said}", todo)


def _code(code: str | None) -> str:
    return code if code is not None and _CODE.fullmatch(code) else "of an unknown cause"


def _audit(engine: Engine, settings: Settings) -> Iterator[Checked]:
    try:
        if settings.audit_key_file is not None:
            use(engine, read_chain_keys(settings.audit_key_file))
        found = verified(engine)
        keyed = is_keyed(engine)
    except AdapterError as error:
        yield fault("audit", error.issues[0].message, "name the file of the key that wrote it by audit_key_file")
        return
    if found.broken is not None:
        todo = "find out who wrote to the database; keep a copy of it as it is"
        yield fault("audit", f"the audit does not hold from row {found.broken} on: {found.why}", todo)
    elif not keyed:
        todo = "set audit_key_file, so that nobody without the key can make another chain (docs/security.md)"
        yield warning("audit", f"the audit holds, {found.head.seq} rows; it has no key", todo)
    else:
        yield ok("audit", f"the audit holds, {found.head.seq} rows")
