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
    code = f", {medication.codes[0]}" if medication.codes else ""
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
    gives: Reason | None = None

    def weigh(self, case: Case) -> Outcome | None:
        """Say what the medication records of these value sets amount to; None when no record speaks."""
        by_set = case.facts.medications
        records = {id(each): each for name in self.medication for each in by_set.get(name, ())}
        if not records:
            return None
        outcomes: list[Outcome | None] = []
        counting: list[tuple[Medication, Stay]] = []
        for record in records.values():
            outcome = self._set_aside(record)
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

    def _set_aside(self, record: Medication) -> Outcome | None:
        if record.exposure is Exposure.NOT_TAKEN:
            whole = any(each.value_set in self.medication and each.names_whole for each in record.memberships)
            if whole:
                return Outcome.no(f"{record.label} is recorded as not taken", shown(record))
            return Outcome.open(Reason.NOEVIDENCE, f"{record.label} alone is recorded as not taken", shown(record))
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
        return Outcome(Truth.UNKNOWN, Reason.NOEVIDENCE, f"{counting[0][0].label} ended before the window", evidence)

    def _without_gap(self, counting: list[tuple[Medication, Stay]], case: Case, gap: int) -> Outcome:
        """Cover every day from the opening of the window to the question, or find what is missing."""
        evidence = tuple(shown(record) for record, _ in counting)
        opens, today = case.since(self._period), case.as_of.day
        label = counting[0][0].label
        if _covers(counting, opens, today, gap, sure=True):
            return Outcome(Truth.MET, None, f"{label} is taken throughout the last {self._period}", evidence)
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
    """The drugs of a class that are taken now are all ones given as hormone replacement, in replacement doses."""

    medication: tuple[str, ...]
    replacement: tuple[str, ...]
    """Value sets of drugs that can be a replacement; whether this one is only a reviewer can say."""

    def judge(self, case: Case) -> Judgement:
        """Another drug of the class makes it not met; a possible replacement is for a reviewer."""
        by_set = case.facts.medications
        records = {id(each): each for name in self.medication for each in by_set.get(name, ())}
        now = [each for each in records.values() if self._is_now(each, case)]
        if not now:
            return unknown(Reason.NOEVIDENCE, "no such drug is on record as taken now")
        others = [each for each in now if not any(m.value_set in self.replacement for m in each.memberships)]
        systemic = [each for each in others if each.route is Route.SYSTEMIC]
        if systemic:
            evidence = tuple(shown(each) for each in systemic)
            said = f"{systemic[0].label} is not a replacement hormone ({systemic[0].source.words})"
            return Judgement(Truth.NOT_MET, None, said, evidence)
        evidence = tuple(shown(each) for each in now)
        if others:
            return unknown(Reason.MEDS, f"{others[0].label}: the route is not known", evidence)
        return unknown(Reason.HUMAN, "whether it is given as replacement must be judged", evidence)

    @staticmethod
    def _is_now(record: Medication, case: Case) -> bool:
        if record.exposure not in (Exposure.TAKEN, Exposure.ORDERED) or record.route is Route.LOCAL or not record.dated:
            return False
        days = stay(record, case)
        return days is not None and days.last >= case.as_of.day
