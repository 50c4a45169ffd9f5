"""What only people can answer, and what the record shows them for it; other studies; references to criteria."""

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import CONSENTS, OTHER_STUDIES
from adapter.eligibility.finding import Evidence, Judgement, unknown
from adapter.eligibility.kinds.condition import ConditionClause, Phase, phase
from adapter.eligibility.kinds.condition import shown as shown_condition
from adapter.eligibility.kinds.selection import evidence_of
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Period


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="ask"):
    """A reviewer's question; what the record holds for it is shown and decides nothing."""

    question: str = ""
    """The atom's ``ask``."""
    shows: tuple[str, ...] = ()
    """Inputs whose latest results the reviewer should see."""
    conditions: tuple[str, ...] = ()
    """Value sets whose standing conditions the reviewer should see."""
    window: Period | None = None
    missing: Reason | None = None
    """What it is called when none of ``shows`` is on record; None: still the reviewer's."""

    def reads(self) -> frozenset[str]:
        """Give the inputs and value sets it shows."""
        return frozenset((*self.shows, *self.conditions))

    def judge(self, case: Case) -> Judgement:
        """Only an attestation decides it."""
        evidence: list[Evidence] = []
        older = False
        opens = case.since(self.window) if self.window is not None else 0
        for name in self.shows:
            known = [
                each
                for each in case.facts.results.get(name, ())
                if each.usable_status and case.as_of.has_begun(each.when) is Truth.MET
            ]
            inside = [each for each in known if case.as_of.days(each.when)[0] >= opens]
            older = older or len(known) > len(inside)
            latest = max((case.as_of.days(each.when)[0] for each in inside), default=0)
            evidence.extend(evidence_of(each) for each in inside if case.as_of.days(each.when)[0] == latest)
        for name in self.conditions:
            standing = [each for each in case.facts.conditions.get(name, ()) if phase(each, case.as_of) is Phase.ACTIVE]
            evidence.extend(shown_condition(each) for each in standing)
        window = self.window.text if self.window else None
        if self.shows and not evidence and self.missing is not None:
            reason = Reason.STALE if older else self.missing
            return unknown(reason, f"{reason.meaning}: {self.question}", (), window)
        return unknown(Reason.HUMAN, self.question, tuple(evidence), window)


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="consent"):
    """A research consent to this trial: shown to the reviewer, who alone can say that it was free and informed."""

    question: str = ""
    """The atom's ``ask``."""

    def reads(self) -> frozenset[str]:
        """Say that it looks at consents."""
        return frozenset((CONSENTS,))

    def judge(self, case: Case) -> Judgement:
        """A form on file is evidence for the reviewer and never an answer."""
        shown = tuple(
            Evidence(each.source, f"research consent ({each.status})", each.when.text if each.when else None)
            for each in case.facts.consents
            if case.as_of.has_begun(each.when) is not Truth.NOT_MET
        )
        return unknown(Reason.HUMAN, self.question, shown)


class OtherStudy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="other-study"):
    """The patient takes part in another study now."""

    this: str
    """The key of this trial: a ResearchSubject that names it is not another study."""
    taking_part: tuple[str, ...]
    perhaps: tuple[str, ...]
    hint: ConditionClause | None = None
    """Records that speak of some study without naming it: shown, never an answer."""

    def reads(self) -> frozenset[str]:
        """Say that it looks at other studies, and give what hints at one."""
        return frozenset((OTHER_STUDIES,)).union(self.hint.reads() if self.hint is not None else ())

    def judge(self, case: Case) -> Judgement:
        """Studies outside this record system are not seen, so silence says nothing."""
        others = [each for each in case.facts.other_studies if self.this.lower() not in each.study.lower()]
        open_question: list[Evidence] = []
        for each in others:
            when = each.start.text if each.start else None
            shown = Evidence(each.source, f"another study ({each.state})", when)
            begun = Truth.MET if each.start is None else case.as_of.has_begun(each.start)
            ended = Truth.NOT_MET if each.end is None else case.as_of.has_begun(each.end)
            if each.end is not None and case.as_of.days(each.end)[1] >= case.as_of.day:
                ended = Truth.NOT_MET
            if begun is Truth.NOT_MET or ended is Truth.MET:
                continue
            if each.state in self.taking_part:
                if begun is Truth.MET and ended is Truth.NOT_MET:
                    said = f"takes part in another study ({each.source.words}, {each.state})"
                    return Judgement(Truth.MET, None, said, (shown,))
                return unknown(Reason.DATE, "takes part in another study, of unclear dates", (shown,))
            if each.state in self.perhaps:
                open_question.append(shown)
        if open_question:
            return unknown(Reason.NOEVIDENCE, "is considered for another study", tuple(open_question))
        hint = self.hint.weigh(case) if self.hint is not None else None
        if hint is not None:
            return unknown(
                hint.reason or Reason.NOEVIDENCE, f"{hint.message}; which study it is about is not said", hint.evidence
            )
        return unknown(Reason.NOEVIDENCE, "no record of another study; others may not be in this system")


class SameAs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="same-as"):
    """As another criterion of the trial was decided."""

    criterion: str
