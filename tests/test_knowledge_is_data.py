"""Clinical knowledge is data: no code, unit, factor or threshold stands in Python."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "adapter"
CODE_LIKE = {
    "a LOINC code": re.compile(r"\d{1,5}-\d|L[AP]\d{2,6}-\d"),
    "a SNOMED CT or RxNorm code": re.compile(r"\d{6,18}"),
    "an ICD-10 code": re.compile(r"[A-TV-Z]\d[0-9A-Z](\.\w{1,4})?"),
    "an ATC code": re.compile(r"[A-Z]\d\d[A-Z]([A-Z](\d\d)?)?"),
    "a unit": re.compile(r"[munpk]?(g|mol|L|U|\[I?U\]|kat)/[dmu]?(L|mol|kg)|mm\[Hg\]|kg/m2|10[*^]\d+/[um]?L|Cel"),
    "a length of time": re.compile(r"P\d+[YMWD]"),
}
TECHNICAL = {
    "client/calls.py": ("0.0", "0.2"),
    "client/reply.py": ("0.0",),
    "delivery/bulk.py": ("2.0", "60.0", "3600.0"),
    "delivery/settings.py": ("0.1", "60.0"),
    "service/doctor_store.py": ("5.0",),
    "service/jobs.py": ("1.0",),
    "service/observing.py": ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "2.5"),
    "service/protocol.py": ("0.0",),
    "service/room.py": ("1.0",),
    "service/watching.py": ("0.5", "0.95", "0.99"),
    "store/database.py": ("0.001",),
    "store/ledger.py": ("0.1",),
    "store/outbox.py": ("0.2",),
    "store/sweeping.py": ("0.05",),
    "verbs/watching.py": ("0.5", "2.0", "10.0"),
}
"""Seconds, shares of a capacity and quantiles, by the module that has them: none is a clinical value."""
NUMBERS = {
    # Numbers in other code that are no clinical knowledge, each with what it is.
    ("mapping/clinical.py", "365.25"): "days a year, to place an age in years on the calendar",
    ("population/coming.py", "365.25"): "days a year, to look for the end of a window near it",
    ("population/coming.py", "30.4375"): "days a month, for the same",
    ("population/plots.py", "0.0"): "where a bar begins",
    **{("population/progress.py", number): "seconds between two signs of life" for number in ("10.0", "0.2")},
    ("population/run.py", "5.0"): "seconds between two commits",
}
CODES = {
    **{("service/audit_events.py", str(number)): "a DICOM code of an audit event" for number in range(110100, 110200)},
    ("population/spark_session.py", "67108864"): "bytes",
}


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "definitions" not in path.parts]


def strings(tree: ast.AST) -> Iterator[str]:
    """Give the string literals of a module, docstrings left out."""
    prose = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            prose.add(id(node.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def found_in(source: str) -> list[str]:
    """Give what looks like clinical knowledge in a module's text."""
    tree = ast.parse(source)
    found = []
    for text in strings(tree):
        found.extend(f"{kind}: {text}" for kind, pattern in CODE_LIKE.items() if pattern.fullmatch(text))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"a number: {node.value}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Decimal":
            found.extend(
                f"a number: {argument.value}"
                for argument in node.args
                if isinstance(argument, ast.Constant)
                and isinstance(argument.value, str)
                and not float(argument.value).is_integer()
            )
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_clinical_knowledge_stands_in_a_module(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    allowed = {f"a number: {number}" for module, number in NUMBERS if module == name}
    allowed |= {f"a number: {number}" for number in TECHNICAL.get(name, ())}
    allowed |= {f"a SNOMED CT or RxNorm code: {code}" for module, code in CODES if module == name}
    found = [each for each in found_in(path.read_text(encoding="utf-8")) if each not in allowed]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "x = '4548-4'",
        "x = '44054006'",
        "x = 'E11.9'",
        "x = 'A10AE04'",
        "x = 'mg/dL'",
        "x = 'P90D'",
        "x = Decimal('88.4')",
    ],
)
def test_the_search_finds_what_it_looks_for(line: str) -> None:
    assert found_in(line)
