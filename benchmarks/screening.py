"""How fast bundles are screened, measured against ``orjson.loads`` of the same bytes in the same run.

Usage: ``REAL_BUNDLES=DIR python benchmarks/screening.py [--rounds N] [--json FILE] [PATH ...]``

Paths are files or folders of bundles (.json, .ndjson, also .gz); without any, the folder of REAL_BUNDLES, else the
sample bundles.  Every bundle is in memory before a clock starts.  Machines change speed from minute to minute, so the
floor and the subjects take turns on each bundle, and what counts is the ratio within a round, as median of the rounds.
"""

import argparse
import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

AS_OF = "2020-06-01T00:00:00Z"
SAMPLES = Path(__file__).resolve().parent.parent / "sample_bundles"
MB = 1_000_000
FLOOR, FLOOR_WITHOUT_GC = "orjson.loads", "orjson.loads, garbage collector off"
WHOLE = "whole way: R4 result bundle"
Subject = Callable[[bytes], object]


def main() -> None:
    """Measure and print; children first, because a child's peak memory counts what its parent held at its start."""
    options = _options()
    peak = _peak_memory(options.paths)
    starts = _start_up(options.starts)
    bundles = _bundles(options.paths)
    catalog, load_s = _loaded()
    subjects = _subjects(catalog)
    rounds = _rounds(bundles, subjects, options.rounds)
    near = sorted(bundles.items(), key=lambda item: abs(len(item[1]) - MB))[:5]
    latency = {name: _repeated(data, subjects, options.repeats) for name, data in near}
    python = f"Python {platform.python_version()}"
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, {python}",
        "bundles": {name: len(data) for name, data in bundles.items()},
        "catalog_load_s": load_s,
        "rounds": rounds,
        "near_1_mb": latency,
        "peak_rss_mb": peak,
        "start_up_s": starts,
    }
    _print(report)
    if options.json is not None:
        import msgspec  # noqa: PLC0415 (see main)

        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = Path(os.environ["REAL_BUNDLES"]) if os.environ.get("REAL_BUNDLES") else SAMPLES
    parser.add_argument("paths", nargs="*", type=Path, default=[folder], help="files or folders of bundles")
    parser.add_argument("--rounds", type=int, default=11, help="measured turns over all bundles, after one to warm up")
    parser.add_argument("--repeats", type=int, default=200, help="runs of each of the five bundles nearest to 1 MB")
    parser.add_argument("--starts", type=int, default=15, help="how often each process is started")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers here")
    return parser.parse_args()


