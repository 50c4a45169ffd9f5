"""Sentences about what the record shows: diseases, drugs, procedures, encounters, past values, combined."""

from typing import Literal

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Procedure, Result
from adapter.eligibility.finding import Evidence, Judgement, unknown
from adapter.eligibility.kinds.condition import ConditionClause, has_rival
from adapter.eligibility.kinds.condition import shown as shown_condition
from adapter.eligibility.kinds.medication import MedicationClause
from adapter.eligibility.kinds.outcome import Outcome, weigh_together
from adapter.eligibility.kinds.selection import evidence_of
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Bounds, Limits, Period


class ProcedureClause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="clause", tag="procedure"):
    """A procedure of one of the value sets, done."""

    procedure: tuple[str, ...]
    within: Period | None = None
    older: Reason = Reason.DATE
    """What a procedure before the window leads to; one without a date is always DATE."""
    at_eye: tuple[str, ...] = ()
    """Value sets whose codes count only with an eye as the body site."""
    gives: Reason | None = None

    def reads(self) -> frozenset[str]:
        """Give the value sets it looks at."""
        return frozenset(self.procedure)

    def weigh(self, case: Case) -> Outcome | None:
        """Say what the procedures of these value sets amount to; None when no record speaks."""
        by_set = case.facts.procedures
        if by_set.keys().isdisjoint(self.procedure):
            return None
        records = {id(each): each for name in self.procedure for each in by_set.get(name, ())}
        return weigh_together([self._one(each, case) for each in records.values()])

    def _one(self, record: Procedure, case: Case) -> Outcome | None:
        evidence = Evidence(record.source, record.label, record.when.text if record.when else None)
        mine = [each for each in record.memberships if each.value_set in self.procedure]
        if record.done is Truth.NOT_MET:
            if any(each.names_whole for each in mine):
                return Outcome.no(f"{record.label} was not done ({record.source.words})", evidence)
            return None
        if record.done is Truth.UNKNOWN:
            return Outcome.open(Reason.STATUS, f"{record.label}: not recorded as completed", evidence)
        begun = Truth.MET if record.when is None else case.as_of.has_begun(record.when)
        if begun is Truth.NOT_MET:
            return None
        doubt = next((each.doubt for each in mine if each.doubt is not None), None)
        if all(each.doubt is not None for each in mine) and doubt is not None and self.gives is None:
            return Outcome.open(doubt, f"{record.label}: {doubt.meaning}", evidence)
        if not record.at_eye and any(each.value_set in self.at_eye for each in record.memberships):
            return Outcome.open(
                Reason.SEVERITY, f"{record.label}: the record does not say that it was an eye", evidence
            )
        if begun is Truth.UNKNOWN:
            return Outcome.open(Reason.DATE, f"{record.label} has a date too coarse to say", evidence)
        if self.within is not None:
            first, last = case.as_of.days(record.when)
            opens = case.since(self.within)
            if first < opens:
                reason = self.older if last < opens else Reason.DATE
                return Outcome.open(reason, f"{record.label} is not shown within {self.within}", evidence)
        said = f"{record.label} was done ({record.source.words})"
        if self.gives is not None:
            return Outcome.open(self.gives, f"{said}; {self.gives.meaning}", evidence)
        return Outcome.yes(said, evidence)


class EncounterClause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="clause", tag="encounter"):
    """An emergency or inpatient encounter for a reason of one of the value sets, dated in the window."""

    encounter: tuple[str, ...]
    within: Period
    gives: Reason | None = None

    def reads(self) -> frozenset[str]:
        """Give the value sets it looks at."""
        return frozenset(self.encounter)

    def weigh(self, case: Case) -> Outcome | None:
        """Say what such encounters amount to; None when no record speaks."""
        by_set = case.facts.encounters
        if by_set.keys().isdisjoint(self.encounter):
            return None
        records = {id(each): each for name in self.encounter for each in by_set.get(name, ())}
        outcomes = []
        for each in records.values():
            evidence = Evidence(each.source, each.label, each.when.text if each.when else None)
            begun = case.as_of.has_begun(each.when)
            if begun is Truth.NOT_MET:
                continue
            first, last = case.as_of.days(each.when)
            opens = case.since(self.within)
            if begun is Truth.MET and first >= opens:
                said = f"{each.label} within {self.within} ({each.source.words})"
                if self.gives is not None:
                    outcomes.append(Outcome.open(self.gives, f"{said}; {self.gives.meaning}", evidence))
                else:
                    outcomes.append(Outcome.yes(said, evidence))
            elif last < opens:
                outcomes.append(Outcome.open(Reason.NOEVIDENCE, f"{each.label} is older", evidence))
            else:
                outcomes.append(Outcome.open(Reason.DATE, f"{each.label} is not dated well enough", evidence))
        return weigh_together(outcomes)


