"""Other engines on the same patients and criteria: first whether they say the same, then how fast they say it.

Usage: ``[REAL_BUNDLES=DIR] python benchmarks/peers.py [--rounds N] [--patients N] [--json FILE] [--markdown FILE]``
       ``python benchmarks/peers.py --install NAME ...``

Every engine is one process, started once, asked about the same bytes in memory, JSON reading included.  The engines
take turns on a few patients at a time, because a machine changes its speed from minute to minute: what counts is the
ratio within a round, as median of the rounds.  An engine whose answers differ from ours, unless
``tests/oracle/differences.yaml`` explains it, is not timed: what differs is printed instead.  Patients come from the
folder of REAL_BUNDLES, else from the samples.
What each engine is and what it cannot do: ``benchmarks/peers/README.md``.
"""

import argparse
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # the oracle compiles the CQL and cuts documents to patients

import msgspec  # noqa: E402 (after the path)
from peers import agreement, questions, report  # noqa: E402 (the same)
from peers.asking import Asked, StoppedError  # noqa: E402 (the same)
from peers.engines import ENGINES, OURS, Engine  # noqa: E402 (the same)
from peers.questions import Patient, Workload  # noqa: E402 (the same)
from peers.report import Measured, Ran, Report  # noqa: E402 (the same)

if TYPE_CHECKING:
    from peers.answering import Answer

SAMPLES = ROOT / "sample_bundles"
_WORKLOADS = {"full": questions.full, "simple": questions.simple}


def main() -> None:
    """Install, or ask, compare, time and print."""
    options = _options()
    if options.install:
        for engine in _named(options.install):
            engine.install(options.python)
        return
    real = os.environ.get("REAL_BUNDLES")
    as_of = options.as_of or ("2020-06-01T00:00:00Z" if real else "2026-11-01T00:00:00Z")
    engines = _named(options.engine) if options.engine else list(ENGINES)
    engines = [each for each in ENGINES if each in engines or each.name == OURS]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) if options.work is None else options.work.resolve()
        paths, kind = ([Path(real)], "real") if real else ([SAMPLES], "sample")
        patients = questions.patients(paths, kind, work / "patients", options.patients)
        if not patients:
            sys.exit(f"no patient is in {paths[0]}")
        ran = tuple(
            _run(_WORKLOADS[name](work), engines, patients, as_of, work, options)
            for name in options.workload or _WORKLOADS
        )
    processor = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    sizes = tuple(each.size for each in patients)
    said = Report(processor, kind, as_of, sizes, options.rounds, report.load(), ran)
    print(report.markdown(said))
    if options.markdown is not None:
        options.markdown.write_text(report.markdown(said) + "\n", encoding="utf-8")
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(said), indent=1) + b"\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [each.name for each in ENGINES]
    own = [each.name for each in ENGINES if each.python is not None]
    parser.add_argument(
        "--install", nargs="+", choices=own, metavar="NAME", help=f"make environments: {', '.join(own)}"
    )
    parser.add_argument("--python", metavar="FILE", help="with --install: the interpreter to make them with")
    parser.add_argument("--engine", nargs="+", choices=names, metavar="NAME", help=f"only these: {', '.join(names)}")
    parser.add_argument("--workload", nargs="+", choices=list(_WORKLOADS), help="only these criteria")
    parser.add_argument(
        "--rounds", type=int, default=5, help="measured turns over all patients, after one that compares"
    )
    parser.add_argument("--chunk", type=int, default=5, help="patients in a turn")
    parser.add_argument("--patients", type=int, metavar="N", help="only the first N")
    parser.add_argument("--as-of", metavar="INSTANT", help="the instant of the question, in UTC")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep what is made for the engines here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers here")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables here")
    return parser.parse_args()


def _named(names: list[str]) -> list[Engine]:
    return [each for each in ENGINES if each.name in names]


def _run(
    workload: Workload,
    engines: list[Engine],
    patients: list[Patient],
    as_of: str,
    work: Path,
    options: argparse.Namespace,
) -> Ran:
    """Ask every engine that is here; those that stop or are missing are told of, the others go on."""
    ask = questions.write_ask(workload, patients, as_of, work)
    skipped: dict[str, str] = {}
    answers: dict[str, tuple[Answer, ...]] = {}
    with ExitStack() as stack:
        running: dict[str, Asked] = {}
        for engine in engines:
            reason = _why_skipped(engine, workload.name, named=bool(options.engine))
            if reason is not None:
                skipped[engine.name] = reason
                continue
            print(f"{workload.name}: {engine.name} starts and answers", file=sys.stderr)
            try:
                asked = stack.enter_context(Asked(engine, ask, work / f"{workload.name}-{engine.name}.log"))
                said = asked.ask(list(range(len(patients))), answers=True)
            except StoppedError as stopped:
                skipped[engine.name] = f"{stopped}"
                continue
            running[engine.name] = asked
            answers[engine.name] = said.answers or ()
        cases = [each.case for each in patients]
        agreed = {
            name: agreement.compare(cases, workload.defines, answers[OURS], found)
            for name, found in answers.items()
            if running[name].engine.is_peer
        }
        counted = {name: asked for name, asked in running.items() if name not in agreed or agreed[name].counts}
        rounds = _rounds(counted, len(patients), options)
        measured = tuple(
            Measured(
                name,
                asked.engine.title,
                asked.engine.is_peer,
                asked.versions,
                asked.start_up,
                asked.peak(),
                tuple(rounds.get(name, ())),
                agreed.get(name),
            )
            for name, asked in running.items()
        )
    return Ran(workload.name, workload.title, len(workload.defines), measured, skipped)


def _why_skipped(engine: Engine, workload: str, *, named: bool) -> str | None:
    if workload not in engine.workloads:
        return "cannot run this CQL (benchmarks/peers/README.md)"
    if workload in engine.slow and not named:
        return f"takes about a minute a patient: ask it with --engine {engine.name} --patients N"
    return engine.missing()


def _rounds(running: dict[str, Asked], count: int, options: argparse.Namespace) -> dict[str, list[report.Round]]:
    """Let the engines take turns, some patients at a time; every other round goes the other way about."""
    taken: dict[str, list[report.Round]] = {name: [] for name in running}
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds}", file=sys.stderr)
        seconds: dict[str, list[float]] = {name: [] for name in running}
        cpu = dict.fromkeys(running, 0.0)
        for start in range(0, count, options.chunk):
            some = list(range(start, min(start + options.chunk, count)))
            for name in list(running)[:: -1 if turn % 2 else 1]:
                said = running[name].ask(some)
                seconds[name].extend(said.seconds)
                cpu[name] += said.cpu
        for name, found in seconds.items():
            taken[name].append(report.Round(tuple(found), cpu[name]))
    return taken


if __name__ == "__main__":
    main()
