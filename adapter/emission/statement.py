"""What a criterion states, as FHIR can say it: a tree of coded sentences and of plain words.

A Group is a list of characteristics that must all be true, each of which ``exclude`` may turn round.  ``conjuncts``
says whether a tree is such a list; what is not is never flattened into one, because it would mean something else.
"""

from collections.abc import Callable
from typing import Any, Literal, assert_never

import msgspec

from adapter.eligibility.trial import All, Atom, AtomIs, Criterion, Logic, Not, Premise
from adapter.eligibility.trial import Any as AnyOf
from adapter.eligibility.values import Period

Element = dict[str, Any]
"""A part of a resource in FHIR's JSON shape."""


class Coded(msgspec.Struct, frozen=True):
    """A code and a value: what a Group characteristic and ``definitionByTypeAndValue`` hold."""

    code: Element
    """A CodeableConcept."""
    value: Element
    """One ``value[x]``, named for its type."""
    within: Period | None = None
    """How long before screening it may lie."""
    lasting: Period | None = None
    """For how long it must have lasted."""
    times: int = 1
    """On so many days, at least."""

    @property
    def fits_group(self) -> bool:
        """Whether a Group characteristic can hold it: that has no time relative to screening, and no count."""
        return self.within is None and self.lasting is None and self.times == 1


class InWords(msgspec.Struct, frozen=True):
    """A sentence that no code and value can hold."""

    text: str
    by_people: bool = False
    """Whether only people can judge it."""


class Every(msgspec.Struct, frozen=True):
    """Everything that follows is true."""

    of: tuple["Statement", ...]


class Some(msgspec.Struct, frozen=True):
    """At least one of what follows is true."""

    of: tuple["Statement", ...]


class Negated(msgspec.Struct, frozen=True):
    """What follows is false."""

    of: "Statement"


class Named(msgspec.Struct, frozen=True):
    """An atom of the criterion with what it states."""

    atom: Atom
    of: "Statement"


Statement = Coded | InWords | Every | Some | Negated | Named
Signed = tuple[Statement, bool]
"""A statement, and whether it must be false."""


def statement_of(
    criterion: Criterion, of_atom: Callable[[Atom], Statement], of_premise: Callable[[Premise], Statement]
) -> Statement:
    """Give what a criterion's sentence states: its logic, with each atom as it can be said."""
    atoms = {atom.id: atom for atom in criterion.atoms}

    def said(logic: Logic) -> Statement:
        match logic:
            case AtomIs():
                return Named(atoms[logic.id], of_atom(atoms[logic.id]))
            case Premise():
                return of_premise(logic)
            case Not():
                return Negated(said(logic.of))
            case All():
                return Every(tuple(said(each) for each in logic.of))
            case AnyOf():
                return Some(tuple(said(each) for each in logic.of))
            case _:
                assert_never(logic)

    return said(criterion.logic)


def conjuncts(statement: Statement, *, exclude: bool, whole: bool) -> tuple[Signed, ...] | None:
    """Give the parts that must all be true, or false where they say so; None where it is no such list.

    ``whole`` keeps atoms whole; without it the inside of an atom is taken apart as well.
    """
    match statement:
        case Coded() | InWords():
            return ((statement, exclude),)
        case Named():
            return ((statement, exclude),) if whole else conjuncts(statement.of, exclude=exclude, whole=False)
        case Negated():
            return conjuncts(statement.of, exclude=not exclude, whole=whole)
        case Every() | Some():
            # "Not both" is no list of things that are false, and "one of these" no list of things that are true.
            if len(statement.of) != 1 and isinstance(statement, Some) is not exclude:
                return None
            parts: list[Signed] = []
            for each in statement.of:
                inside = conjuncts(each, exclude=exclude, whole=whole)
                if inside is None:
                    return None
                parts.extend(inside)
            return tuple(parts)
        case _:
            assert_never(statement)


class Held(msgspec.Struct, frozen=True):
    """What one criterion, or one atom of it, becomes in a Group."""

    id: str
    """The criterion's or the atom's."""
    text: str
    """Its words in the source, verbatim."""
    exclude: bool
    says: Statement
    parts: tuple[tuple[Coded, bool], ...] = ()
    """Its characteristics, where code and value hold all of it."""
    atom: Atom | None = None
    """None: the whole criterion."""

    @property
    def how(self) -> Literal["coded", "words", "combined"]:
        """Whether code and value hold it, words alone do, or only a combination or a timing does."""
        if self.parts:
            return "coded"
        return "words" if isinstance(self.says, InWords) else "combined"


def held(criterion: Criterion, says: Statement) -> tuple[Held, ...]:
    """Say what a Group holds of a criterion: one entry for each atom, or one for the whole where atoms do not do."""
    against = criterion.type == "exclusion"
    atoms = conjuncts(says, exclude=against, whole=True)
    named = [(part, exclude) for part, exclude in atoms or () if isinstance(part, Named)]
    once = len({part.atom.id for part, _ in named}) == len(named)
    if not named or len(named) != len(atoms or ()) or not once:
        return (Held(criterion.id, criterion.text, against, says),)
    return tuple(
        Held(part.atom.id, part.atom.text, exclude, part.of, _coded(part.of, exclude=exclude), part.atom)
        for part, exclude in named
    )


def _coded(says: Statement, *, exclude: bool) -> tuple[tuple[Coded, bool], ...]:
    parts = conjuncts(says, exclude=exclude, whole=False) or ()
    coded = [(part, turned) for part, turned in parts if isinstance(part, Coded) and part.fits_group]
    return tuple(coded) if len(coded) == len(parts) else ()
