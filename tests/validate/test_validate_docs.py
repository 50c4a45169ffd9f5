"""docs/validation.md tells of every code a person can meet, and of none that is gone."""

import re
from pathlib import Path

from adapter.validate.invariants import RULES
from adapter.validate.report import ISSUE_TYPES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "validation.md").read_text(encoding="utf-8")


def told(heading: str) -> list[str]:
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([a-z0-9-]+)` \| .*\S.* \| .*\S.* \|$", section, re.MULTILINE)


def test_every_issue_code_is_told_once_and_with_what_to_do() -> None:
    codes = told("Errors and warnings") + told("Remarks")
    assert sorted(codes) == sorted(ISSUE_TYPES)


def test_every_invariant_is_told() -> None:
    assert set(told("Invariants")) == {key for key, _ in RULES}
