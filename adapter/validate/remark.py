"""What stands in the way of screening, counted: the same remark about a thousand results is one line."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from adapter.errors import Issue, Severity

MAYBE_RIGHT = frozenset(("code-unmapped", "code-refused"))
"""Remarks on data that most trials do not ask for: a record is full of it."""
_MOST_KINDS = 10_000
"""How many different remarks of one code are kept apart in a whole run."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to mend before screening, where it was first seen and how often."""

    code: str
    said: str
    """What it is and what to do; with the code, what tells it from other remarks."""
    expression: str | None = None
    file: str | None = None
    line: int | None = None
    count: int = 1
    documents: int = 1

    def issue(self) -> Issue:
        """Give it as an issue: information, since a document may be right and yet say little to a trial."""
        times = f"{self.count} times" if self.count > 1 else "once"
        where = f", in {self.documents} documents" if self.documents > 1 else ""
        said = f"{self.said} ({times}{where})"
        return Issue(Severity.INFORMATION, self.code, said, self.expression, self.file, self.line)


def counted(remarks: Iterable[Remark]) -> list[Remark]:
    """Add up the remarks of one document, the most frequent first."""
    return _ranked(_added(remarks))


class Ranking:
    """Adds up the remarks of a run, document by document."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Remark] = {}

    def add(self, remarks: Iterable[Remark], file: str) -> None:
        """Add what ``counted`` gave of one document."""
        for remark in remarks:
            key = (remark.code, remark.said)
            known = self._kept.get(key)
            if known is not None:
                documents = known.documents + remark.documents
                self._kept[key] = replace(known, count=known.count + remark.count, documents=documents)
            elif len(self._kept) < _MOST_KINDS:
                self._kept[key] = replace(remark, file=file)

    def ranked(self) -> list[Remark]:
        """Give everything in the order of its weight."""
        return _ranked(self._kept)


def _added(remarks: Iterable[Remark]) -> dict[tuple[str, str], Remark]:
    kept: dict[tuple[str, str], Remark] = {}
    for remark in remarks:
        key = (remark.code, remark.said)
        known = kept.get(key)
        kept[key] = remark if known is None else replace(known, count=known.count + remark.count)
    return kept


def _ranked(kept: dict[tuple[str, str], Remark]) -> list[Remark]:
    """Put what is surely lost first, then the codes that may rightly be unmapped; by how often, in both."""
    return sorted(kept.values(), key=lambda each: (each.code in MAYBE_RIGHT, -each.count, each.code, each.said))
