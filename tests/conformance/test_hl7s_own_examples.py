"""HL7's own examples of the types we emit pass, but for those that the list says are wrong, and why."""

import re
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest
from conformance.packages import EXAMPLES, RELEASES, checker, folder, read
from conformance.sound_resources import sound

LARGEST = 1_000_000
"""Leaves out HL7's Bundles of all its definitions."""
ROW = re.compile(r"\| (R[45]) \| (\S+) \| (\S+) \| (\d+) \| (.+) \|")
TYPES = [(release, each) for release in RELEASES for each in sound(release)]


def listed(release: str, type_: str) -> dict[tuple[str, str], int]:
    text = Path(__file__).with_name("hl7_flagged.md").read_text(encoding="utf-8")
    rows = [found.groups() for found in ROW.finditer(text)]
    assert all(reason.strip() for *_, reason in rows)
    return {
        (files, key): int(times)
        for said, files, key, times, _ in rows
        if (said, files.split("-")[0]) == (release, type_)
    }


@pytest.mark.parametrize(("release", "type_"), TYPES)
def test_hl7s_examples_are_flagged_only_where_the_list_says_why(release: str, type_: str) -> None:
    expected = listed(release, type_)
    found: Counter[tuple[str, str]] = Counter()
    files = [each for each in folder(EXAMPLES[release]).glob(f"{type_}-*.json") if each.stat().st_size < LARGEST]
    assert files
    for path in files:
        for each in checker(release).check(read(path)).errors:
            row = next((files for files, key in expected if key == each.key and fnmatch(path.name, files)), path.name)
            found[row, each.key] += 1
    assert found == expected
