"""How much longer Spark takes than the local engine, for the same patients on the same cores.

Usage: ``python benchmarks/spark.py [--patients N] [--shape bundles|export] [--rounds N] [--work DIR]``

Patients are those of the sample bundles, replicated under other ids with dates and values moved, and padded to
``--bytes`` each with resources that a hospital's record also holds.  Both engines take turns, each in a process of its
own, and write findings to disk; the results must be the same lines.  The start of the session is told apart, since it
is paid once.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

AS_OF = "2026-11-01T00:00:00Z"
SAMPLES = Path(__file__).resolve().parent.parent / "sample_bundles"
MB = 1_000_000
_TIMED = """
import json, sys, time
began = time.perf_counter()
{start}
started = time.perf_counter()
from adapter import cli
code = cli.main(sys.argv[1:])
ended = time.perf_counter()
print(json.dumps([started - began, ended - started, code]))
"""
_SESSION = """
import os
from pyspark.sql import SparkSession
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
spark = SparkSession.builder.master({master!r}).config("spark.ui.enabled", "false").config(
    "spark.driver.host", "127.0.0.1").config("spark.log.level", "ERROR").getOrCreate()
"""
_NUMBER = re.compile(rb'"value": ?(\d+\.\d+)')


def main() -> None:
    """Generate, let the engines take turns, print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="spark-benchmark-", dir=options.work) as folder:
        data = Path(folder) / "patients"
        size = _write(data, options)
        report: dict[str, Any] = {"patients": options.patients, "shape": options.shape, "MB": round(size / MB)}
        rounds = [_round(data, Path(folder), options) for _ in range(options.rounds)]
    for name in ("local", "spark", "session"):
        report[name] = [round(each[name], 2) for each in rounds]
    report["ratio"] = round(statistics.median(each["spark"] / each["local"] for each in rounds), 2)
    report["ratio with session"] = round(
        statistics.median((each["spark"] + each["session"]) / each["local"] for each in rounds), 2
    )
    report["patients/s local, spark"] = [
        round(options.patients / statistics.median(each[name] for each in rounds)) for name in ("local", "spark")
    ]
    print(json.dumps(report))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=40_000, help="of one patient, at the least")
    parser.add_argument("--shape", choices=("bundles", "export"), default="bundles")
    parser.add_argument("--format", default="verdicts", help="what is written")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2, help="processes of the local engine")
    parser.add_argument("--master", help="default: local[cores]")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where there is room for the patients and results")
    options = parser.parse_args()
    options.master = options.master or f"local[{options.cores}]"
    return options


def _patients(options: argparse.Namespace) -> Iterator[list[dict[str, Any]]]:
    """Give the resources of each patient, no two alike."""
    draw = random.Random(20261101)  # noqa: S311 (varied, no secret)
    models = [each for each in map(_resources, sorted(SAMPLES.glob("*.json"))) if each is not None]
    for number in range(options.patients):
        name, text = models[number % len(models)]
        text = text.replace(b'"%b"' % name, b'"%b-%d"' % (name, number))
        text = text.replace(b"Patient/%b" % name, b"Patient/%b-%d" % (name, number))
        text = _NUMBER.sub(lambda found: b'"value": %.1f' % (float(found[1]) * draw.uniform(0.9, 1.1)), text)
        resources = json.loads(text)
        padding = options.bytes - len(text)
        while padding > 0:
            made = _observation(f"{name.decode()}-{number}", len(resources), draw)
            resources.append(made)
            padding -= len(json.dumps(made))
        yield resources


def _resources(file: Path) -> tuple[bytes, bytes] | None:
    """Give the patient's id and the resources of a sample; None for one that is not of one plain patient."""
    try:
        entries = json.loads(file.read_bytes())["entry"]
        found = [entry["resource"] for entry in entries]
        (name,) = (each["id"] for each in found if each["resourceType"] == "Patient")
        if not all(each.get("id") and not entry.get("request") for each, entry in zip(found, entries, strict=True)):
            return None
        if f'"Patient/{name}"' not in json.dumps(found) or "urn:uuid" in json.dumps(found):
            return None
    except (ValueError, KeyError, TypeError):
        return None
    return name.encode(), json.dumps(found).encode()


def _observation(patient: str, number: int, draw: random.Random) -> dict[str, Any]:
    codes = (("8867-4", "Heart rate", "/min"), ("8310-5", "Body temperature", "Cel"), ("2708-6", "Oxygen", "%"))
    code, display, unit = draw.choice(codes)
    return {
        "resourceType": "Observation",
        "id": f"{patient}-more-{number}",
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": display}], "text": display},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": f"20{draw.randint(10, 26)}-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}T08:30:00Z",
        "valueQuantity": {"value": round(draw.uniform(30, 100), 1), "unit": unit},
    }


def _write(folder: Path, options: argparse.Namespace) -> int:
    """Write everyone as lines of Bundles, or as an export; gives the bytes."""
    folder.mkdir()
    streams: dict[str, Any] = {}
    for resources in _patients(options):
        if options.shape == "bundles":
            entries = [{"resource": each} for each in resources]
            lines = {"bundles": [{"resourceType": "Bundle", "type": "collection", "entry": entries}]}
        else:
            lines = {}
            for each in resources:
                lines.setdefault(each["resourceType"], []).append(each)
        for name, found in lines.items():
            stream = streams.get(name)
            if stream is None:
                stream = streams[name] = (folder / f"{name}.ndjson").open("w")
            stream.writelines(f"{json.dumps(each)}\n" for each in found)
    for stream in streams.values():
        stream.close()
    return sum(each.stat().st_size for each in folder.iterdir())


def _round(data: Path, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Let both engines screen everything; the results must be the same."""
    asked = ["screen", str(data), "--as-of", AS_OF, "--format", options.format, "--quiet", "--out"]
    outs = [folder / "local", folder / "spark"]
    here = [*asked, str(outs[0]), "--processes", str(options.cores)]
    _, local, code = _timed("", here)
    there = [*asked, str(outs[1]), "--engine", "spark", "--master", options.master]
    session, spark, other = _timed(_SESSION.format(master=options.master), there)
    digests = [_digest(each) for each in outs]
    if digests[0] != digests[1] or code != other:
        sys.exit("the engines do not answer the same")
    for each in outs:
        shutil.rmtree(each)
    return {"local": local, "session": session, "spark": spark}


def _timed(start: str, arguments: list[str]) -> tuple[float, float, int]:
    done = subprocess.run(
        [sys.executable, "-c", _TIMED.format(start=start), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
    )
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    took: tuple[float, float, int] = tuple(json.loads(done.stdout.splitlines()[-1]))
    return took


def _digest(out: Path) -> int:
    """Add up the digests of all lines, in whatever order they stand."""
    total = 0
    for each in sorted(out.rglob("*")):
        if each.is_file() and each.name != "run.json" and not each.name.startswith("."):
            with each.open("rb") as stream:
                for line in stream:
                    total += int.from_bytes(hashlib.blake2b(line, digest_size=8).digest())
    return total


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    sys.stderr.write(f"{time.perf_counter() - began:.0f} s in all\n")
