"""The documentation names what there is: verbs, options, kinds, reasons, inputs, files."""

import argparse
import re
from pathlib import Path
from typing import get_args

import pytest

from adapter.cli import main, parser
from adapter.eligibility.decide import Verdict
from adapter.eligibility.kinds import Kind
from adapter.eligibility.reason import Reason

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def verbs() -> dict[str, argparse.ArgumentParser]:
    (found,) = (each for each in parser()._actions if isinstance(each, argparse._SubParsersAction))
    return dict(found.choices)


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_the_readme_shows_every_verb(verb: str) -> None:
    assert f"trial-adapter {verb}" in text("README.md")


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_the_command_page_names_every_option(verb: str) -> None:
    options = {option for action in verbs()[verb]._actions for option in action.option_strings} - {"-h", "--help"}
    page = text("docs/cli.md")
    assert [option for option in sorted(options) if f"`{option}" not in page] == []


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
def test_semantics_says_what_each_reason_means_and_what_to_do(reason: Reason) -> None:
    row = re.search(rf"^\| {reason.value} \| (.+) \| (.+) \|$", text("docs/semantics.md"), re.MULTILINE)
    assert row is not None
    assert row[1] == reason.meaning


@pytest.mark.parametrize("kind", [kind.__struct_config__.tag for kind in get_args(Kind)])
def test_semantics_has_every_kind_and_the_trial_guide_shows_how_to_write_it(kind: str) -> None:
    assert f"`{kind}`" in text("docs/semantics.md")
    assert f"`{kind}`" in text("docs/trials.md")


@pytest.mark.parametrize("verdict", list(Verdict), ids=lambda verdict: verdict.value)
def test_semantics_says_when_each_verdict_is_given(verdict: Verdict) -> None:
    assert f"| `{verdict.value}` |" in text("docs/semantics.md")


def test_every_page_and_test_that_the_documentation_names_exists() -> None:
    place = re.compile(r"`((?:docs|tests|adapter|mappings|trials|benchmarks|tools)/[\w./-]+)`")
    named = [
        (page.name, name)
        for page in (ROOT / "README.md", *DOCS.rglob("*.md"))
        for name in place.findall(text(str(page)))
    ]
    assert named
    assert [pair for pair in named if not (ROOT / pair[1].rstrip("/")).exists()] == []


def test_every_decision_record_has_its_parts() -> None:
    for record in (DOCS / "adr").glob("*.md"):
        content = record.read_text(encoding="utf-8")
        assert content.startswith(f"# {int(record.name[:4])}. "), record.name
        assert "**What would change our mind.**" in content, record.name
        assert len(content.splitlines()) <= 40, record.name


def test_only_the_packages_of_the_decision_record_are_dependencies() -> None:
    rows = re.findall(r"^\| ([\w., -]+) \|", text("docs/adr/0010-dependencies.md"), re.MULTILINE)
    listed = {name for row in rows for name in row.split(", ")} - {"package"}
    block = re.search(r"^dependencies = \[(.*?)^\]", text("pyproject.toml"), re.MULTILINE | re.DOTALL)
    assert block is not None
    declared = set(re.findall(r'"([\w.-]+)(?:\[\w+\])?[>=<]', block[1]))
    assert declared == listed


def test_the_output_the_readme_shows_is_what_the_demo_prints(capsys: pytest.CaptureFixture[str]) -> None:
    shown = re.findall(r"^(?:[│┃┏┡] ?.*|I\d+: .*|\{\"patient.*)$", text("README.md"), re.MULTILINE)
    assert len(shown) > len(("head", "rows", "sentence", "finding"))
    arguments = ["screen", str(ROOT / "sample_bundles"), "--as-of", "2026-11-01T00:00:00Z"]
    assert main(arguments) == 0
    assert main([*arguments, "--format", "findings"]) == 0
    printed = capsys.readouterr().out
    assert [line for line in shown if line.rstrip() not in printed] == []
