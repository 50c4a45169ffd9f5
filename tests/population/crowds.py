"""Enough patients for a run of many parts, and the command that screens them in a process of its own."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from population.exported import AS_OF, Resource, sample_patients, write_export

SMALL_PARTS = """
import os, signal, sys
from adapter import cli
from adapter.population import parts, partition, run
parts.RANGE_BYTES, parts.WHOLE_BYTES, parts.BUCKET_BYTES = 60_000, 100_000, 100_000
partition._SEGMENT_BYTES = 40_000
run._COMMIT_S = 0.02
"""
FORMATS = ("findings", "bundles", "verdicts", "parquet")


def numbered(resources: list[Resource], number: int) -> list[Resource]:
    """Give the same patient once more, under another id."""
    (name,) = (each["id"] for each in resources if each["resourceType"] == "Patient")
    text = json.dumps(resources).replace(f'"{name}"', f'"{name}-{number}"')
    found: list[Resource] = json.loads(text.replace(f'"Patient/{name}"', f'"Patient/{name}-{number}"'))
    return found


def write_crowd(folder: Path, times: int = 2) -> Path:
    """Write half of the patients as lines of Bundles, one of them broken, and half as an export."""
    everyone = [numbered(each, number) for number in range(times) for each in sample_patients()]
    folder.mkdir(parents=True)
    bundled = (
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in each]}
        for each in everyone[::2]
    )
    lines = [json.dumps(each) for each in bundled]
    lines.insert(len(lines) // 2, '{"resourceType": "Bundle", broken')
    (folder / "bundles.ndjson").write_text("\n".join(lines))
    write_export(folder / "export", [one for each in everyone[1::2] for one in each], files=3)
    return folder


def command(folder: Path, out: Path, *options: str, patched: str = "", formats: tuple[str, ...] = FORMATS) -> list[str]:
    """Give the command that screens a folder in many small parts; ``patched`` is Python that runs before it."""
    asked = [word for each in formats for word in ("--format", each)]
    script = f"{SMALL_PARTS}{patched}\nsys.exit(cli.main(sys.argv[1:]))"
    return [sys.executable, "-c", script, "screen", str(folder), "--as-of", AS_OF, *asked, "--out", str(out), *options]


def screened(
    folder: Path, out: Path, *options: str, patched: str = "", formats: tuple[str, ...] = FORMATS
) -> tuple[int, list[str]]:
    """Screen a folder; gives the exit code and what was said on stderr."""
    done = subprocess.run(
        command(folder, out, *options, patched=patched, formats=formats), capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr.splitlines()


def digests(out: Path) -> dict[str, str]:
    """Give what a run wrote, by file."""
    files = (each for each in sorted(out.rglob("*")) if each.is_file())
    return {str(each.relative_to(out)): hashlib.sha256(each.read_bytes()).hexdigest()[:16] for each in files}
