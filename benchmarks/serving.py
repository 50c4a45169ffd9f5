"""How many bundles the service takes a second, how long an answer takes, and what it is held against in the same run.

Usage: ``python benchmarks/serving.py [--rounds N] [--seconds S] [--workers 1,2] [--soak SECONDS] [--json FILE]``

Each round starts every subject anew on an empty database on disk, warms it up and loads it from a process of its own
(``load.py``): sixteen connections, each with its next bundle as soon as it has an answer.  A figure is the median of
the rounds.  Floors: uvicorn that sends the same bytes back (``echo``), and the service without evaluation
(``receipts``).  ``stateless`` keeps nothing of patients.  Durability is on throughout.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from messages import large
from service_process import Service, Watched, tree_of
from soaking import soak

HERE = Path(__file__).resolve().parent
LARGE = 3_900_000
_WARM_S = 1.5
Figures = dict[str, Any]


def main() -> None:
    """Measure, print a table, write the raw figures."""
    options = _options()
    subjects = [("echo", "results", 1)]
    for workers in options.workers:
        subjects += [("receipts", "results", workers), ("stateless", "results", workers)]
        subjects += [("whole", "results", workers), ("whole", "newcomers", workers)]
    report: Figures = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, {platform.python_version()}",
        "clients": options.clients,
        "seconds": options.seconds,
        "load_before": os.getloadavg(),
        "rounds": [],
    }
    for _ in range(options.rounds):
        # In turn, so that all of them meet the machine as it is at that time.
        report["rounds"].append([_loaded(options, *each) for each in subjects])
    report["medians"] = _medians(report["rounds"])
    report["large"] = [_large(options, workers) for workers in options.workers]
    if options.soak:
        report["soak"] = soak(options.workers[-1], options.soak, _of(report["medians"], "results", options.workers[-1]))
    print(_table(report))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="of load on each subject in each round")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--workers", type=_numbers, default=[1, 2], help="settings of workers that are tried")
    parser.add_argument("--soak", type=float, default=0, metavar="SECONDS", help="at the end, at half the load")
    parser.add_argument("--large", type=Path, help="one patient's real bundle to grow, in place of a sample")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers here")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def loaded(port: int, kind: str, clients: int, seconds: float, **more: float) -> Figures:
    """Load a service from another process."""
    command = [sys.executable, str(HERE / "load.py"), str(port), "--kind", kind, "--clients", str(clients)]
    command += ["--seconds", str(seconds)]
    for name, value in more.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, check=True, capture_output=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def _loaded(options: argparse.Namespace, mode: str, kind: str, workers: int) -> Figures:
    kept = {} if mode == "whole" else {"storage": "none"}
    with tempfile.TemporaryDirectory() as folder, Service(mode, Path(folder), workers=workers, **kept) as service:
        loaded(service.port, kind, options.clients, _WARM_S, start=10_000_000)
        before = service.cpu_s()
        figures = loaded(service.port, kind, options.clients, options.seconds)
        used = service.cpu_s() - before
        figures |= {
            "mode": mode,
            "workers": workers,
            "cpu_ms": 1000 * used / max(1, figures["sent"]),
            "database_bytes": service.database_bytes(),
        }
    return figures


def _medians(rounds: list[list[Figures]]) -> list[Figures]:
    made = []
    for same in zip(*rounds, strict=True):
        median: Figures = {name: same[0][name] for name in ("mode", "kind", "workers", "bytes")}
        for name in ("per_second", "p50_ms", "p95_ms", "p99_ms", "cpu_ms", "client_cpu"):
            median[name] = statistics.median(each[name] for each in same)
        median["lowest"] = min(each["per_second"] for each in same)
        median["highest"] = max(each["per_second"] for each in same)
        median["failed"] = sum(
            count for each in same for status, count in each["statuses"].items() if not status.startswith("2")
        )
        median["lost"] = sum(each["lost"] for each in same)
        made.append(median)
    return made


def _of(medians: list[Figures], kind: str, workers: int) -> float:
    found = [each for each in medians if (each["mode"], each["kind"], each["workers"]) == ("whole", kind, workers)]
    rate: float = found[0]["per_second"]
    return rate


def _large(options: argparse.Namespace, workers: int) -> Figures:
    """Send one large bundle, several times, each another patient's; give the times and what memory it took."""
    data = large(LARGE, options.large)
    times, statuses = [], []
    with tempfile.TemporaryDirectory() as folder, Service("whole", Path(folder), workers=workers) as service:
        small = loaded(service.port, "results", 1, 0.5)
        idle = Watched(tree_of(service.pid)).rss_mb()
        for number in range(5):
            began = time.perf_counter()
            statuses.append(service.post(data, str(number)))
            times.append(1000 * (time.perf_counter() - began))
        peak = Watched(tree_of(service.pid)).peak_mb()
    return {
        "workers": workers,
        "bytes": len(data),
        "ms": times,
        "statuses": statuses,
        "idle_rss_mb": idle,
        "peak_rss_mb": peak,
        "small_statuses": small["statuses"],
    }


def _table(report: Figures) -> str:
    lines = [
        "| subject | workers | bundles/s: median (lowest to highest) | p50 ms | p95 ms | p99 ms | not 2xx | CPU ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each['mode']}, {each['kind']} | {each['workers']} | {each['per_second']:.0f} ({each['lowest']:.0f} to "
        f"{each['highest']:.0f}) | {each['p50_ms']:.0f} | {each['p95_ms']:.0f} | {each['p99_ms']:.0f} | "
        f"{each['failed']} | {each['cpu_ms']:.1f} |"
        for each in report["medians"]
    ]
    floor = report["medians"][0]["per_second"]
    for each in report["medians"][1:]:
        share = each["per_second"] / floor
        lines.append(f"\n{each['mode']}, {each['kind']}, {each['workers']} workers: {share:.4f} of the echo")
    lines += [
        f"\none bundle of {each['bytes'] / 1e6:.1f} MB, {each['workers']} workers: median "
        f"{statistics.median(each['ms']):.0f} ms, most {max(each['ms']):.0f} ms, answers {each['statuses']}; "
        f"memory of all processes {each['idle_rss_mb']:.0f} MB, of the largest at its peak {each['peak_rss_mb']:.0f} MB"
        for each in report["large"]
    ]
    if "soak" in report:
        lines.append(f"\nsoak: {report['soak']['told']}")
    client = max(each["client_cpu"] for each in report["medians"][1:])
    lines.append(f"\nThe load generator took up to {client:.0%} of one core beside the service.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
