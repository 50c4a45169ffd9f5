"""What Conditions say at one instant: active, ended, doubtful, refuted, and when."""

import enum
from collections.abc import Iterable, Sequence

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Clinical, Condition, Verification
from adapter.eligibility.finding import Evidence
from adapter.eligibility.kinds.outcome import Outcome, weigh_together
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import FIRST_DAY, AsOf, Period


class State(enum.Enum):
    """What a sentence asks of a disease."""

    ACTIVE = "active"
    EVER = "ever"
    WITHIN = "within"
    """A dated sign of it (onset, assertion, end) lies inside the window."""
    SUSPECTED = "suspected"
    """Recorded as unconfirmed, provisional or differential."""


class Phase(enum.Enum):
    """Where a condition stands at the instant of the question."""

    HIDDEN = "not yet begun"
    ACTIVE = "active"
    ENDED = "ended"
    CONFLICT = "active, yet with an end in the past"
    UNDATED = "of a date too coarse to say"
    UNCLEAR = "of unclear status"


_CERTAIN = (Verification.CONFIRMED, Verification.ABSENT)


def phase(condition: Condition, as_of: AsOf) -> Phase:
    """Say where a condition stands: its beginning hides it, its end outweighs today's clinicalStatus."""
    begin = condition.onset or condition.asserted or condition.recorded
    begun = Truth.MET if begin is None else as_of.has_begun(begin)
    if begun is Truth.NOT_MET:
        return Phase.HIDDEN
    if condition.unreadable:
        return Phase.UNCLEAR
    if begun is Truth.UNKNOWN:
        return Phase.UNDATED
    if condition.has_abated:
        ended = Truth.MET if condition.abated is None else as_of.has_begun(condition.abated)
        if ended is Truth.NOT_MET:
            return Phase.ACTIVE
        if ended is Truth.UNKNOWN:
            return Phase.UNDATED
        return Phase.CONFLICT if condition.clinical is Clinical.ACTIVE else Phase.ENDED
    match condition.clinical:
        case Clinical.ACTIVE | Clinical.ABSENT:
            return Phase.ACTIVE
        case Clinical.ENDED | Clinical.RESOLVED:
            return Phase.ENDED
        case Clinical.UNCLEAR:
            return Phase.UNCLEAR


def shown(condition: Condition, note: str | None = None) -> Evidence:
    """Show a condition as evidence: its name, states and dates as sent."""
    states = f"{condition.clinical.value}, {condition.verification.value}"
    if condition.clinical is Clinical.ABSENT:
        states = states.replace("absent", "clinicalStatus absent", 1)
    if condition.verification is Verification.ABSENT:
        states = states.rsplit(", ", 1)[0] + ", verificationStatus absent"
    begin = condition.onset or condition.asserted or condition.recorded
    if condition.abated is not None:
        states += f", until {condition.abated.text[:10]}"
    code = f", {condition.coded}" if condition.coded else ""
    return Evidence(condition.source, f"{condition.label}{code} ({states})", begin.text if begin else None, note=note)


