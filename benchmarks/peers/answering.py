"""The engine's side of the conversation with ``benchmarks/peers.py``: asked by lines, answers by lines.

Only the standard library, and nothing newer than Python 3.11: it runs in every peer's own environment.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Truth = bool | str | None
"""What a define says; a text says why the engine could not evaluate it."""
Ask = dict[str, Any]
Answer = dict[str, Truth]
OneByOne = Callable[[bytes], Answer]
"""From the bytes of one patient's Bundle to all answers: this is what is timed."""
Together = Callable[[list[bytes]], list[Answer]]
"""The same of some patients at once, for an engine that asks of all in one query."""
Prepared = tuple[OneByOne, dict[str, str]]
PreparedTogether = tuple[Together, dict[str, str]]
_Timed = Callable[[list[bytes]], tuple[list[float], list[Answer]]]


def answer_lines(prepare: Callable[[Ask], Prepared]) -> None:
    """Prepare what ``sys.argv[1]`` describes, then answer each line of standard input, patient by patient."""

    def one_after_another(ask: Ask) -> tuple[_Timed, dict[str, str]]:
        one_by_one, versions = prepare(ask)
        return lambda patients: _timed(one_by_one, patients), versions

    _answer(one_after_another)


def answer_lines_together(prepare: Callable[[Ask], PreparedTogether]) -> None:
    """Do the same for an engine that is asked of all patients of a line at once; each is told an equal share."""

    def at_once(ask: Ask) -> tuple[_Timed, dict[str, str]]:
        together, versions = prepare(ask)

        def timed(patients: list[bytes]) -> tuple[list[float], list[Answer]]:
            began = time.perf_counter()
            found = together(patients)
            taken = time.perf_counter() - began
            return [taken / len(patients)] * len(patients), found

        return timed, versions

    _answer(at_once)


def _answer(prepare: Callable[[Ask], tuple[_Timed, dict[str, str]]]) -> None:
    lines = sys.stdout
    sys.stdout = sys.stderr  # what an engine prints is not an answer
    ask = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    patients = [Path(each).read_bytes() for each in ask["patients"]]
    timed, versions = prepare(ask)
    _say(lines, {"ready": versions})
    for line in sys.stdin:
        asked = json.loads(line)
        cpu = time.process_time()
        seconds, found = timed([patients[number] for number in asked["patients"]])
        said = {"seconds": seconds, "cpu": time.process_time() - cpu}
        _say(lines, {**said, "answers": found} if asked["answers"] else said)


def _timed(one_by_one: OneByOne, patients: list[bytes]) -> tuple[list[float], list[Answer]]:
    seconds, found = [], []
    for data in patients:
        began = time.perf_counter()
        answer = one_by_one(data)
        seconds.append(time.perf_counter() - began)
        found.append(answer)
    return seconds, found


def _say(lines: Any, said: dict[str, Any]) -> None:
    lines.write(json.dumps(said) + "\n")
    lines.flush()


def truth(value: object) -> Truth:
    """Give a define's value as true, false or null, or say that it is none of them."""
    return value if value is None or isinstance(value, bool) else f"not a boolean: {type(value).__name__}"


def failed(error: Exception) -> str:
    """Say what went wrong, without what the patient's data held."""
    return type(error).__name__
