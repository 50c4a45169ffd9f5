"""The oracle: CQL compiled by the official translator and run by cql-execution, both in Node."""

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from oracle import model_info

FOLDER = Path(__file__).parent
_OLDEST_NODE = 20


class Failed(msgspec.Struct, frozen=True):
    """The engine could not evaluate a define."""

    error: str


Value = bool | Failed | None


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """One patient's Bundle, to be asked at an instant."""

    case: str
    bundle: dict[str, Any]
    as_of: str | None = None
    libraries: tuple[str, ...] | None = None
    """The only libraries to ask; None: all."""


class Answer(msgspec.Struct, frozen=True):
    """What the defines of one library said of one patient."""

    case: str
    library: str
    patient: str
    results: dict[str, Value]


class NotCompiledError(Exception):
    """The translator refused the CQL; the message names file, line and column."""


_encode = msgspec.json.Encoder(decimal_format="number").encode
_answer = msgspec.json.Decoder(Answer).decode


@functools.cache
def why_not() -> str | None:
    """Why the oracle cannot be asked here, if it cannot."""
    node = shutil.which("node")
    if node is None:
        return "Node is not installed"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < _OLDEST_NODE:
        return f"Node {version} is older than {_OLDEST_NODE}"
    if not (FOLDER / "node_modules" / "cql-execution").is_dir():
        return "the oracle's packages are not installed: npm ci --prefix tests/oracle"
    return None


def compile_library(texts: Mapping[str, str], out: Path) -> None:
    """Write ``NAME.json`` (ELM) for each library's text; they may include each other. Raises NotCompiledError."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / f"{name}.cql").write_text(text, encoding="utf-8")
        if any(model_info.USING in text for text in texts.values()):
            for place in (Path(folder), out):
                (place / model_info.NAME).write_text(model_info.model_info(), encoding="utf-8")
        command = ["node", str(FOLDER / "compile.mjs"), folder, str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotCompiledError(done.stderr)


def evaluate(
    elm: Path,
    libraries: Sequence[str],
    as_of: str,
    questions: Iterable[Question],
    *,
    defines: Iterable[str] | None = None,
    jobs: int | None = None,
) -> list[Answer]:
    """Ask every library (or only some ``defines``) about every Bundle, in the order given, on several processors."""
    questions = list(questions)
    jobs = min(jobs or os.cpu_count() or 1, 8, max(len(questions), 1))
    command = ["node", str(FOLDER / "run.mjs"), str(elm), ",".join(libraries), as_of]
    if defines is not None:
        command += ["--expressions", ",".join(defines)]
    with tempfile.TemporaryDirectory() as folder:
        asked = [Path(folder) / f"{number}.ndjson" for number in range(jobs)]
        streams = [path.open("wb") for path in asked]
        order: dict[str, int] = {}
        for number, question in enumerate(questions):
            if question.case in order:
                raise ValueError(f"two questions are named {question.case}")
            order[question.case] = number
            streams[number % jobs].write(_encode(question) + b"\n")
        for stream in streams:
            stream.close()
        with ThreadPoolExecutor(jobs) as pool:
            answers = [answer for found in pool.map(functools.partial(_run, command), asked) for answer in found]
    return sorted(answers, key=lambda answer: (order[answer.case], libraries.index(answer.library)))


def _run(command: list[str], asked: Path) -> list[Answer]:
    with asked.open("rb") as stream:
        done = subprocess.run(command, stdin=stream, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode())
    return [_answer(line) for line in done.stdout.splitlines()]
