"""``trial-adapter check``: the shipped files are clean, and breaking any one rule is said with its place."""

import ast
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter import cli
from adapter.catalog.checks import check
from adapter.catalog.load import read_catalog, shipped

BREAKAGES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "breakages.yaml").read_text(encoding="utf-8"))
CLEAN = "5 trials, 64 criteria, 176 atoms (95 A, 63 B, 18 C), 41 inputs, no problem\n"
Said = tuple[str, str, int, str]
"""Code, file, line, path."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("trials", "mappings"):
        shutil.copytree(shipped(name), tmp_path / name)
    return tmp_path


def found(folder: Path) -> list[Said]:
    sources, catalog = read_catalog([folder / "trials"], [folder / "mappings"])
    issues = check(sources, catalog)
    said = []
    for issue in issues:
        file = Path(issue.file).relative_to(folder).as_posix() if issue.file else ""
        said.append((issue.code, file, issue.line or 0, issue.expression or ""))
    return sorted(said)


def break_one(folder: Path, breakage: dict[str, Any]) -> list[Said]:
    """Replace the text in the copy; give what must be said of it."""
    path = folder / breakage["file"]
    before, old, new = path.read_text(encoding="utf-8"), breakage["old"], breakage["new"]
    assert old in before, f"{breakage['file']} no longer holds {old!r}"
    after = before.replace(old, new, 1)
    path.write_text(after, encoding="utf-8")
    place = before.index(old)
    same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    expected = []
    for code, expression, *at in breakage["said"]:
        file, line = breakage["file"], _line(after, place + same)
        if at and at[0].startswith("IN "):
            _, file, text = at[0].split(" ", 2)
            other = (folder / file).read_text(encoding="utf-8")
            line = _line(other, other.index(text))
        elif at:
            nearby = after.find(at[0], max(0, place - 1500))
            line = _line(after, nearby if nearby >= 0 else after.index(at[0]))
        expected.append((code, file, line, expression or ""))
    return sorted(expected)


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def test_the_shipped_files_are_clean_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check"]) == cli.DONE
    said = capsys.readouterr()
    assert (said.out, said.err) == (CLEAN, "")


@pytest.mark.parametrize("breakage", [pytest.param(each, id=each["why"]) for each in BREAKAGES])
def test_breaking_one_rule_is_said_with_its_place(copy: Path, breakage: dict[str, Any]) -> None:
    expected = break_one(copy, breakage)
    assert found(copy) == expected


def test_every_kind_of_problem_is_shown_here_or_has_a_test_of_its_own() -> None:
    shown = {code for each in BREAKAGES for code, *_ in each["said"]}
    assert codes_of_the_catalog() - shown == OWN_TESTS
    assert not shown & OWN_TESTS


OWN_TESTS = {
    "empty-file",
    "empty-folder",
    "merge-key",
    "missing-policy",
    "missing-vocabulary",
    "no-measure",
    "not-equivalent",
    "not-expanded",
    "not-found",
    "not-utf-8",
    "shape",
    "site-file",
    "trial-key",
    "unreadable-file",
}


def codes_of_the_catalog() -> set[str]:
    """Find the codes that the catalog's modules report where they stand as literals."""
    codes = set()
    for path in (Path(cli.__file__).parent / "catalog").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                place = {"issue": 0, "_issue": 0, "Issue": 1}.get(name, len(node.args))
                codes.update(each.value for each in node.args[place : place + 1] if isinstance(each, ast.Constant))
    return codes
