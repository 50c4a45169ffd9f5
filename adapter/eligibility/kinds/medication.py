"""What medication records prove: taken now, at some time in a window, or without a gap."""

import enum

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Exposure, Medication, Route
from adapter.eligibility.finding import Evidence, Judgement, unknown
from adapter.eligibility.kinds.outcome import Outcome, weigh_together
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import FIRST_DAY, LAST_DAY, Period


class Taken(enum.Enum):
    """When a drug must have been taken."""

    NOW = "now"
    WITHIN = "within"
    THROUGHOUT = "throughout"
    CONTINUOUSLY = "continuously"
    """Since at least the beginning of the window, without any gap, and still."""


def shown(medication: Medication, note: str | None = None) -> Evidence:
    """Show a medication record as evidence: drug, what it proves, its dates as sent."""
    words = {
        Exposure.TAKEN: "taken",
        Exposure.ORDERED: "ordered, a weaker proof",
        Exposure.UNCLEAR: "unclear",
        Exposure.NOT_TAKEN: "not taken",
    }[medication.exposure]
    until = f", until {medication.end.text[:10]}" if medication.end else ""
    when = medication.start.text if medication.start else None
    code = f", {medication.coded}" if medication.coded else ""
    return Evidence(medication.source, f"{medication.label}{code} ({words}{until})", when, note=note)


class Stay(msgspec.Struct, frozen=True):
    """The days of one record's exposure: certain from ``first`` to ``last``, possible up to ``perhaps``."""

    first: int
    sure_first: int
    last: int
    perhaps: int


def stay(medication: Medication, case: Case) -> Stay | None:
    """Give the days a record covers up to the question; None where it begins later."""
    as_of = case.as_of
    if medication.start is not None and as_of.has_begun(medication.start) is Truth.NOT_MET:
        return None
    first, sure_first = as_of.days(medication.start) if medication.start else (FIRST_DAY, LAST_DAY)
    if medication.end is not None:
        last, perhaps = as_of.days(medication.end)
    elif medication.open_ended:
        last = perhaps = as_of.day
    else:
        last, perhaps = (sure_first if medication.start else FIRST_DAY), as_of.day
    return Stay(first, sure_first, min(last, as_of.day), min(perhaps, as_of.day))


class MedicationClause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="clause", tag="medication"):
    """A drug of one of the value sets, taken at the time asked for."""

    medication: tuple[str, ...]
    taken: Taken = Taken.NOW
    period: Period | None = None
    gap_days: int = 0
    """For THROUGHOUT: gaps up to this long do not interrupt."""
    systemic: bool = False
    """Whether only a systemic route counts."""
    ended: Reason = Reason.NOEVIDENCE
    """What a drug that ended before leads to."""
    gives: Reason | None = None

    def reads(self) -> frozenset[str]:
        """Give the value sets it looks at."""
        return frozenset(self.medication)

    def weigh(self, case: Case) -> Outcome | None:
        """Say what the medication records of these value sets amount to; None when no record speaks."""
        by_set = case.facts.medications
        if by_set.keys().isdisjoint(self.medication):
            return None
        records = {id(each): each for name in self.medication for each in by_set.get(name, ())}
        outcomes: list[Outcome | None] = []
        counting: list[tuple[Medication, Stay]] = []
        for record in records.values():
            outcome = self._set_aside(record, case)
            if outcome is not None:
                outcomes.append(outcome)
                continue
            days = stay(record, case)
            if days is not None:
                counting.append((record, days))
        if counting:
            outcomes.append(self._taken(counting, case))
        found = weigh_together(outcomes)
        if found is not None and found.truth is Truth.MET and self.gives is not None:
            return Outcome(Truth.UNKNOWN, self.gives, f"{found.message}; {self.gives.meaning}", found.evidence)
        return found

    def _denied(self, record: Medication, case: Case) -> Outcome:
        """Say what a record of not taking a drug is worth: only of the whole class, and only in the window."""
        if not any(each.value_set in self.medication and each.names_whole for each in record.memberships):
            return Outcome.open(Reason.NOEVIDENCE, f"{record.label} alone is recorded as not taken", shown(record))
        if not record.dated:
            return Outcome.open(Reason.MEDS, f"{record.label} is recorded as not taken, without a date", shown(record))
        days = stay(record, case)
        opens = case.as_of.day if self.taken is Taken.NOW else case.since(self._period)
        if days is None or (days.last < opens and self.taken is not Taken.NOW):
            return Outcome.open(
                Reason.NOEVIDENCE, f"{record.label} is recorded as not taken at another time", shown(record)
            )
        return Outcome.no(f"{record.label} is recorded as not taken", shown(record))

    def _set_aside(self, record: Medication, case: Case) -> Outcome | None:
        if record.exposure is Exposure.NOT_TAKEN:
            return self._denied(record, case)
        if record.exposure is Exposure.UNCLEAR:
            return Outcome.open(Reason.MEDS, f"{record.label}: whether it is taken is unclear", shown(record))
        if not record.dated:
            return Outcome.open(Reason.MEDS, f"{record.label} has no date", shown(record))
        if self.systemic and record.route is Route.LOCAL:
            return Outcome.open(Reason.NOEVIDENCE, f"{record.label} acts locally only", shown(record))
        if self.systemic and record.route is Route.UNKNOWN:
            return Outcome.open(Reason.MEDS, f"{record.label}: the route is not known", shown(record))
        return None

    def _taken(self, counting: list[tuple[Medication, Stay]], case: Case) -> Outcome:
        match self.taken:
            case Taken.NOW:
                return self._at_some_time(counting, case.as_of.day, case)
            case Taken.WITHIN:
                return self._at_some_time(counting, case.since(self._period), case)
            case Taken.THROUGHOUT:
                return self._without_gap(counting, case, self.gap_days)
            case Taken.CONTINUOUSLY:
                return self._without_gap(counting, case, 0)

    @property
    def _period(self) -> Period:
        if self.period is None:
            raise ValueError("this medication clause needs a period")
        return self.period

    def _at_some_time(self, counting: list[tuple[Medication, Stay]], opens: int, case: Case) -> Outcome:
        evidence = tuple(shown(record) for record, _ in counting)
        sure = [(r, s) for r, s in counting if s.last >= opens and s.last >= s.first and s.sure_first <= case.as_of.day]
        if sure:
            record = sure[0][0]
            when = "now" if self.taken is Taken.NOW else f"within {self._period}"
            return Outcome.yes(f"{record.label} is taken {when} ({record.source.words})", *(shown(r) for r, _ in sure))
        if any(days.perhaps >= opens for _, days in counting):
            return Outcome(Truth.UNKNOWN, Reason.MEDS, f"{counting[0][0].label}: until when is not recorded", evidence)
        return Outcome(Truth.UNKNOWN, self.ended, f"{counting[0][0].label} ended before the window", evidence)

    def _without_gap(self, counting: list[tuple[Medication, Stay]], case: Case, gap: int) -> Outcome:
        """Cover every day from the opening of the window to the question, or find what is missing."""
        evidence = tuple(shown(record) for record, _ in counting)
        opens, today = case.since(self._period), case.as_of.day
        label = counting[0][0].label
        if _covers(counting, opens, today, gap, sure=True):
            said = f"{label} ({counting[0][0].source.words}) is taken throughout the last {self._period}"
            return Outcome(Truth.MET, None, said, evidence)
        if _covers(counting, opens, today, gap, sure=False):
            return Outcome(Truth.UNKNOWN, Reason.MEDS, f"{label}: the dates leave gaps open", evidence)
        said = f"{label} is not shown for the whole of the last {self._period}"
        return Outcome(Truth.UNKNOWN, Reason.NOEVIDENCE, said, evidence)


