"""Work shared among processes: results in the order of the tasks; a process that dies costs no more than its task."""

import contextlib
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

from adapter.errors import AdapterError

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 4
"""How many tasks for each process may be done before the first of them is taken: a bound on what waits."""
_TRIES = 12
"""How often a task is given out that ends its process each time."""
_PATIENCE_S = 5


class Died(NamedTuple):
    """The result of a task that ended every process it was given to."""

    task: Any


class _Try(NamedTuple, Generic[T]):
    """A task as it is given out."""

    number: int
    task: T
    times: int = 0
    """How often it has ended its process."""


class Pool(Generic[T, R]):
    """Processes that each do one task at a time.

    ``begin`` gives, in each process, the function that does a task.  A task whose process ends is tried again when
    nothing else runs; of one that ends that process too ``again`` makes the task to try next, or None.
    """

    def __init__(
        self, begin: Callable[[], Callable[[T], R]], processes: int, again: Callable[[T], T | None] = lambda _: None
    ) -> None:
        self._begin = begin
        self._again = again
        self._context: BaseContext = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self._count = processes
        self._workers: dict[Connection, BaseProcess] = {}
        self._busy: dict[Connection, _Try[T]] = {}

    def __enter__(self) -> Self:
        for _ in range(self._count):
            self._hire()
        return self

    def __exit__(self, *_: object) -> None:
        for connection, process in self._workers.items():
            connection.close()
            if connection in self._busy:
                process.terminate()
        for process in self._workers.values():
            process.join(_PATIENCE_S)
            if process.is_alive():
                process.kill()
                process.join()

    def in_order(self, tasks: Iterable[T]) -> Iterator[R | Died]:
        """Give the result of each task, in their order; raises the AdapterError of a task that raised one."""
        waiting = (_Try(number, task) for number, task in enumerate(tasks))
        ready: dict[int, R | Died] = {}
        dead: deque[_Try[T]] = deque()
        taken, is_all_given = 0, False
        while True:
            while taken in ready:
                yield ready.pop(taken)
                taken += 1
            is_alone = any(each.times for each in self._busy.values())
            if dead and not self._busy:
                self._give(dead.popleft())
            elif not dead and not is_alone and not is_all_given:
                is_all_given = self._give_out(waiting, taken)
            if not self._busy:
                return
            for attempt, result in self._listen():
                if not isinstance(result, Died):
                    ready[attempt.number] = result
                elif (task := self._next_try(attempt)) is not None:
                    dead.append(_Try(attempt.number, task, attempt.times + 1))
                else:
                    ready[attempt.number] = result

    def _next_try(self, attempt: _Try[T]) -> T | None:
        if not attempt.times:
            return attempt.task
        return self._again(attempt.task) if attempt.times < _TRIES else None

    def _give_out(self, waiting: Iterator[_Try[T]], taken: int) -> bool:
        """Give tasks to those who have none, not too far ahead of what was taken; True when there are no more."""
        latest = max((each.number for each in self._busy.values()), default=taken)
        for _ in range(len(self._workers) - len(self._busy)):
            if self._busy and latest - taken >= _AHEAD * self._count:
                break
            attempt = next(waiting, None)
            if attempt is None:
                return True
            latest = attempt.number
            self._give(attempt)
        return False

    def _give(self, attempt: _Try[T]) -> None:
        connection = next(each for each in self._workers if each not in self._busy)
        self._busy[connection] = attempt
        with contextlib.suppress(OSError):  # that it has died is noticed when it is listened to
            connection.send(attempt.task)

    def _listen(self) -> Iterator[tuple[_Try[T], R | Died]]:
        """Wait until someone has something to say, or has died."""
        for each in wait(list(self._busy)):
            connection = next(one for one in self._busy if one is each)
            attempt = self._busy[connection]
            try:
                failed, said = connection.recv()
            except (EOFError, OSError):
                self._bury(connection)
                yield attempt, Died(attempt.task)
                continue
            del self._busy[connection]
            if failed is not None:
                raise AdapterError(*failed)
            yield attempt, said

    def _bury(self, connection: Connection) -> None:
        """Let another process take the place of one that has ended."""
        del self._busy[connection]
        process = self._workers.pop(connection)
        connection.close()
        process.join()
        self._hire()

    def _hire(self) -> None:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, [*self._workers, ours], self._begin)
        process = self._context.Process(target=_serve, args=arguments, daemon=True)  # type: ignore[attr-defined]
        process.start()
        theirs.close()
        self._workers[ours] = process


def _serve(connection: Connection, others: list[Connection], begin: Callable[[], Callable[[Any], Any]]) -> None:
    """Do tasks until nobody hands out any more; the keyboard's interrupt is for whoever does.

    ``others``, copies of what belongs to the one who hands out, are closed: else nobody would notice that it has gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for each in others:
        each.close()
    do: Callable[[Any], Any] | None = None
    with contextlib.suppress(EOFError, OSError):
        while True:
            task = connection.recv()
            answer: tuple[Any, Any]
            try:
                do = do or begin()
                answer = None, do(task)
            except AdapterError as error:
                answer = (error.category, error.issues), None
            connection.send(answer)
