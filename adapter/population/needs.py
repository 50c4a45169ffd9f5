"""What to order or ask next: the smallest set of data that would make a patient a candidate."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TypeVar, assert_never

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.decide import Screening
from adapter.eligibility.kinds import reads
from adapter.eligibility.kinds.selection import most_telling
from adapter.eligibility.reason import Reason
from adapter.eligibility.trial import All, Any, Atom, AtomIs, Criterion, Logic, Not, Premise
from adapter.eligibility.truth import Truth, negation

_T = TypeVar("_T")
_MOST_WAYS = 64
"""Of settling one criterion; a printed sentence has a handful."""


Names = tuple[str, ...]


class Need(msgspec.Struct, frozen=True):
    """One thing that is missing for a trial."""

    names: Names
    """Inputs, value sets and lists of which one record would answer; else the atom whose question is open."""
    reason: Reason
    """Why it is open; ``reason.action`` says what to do."""
    trials: int
    """In how many trials of the patient it helps."""


class Needs(msgspec.Struct, frozen=True):
    """What one trial needs of one patient."""

    order: tuple[Need, ...]
    """The data to get, fewest possible; what helps in most trials first."""
    ask: tuple[str, ...]
    """Atoms that a reviewer must answer beside it."""


_Way = frozenset[str]
"""Atoms that must be settled, by id; ``""`` stands for what only the person's own record can settle."""
_PREMISE = ""


def needs_of(screenings: Sequence[Screening], case: Case) -> list[Needs]:
    """Give what each trial needs, pooled: where there is a choice, what other trials need too is preferred.

    For trials that nothing stands against; order and number of the answers are those of the screenings.
    """
    ways = [[_needed(each, one, case) for each in one.trial.criteria] for one in screenings]
    chosen: list[frozenset[Names]] = []
    for each in ways:
        chosen.append(_cheapest(each, frozenset().union(*chosen)))
    # Once more, knowing what the others need: an earlier trial may have had an alternative that a later one needs too.
    again: list[frozenset[Names]] = []
    for place, each in enumerate(ways):
        others = (*again, *chosen[place + 1 :])
        again.append(_cheapest(each, frozenset().union(*others)))
    counts = Counter(names for found in again for names in found)
    return [
        _told(screening, sorted(found, key=lambda names: (-counts[names], names)), counts)
        for screening, found in zip(screenings, again, strict=True)
    ]


def _told(screening: Screening, found: list[Names], counts: Mapping[Names, int]) -> Needs:
    reasons: dict[Names, list[Reason]] = {}
    for criterion in screening.trial.criteria:
        for atom in criterion.atoms:
            judgement = screening.by_atom[atom.id].judgement
            if judgement.reason is not None:
                reasons.setdefault(_names(atom), []).append(judgement.reason)
    order = tuple(Need(names, most_telling(reasons.get(names, [Reason.SEX])), counts[names]) for names in found)
    return Needs(order, tuple(_asked(screening)))


def _asked(screening: Screening) -> Iterable[str]:
    for criterion, truth in zip(screening.trial.criteria, screening.criteria, strict=True):
        if truth is Truth.UNKNOWN:
            for atom in criterion.atoms:
                is_open = screening.by_atom[atom.id].truth is Truth.UNKNOWN
                if is_open and atom.grade != "A":
                    yield atom.id


def _cheapest(criteria: Sequence[Sequence[frozenset[Names]]], pooled: frozenset[Names]) -> frozenset[Names]:
    """Choose a way for each criterion so that few things are needed in all; what is pooled costs nothing."""
    found: set[Names] = set()
    for ways in sorted(criteria, key=len):
        if ways:
            found |= min(ways, key=lambda way: (len(way - found - pooled), len(way - found), sorted(way)))
    return frozenset(found)


def _needed(criterion: Criterion, screening: Screening, case: Case) -> list[frozenset[Names]]:
    """Give the ways of putting a criterion in favour, each as what it needs; one empty way where it is already."""
    wanted = Truth.MET if criterion.type == "inclusion" else Truth.NOT_MET
    atoms = {atom.id: atom for atom in criterion.atoms}
    ways = _ways(criterion.logic, wanted, atoms, screening, case)
    return _least(frozenset(("sex",) if each == _PREMISE else _names(atoms[each]) for each in way) for way in ways)


def _names(atom: Atom) -> Names:
    """Name what would answer an atom: equal names of several atoms and trials are one thing to get."""
    read = reads(atom.kind)
    return tuple(sorted(read)) if read else atom.inputs or (atom.id,)


def _ways(logic: Logic, wanted: Truth, atoms: Mapping[str, Atom], screening: Screening, case: Case) -> list[_Way]:
    """Give the least sets of open atoms that a record must settle for a tree to be ``wanted``; none where it cannot be.

    What reviewers judge is taken to come out well: it is asked of them beside.
    """
    match logic:
        case AtomIs():
            truth = screening.by_atom[logic.id].truth
            if truth is wanted or (truth is Truth.UNKNOWN and atoms[logic.id].grade != "A"):
                return [frozenset()]
            return [frozenset((logic.id,))] if truth is Truth.UNKNOWN else []
        case Premise():
            truth = logic.holds({}, case)
            if truth is wanted:
                return [frozenset()]
            return [frozenset((_PREMISE,))] if truth is Truth.UNKNOWN else []
        case Not():
            return _ways(logic.of, negation(wanted), atoms, screening, case)
        case All() | Any():
            parts = [_ways(each, wanted, atoms, screening, case) for each in logic.of]
            if isinstance(logic, All) is (wanted is Truth.MET):
                joined = (frozenset().union(*each) for each in product(*parts))
                return _least(joined)
            return _least(way for part in parts for way in part)
        case _:
            assert_never(logic)


def _least(ways: Iterable[frozenset[_T]]) -> list[frozenset[_T]]:
    """Keep the ways that hold no other, the shortest first, and not too many."""
    kept: list[frozenset[_T]] = []
    for way in sorted(set(ways), key=lambda each: (len(each), sorted(map(str, each)))):
        if not any(other <= way for other in kept):
            kept.append(way)
        if len(kept) == _MOST_WAYS:
            break
    return kept
