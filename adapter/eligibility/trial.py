"""A trial as it is judged: criteria in the words of their source, each a tree of atoms."""

from typing import Literal

import msgspec

from adapter.eligibility.kinds import Kind


class AtomIs(msgspec.Struct, frozen=True, tag_field="node", tag="atom"):
    """The atom's sentence is true."""

    id: str


class Premise(msgspec.Struct, frozen=True, tag_field="node", tag="premise"):
    """Something true of the patient that is no criterion of its own."""

    of: Literal["childbearing_potential", "male"]


class Not(msgspec.Struct, frozen=True, tag_field="node", tag="not"):
    """What follows is false."""

    of: "Logic"


class All(msgspec.Struct, frozen=True, tag_field="node", tag="all"):
    """Everything that follows is true."""

    of: tuple["Logic", ...]


class Any(msgspec.Struct, frozen=True, tag_field="node", tag="any"):
    """At least one of what follows is true."""

    of: tuple["Logic", ...]


Logic = AtomIs | Premise | Not | All | Any


class Atom(msgspec.Struct, frozen=True):
    """The smallest criterion with a truth of its own."""

    id: str
    text: str
    """Its words in the source, verbatim."""
    grade: Literal["A", "B", "C"]
    """A computable, B partly, C only by people."""
    kind: Kind
    inputs: tuple[str, ...] = ()
    ask: str | None = None
    """The reviewer's question: the whole of a C atom, the human residue of a B atom."""
    decision: str | None = None


class Criterion(msgspec.Struct, frozen=True):
    """One printed sentence: ``inclusion`` must be true, ``exclusion`` must not."""

    id: str
    type: Literal["inclusion", "exclusion"]
    text: str
    logic: Logic
    atoms: tuple[Atom, ...]


class Contradiction(msgspec.Struct, frozen=True):
    """Where the trial's text asks for what it also excludes; the exclusion wins and a person must settle it."""

    includes: tuple[str, ...]
    """Atoms that together meet the inclusion."""
    excludes: tuple[str, ...]
    text: str


class Trial(msgspec.Struct, frozen=True):
    """A trial's eligibility, ready to be judged."""

    key: str
    version: str
    title: str
    criteria: tuple[Criterion, ...]
    contradictions: tuple[Contradiction, ...] = ()
    notices: tuple[str, ...] = ()
