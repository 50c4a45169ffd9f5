"""The words of a computable form: text with its numbers and concepts marked, and where each number comes from."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.catalog.prepare import POLICY
from adapter.eligibility.reason import Reason
from adapter.eligibility.values import Limits, Period, plain, rounded

_LIMITS = {"at_least": "at least", "more_than": "more than", "at_most": "at most", "less_than": "less than"}
_PRINT = (
    (r"\{[^}]*\}", ""),
    (r"[\[\]]", ""),
    (r"\biU\b", "IU"),
    (r"/d\b", "/day"),
    (r"\bCel\b", "°C"),
    (r"^u(?=\w)", "µ"),
)
"""UCUM's own spelling and its print symbol."""
_RAISED = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")


class Number(msgspec.Struct, frozen=True):
    """A number or a length of time in a sentence."""

    words: str
    policy: str | None = None
    """The name it has among the policies; None: the source prints it, or a published equivalent of it."""


class Concept(msgspec.Struct, frozen=True):
    """An input or a value set, by the name it has in the mappings."""

    block: Literal["inputs", "value_sets"]
    name: str
    title: str
    """What people call it; what its codes are is said with them."""


Part = str | Number | Concept
Text = tuple[Part, ...]


class Line(msgspec.Struct, frozen=True):
    """One statement, and what belongs under it."""

    text: Text
    inside: tuple["Line", ...] = ()

    def parts(self) -> Iterator[Part]:
        """Give every part, those of the lines inside too."""
        yield from self.text
        for each in self.inside:
            yield from each.parts()


class Left(msgspec.Struct, frozen=True):
    """A case that leaves the answer open."""

    reason: Reason
    text: Text


class Form(msgspec.Struct, frozen=True):
    """What makes an atom's sentence met, not met and unknown."""

    met: tuple[Line, ...]
    not_met: tuple[Line, ...] = ()
    unknown: tuple[Left, ...] = ()
    notes: tuple[Line, ...] = ()
    """How its terms are read, and what a person is shown."""

    def parts(self) -> Iterator[Part]:
        """Give every part of every sentence, in the order they are read."""
        for line in (*self.met, *self.not_met):
            yield from line.parts()
        for left in self.unknown:
            yield from left.text
        for line in self.notes:
            yield from line.parts()

    @property
    def numbers(self) -> tuple[Number, ...]:
        """Give the numbers that have a name among the policies, each once."""
        named = (each for each in self.parts() if isinstance(each, Number) and each.policy is not None)
        return tuple(dict.fromkeys(named))

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """Give the inputs and value sets that are spoken of, each once."""
        return tuple(dict.fromkeys(each for each in self.parts() if isinstance(each, Concept)))


def say(*parts: Part | Text) -> Text:
    """Put parts together to one text."""
    flat: list[Part] = []
    for each in parts:
        flat.extend(each if isinstance(each, tuple) else (each,))
    return tuple(flat)


def line(*parts: Part | Text, inside: tuple[Line, ...] = ()) -> Line:
    """Make a statement of parts."""
    return Line(say(*parts), inside)


NEVER = line("never by the record alone")


def left(reason: Reason, *parts: Part | Text) -> Left:
    """Make a case that is left open of parts."""
    return Left(reason, say(*parts))


def listed(texts: list[Text], word: str) -> Text:
    """List texts as people do: ``a, b or c``."""
    said: list[Part] = []
    for number, text in enumerate(texts):
        if number:
            said.append(f" {word} " if number == len(texts) - 1 else ", ")
        said.extend(text)
    return tuple(said)


def length(period: Period) -> str:
    """Write a length of time as the file gives it: in weeks where it counts weeks.

    >>> length(Period.parse("P42W")), length(Period.parse("P1Y"))
    ('42 weeks', '1 year')
    """
    weeks = re.fullmatch(r"P(\d+)W", period.text)
    return f"{weeks[1]} week{'s' if weeks[1] != '1' else ''}" if weeks else str(period)