class ConditionClause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="clause", tag="condition"):
    """A condition of one of the value sets, in a state."""

    condition: tuple[str, ...]
    state: State = State.ACTIVE
    within: Period | None = None
    """For WITHIN: the window of a dated sign."""
    end_counts: bool = False
    """For WITHIN: whether its end is such a sign too, as for a cancer, not only its beginning."""
    grey: Period | None = None
    """For WITHIN: older than ``within`` but inside this is a matter of reading, hence unknown (DATE)."""
    gives: Reason | None = None
    """What a match leads to instead of met."""
    confirmed: bool = False
    """Whether verificationStatus must be present: the text asks for a clear or confirmed diagnosis."""
    ended: Reason | None = Reason.NOEVIDENCE
    """What an ended one leads to where an active one is asked for; None: a resolved or abated one answers no."""
    doubtful: dict[str, Reason] = msgspec.field(default_factory=dict)
    """Value sets whose codes do not prove it here, with the reason."""
    rivals: tuple[str, ...] = ()
    """Value sets of other diagnoses that must not be confirmed and active beside it."""
    refuted: tuple[str, ...] = ()
    """Value sets whose refuted code answers no."""
    required: bool = False
    """Whether any refuted record beside a confirmed one is a conflict (a diagnosis the trial requires)."""
    dated_in: Period | None = None
    """For ACTIVE: the beginning must be dated inside this window."""
    no_longer_than: Period | None = None
    """For ACTIVE: open for longer than this is not believed (STALE)."""

    def reads(self) -> frozenset[str]:
        """Give the value sets it looks at."""
        return frozenset((*self.condition, *self.rivals))

    def weigh(self, case: Case) -> Outcome | None:
        """Say what the conditions of these value sets amount to; None when no record speaks."""
        found = self._records(case)
        if not found:
            return None
        as_of = case.as_of
        certain = [each for each in found if each.verification in _CERTAIN]
        refuted = [each for each in found if each.verification is Verification.REFUTED]
        asserting = certain
        if self.state is State.SUSPECTED:
            asserting = [each for each in found if each.verification is Verification.DOUBTFUL]
        opposed = self._opposed(refuted, asserting, as_of)
        outcomes: list[Outcome] = []
        for condition in found:
            if condition.verification is Verification.REFUTED:
                outcome = self._refuted(condition, case)
            elif condition in opposed:
                outcome = Outcome.open(Reason.CONFLICT, "one record refutes what another confirms", shown(condition))
            else:
                outcome = self._one(condition, case)
            if outcome is not None:
                outcomes.append(outcome)
        return weigh_together(outcomes)

    def _records(self, case: Case) -> list[Condition]:
        by_set = case.facts.conditions
        if by_set.keys().isdisjoint(self.condition):
            return []
        if len(self.condition) == 1:
            return by_set[self.condition[0]]
        unique = {id(each): each for name in self.condition for each in by_set.get(name, ())}
        return list(unique.values())

    def _opposed(self, refuted: list[Condition], certain: list[Condition], as_of: AsOf) -> list[Condition]:
        standing = [each for each in refuted if phase(each, as_of) is not Phase.HIDDEN]
        if not standing:
            return []
        if self.required:
            return certain
        denied = {code for each in standing for code in each.codes}
        return [each for each in certain if denied.intersection(each.codes)]

    def _refuted(self, condition: Condition, case: Case) -> Outcome | None:
        """Say what a refuted record is worth: for an event in a window only one of that window, or undated, says no."""
        if phase(condition, case.as_of) is Phase.HIDDEN:
            return None
        dates = [each for each in (condition.onset, condition.asserted, condition.recorded) if each is not None]
        within = self.within if self.state is State.WITHIN else None
        is_old = within is not None and dates and all(case.as_of.days(d)[1] < case.since(within) for d in dates)
        for member in () if is_old else condition.memberships:
            if member.value_set in self.refuted and member.names_whole:
                return Outcome.no(f"{condition.label} is refuted ({condition.source.words})", shown(condition))
        said = f"{condition.label} is refuted, which is not the whole answer"
        return Outcome(Truth.UNKNOWN, Reason.NOEVIDENCE, said, (shown(condition),), speaks_for_it=False)

    def _one(self, condition: Condition, case: Case) -> Outcome | None:
        now = phase(condition, case.as_of)
        if now is Phase.HIDDEN:
            return None
        evidence = shown(condition)
        if self.state is State.SUSPECTED:
            if condition.verification is not Verification.DOUBTFUL:
                return None
            if now is Phase.ACTIVE:
                return self._matched(f"{condition.label} is suspected ({condition.source.words})", evidence)
            return Outcome.open(Reason.NOEVIDENCE, f"{condition.label}: {now.value}", evidence)
        if condition.verification is Verification.DOUBTFUL:
            return Outcome.open(Reason.VERIFY, f"{condition.label} is not confirmed", evidence)
        if now is Phase.UNCLEAR:
            return Outcome.open(Reason.VERIFY, f"{condition.label} is of unclear status", evidence)
        if now is Phase.UNDATED:
            return Outcome.open(Reason.DATE, f"{condition.label} has a date too coarse to say", evidence)
        match self.state:
            case State.ACTIVE:
                return self._active(condition, now, evidence, case)
            case State.EVER:
                return self._proven(condition, evidence, f"{condition.label} is on record ({condition.source.words})")
            case State.WITHIN:
                return self._within(condition, evidence, case)

    def _doubt(self, condition: Condition) -> Reason | None:
        """Why the code alone does not prove it; None where any of its memberships here proves it."""
        reasons: list[Reason] = []
        for name, reason in self.doubtful.items():
            if any(member.value_set == name for member in condition.memberships):
                reasons.append(reason)
        if reasons:
            return reasons[0]
        mine = [member.doubt for member in condition.memberships if member.value_set in self.condition]
        return None if any(doubt is None for doubt in mine) else next(iter(mine), None)

    def _active(self, condition: Condition, now: Phase, evidence: Evidence, case: Case) -> Outcome | None:
        if now is Phase.CONFLICT:
            return Outcome.open(Reason.CONFLICT, f"{condition.label} is active, yet has an end in the past", evidence)
        if now is Phase.ENDED:
            if self.ended is None and (condition.has_abated or condition.clinical is Clinical.RESOLVED):
                return Outcome.no(f"{condition.label} has ended ({condition.source.words})", evidence)
            reason = self.ended or Reason.NOEVIDENCE
            return Outcome.open(reason, f"{condition.label} is on record as ended", evidence)
        begin = condition.onset or condition.asserted or condition.recorded
        if self.no_longer_than is not None:
            opens = case.since(self.no_longer_than)
            first, last = case.as_of.days(begin)
            if begin is None or first < opens:
                stale = begin is not None and last < opens
                return Outcome.open(
                    Reason.STALE if stale else Reason.DATE,
                    f"{condition.label} has been open for more than {self.no_longer_than}"
                    if stale
                    else f"{condition.label} is not dated well enough",
                    evidence,
                )
        if self.dated_in is not None:
            first, _ = case.as_of.days(begin)
            if first < case.since(self.dated_in):
                return None
        return self._proven(condition, evidence, f"{condition.label} is active ({condition.source.words})")

    def _proven(self, condition: Condition, evidence: Evidence, message: str) -> Outcome:
        if self.confirmed and condition.verification is Verification.ABSENT:
            return Outcome.open(Reason.VERIFY, f"{condition.label} is not marked as confirmed", evidence)
        doubt = self._doubt(condition)
        if doubt is not None and self.gives is None:
            return Outcome.open(doubt, f"{condition.label}: {doubt.meaning}", evidence)
        return self._matched(message, evidence)

    def _matched(self, message: str, evidence: Evidence) -> Outcome:
        if self.gives is not None:
            return Outcome.open(self.gives, f"{message}; {self.gives.meaning}", evidence)
        return Outcome.yes(message, evidence)

    def _within(self, condition: Condition, evidence: Evidence, case: Case) -> Outcome:
        if self.within is None:
            raise ValueError("a condition within a window needs the window")
        opens = case.since(self.within)
        signs = (condition.onset or condition.asserted, condition.abated if self.end_counts else None)
        dated = [(each, case.as_of.days(each)) for each in signs if each is not None]
        for sign, (first, last) in dated:
            if opens <= first and last <= case.as_of.day:
                said = f"{condition.label} on {sign.text[:10]} ({condition.source.words}) lies within {self.within}"
                return self._proven(condition, evidence, said)
        spans = [each for _, each in dated]
        if not spans and condition.recorded is not None:
            spans = [(FIRST_DAY, case.as_of.days(condition.recorded)[1])]
        if not spans or any(last >= opens for _, last in spans):
            return Outcome.open(Reason.DATE, f"{condition.label} is not dated well enough", evidence)
        if self.grey is not None and any(last >= case.since(self.grey) for _, last in spans):
            said = f"{condition.label} is older than {self.within}, not older than {self.grey}"
            return Outcome.open(Reason.DATE, said, evidence)
        return Outcome.open(Reason.NOEVIDENCE, f"{condition.label} is older than {self.within}", evidence)


def has_rival(names: Sequence[str], case: Case) -> Condition | None:
    """Give a condition of another diagnosis that may be active, where one is on record that nobody doubts.

    One that cannot be read may be such a diagnosis.
    """
    records: Iterable[Condition] = (each for name in names for each in case.facts.conditions.get(name, ()))
    for each in records:
        stands = each.verification in _CERTAIN or (each.unreadable and each.verification is not Verification.REFUTED)
        if stands and phase(each, case.as_of) not in (Phase.HIDDEN, Phase.ENDED):
            return each
    return None
