"""Verdicts of many patients at once, from columns: the rules of ``eligibility/decide.py`` said once more, for numpy.

A truth is 0 not met, 1 unknown, 2 met: *and* is the least, *or* the greatest, *not* is 2 minus it.  That both say the
same of every patient is held by ``tests/population/test_verdicts.py``.
"""

import csv
import enum
import io
import itertools
from collections.abc import Iterable, Mapping
from typing import assert_never

import msgspec
import numpy as np
from numpy.typing import NDArray

from adapter.eligibility.decide import Verdict
from adapter.eligibility.reason import Reason
from adapter.eligibility.trial import All, Any, AtomIs, Criterion, Logic, Not, Premise, Trial
from adapter.eligibility.truth import Truth
from adapter.population.decisions import Bytes, Decided, attested_of, reason_at, reasons_of, truths_of

Flags = NDArray[np.bool_]
_MET, _UNKNOWN, _NOT_MET = (np.uint8(each.value) for each in (Truth.MET, Truth.UNKNOWN, Truth.NOT_MET))
ORDER = (Verdict.INELIGIBLE, Verdict.POTENTIAL_CANDIDATE, Verdict.CANDIDATE, Verdict.ELIGIBLE)
"""Verdicts by their number in ``Folded.verdicts``."""
_NUMBER = {verdict: np.uint8(number) for number, verdict in enumerate(ORDER)}
_CONTRADICTION = next(place for place in range(1, len(Reason) + 1) if reason_at(place) is Reason.CONTRADICTION)


class Folded(msgspec.Struct, frozen=True):
    """One trial's answers for all patients."""

    criteria: dict[str, Bytes]
    """By criterion: whether its sentence is true."""
    favours: dict[str, Bytes]
    """By criterion: whether it speaks for the patient."""
    verdicts: Bytes
    """By patient: place in ``ORDER``."""


class Standing(msgspec.Struct, frozen=True):
    """How one criterion stands for each patient; the verdicts follow from all of them."""

    possibly: Flags
    """It does not stand against the patient."""
    surely: Flags
    """It is in favour, or only reviewers' answers are open that can put it there: no bar to a candidate."""


class Side(enum.Enum):
    """Which way an open atom is taken."""

    AS_IT_IS = "as it is"
    BEST = "for the patient"
    WORST = "against the patient"


def fold(trial: Trial, decided: Decided, truths: Mapping[str, Bytes] | None = None) -> Folded:
    """Fold the atoms of a trial into criteria and verdicts; ``truths`` stand in for those decided."""
    atoms = [atom.id for criterion in trial.criteria for atom in criterion.atoms]
    held = {name: truths_of(decided.atoms[name]) for name in atoms} | dict(truths or {})
    criteria = {each.id: holds(each.logic, held, decided) for each in trial.criteria}
    favours = {each.id: _favour(each, criteria[each.id]) for each in trial.criteria}
    every = _least(list(favours.values()), len(decided))
    unclear = decided.person["death_unclear"] == _MET
    verdicts = np.full(len(decided), _NUMBER[Verdict.POTENTIAL_CANDIDATE], np.uint8)
    only_people = ~unclear & (every == _UNKNOWN) & _only_people_can_tell(trial, held, favours, decided)
    verdicts[only_people] = _NUMBER[Verdict.CANDIDATE]
    in_favour = (every == _MET) & ~unclear
    firm = _firm(trial, held, decided) & ~_touched(trial, held, decided)
    verdicts[in_favour] = _NUMBER[Verdict.CANDIDATE]
    verdicts[in_favour & firm] = _NUMBER[Verdict.ELIGIBLE]
    verdicts[every == _NOT_MET] = _NUMBER[Verdict.INELIGIBLE]
    verdicts[decided.person["deceased"] == _MET] = _NUMBER[Verdict.INELIGIBLE]
    return Folded(criteria, favours, verdicts)