def _peak_memory(paths: list[Path]) -> float:
    """Give the peak resident memory, in MB, of a process that screens everything into result bundles."""
    command = [sys.executable, "-m", "adapter", "screen", *map(str, paths), "--as-of", AS_OF, "--format", "bundle"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):  # 3: done, with something set aside
        sys.exit(f"screening {' '.join(map(str, paths))} failed with exit code {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / MB


def _start_up(times: int) -> dict[str, list[float]]:
    """Start the command's help and the import of a large FHIR model by turns."""
    script = Path(sys.executable).with_name("trial-adapter")
    commands = {
        "trial-adapter --help": [str(script), "--help"],
        "import fhir.resources.R4B.bundle": [sys.executable, "-c", "import fhir.resources.R4B.bundle"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(times + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if turn:  # the first start fills the file cache
                taken[name].append(time.perf_counter() - began)
    return taken


def _bundles(paths: list[Path]) -> dict[str, bytes]:
    """Read everything into memory, unpacked."""
    from adapter import inputs  # noqa: PLC0415 (see main)

    found = {}
    for path in inputs.find(paths):
        for index, document in enumerate(inputs.documents(path)):
            found[f"{path.name}#{index}" if index else path.name] = document.data
    return found


def _loaded() -> tuple[Any, float]:
    began = time.perf_counter()
    from adapter.catalog.load import load_catalog  # noqa: PLC0415 (see main)

    catalog = load_catalog()
    return catalog, time.perf_counter() - began


def _subjects(catalog: Any) -> dict[str, Subject]:
    """Give what is timed: the floor, then each stage together with all before it."""
    import orjson  # noqa: PLC0415 (see main)

    from adapter import __version__  # noqa: PLC0415 (the same)
    from adapter.fhir import wire  # noqa: PLC0415 (the same)
    from adapter.fhir.dates import parse_as_of  # noqa: PLC0415 (the same)
    from adapter.fhir.subject import Publisher, ResultWriter  # noqa: PLC0415 (the same)
    from adapter.fhir.versions import FhirVersion  # noqa: PLC0415 (the same)
    from adapter.rendering.findings import FindingLines  # noqa: PLC0415 (the same)
    from adapter.screen import read_records, screen_bundle, screen_record  # noqa: PLC0415 (the same)

    as_of = parse_as_of(AS_OF)
    lines = FindingLines({"adapter": __version__, "mappings": catalog.mappings.version})
    publisher = Publisher(f"fhir-trial-adapter/{__version__} mappings/{catalog.mappings.version}")

    def floor_without_gc(data: bytes) -> object:
        gc.disable()
        try:
            return orjson.loads(data)
        finally:
            gc.enable()

    def facts(data: bytes) -> object:
        records, _ = read_records(data)
        return [catalog.extractor.facts(each) for each in records]

    def judged(data: bytes) -> object:
        records, _ = read_records(data)
        return [screen_record(each, catalog, catalog.trials, as_of) for each in records]

    def finding_lines(data: bytes) -> object:
        answered = screen_bundle(data, catalog, as_of)
        return [
            line
            for patient in answered.patients
            for screening in patient.screenings
            for line in lines.lines(patient.patient, screening)
        ]

    def result_bundle(version: FhirVersion) -> Subject:
        writer = ResultWriter(version, publisher, catalog.requirements())

        def write(data: bytes) -> object:
            answered = screen_bundle(data, catalog, as_of)
            return [
                writer.bundle(each.patient, each.facts.person.source, each.screenings, as_of)
                for each in answered.patients
            ]

        return write

    return {
        FLOOR: orjson.loads,
        FLOOR_WITHOUT_GC: floor_without_gc,
        "decode": wire.read,
        "+ sorted to patients": read_records,
        "+ facts": facts,
        "+ judged": judged,
        "+ no key twice in what counts": lambda data: screen_bundle(data, catalog, as_of),
        "whole way: finding lines": finding_lines,
        WHOLE: result_bundle(FhirVersion.R4),
        "whole way: R5 result bundle": result_bundle(FhirVersion.R5),
    }


def _timed(subject: Subject, data: bytes) -> float:
    began = time.perf_counter()
    made = subject(data)
    taken = time.perf_counter() - began
    del made  # what was made is freed outside the measured time, for the floor and the subjects alike
    return taken


def _rounds(bundles: dict[str, bytes], subjects: dict[str, Subject], count: int) -> dict[str, list[list[float]]]:
    """Time every subject on every bundle, by turns: seconds by subject, round and bundle."""
    gc.freeze()  # as the command does: what was loaded is not searched again and again
    taken: dict[str, list[list[float]]] = {name: [] for name in subjects}
    for turn in range(count + 1):
        times: dict[str, list[float]] = {name: [] for name in subjects}
        for data in bundles.values():
            for name, subject in subjects.items():
                times[name].append(_timed(subject, data))
        if turn:  # the first round fills what is computed once
            for name, seconds in times.items():
                taken[name].append(seconds)
    return taken


def _repeated(data: bytes, subjects: dict[str, Subject], count: int) -> dict[str, list[float]]:
    """Time one bundle many times, floor and subject by turns."""
    chosen = {name: subjects[name] for name in (FLOOR, WHOLE)}
    taken: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(count):
        for name, subject in chosen.items():
            taken[name].append(_timed(subject, data))
    return taken


def _print(report: dict[str, Any]) -> None:
    sizes = list(report["bundles"].values())
    rounds: dict[str, list[list[float]]] = report["rounds"]
    floors = [sum(seconds) for seconds in rounds[FLOOR]]
    print(f"machine       {report['machine']}")
    print(
        f"data          {len(sizes)} bundles, {sum(sizes) / MB:.1f} MB, median {statistics.median(sizes) / MB:.2f} MB"
    )
    print(f"method        1 round to warm up, {len(floors)} measured, every subject on every bundle by turns")
    print(f"\n{'':37}{'ratio to the floor':>24}{'':4}per bundle, ms")
    print(f"{'':37}{'median':>8}{'lowest':>8}{'highest':>8}{'p50':>8}{'p99':>8}{'max':>8}{'bundles/s':>11}{'MB/s':>7}")
    for name, seconds in rounds.items():
        totals = [sum(each) for each in seconds]
        ratios = [total / floor for total, floor in zip(totals, floors, strict=True)]
        total = statistics.median(totals)
        each = [second for turn in seconds for second in turn]
        ratio = f"{statistics.median(ratios):8.2f}{min(ratios):8.2f}{max(ratios):8.2f}"
        speed = f"{len(sizes) / total:11.0f}{sum(sizes) / MB / total:7.0f}"
        print(f"{name:37}{ratio}{_ms(each, 50)}{_ms(each, 99)}{max(each) * 1000:8.2f}{speed}")
    print(f"\nthe bundles nearest to 1 MB, {WHOLE}")
    for name, taken in report["near_1_mb"].items():
        seconds = taken[WHOLE]
        ratio = statistics.median(seconds) / statistics.median(taken[FLOOR])
        size = report["bundles"][name] / MB
        print(
            f"  {name[:24]:26}{size:5.2f} MB {len(seconds)} runs: p50{_ms(seconds, 50)} ms, p99{_ms(seconds, 99)} ms, "
            f"max{max(seconds) * 1000:8.2f} ms, {ratio:.2f} x the floor"
        )
    print(f"\npeak memory of the command          {report['peak_rss_mb']:.0f} MB")
    print(f"loading trials and mappings         {report['catalog_load_s'] * 1000:.0f} ms, once")
    starts = {name: statistics.median(times) for name, times in report["start_up_s"].items()}
    for name, second in starts.items():
        print(f"{name:36}{second * 1000:.0f} ms (median of {len(report['start_up_s'][name])})")
    ours, theirs, _ = starts.values()
    print(f"help / import                       {ours / theirs:.2f}")


def _ms(seconds: Iterable[float], percent: int) -> str:
    """Give a percentile in milliseconds: the smallest measured time that as many lie at or below."""
    ordered = sorted(seconds)
    index = -(-len(ordered) * percent // 100) - 1  # rounded up
    return f"{ordered[index] * 1000:8.2f}"


if __name__ == "__main__":
    main()
