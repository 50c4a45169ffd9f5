"""Qualitative results: the latest answer is the one asked for."""

from typing import Literal

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Answer, Result
from adapter.eligibility.finding import Judgement, unknown
from adapter.eligibility.kinds.condition import ConditionClause, State
from adapter.eligibility.kinds.selection import Answered, newest
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Period


class ResultIs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="result-is"):
    """The latest qualitative answer of an input inside the window is the one asked for."""

    input: str
    answer: Literal["positive", "negative"]
    window: Period | None = None
    label: str = ""
    roles: tuple[str, ...] = ()
    or_condition: tuple[str, ...] = ()
    """Value sets whose active, confirmed condition dated in the window is met when no result counts in the window."""

    def reads(self) -> frozenset[str]:
        """Give the input and the value sets it looks at."""
        return frozenset((self.input, *self.or_condition))

    def judge(self, case: Case) -> Judgement:
        """Judge by the latest day; an indeterminate answer decides nothing."""
        results = [each for each in case.facts.results.get(self.input, ()) if each.role in self.roles]
        choice = newest(results, case, self.window, self._answer)
        window = self.window.text if self.window else None
        evidence = choice.latest.evidence
        if choice.truth is not Truth.UNKNOWN:
            result = next(each for each in choice.deciding if each.problem is None)
            when = f" on {result.when.text[:10]}" if result.when else ""
            word = result.answer.value if result.answer else ""
            said = f"{self.label} {result.sent}{when} ({result.source.words}) is {word}"
            return Judgement(choice.truth, None, said, evidence, window, result)
        if self.or_condition and (choice.latest.missing is not None or choice.reason is Reason.STALE):
            stated = self._condition(case)
            if stated is not None:
                return stated
        reason = choice.reason or Reason.NODATA
        said = f"no {self.label} on record" if reason is Reason.NODATA else f"{self.label}: {reason.meaning}"
        if choice.deciding and all(each.answer is Answer.INDETERMINATE for each in choice.deciding):
            said = f"{self.label} {choice.deciding[0].sent}: neither negative nor positive"
        return unknown(reason, said, evidence, window)

    def _answer(self, result: Result) -> Answered:
        if result.problem is not None:
            return Truth.UNKNOWN, result.problem
        if result.answer is None or result.answer.value == "indeterminate":
            return Truth.UNKNOWN, Reason.CONFLICT
        return (Truth.MET if result.answer.value == self.answer else Truth.NOT_MET), None

    def _condition(self, case: Case) -> Judgement | None:
        clause = ConditionClause(condition=self.or_condition, state=State.ACTIVE, dated_in=self.window)
        outcome = clause.weigh(case)
        if outcome is None or outcome.truth is not Truth.MET:
            return None
        return Judgement(Truth.MET, None, outcome.message, outcome.evidence, self.window.text if self.window else None)