def unit_in_print(unit: str) -> str:
    """Write a UCUM unit as it is printed: raised exponents, no brackets, no annotations."""
    bare = unit
    for pattern, printed in _PRINT:
        bare = re.sub(pattern, printed, bare)
    raised = re.sub(r"10\*(-?\d+)", lambda found: f"10{found[1].translate(_RAISED)}", bare)
    return re.sub(r"(?<=[a-z])\d\b", lambda found: found[0].translate(_RAISED), raised)


class Words(msgspec.Struct, frozen=True):
    """Says parts of a kind, with the file's own text beside it, which names the policies."""

    catalog: Catalog
    written: object
    """The part of the trial file that the kind was made from, ``$names`` not yet filled in."""

    def at(self, *steps: str | int) -> "Words":
        """Go to a part of what is written; nothing is written below what is not there."""
        node = self.written
        for step in steps:
            if isinstance(node, Mapping):
                node = node.get(step)
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                node = node[step]
            else:
                node = None
        return Words(self.catalog, node)

    @property
    def policy(self) -> str | None:
        """The name of the policy that stands here."""
        found = POLICY.fullmatch(self.written) if isinstance(self.written, str) else None
        return found[1] if found is not None else None

    def number(self, value: Decimal | int, field: str, unit: str = "") -> Number:
        """Say a number of this part."""
        printed = unit_in_print(unit)
        times = "\u00d7 " if printed.startswith("10") else ""
        return Number(f"{plain(Decimal(value))} {times}{printed}".rstrip(), self.at(field).policy)

    def length(self, period: Period, field: str) -> Number:
        """Say a length of time of this part."""
        return Number(length(period), self.at(field).policy)

    def window(self, period: Period, name: str, field: str = "window") -> Number:
        """Say how old results of an input may be: as the trial writes it, else as the input's mapping does."""
        if self.at(field).written is not None:
            return self.length(period, field)
        return self.mapped(length(period), "inputs", name, "freshness")

    def mapped(self, words: str, *place: str | int) -> Number:
        """Say a number of a mapping file, by its place there."""
        return Number(words, self.catalog.mappings.named.get(place))

    def named(self, policy: str) -> Number:
        """Say the number of a policy that the adapter itself reads."""
        value = str(self.catalog.mappings.policy[policy].value)
        return Number(length(Period.parse(value)) if value.startswith("P") else value, policy)

    def limits(self, limits: Limits, unit: str) -> Text:
        """Say limits, each end with its own origin; this part is where the limits are written."""
        ends = {field: end for field in _LIMITS if (end := getattr(limits, field)) is not None}
        if limits.at_least is not None and limits.at_least == limits.at_most:
            return say("exactly ", self.number(limits.at_least, "at_least", unit))
        last = next(reversed(ends), None)
        said = [
            say(f"{_LIMITS[field]} ", self.number(end, field, unit if field == last else ""))
            for field, end in ends.items()
        ]
        return listed(said, "and")

    def concept(self, block: Literal["inputs", "value_sets"], name: str) -> Concept:
        """Name an input or a value set by its title."""
        mappings = self.catalog.mappings
        entry = mappings.inputs.get(name) if block == "inputs" else mappings.value_sets.get(name)
        title = entry.title if entry is not None else name
        return Concept(block, name, title.partition(": codes that")[0])

    def input(self, name: str, roles: tuple[str, ...] = ()) -> Text:
        """Name an input, and the parts of it that are meant where they are not all that decide."""
        mapped = self.catalog.mappings.inputs.get(name)
        concept = self.concept("inputs", name)
        if not roles or mapped is None or set(roles) >= set(mapped.decides):
            return (concept,)
        return say(concept, f" ({', '.join(role.replace('_', ' ') for role in roles)})")

    def sets(self, names: tuple[str, ...], word: str = "or") -> Text:
        """Name value sets."""
        return listed([(self.concept("value_sets", name),) for name in names], word)


def converted(limits: Limits) -> Limits:
    """Round converted limits for print; comparison never uses them."""
    return limits.map(lambda end: Decimal(rounded(end)))
