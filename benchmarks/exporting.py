"""How fast trials are exported to files: the shipped ones from a cold start, and many generated ones.

Usage: ``python benchmarks/exporting.py [--starts N] [--trials N] [--seed N] [--json FILE]``

Every export is a process of its own, as a person would start it, into an empty folder.  Peak memory is the child's.
Machines change speed from minute to minute: beside the seconds stands the ratio to a floor measured in the same run,
encoding the same resources to JSON with orjson.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MB = 1_000_000
TARGETS = {"cold_s": 3.0, "many_s": 60.0, "many_mb": 500.0}
TESTS = Path(__file__).resolve().parent.parent / "tests"


def main() -> None:
    """Measure and print; children first, because a child's peak memory counts what its parent held at its start."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        trials = here / "trials"
        script = "import sys; from generated.trials import main; main(*sys.argv[1:])"
        made = [sys.executable, "-c", script, str(trials), str(options.trials), str(options.seed)]
        subprocess.run(made, check=True, env={**os.environ, "PYTHONPATH": str(TESTS)})
        cold = [_export(here / f"cold-{turn}", []) for turn in range(options.starts + 1)][1:]  # the first fills caches
        checked = _child([sys.executable, "-m", "adapter", "check", "--trials", str(trials)])
        many = _export(here / "many", ["--trials", str(trials)])
        sizes = [each.stat().st_size for each in (here / "many").rglob("*.json")]
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "cold": cold,
        "many": many,
        "check_of_many": checked,
        "trials": options.trials,
        "files": len(sizes),
        "bytes": sum(sizes),
        "floor": _floor(),
    }
    _print(report)
    if options.json is not None:
        import msgspec  # noqa: PLC0415 (see main)

        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, help="cold starts, after one that fills the file cache")
    parser.add_argument("--trials", type=int, default=1000, help="how many generated trials")
    parser.add_argument("--seed", type=int, default=7, help="of the generated trials")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers here")
    return parser.parse_args()


def _export(out: Path, options: list[str]) -> dict[str, float]:
    return _child([sys.executable, "-m", "adapter", "export", "--out", str(out), *options])


def _child(command: list[str]) -> dict[str, float]:
    """Run a command; gives its seconds and its peak resident memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed with exit code {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {"s": taken, "mb": usage.ru_maxrss * unit / MB}


def _floor() -> dict[str, float]:
    """Time, for the shipped trials, each stage of an export in this process, and encoding alone with orjson."""
    import orjson  # noqa: PLC0415 (see main)

    from adapter.catalog.load import load_catalog  # noqa: PLC0415 (the same)
    from adapter.emission.bundle import transaction  # noqa: PLC0415 (the same)
    from adapter.emission.emit import emit_trial  # noqa: PLC0415 (the same)
    from adapter.emission.files import pretty  # noqa: PLC0415 (the same)
    from adapter.emission.names import Naming  # noqa: PLC0415 (the same)
    from adapter.fhir.versions import FhirVersion  # noqa: PLC0415 (the same)

    naming = Naming(FhirVersion.R4)
    began = time.perf_counter()
    catalog = load_catalog()
    loaded = time.perf_counter() - began
    stages: dict[str, list[float]] = {"emit": [], "write JSON": [], "orjson": []}
    for _ in range(7):
        began = time.perf_counter()
        trials = [emit_trial(catalog, trial.key, naming) for trial in catalog.trials]
        emitted = time.perf_counter()
        for resources in trials:
            for each in (*resources, transaction(resources, naming.base)):
                pretty(each)
        written = time.perf_counter()
        for resources in trials:
            for each in (*resources, transaction(resources, naming.base)):
                orjson.dumps(each, default=float, option=orjson.OPT_INDENT_2)
        ended = time.perf_counter()
        for name, taken in zip(stages, (emitted - began, written - emitted, ended - written), strict=True):
            stages[name].append(taken)
    return {"load": loaded, **{name: statistics.median(taken) for name, taken in stages.items()}}


def _print(report: dict[str, Any]) -> None:
    cold = [each["s"] for each in report["cold"]]
    many, floor = report["many"], report["floor"]
    print(f"machine       {report['machine']}, Python {report['python']}")
    print("\nthe shipped trials, from a cold start of the process")
    print(f"  seconds     {statistics.median(cold):6.2f} (median of {len(cold)}; {min(cold):.2f} to {max(cold):.2f})")
    print(f"  peak        {max(each['mb'] for each in report['cold']):6.0f} MB")
    print(f"  of it       {floor['load']:6.3f} s load, {floor['emit']:.3f} s emit, {floor['write JSON']:.3f} s as JSON")
    print(
        f"  emit + JSON {(floor['emit'] + floor['write JSON']) / floor['orjson']:6.1f} x orjson of the same resources"
    )
    print(f"\n{report['trials']} generated trials: {report['files']} files, {report['bytes'] / MB:.0f} MB")
    print(f"  seconds     {many['s']:6.1f}")
    print(f"  peak        {many['mb']:6.0f} MB")
    print(f"  check alone {report['check_of_many']['s']:6.1f} s")
    reached = {"cold_s": statistics.median(cold), "many_s": many["s"], "many_mb": many["mb"]}
    for name, limit in TARGETS.items():
        print(f"{name:14}{reached[name]:6.1f} of {limit:.0f}: {'kept' if reached[name] <= limit else 'MISSED'}")


if __name__ == "__main__":
    main()
