"""A trial as it is judged: criteria in the words of their source, each a tree of atoms."""

import functools
from collections.abc import Mapping
from typing import Literal, assert_never

import msgspec

from adapter.eligibility.case import Case, nothing_on_record
from adapter.eligibility.facts import Sex
from adapter.eligibility.finding import Finding
from adapter.eligibility.kinds import Kind, judge, reads
from adapter.eligibility.kinds.human import SameAs
from adapter.eligibility.truth import Truth, all_of, any_of, negation

Truths = Mapping[str, Truth]
"""The truth of every atom so far."""


class AtomIs(msgspec.Struct, frozen=True, tag_field="node", tag="atom"):
    """The atom's sentence is true."""

    id: str

    def holds(self, truths: Truths, _: Case) -> Truth:
        """Whether it is."""
        return truths[self.id]


class Premise(msgspec.Struct, frozen=True, tag_field="node", tag="premise"):
    """Something true of the patient that is no criterion of its own."""

    of: Literal["childbearing_potential", "male"]

    def holds(self, _: Truths, case: Case) -> Truth:
        """Whether it is; of an unclear sex nobody knows."""
        if self.of == "male":
            return Truth.UNKNOWN if case.sex is Sex.UNKNOWN else Truth.MET if case.sex is Sex.MALE else Truth.NOT_MET
        return case.childbearing()


class Not(msgspec.Struct, frozen=True, tag_field="node", tag="not"):
    """What follows is false."""

    of: "Logic"

    def holds(self, truths: Truths, case: Case) -> Truth:
        """Whether it is."""
        return negation(self.of.holds(truths, case))


class All(msgspec.Struct, frozen=True, tag_field="node", tag="all"):
    """Everything that follows is true."""

    of: tuple["Logic", ...]

    def holds(self, truths: Truths, case: Case) -> Truth:
        """Whether it is."""
        return all_of([each.holds(truths, case) for each in self.of])


class Any(msgspec.Struct, frozen=True, tag_field="node", tag="any"):
    """At least one of what follows is true."""

    of: tuple["Logic", ...]

    def holds(self, truths: Truths, case: Case) -> Truth:
        """Whether it is."""
        return any_of([each.holds(truths, case) for each in self.of])


Logic = AtomIs | Premise | Not | All | Any


def _signs(logic: Logic, *, positive: bool, into: dict[str, bool]) -> None:
    match logic:
        case AtomIs(id):
            into[id] = positive
        case Not(of):
            _signs(of, positive=not positive, into=into)
        case All(of) | Any(of):
            for each in of:
                _signs(each, positive=positive, into=into)
        case Premise():
            pass
        case _:
            assert_never(logic)


def _asks_about_the_person(logic: Logic) -> bool:
    match logic:
        case AtomIs():
            return False
        case Premise():
            return True
        case Not():
            return _asks_about_the_person(logic.of)
        case All() | Any():
            return any(_asks_about_the_person(each) for each in logic.of)
        case _:
            assert_never(logic)


class Atom(msgspec.Struct, frozen=True, dict=True):
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

    @functools.cached_property
    def reads(self) -> frozenset[str] | None:
        """Names of facts: while none of them is on record, what is found is ``silent``; None: always judge."""
        names = reads(self.kind)
        return None if names is None else names | {self.id}  # a reviewer's answer goes by the atom's own name

    @functools.cached_property
    def silent(self) -> Finding:
        """What is found where nothing that it reads is on record: one object for all patients."""
        if isinstance(self.kind, SameAs):
            raise TypeError("what another criterion decides is never silent")
        return Finding(self.id, judge(self.kind, nothing_on_record()))


class Silence(msgspec.Struct, frozen=True):
    """What a criterion comes to where nothing that it reads is on record."""

    findings: dict[str, Finding]
    truths: dict[str, Truth]
    whole: Truth


class Criterion(msgspec.Struct, frozen=True, dict=True):
    """One printed sentence: ``inclusion`` must be true, ``exclusion`` must not."""

    id: str
    type: Literal["inclusion", "exclusion"]
    text: str
    logic: Logic
    atoms: tuple[Atom, ...]

    @functools.cached_property
    def signs(self) -> dict[str, bool]:
        """For each atom, whether its being true speaks for the patient."""
        signs: dict[str, bool] = {}
        _signs(self.logic, positive=self.type == "inclusion", into=signs)
        return signs

    @functools.cached_property
    def reads(self) -> frozenset[str] | None:
        """Names of facts: while none of them is on record, the criterion comes to ``silence``; None: always judge."""
        names: set[str] = set()
        for atom in self.atoms:
            if atom.reads is None:
                return None
            names |= atom.reads
        return None if _asks_about_the_person(self.logic) else frozenset(names)

    @functools.cached_property
    def silence(self) -> Silence:
        """What the criterion comes to while its record is silent: one object for all patients."""
        findings = {atom.id: atom.silent for atom in self.atoms}
        truths = {name: finding.truth for name, finding in findings.items()}
        return Silence(findings, truths, self.logic.holds(truths, nothing_on_record()))


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