class ValueClause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="clause", tag="value"):
    """Values of an input inside limits, on so many different days, inside the window or ever."""

    value: str
    limits: dict[str, Limits]
    """By unit, as printed or by published equivalent."""
    days: int = 1
    within: Period | None = None
    roles: tuple[str, ...] = ()
    gives: Reason | None = None
    short: Reason = Reason.HUMAN
    """What values on record that do not suffice lead to."""

    def reads(self) -> frozenset[str]:
        """Give the input it looks at."""
        return frozenset((self.value,))

    def weigh(self, case: Case) -> Outcome | None:
        """Say what the values on record amount to; None when there are none."""
        results = [each for each in case.facts.results.get(self.value, ()) if each.role in self.roles]
        past = [each for each in results if case.as_of.has_begun(each.when) is not Truth.NOT_MET]
        if self.within is not None:
            opens = case.since(self.within)
            past = [each for each in past if case.as_of.days(each.when)[0] >= opens]
        if not past:
            return None
        usable = [each for each in past if each.usable_status]
        shown = tuple(evidence_of(each) for each in usable[:6])
        if not usable:
            return Outcome.open(Reason.STATUS, "no value of usable status")
        holding = [each for each in usable if self._holds(each)]
        apart = self._on_different_days(holding, case)
        if len(apart) >= self.days:
            first = apart[0]
            said = self._said(first)
            evidence = tuple(evidence_of(each) for each in apart)
            if self.gives is not None:
                return Outcome(Truth.UNKNOWN, self.gives, f"{said}; {self.gives.meaning}", evidence)
            return Outcome(Truth.MET, None, said, evidence)
        if self.gives is not None:
            return None
        problems = [each.problem for each in usable if each.problem is not None]
        if problems and len(problems) == len(usable):
            return Outcome.open(problems[0], f"no usable value: {problems[0].meaning}", *shown)
        said = f"{len(apart)} of {self.days} values on different days are in the range asked for"
        return Outcome.open(self.short, said, *shown)

    def _said(self, result: Result) -> str:
        when = f" on {result.when.text[:10]}" if result.when else ""
        unit = result.unit or ""
        words = self.limits[unit].phrase(unit, Truth.MET, result.bounds or Bounds(None, None))
        said = f"{result.label} {result.sent}{when} ({result.source.words}) is {words}"
        return said if self.days == 1 else f"{said}; {self.days} different days have such a value"

    def _holds(self, result: Result) -> bool:
        limits = self.limits.get(result.unit or "")
        return (
            result.problem is None
            and result.bounds is not None
            and limits is not None
            and limits.hold(result.bounds) is Truth.MET
        )

    @staticmethod
    def _on_different_days(holding: list[Result], case: Case) -> list[Result]:
        """Give as many of the results as surely lie on different days before the question."""
        found: list[Result] = []
        reached = 0
        for result in sorted(holding, key=lambda each: case.as_of.days(each.when)[1]):
            first, last = case.as_of.days(result.when)
            if first > reached and case.as_of.has_begun(result.when) is Truth.MET:
                found.append(result)
                reached = last
        return found


