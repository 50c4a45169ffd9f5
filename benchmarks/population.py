"""How fast a population is screened, against reading the bytes, ``orjson.loads`` of them, and DuckDB's scan.

Usage: ``python benchmarks/population.py [--patients 1000,10000] [--trials 1,5,100,1000] [--json FILE] [--work DIR]``

Patients are made up from the mappings (people.py) and written in both shapes: one Bundle a line, and a Bulk Data
export of a file for each type.  Every measurement is a process of its own, page cache warm; a floor is measured beside
each, by as many processes.  Ratios are what to compare; the machine only sets the scale.
"""

import argparse
import json
import multiprocessing
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from people import People, resources

AS_OF = "2026-11-01T00:00:00Z"
MB = 1_000_000
_CHUNK = 1 << 20
Row = dict[str, Any]


def main() -> None:
    """Measure and print."""
    options = _options()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        for count in options.patients:
            place = Path(folder) / str(count)
            _make(place, count)
            rows += _shapes(place, count, options)
            rows += _again(place, count, options)
            shutil.rmtree(place)
        if options.trials:
            rows += _by_trials(Path(folder), options)
    _print(rows)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = _numbers
    parser.add_argument("--patients", type=numbers, default=[1000, 10_000], help="how many, comma between")
    parser.add_argument("--processes", type=numbers, default=[1, 2])
    parser.add_argument("--trials", type=numbers, default=[1, 5, 100], help="how many; the shipped ones are copied")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="where the data is made")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers here")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",") if each]


def _make(place: Path, count: int) -> None:
    """Write the patients in both shapes."""
    from adapter.catalog.load import load_catalog  # noqa: PLC0415 (children start without it)

    people = People(load_catalog())
    export = place / "export"
    export.mkdir(parents=True)
    with (place / "bundles.ndjson").open("wb") as bundles:
        for number in range(count):
            bundles.write(people.bundle(number) + b"\n")
    files: dict[str, IO[bytes]] = {}
    for kind, line in resources(people, range(count)):
        if kind not in files:
            files[kind] = (export / f"{kind}.000.ndjson").open("wb")
        files[kind].write(line + b"\n")
    for each in files.values():
        each.close()


def _shapes(place: Path, count: int, options: argparse.Namespace) -> Iterator[Row]:
    """Measure both shapes with each number of processes, the floors beside them."""
    bundles, export = [place / "bundles.ndjson"], _read_files(place / "export")
    for processes in options.processes:
        asked = ["--processes", str(processes), "--format", "findings", "--format", "bundles", "--quiet"]
        subjects: dict[str, Callable[[], tuple[float, float]]] = {
            "bundles: read": lambda p=processes: _floor("read", bundles, p),
            "bundles: orjson.loads": lambda p=processes: _floor("orjson", bundles, p),
            "bundles: findings and result bundles": lambda a=asked: _screen(place, "bundles.ndjson", a),
            "export: orjson.loads of what must be read": lambda p=processes: _floor("orjson", export, p),
            "export: findings and result bundles": lambda a=asked: _screen(place, "export", a),
        }
        if processes == 1:
            subjects["export: DuckDB read_json"] = lambda: _duckdb(export)
        yield from _rounds(subjects, count, processes, options.rounds, place)


def _again(place: Path, count: int, options: argparse.Namespace) -> Iterator[Row]:
    """Measure screening from kept facts, and verdict counts from decisions."""
    facts = place / "facts"
    _screen(place, "bundles.ndjson", ["--keep-facts", str(facts), "--quiet"])
    subjects: dict[str, Callable[[], tuple[float, float]]] = {
        "bundles: verdicts": lambda: _screen(
            place, "bundles.ndjson", ["--format", "verdicts", "--processes", "2", "--quiet"]
        ),
        "facts: verdicts": lambda: _screen(place, "facts", ["--format", "verdicts", "--processes", "2", "--quiet"]),
        "decisions: verdict counts": lambda: _counts(facts),
    }
    yield from _rounds(subjects, count, 2, options.rounds, place)


def _rounds(
    subjects: dict[str, Callable[[], tuple[float, float]]], count: int, processes: int, rounds: int, place: Path
) -> Iterator[Row]:
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            taken[name].append(subject())
    sizes = {
        "bundles": (place / "bundles.ndjson").stat().st_size,
        "export": sum(each.stat().st_size for each in _read_files(place / "export")),
    }
    for name, found in taken.items():
        seconds = statistics.median(each for each, _ in found)
        size = sizes.get(name.partition(":")[0], sizes["bundles"])
        yield {
            "subject": name,
            "patients": count,
            "processes": processes,
            "seconds": seconds,
            "patients/s": count / seconds,
            "MB/s": size / MB / seconds,
            "peak MB": max(peak for _, peak in found),
        }


