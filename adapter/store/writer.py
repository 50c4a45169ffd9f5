"""One thread that writes, and commits for all who wait in one go: a disk makes few hundred commits a second.

A batch is first tried whole.  Where one of it fails it is rolled back and done again with a savepoint around each, so
that whoever failed is told so and the neighbours are committed all the same.  Work may therefore run twice.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection, CursorResult, Engine, Executable, insert
from sqlalchemy.exc import SQLAlchemyError

from adapter.errors import AdapterError, Category
from adapter.store.chain import Chain
from adapter.store.database import LockedError
from adapter.store.prepared import Prepared
from adapter.store.tables import outbox

T = TypeVar("T")
_AT_ONCE = 256
_DELIVERY = ("lane", "state", "attempts", "next_at", "as_of", "source_time", "created", "names", "resources")
_DELIVER = Prepared(insert(outbox).inline(), _DELIVERY)


class Step:
    """What one piece of work writes with: the transaction and the audit chain in it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.chain = Chain(connection)
        self._deliveries: list[dict[str, object]] = []

    def execute(self, statement: Executable | Prepared, values: Mapping[str, object]) -> int:
        """Run a change; gives how many rows it met."""
        if isinstance(statement, Prepared):
            return statement.run(self.connection, values).rowcount
        return cast("CursorResult[Any]", self.connection.execute(statement, values)).rowcount

    def deliver(self, rows: Sequence[dict[str, object]]) -> None:
        """Add rows to the outbox."""
        self._deliveries.extend(rows)

    def write(self) -> None:
        """Write what was collected; the chain first, since its lock gives outbox rows of all replicas one order."""
        self.chain.write()
        if self._deliveries:
            _DELIVER.run_each(self.connection, self._deliveries)

    def mark(self) -> Callable[[], None]:
        """Give what forgets all that is collected from now on, for work that fails."""
        place, count = self.chain.mark(), len(self._deliveries)

        def back() -> None:
            self.chain.back_to(place)
            del self._deliveries[count:]

        return back


class _Job(Generic[T]):
    def __init__(self, work: Callable[[Step], T]) -> None:
        self.work = work
        self.done: Future[T] = Future()

    def run(self, step: Step) -> Callable[[], None]:
        """Do the work; gives what tells its caller, to be called once it is committed."""
        result = self.work(step)
        return lambda: self.done.set_result(result)


class Writer:
    """The writing thread of one store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._write, name="store-writer", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[Step], T]) -> T:
        """Do ``work`` in a transaction; durable when it returns; raises what it raised, or AdapterError."""
        job = _Job(work)
        with self._lock:
            if self._closed:
                raise AdapterError.of(Category.UNAVAILABLE, "store-closed", "the store is closed")
            self._jobs.put(job)
        return job.done.result()

    def close(self) -> None:
        """Commit what waits, and stop."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _write(self) -> None:
        last = False
        while not last:
            batch = []
            job = self._jobs.get()
            while job is not None:
                batch.append(job)
                if len(batch) == _AT_ONCE:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            last = job is None
            if batch:
                self._commit(batch)

    def _commit(self, batch: Sequence[_Job[Any]]) -> None:
        try:
            try:
                told = self._whole(batch)
            except LockedError:
                raise
            except Exception:  # noqa: BLE001 (whose it is shows when each is done alone)
                told = self._each(batch)
        except Exception as error:  # noqa: BLE001 (nobody may wait for ever)
            said = f"the database did not take the change ({type(error).__name__}); it is not written"
            failure = AdapterError.of(Category.UNAVAILABLE, "store-unavailable", said)
            told = [_failure(job, failure) for job in batch]
        for tell in told:
            tell()

    def _whole(self, batch: Sequence[_Job[Any]]) -> list[Callable[[], None]]:
        with self._engine.begin() as connection:
            step = Step(connection)
            told = [job.run(step) for job in batch]
            step.write()
        return told

    def _each(self, batch: Sequence[_Job[Any]]) -> list[Callable[[], None]]:
        told: list[Callable[[], None]] = []
        with self._engine.begin() as connection:
            step = Step(connection)
            for job in batch:
                back = step.mark()
                saved = connection.begin_nested()
                try:
                    told.append(job.run(step))
                    saved.commit()
                except Exception as error:  # noqa: BLE001 (it is its caller's)
                    with suppress(SQLAlchemyError):
                        saved.rollback()
                    back()
                    told.append(_failure(job, _told(error)))
            step.write()
        return told


def _told(error: Exception) -> Exception:
    """Give a database's error without what was to be written, which its text may quote."""
    if not isinstance(error, SQLAlchemyError):
        return error
    said = f"the database did not take the change ({type(error).__name__}); it is not written"
    return AdapterError.of(Category.UNAVAILABLE, "store-unavailable", said)


def _failure(job: _Job[Any], error: Exception) -> Callable[[], None]:
    return lambda: job.done.set_exception(error)