class AllClause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="clause", tag="all"):
    """Several clauses that must hold together."""

    all: tuple["Clause", ...]
    partial: Reason | None = None
    """What it leads to when some hold and others are silent; None: silence."""
    gives: Reason | None = None

    def reads(self) -> frozenset[str]:
        """Give what any of the clauses looks at."""
        return frozenset().union(*(clause.reads() for clause in self.all))

    def weigh(self, case: Case) -> Outcome | None:
        """Say whether all hold; where one part is denied the combination is silent, not the whole sentence false."""
        outcomes = [clause.weigh(case) for clause in self.all]
        spoken = [each for each in outcomes if each is not None]
        if any(each.truth is Truth.NOT_MET for each in spoken):
            return None
        evidence = tuple({item: None for each in spoken for item in each.evidence})
        message = " and ".join(each.message for each in spoken)
        holds = [each for each in spoken if each.truth is Truth.MET]
        if len(holds) == len(outcomes):
            if self.gives is not None:
                return Outcome(Truth.UNKNOWN, self.gives, f"{message}; {self.gives.meaning}", evidence)
            return Outcome(Truth.MET, None, message, evidence)
        undecided = weigh_together([each for each in spoken if each.truth is Truth.UNKNOWN])
        if len(spoken) == len(outcomes):
            return Outcome(Truth.UNKNOWN, undecided.reason if undecided else None, message, evidence)
        if self.partial is None:
            return None
        if holds:
            return Outcome(Truth.UNKNOWN, self.partial, f"{message}; the rest is not on record", evidence)
        return undecided


Clause = ConditionClause | MedicationClause | ProcedureClause | EncounterClause | ValueClause | AllClause


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="record"):
    """Any of the clauses holds; the record's silence is not a no."""

    any: tuple[Clause, ...]
    silence: Reason = Reason.NOEVIDENCE
    empty_list: Literal["problem-list", "medication-list"] | None = None
    """The list whose explicit emptiness answers no when no record speaks."""
    empty_list_within: Period | None = None
    subject: str = ""
    """What the sentence looks for, in words."""

    def reads(self) -> frozenset[str]:
        """Give what any of the clauses looks at, and the list that may be known to be empty."""
        empty_list = (self.empty_list,) if self.empty_list is not None else ()
        return frozenset(empty_list).union(*(clause.reads() for clause in self.any))

    def judge(self, case: Case) -> Judgement:
        """Weigh every clause: a yes settles it, an open question leaves it open, silence is no answer."""
        spoken = [outcome for clause in self.any if (outcome := clause.weigh(case)) is not None]
        outcome = weigh_together(spoken) if spoken else None  # most records are silent
        if outcome is None:
            return self._silent(case)
        if not outcome.speaks_for_it:
            empty = self._silent(case)
            if empty.truth is Truth.NOT_MET:
                return empty
        if outcome.truth is Truth.MET:
            rival = self._rival(case)
            if rival is not None:
                return rival
        return Judgement(outcome.truth, outcome.reason, outcome.message, outcome.evidence)

    def _rival(self, case: Case) -> Judgement | None:
        for clause in self.any:
            if isinstance(clause, ConditionClause) and clause.rivals:
                other = has_rival(clause.rivals, case)
                if other is not None:
                    said = f"{other.label} is on record as well ({other.source.words})"
                    return unknown(Reason.VERIFY, said, (shown_condition(other, "rival diagnosis"),))
        return None

    def _silent(self, case: Case) -> Judgement:
        return silent(case, self.silence, self.subject, self.empty_list, self.empty_list_within)


def silent(case: Case, reason: Reason, subject: str, kind: str | None, within: Period | None) -> Judgement:
    """Say what no record means: unknown, unless the list in question is explicitly empty."""
    if kind is not None and within is not None:
        for each in case.facts.empty_lists:
            first, _ = case.as_of.days(each.when)
            begun = case.as_of.has_begun(each.when) is Truth.MET
            if each.kind == kind and begun and first >= case.since(within):
                when = each.when.text if each.when else None
                evidence = Evidence(each.source, f"{kind.replace('-', ' ')} known to be empty", when)
                what = f"no record of {subject}: " if subject else ""
                said = f"{what}the {kind.replace('-', ' ')} is known to be empty ({each.source.words})"
                return Judgement(Truth.NOT_MET, None, said, (evidence,))
    return unknown(reason, f"no record of {subject}" if subject else reason.meaning)