def _covers(counting: list[tuple[Medication, Stay]], opens: int, today: int, gap: int, *, sure: bool) -> bool:
    spans = sorted((s.sure_first, s.last) if sure else (s.first, s.perhaps) for _, s in counting)
    reached = opens - 1
    for first, last in spans:
        if first > reached + 1 + gap:
            break
        reached = max(reached, last)
    return reached >= today


class OnlyReplacement(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="only-replacement"
):
    """The long-term drug of a class is one given as hormone replacement, in replacement doses."""

    medication: tuple[str, ...]
    replacement: tuple[str, ...]
    """Value sets of drugs that can be a replacement; whether this one is only a reviewer can say."""
    period: Period
    """Continuous use for so long is long-term, as for the sentence it is an exception to."""

    def reads(self) -> frozenset[str]:
        """Give the value sets it looks at."""
        return frozenset(self.medication)

    def judge(self, case: Case) -> Judgement:
        """Another drug that is long-term by itself makes it not met; a possible replacement is for a reviewer."""
        by_set = case.facts.medications
        records = {id(each): each for name in self.medication for each in by_set.get(name, ())}
        now = [(each, days) for each in records.values() if (days := self._now(each, case)) is not None]
        if not now:
            return unknown(Reason.NOEVIDENCE, "no such drug is on record as taken now")
        others = [pair for pair in now if not any(m.value_set in self.replacement for m in pair[0].memberships)]
        opens, today = case.since(self.period), case.as_of.day
        systemic = [pair for pair in others if pair[0].route is Route.SYSTEMIC]
        if _covers(systemic, opens, today, 0, sure=True):
            evidence = tuple(shown(each) for each, _ in systemic)
            said = f"{systemic[0][0].label} is not a replacement hormone ({systemic[0][0].source.words})"
            return Judgement(Truth.NOT_MET, None, said, evidence)
        if _covers(others, opens, today, 0, sure=False):
            shown_all = tuple(shown(each) for each, _ in others)
            return unknown(Reason.MEDS, f"{others[0][0].label}: route or dates are not known well enough", shown_all)
        possible = [pair for pair in now if pair not in others]
        if not possible:
            return unknown(
                Reason.NOEVIDENCE, "no possible replacement is on record", tuple(shown(e) for e, _ in others)
            )
        said = "whether it is given as replacement must be judged"
        return unknown(Reason.HUMAN, said, tuple(shown(each) for each, _ in possible))

    @staticmethod
    def _now(record: Medication, case: Case) -> Stay | None:
        if record.exposure not in (Exposure.TAKEN, Exposure.ORDERED) or record.route is Route.LOCAL or not record.dated:
            return None
        days = stay(record, case)
        return days if days is not None and days.perhaps >= case.as_of.day else None
