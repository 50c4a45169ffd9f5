"""What a coordinator reads: the sentence and the evidence of every finding that the tables ask for.

The tables say what is found; these files say in which words.  ``--rewrite-goldens`` writes them anew; review the
difference as text.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import TABLES, cases, findings

from adapter.eligibility.finding import Finding

HERE = Path(__file__).parent / "sentences"


def said(finding: Finding) -> Iterator[str]:
    """Give the lines of one finding."""
    judgement = finding.judgement
    reason = f" {judgement.reason.value}" if judgement.reason else ""
    marks = [judgement.window or "", "" if judgement.applicable else "not applicable", judgement.attested * "attested"]
    yield f"  {finding.atom} {judgement.truth.word}{reason}: {judgement.message} [{', '.join(filter(None, marks))}]"
    for each in judgement.evidence:
        parts = [each.sent, each.on, each.compared, each.conversion, each.note]
        yield f"    {each.source.versioned}: {' | '.join(str(part) for part in parts if part is not None)}"


def written(named: list[tuple[str, dict[str, Any]]]) -> str:
    """Give the sentences of the cases of one table."""
    lines = []
    for name, case in named:
        lines.append(name)
        found = findings(case)
        for atom in case["expect"]:
            lines.extend(said(found[atom]))
    return "\n".join(lines) + "\n"


def tables() -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Give the cases of each table."""
    by_table: dict[str, list[tuple[str, dict[str, Any]]]] = {path.stem: [] for path in sorted(TABLES.glob("*.yaml"))}
    for name, case in cases():
        stem = max((stem for stem in by_table if name.startswith(f"{stem}-")), key=len)
        by_table[stem].append((name, case))
    return by_table


@pytest.mark.parametrize("table", [path.stem for path in sorted(TABLES.glob("*.yaml"))])
def test_every_finding_is_said_as_before(table: str, request: pytest.FixtureRequest) -> None:
    golden = HERE / f"{table}.txt"
    now = written(tables()[table])
    if request.config.getoption("--rewrite-goldens"):
        HERE.mkdir(exist_ok=True)
        golden.write_text(now, encoding="utf-8")
    assert golden.is_file(), "no golden file: run pytest tests/golden --rewrite-goldens"
    assert now.splitlines() == golden.read_text(encoding="utf-8").splitlines()
