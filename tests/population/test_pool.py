"""Work shared among processes that can die: every task has a result, in its order, and no process is left behind."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from adapter.errors import AdapterError, Category
from adapter.population.pool import Died, Pool

Task = tuple[int, frozenset[int]]
DEADLY = {4: 2, 7: 1}
"""Tasks that end their process, and the item at which each does."""


def begin() -> Callable[[Task], int]:
    return work


def work(task: Task) -> int:
    number, left_out = task
    time.sleep(0.002 * (number % 3))
    if number in DEADLY and DEADLY[number] not in left_out:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * 10 + len(left_out)


def again(task: Task) -> Task | None:
    number, left_out = task
    return None if number == 7 or left_out else (number, frozenset({DEADLY[number]}))


def tasks(count: int) -> Iterator[Task]:
    return ((number, frozenset[int]()) for number in range(count))


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_results_come_in_the_order_of_the_tasks_and_the_dead_are_named(processes: int) -> None:
    with Pool(begin, processes, again) as pool:
        results = list(pool.in_order(tasks(20)))
    expected: list[object] = [number * 10 for number in range(20)]
    expected[4] = 41
    expected[7] = Died((7, frozenset()))
    assert results == expected


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_tasks_than_processes_are_done_too(count: int) -> None:
    with Pool(begin, 3) as pool:
        assert list(pool.in_order(tasks(count))) == [number * 10 for number in range(count)]
        assert list(pool.in_order(tasks(count))) == [number * 10 for number in range(count)]


def test_a_process_that_died_idle_is_noticed_with_the_next_task() -> None:
    with Pool(begin, 1) as pool:
        assert list(pool.in_order(tasks(2))) == [0, 10]
        (child,) = multiprocessing.active_children()
        child.kill()
        child.join()
        assert list(pool.in_order(tasks(3))) == [0, 10, 20]


def failing() -> Callable[[Task], int]:
    def fail(task: Task) -> int:
        raise AdapterError.of(Category.UNAVAILABLE, "full", f"no room for {task[0]}")

    return fail


def test_an_error_of_a_task_is_raised_with_its_issues_and_ends_everyone() -> None:
    with pytest.raises(AdapterError) as error, Pool(failing, 2) as pool:
        list(pool.in_order(tasks(5)))
    assert error.value.category is Category.UNAVAILABLE
    assert error.value.issues[0].code == "full"
    assert multiprocessing.active_children() == []


def test_no_more_tasks_are_taken_than_can_soon_be_given_back() -> None:
    asked = []

    def noted() -> Iterator[Task]:
        for task in tasks(100):
            asked.append(task[0])
            yield task

    with Pool(begin, 2) as pool:
        results = pool.in_order(noted())
        next(results)
        assert len(asked) < 20
        assert len(list(results)) == 99


def slow() -> Callable[[Task], int]:
    def sleep(_: Task) -> int:
        time.sleep(600)
        return 0

    return sleep


def test_who_is_busy_is_ended_when_nobody_waits_any_more() -> None:
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(TimeoutError), Pool(slow, 2) as pool:
        list(pool.in_order(tasks(4)))
    assert multiprocessing.active_children() == []


def _too_late(*_: object) -> None:
    raise TimeoutError
