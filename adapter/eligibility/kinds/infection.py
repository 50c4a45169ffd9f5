"""Infections: a diagnosis or a test, where a positive lasts and a negative must be fresh."""

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Answer, Condition, Result, Verification
from adapter.eligibility.finding import Evidence, Judgement, unknown
from adapter.eligibility.kinds.condition import ConditionClause, Phase, phase
from adapter.eligibility.kinds.condition import shown as shown_condition
from adapter.eligibility.kinds.outcome import Outcome, weigh_together
from adapter.eligibility.kinds.selection import Answered, Choice, evidence_of, most_telling, newest
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Period

_VOID = ("entered-in-error", "cancelled")


class Tests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tests of one input that play one part: ``{input: hiv_test, roles: [screen]}``."""

    input: str
    roles: tuple[str, ...]

    def all_results(self, case: Case) -> list[Result]:
        """Give these tests' results, those after the question too."""
        return [each for each in case.facts.results.get(self.input, ()) if each.role in self.roles]

    def results(self, case: Case) -> list[Result]:
        """Give these tests' results that do not lie after the question."""
        return [each for each in self.all_results(case) if case.as_of.has_begun(each.when) is not Truth.NOT_MET]


class Presumptive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A test whose positive counts until another test speaks against it."""

    positive: Tests
    against: tuple[Tests, ...]
    """A negative of these, on the same day or later where ``later``, contradicts it."""
    later: bool = True
    gives: Reason | None = None
    """What an unopposed positive leads to instead of met."""
    rebutted: Reason | None = Reason.CONFLICT
    """What an opposed positive leads to; None: it says nothing any more."""


class Infection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="infection"):
    """The patient has, or carries, an infection: by diagnosis or by test."""

    conditions: tuple[ConditionClause, ...]
    suggested_by: tuple[ConditionClause, ...] = ()
    """Records whose code neither proves nor excludes it: they forbid a no, whatever a test says."""
    conclusive: tuple[Tests, ...] = ()
    """One positive, ever, is enough."""
    presumptive: tuple[Presumptive, ...] = ()
    suggestive: tuple[Tests, ...] = ()
    """A positive proves nothing alone but forbids a no (VERIFY)."""
    ruled_out_by: tuple[tuple[Tests, ...], ...] = ()
    """Groups, all of which must be ruled out: in each, of one of its tests the latest result is negative and fresh."""
    window: Period | None = None
    """How fresh a negative must be."""
    open_ended: bool = False
    """Whether the text leaves the list of pathogens open, so that no test can rule it out."""
    subject: str = ""

    def reads(self) -> frozenset[str]:
        """Give the value sets and the inputs it looks at."""
        presumptive = (tests for rule in self.presumptive for tests in (rule.positive, *rule.against))
        ruling_out = (tests for group in self.ruled_out_by for tests in group)
        tests = {each.input for each in (*self.conclusive, *presumptive, *self.suggestive, *ruling_out)}
        return frozenset(tests).union(*(clause.reads() for clause in (*self.conditions, *self.suggested_by)))

    def judge(self, case: Case) -> Judgement:
        """Let a positive win, then a contradiction, then a fresh negative; anything else is unknown."""
        by_diagnosis = weigh_together([clause.weigh(case) for clause in self.conditions])
        if by_diagnosis is not None and by_diagnosis.truth is Truth.MET:
            return _judgement(by_diagnosis)
        by_test = weigh_together([*self._conclusive(case), *self._presumptive(case)])
        if by_test is not None and by_test.truth is Truth.MET:
            return _judgement(by_test)
        if by_test is not None:
            return _judgement(by_test)
        if by_diagnosis is not None and by_diagnosis.reason is Reason.CONFLICT:
            return _judgement(by_diagnosis)
        suggestive = weigh_together([_positive(tests, case, Reason.VERIFY) for tests in self.suggestive])
        if suggestive is not None:
            return _judgement(suggestive)
        suggested = weigh_together([clause.weigh(case) for clause in self.suggested_by])
        if suggested is not None:
            return _judgement(suggested)
        return self._ruled_out(case, by_diagnosis)

    def _conclusive(self, case: Case) -> list[Outcome | None]:
        return [_positive(tests, case, None) for tests in self.conclusive]

    def _presumptive(self, case: Case) -> list[Outcome | None]:
        return [self._one_presumptive(rule, case) for rule in self.presumptive]

    def _one_presumptive(self, rule: Presumptive, case: Case) -> Outcome | None:
        """Judge by the latest positive: an older one says nothing more."""
        positives = [each for each in rule.positive.results(case) if _answers(each, Answer.POSITIVE)]
        if not positives:
            return None
        latest = max(positives, key=lambda each: case.as_of.days(each.when))
        rebuttal = self._rebuttal(latest, rule, case)
        if rebuttal is not None:
            said = f"{_said(latest)}, and {_said(rebuttal)}"
            shown = (evidence_of(latest), evidence_of(rebuttal))
            return Outcome(Truth.UNKNOWN, rule.rebutted, said, shown) if rule.rebutted is not None else None
        return _of_positives(positives, case, rule.gives)

    @staticmethod
    def _rebuttal(positive: Result, rule: Presumptive, case: Case) -> Result | None:
        first, _ = case.as_of.days(positive.when)
        for tests in rule.against:
            for result in tests.results(case):
                _, last = case.as_of.days(result.when)
                if _answers(result, Answer.NEGATIVE) and (not rule.later or last >= first):
                    return result
        return None

    def _ruled_out(self, case: Case, by_diagnosis: Outcome | None) -> Judgement:
        window = self.window.text if self.window else None
        reasons: list[Reason] = []
        negatives: list[int] = []
        evidence: list[Evidence] = []
        said = []
        for group in self.ruled_out_by:
            choices = [newest(tests.all_results(case), case, self.window, _is_negative) for tests in group]
            choice = next((each for each in choices if each.truth is Truth.MET), choices[0])
            evidence.extend(evidence_of(each) for each in choice.deciding)
            unclear = self._unclear(group[0].input, choice, case)
            if unclear is not None:
                evidence.append(evidence_of(unclear))
                reasons.append(unclear.problem or Reason.VERIFY)
            elif choice.truth is not Truth.MET:
                reason = choice.reason or Reason.NODATA
                reasons.append(Reason.NOEVIDENCE if reason is Reason.NODATA else reason)
            else:
                said.append(_said(choice.deciding[0]))
                negatives.append(max(case.as_of.days(each.when)[0] for each in choice.deciding))
        if self.open_ended or not self.ruled_out_by:
            reasons.append(Reason.NOEVIDENCE)
        if not reasons:
            later = self._suspected_later(min(negatives, default=0), case)
            if later is not None:
                told = f"{later.label} is suspected since the negative test"
                return unknown(Reason.VERIFY, told, (*evidence, shown_condition(later)), window)
            return Judgement(Truth.NOT_MET, None, " and ".join(said), tuple(evidence), window)
        denied = by_diagnosis is not None and by_diagnosis.truth is Truth.NOT_MET
        if by_diagnosis is not None and not (denied and (self.open_ended or self._tells(case))):
            return _judgement(by_diagnosis)
        reason = most_telling(reasons)
        if reason is Reason.NOEVIDENCE:
            return unknown(
                reason, f"no record of {self.subject}, and no test that rules it out", tuple(evidence), window
            )
        return unknown(reason, f"{self.subject}: {reason.meaning}", tuple(evidence), window)

    def _tells(self, case: Case) -> bool:
        """Whether any test speaks at all, be it unclear or preliminary: then a refuted record alone is no answer."""
        groups = (
            self.conclusive,
            tuple(rule.positive for rule in self.presumptive),
            self.suggestive,
            *self.ruled_out_by,
        )
        found = (result for tests in groups for each in tests for result in each.results(case))
        return any(result.status not in _VOID and result.answer is not Answer.NEGATIVE for result in found)

    def _suspected_later(self, negative: int, case: Case) -> Condition | None:
        """Give an unconfirmed diagnosis that is dated after the negative test."""
        for name in {name for clause in self.conditions for name in clause.condition}:
            for each in case.facts.conditions.get(name, ()):
                begin = each.onset or each.asserted or each.recorded
                doubtful = each.verification is Verification.DOUBTFUL and phase(each, case.as_of) is Phase.ACTIVE
                if doubtful and begin is not None and case.as_of.days(begin)[0] > negative:
                    return each
        return None

    def _unclear(self, name: str, negative: Choice, case: Case) -> Result | None:
        """Give a result of any test of this input that says nothing clear and is as new as the negative one."""
        known = [*self.conclusive, *(rule.positive for rule in self.presumptive), *self.suggestive]
        since = 0
        if negative.truth is Truth.MET:
            since = max(case.as_of.days(each.when)[0] for each in negative.deciding)
        elif negative.reason is not Reason.NODATA:
            return None
        for tests in (*known, *(tests for group in self.ruled_out_by for tests in group)):
            for result in tests.results(case) if tests.input == name else ():
                is_clear = result.problem is None and result.answer in (Answer.POSITIVE, Answer.NEGATIVE)
                if result.usable_status and not is_clear and case.as_of.days(result.when)[1] >= since:
                    return result
        return None


def _judgement(outcome: Outcome) -> Judgement:
    return Judgement(outcome.truth, outcome.reason, outcome.message, outcome.evidence)


def _answers(result: Result, answer: Answer) -> bool:
    return result.usable_status and result.problem is None and result.answer is answer


def _is_negative(result: Result) -> Answered:
    if result.problem is not None:
        return Truth.UNKNOWN, result.problem
    if result.answer is Answer.NEGATIVE:
        return Truth.MET, None
    return (Truth.UNKNOWN, Reason.VERIFY) if result.answer is not Answer.POSITIVE else (Truth.NOT_MET, None)


def _positive(tests: Tests, case: Case, gives: Reason | None) -> Outcome | None:
    found = [each for each in tests.results(case) if _answers(each, Answer.POSITIVE)]
    return _of_positives(found, case, gives) if found else None


def _of_positives(found: list[Result], case: Case, gives: Reason | None) -> Outcome:
    shown = tuple(evidence_of(each) for each in found)
    undated = [each for each in found if case.as_of.has_begun(each.when) is not Truth.MET]
    if len(undated) == len(found) and found[0].when is not None:
        return Outcome(Truth.UNKNOWN, Reason.DATE, f"{_said(found[0])}: the date may lie in the future", shown)
    if gives is not None:
        return Outcome(Truth.UNKNOWN, gives, f"{_said(found[0])}, which alone proves nothing", shown)
    return Outcome(Truth.MET, None, _said(found[0]), shown)


def _said(result: Result) -> str:
    when = f" on {result.when.text[:10]}" if result.when else ""
    word = result.answer.value if result.answer else result.sent
    return f"{result.label} is {word}{when} ({result.source.words})"
