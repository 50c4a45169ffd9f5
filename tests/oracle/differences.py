"""The differences we know of and why, held against those that were found."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec
import yaml
from oracle.comparison import Compared

FILE = Path(__file__).with_name("differences.yaml")


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A difference with its explanation."""

    defines: tuple[str, ...]
    """Patterns of atom ids; each must be needed."""
    cases: tuple[str, ...]
    """Patterns of ``kind/file#patient``; each must be needed."""
    type: Literal["engine", "translator", "cql-cannot", "reading"]
    """The engine's fault, the translator's, what CQL cannot say, or what only our reading of FHIR sees."""
    ours: Literal["met", "not-met", "unknown"]
    cql: str
    """``met``, ``not-met``, ``unknown``, or a pattern of the error."""
    reason: str
    link: str
    """Where the docs say it."""

    def explains(self, found: Compared) -> bool:
        """Whether this is the difference that was found."""
        return (
            found.ours == self.ours
            and fnmatchcase(found.cql, self.cql)
            and any(fnmatchcase(found.define, each) for each in self.defines)
            and any(fnmatchcase(found.case, each) for each in self.cases)
        )


class Held(msgspec.Struct, frozen=True):
    """What was found, sorted."""

    explained: tuple[Compared, ...]
    unexplained: tuple[Compared, ...]
    stale: tuple[str, ...]
    """Explanations, or patterns in them, that no difference needs any more."""


def known(path: Path = FILE) -> tuple[Known, ...]:
    """Read the explained differences."""
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(msgspec.convert(each, Known) for each in read["differences"])


def hold(found: Iterable[Compared], explained_by: tuple[Known, ...]) -> Held:
    """Sort the differences; explanations of kinds of cases that were not asked are left alone."""
    explained: list[Compared] = []
    unexplained: list[Compared] = []
    asked: set[str] = set()
    used: set[tuple[Known, str, str]] = set()
    for each in found:
        asked.add(each.case.partition("/")[0])
        if not each.differs:
            continue
        by = [one for one in explained_by if one.explains(each)]
        (explained if by else unexplained).append(each)
        for one in by:
            used.update((one, "define", pattern) for pattern in one.defines if fnmatchcase(each.define, pattern))
            used.update((one, "case", pattern) for pattern in one.cases if fnmatchcase(each.case, pattern))
    stale = [
        f"{pattern} ({one.reason})"
        for one in explained_by
        for what, patterns in (("define", one.defines), ("case", one.cases))
        for pattern in patterns
        if any(case.partition("/")[0] in asked for case in one.cases)
        and (what == "define" or pattern.partition("/")[0] in asked)
        and (one, what, pattern) not in used
    ]
    return Held(tuple(explained), tuple(unexplained), tuple(stale))
