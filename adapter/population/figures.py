"""What a population amounts to, trial by trial: funnel, criteria, what is missing; counted from columns alone.

All counts pass through ``Disclosure``.  *Surely* counts those of whom it is decided, *possibly* those of whom it is not
ruled out: what is unknown of a patient lies between the two.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from adapter.eligibility.decide import Verdict
from adapter.eligibility.reason import Reason
from adapter.eligibility.trial import Criterion, Trial
from adapter.eligibility.truth import Truth
from adapter.population.decisions import Bytes, Decided, reason_at, reasons_of, truths_of
from adapter.population.disclosure import Count, Disclosure
from adapter.population.verdicts import ORDER, Flags, Folded, Side, Standing, fold, settled, standing

ASKABLE = frozenset((Reason.NODATA, Reason.STALE, Reason.STATUS, Reason.ABSENT_REASON, Reason.ULN, Reason.FASTING))
"""Reasons that a new measurement, or a record of it, would settle."""
_MET, _UNKNOWN, _NOT_MET = (each.value for each in (Truth.MET, Truth.UNKNOWN, Truth.NOT_MET))


class Step(msgspec.Struct, frozen=True):
    """How many are left after a step of the funnel."""

    name: str
    surely: Count
    possibly: Count


class AtomCounts(msgspec.Struct, frozen=True):
    """What was found for one atom."""

    id: str
    met: Count
    not_met: Count
    unknown: Count
    reasons: dict[str, Count]
    """Of the unknown, the most frequent first."""


class CriterionCounts(msgspec.Struct, frozen=True):
    """What was found for one criterion."""

    id: str
    type: str
    met: Count
    not_met: Count
    unknown: Count
    against: Count
    """Whom it stands against."""
    alone_against: Count
    """Of the living whom nothing else stands against: what this criterion alone costs."""
    alone_open: Count
    """Of the living who would be candidates but for it."""
    atoms: tuple[AtomCounts, ...]


class Missing(msgspec.Struct, frozen=True):
    """A datum that is missing, and what it would decide."""

    input: str
    open: Count
    """Of those nothing stands against: who lack it where a criterion waits for it."""
    decides: Count
    """Who could be a candidate by it alone."""


class TrialCounts(msgspec.Struct, frozen=True):
    """One trial's counts."""

    key: str
    title: str
    version: str
    verdicts: dict[str, Count]
    deceased: Count
    funnel: tuple[Step, ...]
    criteria: tuple[CriterionCounts, ...]
    missing: tuple[Missing, ...]
    """The one that would decide the most first."""


class Stand(msgspec.Struct, frozen=True):
    """A trial's columns as counting needs them: each criterion's standing, and how many of them bar a patient."""

    trial: Trial
    decided: Decided
    truths: Mapping[str, Bytes]
    folded: Folded
    standings: dict[str, Standing]
    alive: Flags
    eligible_to_count: Flags
    """Alive, and their death is not unclear."""
    against: Bytes
    """By patient: how many criteria stand against."""
    barred: Bytes
    """By patient: how many criteria keep the patient from being a candidate."""

    def none_but(self, criterion: Criterion) -> tuple[Flags, Flags]:
        """Say whom no other criterion stands against, and whom no other bars."""
        mine = self.standings[criterion.id]
        return self.against == ~mine.possibly, self.barred == ~mine.surely


def stand(trial: Trial, decided: Decided) -> Stand:
    """Prepare a trial's columns for counting."""
    truths = {atom.id: truths_of(decided.atoms[atom.id]) for each in trial.criteria for atom in each.atoms}
    standings = {each.id: standing(each, truths, decided) for each in trial.criteria}
    against, barred = (np.zeros(len(decided), np.uint8) for _ in range(2))
    for each in standings.values():
        against += ~each.possibly
        barred += ~each.surely
    alive = decided.person["deceased"] != _MET
    clear = decided.person["death_unclear"] != _MET
    return Stand(trial, decided, truths, fold(trial, decided), standings, alive, alive & clear, against, barred)


def count(found: Stand, disclosure: Disclosure) -> TrialCounts:
    """Count one trial."""
    trial = found.trial
    verdicts = {verdict.value: disclosure.of(found.folded.verdicts == number) for number, verdict in enumerate(ORDER)}
    return TrialCounts(
        trial.key,
        trial.title,
        trial.version,
        dict(reversed(verdicts.items())),
        disclosure.of(~found.alive),
        _funnel(found, disclosure),
        tuple(_criterion(each, found, disclosure) for each in trial.criteria),
        tuple(_missing(found, disclosure)),
    )


