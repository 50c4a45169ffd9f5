"""The words: every sentence of the source stands in a criterion, every atom in its sentence, questions where due."""

import re
from collections.abc import Iterator

import msgspec

from adapter.catalog.catalog import PlacedAtom, Sources
from adapter.catalog.trial_file import TrialFile
from adapter.catalog.yaml_file import Loaded, Path_
from adapter.eligibility.kinds.human import Ask, Consent
from adapter.errors import Issue

_MARK = re.compile(r"(?:[-*•–]|\(?[0-9]{1,2}[.)]|\(?[a-z][.)])$")  # noqa: RUF001 (a dash that sources print)
"""A word at the beginning of a line that only marks an item of a list."""
_BULLET = "•"
_SOURCE: Path_ = ("source", "eligibility")


def text_issues(sources: Sources) -> Iterator[Issue]:
    """Say every word of a source without a criterion, and every text that is not the source's."""
    for loaded, trial in sources.trials:
        yield from _coverage(trial, loaded)
    for placed in sources.atoms:
        yield from _atom(placed)


def _joined(text: str) -> str:
    return " ".join(text.split())


class _Source:
    """The words of the source, one blank between two, with the line of each and whether something covers it."""

    def __init__(self, text: str) -> None:
        self.words: list[tuple[int, int, str]] = []
        """First character in ``text``, line counted from 0, word."""
        parts, length = [], 0
        for number, line in enumerate(text.splitlines()):
            for word in line.split():
                self.words.append((length, number, word))
                parts.append(word)
                length += len(word) + 1
        self.text = " ".join(parts)
        self._covered = bytearray(len(self.text))

    def cover(self, text: str) -> bool:
        """Mark where a text stands, where nothing covers it yet if it stands twice; False where it does not stand."""
        wanted = _joined(text)
        found = -1
        place = self.text.find(wanted) if wanted else -1
        while place >= 0:
            found = place
            if not any(self._covered[place : place + len(wanted)]):
                break
            place = self.text.find(wanted, place + 1)
        if found < 0:
            return False
        self._covered[found : found + len(wanted)] = b"\x01" * len(wanted)
        return True

    def left(self) -> dict[int, list[str]]:
        """Give the words that nothing covers, list marks left out, by line."""
        found: dict[int, list[str]] = {}
        before = -1
        for start, line, word in self.words:
            is_first, before = line != before, line
            span = self._covered[start : start + len(word)]
            rest = "".join(letter for letter, covered in zip(word, span, strict=True) if not covered)
            is_mark = word == rest and (word == _BULLET or (is_first and _MARK.match(word) is not None))
            if rest and not is_mark:
                found.setdefault(line, []).append(rest)
        return found


class Coverage(msgspec.Struct, frozen=True):
    """Which words of a source stand in a criterion or a heading."""

    words: int
    """Words of the source, list marks left out."""
    left: dict[int, list[str]]
    """Words that nothing holds, by line counted from 0."""
    strange_criteria: tuple[int, ...]
    """Numbers of criteria whose text does not stand in the source."""
    strange_headings: tuple[int, ...]

    @property
    def held(self) -> int:
        """How many words a criterion or a heading holds."""
        return self.words - sum(len(words) for words in self.left.values())

    @property
    def is_whole(self) -> bool:
        """Whether every word is held, and every criterion and heading is the source's."""
        return not (self.left or self.strange_criteria or self.strange_headings)


def coverage(trial: TrialFile) -> Coverage:
    """Hold the criteria and headings of a trial against its source."""
    source = _Source(trial.source.eligibility)
    words = sum(len(words) for words in source.left().values())
    criteria = tuple(number for number, each in enumerate(trial.criteria) if not source.cover(each.text))
    headings = tuple(number for number, each in enumerate(trial.source.headings) if not source.cover(each))
    return Coverage(words, source.left(), criteria, headings)


def _coverage(trial: TrialFile, loaded: Loaded) -> Iterator[Issue]:
    found = coverage(trial)
    for number in found.strange_criteria:
        said = "these words do not stand in source.eligibility: copy them from there, to the letter"
        yield loaded.issue("criterion-text", said, ("criteria", number, "text"))
    for number in found.strange_headings:
        heading = trial.source.headings[number]
        said = f"the heading {heading} does not stand in source.eligibility: correct or remove it"
        yield loaded.issue("heading", said, ("source", "headings", number))
    key_line = loaded.line(_SOURCE) or 1
    for line, words in found.left.items():
        place = key_line + 1 + line if _SOURCE in loaded.blocks else key_line
        said = f"no criterion and no heading holds these words of the source: {' '.join(words)}"
        issue = loaded.issue("source-left", said, _SOURCE)
        yield Issue(issue.severity, issue.code, issue.message, issue.expression, issue.file, place)


def _atom(placed: PlacedAtom) -> Iterator[Issue]:
    loaded, entry = placed.loaded, placed.entry
    if _joined(entry.text) not in _joined(placed.criterion.text) or not entry.text.strip():
        said = f"these words do not stand in the text of {placed.criterion.id}: copy them from there, to the letter"
        yield loaded.issue("atom-text", said, (*placed.path, "text"))
    if entry.grade == "A" and entry.ask is not None:
        said = "an atom of class A is computed and asks nobody: make it B, or remove the question"
        yield loaded.issue("needless-question", said, (*placed.path, "ask"))
    if entry.grade != "A" and not (entry.ask or "").strip():
        said = f"an atom of class {entry.grade} needs the reviewer's question: add ask"
        yield loaded.issue("missing-question", said, placed.path)
    if entry.ask is not None and entry.ask.strip() and not entry.ask.strip().endswith("?"):
        yield loaded.issue("missing-question", "a question ends with a question mark", (*placed.path, "ask"))
    asks = isinstance(placed.kind, Ask | Consent)
    if placed.kind is not None and entry.grade == "C" and not asks:
        said = "an atom of class C is for people alone: judge it by ask, or make it B"
        yield loaded.issue("class", said, (*placed.path, "class"))
    if entry.grade == "A" and asks:
        said = "an atom of class A cannot be left to people: make it B or C"
        yield loaded.issue("class", said, (*placed.path, "class"))
