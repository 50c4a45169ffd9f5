"""Whether a Bulk Data export costs the same a patient, and no more memory, however many patients it has.

Usage: ``python benchmarks/large.py [--patients 10000,100000,1000000] [--processes N] [--work DIR] [--json FILE]``

Two thousand patients are made up (people.py, with few resources that nobody reads) and stand again and again under
other ids, in files of 100,000 patients for each type.  They are screened for all trials into findings with evidence,
which go to /dev/null: only what is measured is kept.  Memory is what all processes of the run hold together (Linux's
Pss: a page that several share counts once), looked at every second.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from people import People, dumps

AS_OF = "2026-11-01T00:00:00Z"
VARIED = 2000
IN_A_FILE = 100_000
_ID = "@id@"
_PAUSE_S = 1


def main() -> None:
    """Measure each number of patients, and print a table."""
    options = _options()
    rows = []
    for count in options.patients:
        with tempfile.TemporaryDirectory(prefix="large-benchmark-", dir=options.work) as folder:
            export = Path(folder) / "export"
            _make(export, count)
            size = sum(each.stat().st_size for each in export.iterdir())
            seconds, peak = _screen(export, options.processes, Path(folder) / "work")
        rows.append({"patients": count, "MB": size / 1e6, "seconds": seconds, "peak MB": peak / 1e6})
        print(f"{count} patients, {size / 1e6:.0f} MB: {seconds:.0f} s, {count / seconds:.0f} patients/s,", end=" ")
        print(f"{size / 1e6 / seconds:.0f} MB/s, {peak / 1e6:.0f} MB in memory", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=_numbers, default=[10_000, 100_000, 1_000_000], help="comma between")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--work", type=Path, help="where the data is made: 20 KB a patient, and as much again for the run"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers here")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _make(export: Path, count: int) -> None:
    """Write an export: each varied patient is made once, by type, and written under each id."""
    from adapter.catalog.load import load_catalog  # noqa: PLC0415 (what is measured starts without it)

    people = People(load_catalog(), filler=1)
    drawn: list[dict[str, bytes]] = []
    for number in range(min(VARIED, count)):
        by_type: dict[str, bytes] = {}
        for each in people.patient(number, _ID):
            kind = each["resourceType"]
            by_type[kind] = by_type.get(kind, b"") + dumps(each) + b"\n"
        drawn.append(by_type)
    export.mkdir()
    for start in range(0, count, IN_A_FILE):
        files: dict[str, IO[bytes]] = {}
        for number in range(start, min(start + IN_A_FILE, count)):
            for kind, lines in drawn[number % VARIED].items():
                if kind not in files:
                    files[kind] = (export / f"{kind}.{start // IN_A_FILE:03}.ndjson").open("wb")
                files[kind].write(lines.replace(_ID.encode(), f"p{number}".encode()))
        for each in files.values():
            each.close()


def _screen(export: Path, processes: int, work: Path) -> tuple[float, int]:
    """Give seconds, and the most memory that all processes held together."""
    command = [sys.executable, "-m", "adapter", "screen", str(export), "--as-of", AS_OF, "--format", "findings"]
    command += ["--processes", str(processes), "--work", str(work), "--quiet"]
    began = time.perf_counter()
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PAUSE_S)
    seconds = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"screening failed: {process.returncode}")
    return seconds, peak


def _memory(pid: int) -> int:
    """Give the bytes that a process and all its children hold."""
    total = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total = int(line.split()[1]) * 1024
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return total  # it has just ended
    return total + sum(_memory(int(each)) for each in children)


if __name__ == "__main__":
    main()