def _funnel(found: Stand, disclosure: Disclosure) -> tuple[Step, ...]:
    """Give how many are left: screened; not excluded; meets the inclusion too, and so is a candidate.

    *Surely* leaves open what only reviewers can answer, as a candidate does.
    """
    count = len(found.decided)
    surely, possibly = found.eligible_to_count.copy(), found.alive.copy()
    everyone = disclosure.count(count)
    steps = [Step("screened", everyone, everyone)]
    for name, kind in (("not excluded", "exclusion"), ("candidate", "inclusion")):
        for criterion in found.trial.criteria:
            if criterion.type == kind:
                surely &= found.standings[criterion.id].surely
                possibly &= found.standings[criterion.id].possibly
        steps.append(Step(name, disclosure.of(surely), disclosure.of(possibly)))
    return tuple(steps)


def _criterion(criterion: Criterion, found: Stand, disclosure: Disclosure) -> CriterionCounts:
    truth = found.folded.criteria[criterion.id]
    mine = found.standings[criterion.id]
    no_other_against, no_other_bars = found.none_but(criterion)
    return CriterionCounts(
        criterion.id,
        criterion.type,
        disclosure.of(truth == _MET),
        disclosure.of(truth == _NOT_MET),
        disclosure.of(truth == _UNKNOWN),
        disclosure.of(~mine.possibly),
        disclosure.of(~mine.possibly & no_other_against & found.alive),
        disclosure.of(mine.possibly & ~mine.surely & no_other_bars & found.eligible_to_count),
        tuple(_atom(atom.id, found, disclosure) for atom in criterion.atoms),
    )


def _atom(atom: str, found: Stand, disclosure: Disclosure) -> AtomCounts:
    truth = found.truths[atom]
    numbers = np.bincount(reasons_of(found.decided.atoms[atom])[truth == _UNKNOWN], minlength=1)
    by_number = sorted(
        ((int(each), place) for place, each in enumerate(numbers) if each), key=lambda one: (-one[0], one[1])
    )
    named = ((reason_at(place), each) for each, place in by_number)
    reasons = {reason.value: disclosure.count(each) for reason, each in named if reason is not None}
    return AtomCounts(
        atom,
        disclosure.of(truth == _MET),
        disclosure.of(truth == _NOT_MET),
        disclosure.of(truth == _UNKNOWN),
        reasons,
    )


def _missing(found: Stand, disclosure: Disclosure) -> Sequence[Missing]:
    """Rank the inputs that are missing by how many patients each would decide alone."""
    inputs = dict.fromkeys(name for each in found.trial.criteria for atom in each.atoms for name in atom.inputs)
    open_to_all = found.alive & (found.against == 0) & (found.folded.verdicts < ORDER.index(Verdict.CANDIDATE))
    ranked = []
    for name in inputs:
        lacks = np.zeros(len(found.decided), np.bool_)
        bars = np.zeros(len(found.decided), np.uint8)
        for criterion in found.trial.criteria:
            asked = frozenset(atom.id for atom in criterion.atoms if name in atom.inputs)
            mine = found.standings[criterion.id]
            if not asked:
                bars += ~mine.surely
                continue
            best = {**found.truths}
            for atom in asked:
                is_lacking = (found.truths[atom] == _UNKNOWN) & _is_askable(found.decided.atoms[atom])
                lacks |= is_lacking & mine.possibly & ~mine.surely
                taken = settled(criterion, found.truths, Side.BEST, frozenset((atom,)))[atom]
                best[atom] = np.where(is_lacking, taken, found.truths[atom])
            bars += ~standing(criterion, best, found.decided).surely
        lacking = int(np.count_nonzero(lacks & open_to_all))
        decides = int(np.count_nonzero(lacks & open_to_all & found.eligible_to_count & (bars == 0)))
        if lacking:
            ranked.append((decides, lacking, name))
    ranked.sort(key=lambda one: (-one[0], -one[1], one[2]))
    return [Missing(name, disclosure.count(lacking), disclosure.count(decides)) for decides, lacking, name in ranked]


_ASKABLE = np.array([place != 0 and reason_at(place) in ASKABLE for place in range(len(Reason) + 1)])


def _is_askable(column: Bytes) -> Flags:
    return np.asarray(_ASKABLE[reasons_of(column)], np.bool_)