def table(trials: Iterable[tuple[Trial, Decided]]) -> bytes:
    """Write the verdict table of the same patients for some trials, patient by patient, without its head."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    for of_patient in zip(*(_rows(*each) for each in trials), strict=True):
        rows.writerows(of_patient)
    return text.getvalue().encode()


def _rows(trial: Trial, decided: Decided) -> Iterable[tuple[str, str, str, str, int, int, int]]:
    """Give a row of the verdict table for each patient: who, the trial, the verdict, why beyond criteria, counts."""
    folded = fold(trial, decided)
    favours = np.stack(list(folded.favours.values())) if folded.favours else np.zeros((0, len(decided)), np.uint8)
    counts = [(favours == each).sum(axis=0).tolist() for each in (_MET, _NOT_MET, _UNKNOWN)]
    words = [ORDER[number].value for number in folded.verdicts.tolist()]
    reasons = np.where(decided.person["deceased"] == _MET, "DECEASED", "").tolist()
    return zip(decided.patients, itertools.repeat(trial.key), words, reasons, *counts, strict=False)


def holds(logic: Logic, truths: Mapping[str, Bytes], decided: Decided) -> Bytes:
    """Say for every patient whether a tree of atoms is true."""
    match logic:
        case AtomIs():
            return truths[logic.id]
        case Premise():
            return decided.person["male" if logic.of == "male" else "childbearing"]
        case Not():
            return np.subtract(2, holds(logic.of, truths, decided), dtype=np.uint8)
        case All():
            return _least([holds(each, truths, decided) for each in logic.of], len(decided))
        case Any():
            return _greatest([holds(each, truths, decided) for each in logic.of], len(decided))
        case _:
            assert_never(logic)


def settled(criterion: Criterion, truths: Mapping[str, Bytes], side: Side, atoms: frozenset[str]) -> dict[str, Bytes]:
    """Give the truths of a criterion's atoms with those of ``atoms`` that are open taken to one side."""
    found = {}
    for atom in criterion.atoms:
        column = truths[atom.id]
        if side is not Side.AS_IT_IS and atom.id in atoms:
            speaks_for = criterion.signs[atom.id] is (side is Side.BEST)
            column = np.where(column == _UNKNOWN, _MET if speaks_for else _NOT_MET, column)
        found[atom.id] = column
    return found


def _favour(criterion: Criterion, truth: Bytes) -> Bytes:
    return truth if criterion.type == "inclusion" else np.subtract(2, truth, dtype=np.uint8)


def _least(columns: list[Bytes], count: int) -> Bytes:
    found = np.full(count, _MET, np.uint8)
    for each in columns:
        np.minimum(found, each, out=found)
    return found


def _greatest(columns: list[Bytes], count: int) -> Bytes:
    found = np.full(count, _NOT_MET, np.uint8)
    for each in columns:
        np.maximum(found, each, out=found)
    return found


def _firm(trial: Trial, truths: Mapping[str, Bytes], decided: Decided) -> Flags:
    """Whether all is in favour on what a machine may decide alone or a reviewer has confirmed."""
    by_machine = {}
    for criterion in trial.criteria:
        for atom in criterion.atoms:
            column = truths[atom.id]
            if atom.grade != "A":
                column = np.where(attested_of(decided.atoms[atom.id]), column, _UNKNOWN)
            by_machine[atom.id] = column
    favours = [_favour(each, holds(each.logic, by_machine, decided)) for each in trial.criteria]
    return np.equal(_least(favours, len(decided)), _MET)


def _touched(trial: Trial, truths: Mapping[str, Bytes], decided: Decided) -> Flags:
    """Whether the patient is where the trial's text contradicts itself."""
    found = np.zeros(len(decided), np.bool_)
    for each in trial.contradictions:
        here = np.ones(len(decided), np.bool_)
        for atom in each.includes:
            here &= (truths[atom] == _MET) | (reasons_of(decided.atoms[atom]) == _CONTRADICTION)
        found |= here
    return found


def standing(criterion: Criterion, truths: Mapping[str, Bytes], decided: Decided) -> Standing:
    """Say how a criterion stands; whoever lives, beyond doubt, is a candidate where all of a trial's stand surely."""
    favour = _favour(criterion, holds(criterion.logic, truths, decided))
    possibly = favour != _NOT_MET
    return Standing(possibly, possibly & _only_people_open(criterion, truths, favour, decided))


def _only_people_can_tell(
    trial: Trial, truths: Mapping[str, Bytes], favours: Mapping[str, Bytes], decided: Decided
) -> Flags:
    """Whether reviewers could settle everything in favour: no open atom that a record should answer is needed."""
    found = np.ones(len(decided), np.bool_)
    for criterion in trial.criteria:
        found &= _only_people_open(criterion, truths, favours[criterion.id], decided)
    return found


def _only_people_open(criterion: Criterion, truths: Mapping[str, Bytes], favour: Bytes, decided: Decided) -> Flags:
    is_open = np.zeros(len(decided), np.bool_)
    for atom in criterion.atoms:
        is_open |= truths[atom.id] == _UNKNOWN
    theirs = frozenset(atom.id for atom in criterion.atoms if atom.grade != "A")
    best = holds(criterion.logic, settled(criterion, truths, Side.BEST, theirs), decided)
    is_settled: Flags = np.logical_or(~(is_open & (favour != _MET)), _favour(criterion, best) == _MET)
    return is_settled