def _by_trials(folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    """Measure a thousand patients against more and more trials, the shipped ones under other names."""
    from adapter.catalog.load import shipped  # noqa: PLC0415 (see _make)

    place = folder / "trials"
    _make(place, 1000)
    sources = sorted(shipped("trials").glob("*.yaml"))
    for number in options.trials:
        trials = place / f"trials-{number}"
        trials.mkdir()
        for place_ in range(number):
            source = sources[place_ % len(sources)]
            text = source.read_text(encoding="utf-8")
            key = text.split("key:", 1)[1].split("\n", 1)[0].strip().strip("\"'")
            copy = f"{key}X{place_ // len(sources)}" if place_ >= len(sources) else key
            (trials / f"{copy}.yaml").write_text(_other_limits(text.replace(key, copy), place_), encoding="utf-8")
        asked = ["--trials", str(trials), "--format", "verdicts", "--processes", "1", "--quiet"]
        empty = place / "one.ndjson"
        if not empty.exists():
            with (place / "bundles.ndjson").open("rb") as lines:
                empty.write_bytes(lines.readline())
        whole = statistics.median(_screen(place, "bundles.ndjson", asked)[0] for _ in range(options.rounds))
        start = statistics.median(_screen(place, "one.ndjson", asked)[0] for _ in range(options.rounds))
        yield {
            "subject": f"{number} trials, verdicts (without start-up)",
            "patients": 1000,
            "processes": 1,
            "seconds": whole - start,
            "patients/s": 999 / (whole - start),
            "MB/s": 0.0,
            "peak MB": 0.0,
        }
    shutil.rmtree(place)


def _other_limits(text: str, number: int) -> str:
    """Give every copy of a trial limits of its own, so that no other trial asks the same of a number."""
    return re.sub(r"(judge:.*at_(?:least|most): \d+)(?=[,}])", rf"\g<1>.{number:04}1", text) if number else text


def _screen(place: Path, what: str, asked: list[str]) -> tuple[float, float]:
    """Give seconds and peak memory of the command; memory of the largest process."""
    out = place / "out"
    command = [sys.executable, "-m", "adapter", "screen", str(place / what), "--as-of", AS_OF, *asked]
    if "--keep-facts" not in asked:
        command += ["--out", str(out)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read().decode() if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) not in (0, 3):  # 3: done, with something set aside
        sys.exit(f"screening failed: {said[-1000:]}")
    shutil.rmtree(out, ignore_errors=True)
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MB


def _read_files(export: Path) -> list[Path]:
    """Give the files of an export that any screening must read: those of types that mappings read."""
    return [each for each in sorted(export.iterdir()) if not each.name.startswith("ExplanationOfBenefit")]


def _floor(kind: str, files: list[Path], processes: int) -> tuple[float, float]:
    """Read the lines by as many processes, each its share of every file."""
    began = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.starmap(_lines, [(kind, files, place, processes) for place in range(processes)])
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / MB


def _lines(kind: str, files: list[Path], place: int, processes: int) -> int:
    import orjson  # noqa: PLC0415 (only the floor needs it)

    total = 0
    for path in files:
        size = path.stat().st_size
        start, end = size * place // processes, size * (place + 1) // processes
        with path.open("rb") as stream:
            if start:
                stream.seek(start - 1)
                stream.readline()
            while stream.tell() < end:
                line = stream.readline() if kind == "orjson" else stream.read(min(_CHUNK, end - stream.tell()))
                total += len(line)
                if kind == "orjson":
                    orjson.loads(line)
    return total


def _duckdb(files: list[Path]) -> tuple[float, float]:
    import duckdb  # noqa: PLC0415 (only the floor needs it)

    began = time.perf_counter()
    columns = "{id: 'VARCHAR', status: 'VARCHAR', code: 'JSON', subject: 'JSON', valueQuantity: 'JSON'}"
    with duckdb.connect() as database:
        database.execute("set threads = 1")
        for path in files:
            asked = (
                f"select count(id), count(code) from read_json('{path}', format='newline_delimited', columns={columns})"  # noqa: S608 (our own file)
            )
            database.execute(asked).fetchall()
    return time.perf_counter() - began, 0.0


def _counts(facts: Path) -> tuple[float, float]:
    """Count the verdicts of all trials from the columns, in a process of its own."""
    script = (
        "import sys, pathlib, numpy as np\n"
        "from adapter.catalog.load import load_catalog\n"
        "from adapter.population.decisions import joined, read\n"
        "from adapter.population.verdicts import fold\n"
        "parts = [read(each) for each in sorted(pathlib.Path(sys.argv[1]).glob('*.parquet'))]\n"
        "decided = joined(parts)\n"
        "print([np.bincount(fold(trial, decided).verdicts).tolist() for trial in load_catalog().trials])\n"
    )
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", script, str(facts / "decided.parquet")], check=True, capture_output=True)
    return time.perf_counter() - began, 0.0


def _print(rows: list[Row]) -> None:
    print("| | patients | processes | s | patients/s | MB/s | peak MB |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        numbers = f"{row['seconds']:.2f} | {row['patients/s']:.0f} | {row['MB/s']:.0f} | {row['peak MB']:.0f}"
        print(f"| {row['subject']} | {row['patients']} | {row['processes']} | {numbers} |")


if __name__ == "__main__":
    main()
