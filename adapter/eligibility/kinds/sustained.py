"""A state that lasted: every value of a run of results lies within the limits."""

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Result
from adapter.eligibility.finding import Evidence, Judgement, unknown
from adapter.eligibility.kinds.quantity import Quantity
from adapter.eligibility.kinds.selection import Answered, evidence_of, most_telling, newest
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Bounds, Limits, Period


class Stretch(msgspec.Struct, frozen=True):
    """What the results of one day, or one result of a coarser date, say; it lies between two days."""

    first: int
    last: int
    truth: Truth
    reason: Reason | None
    result: Result


class Sustained(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="sustained"):
    """Every value of a run of at least two, ``apart`` days from first to last, lies within the limits.

    The run ends with the latest value, which must be fresh; a usable value outside the limits inside ``refuted_in``
    settles that the state was not sustained.
    """

    input: str
    limits: Limits
    unit: str
    apart: int
    """Days between the first and the last value of the run, at least."""
    reach: Period
    """How far back the first value may lie."""
    refuted_in: Period
    """A value outside the limits in this time makes it not met."""
    equivalent: dict[str, Limits] = msgspec.field(default_factory=dict)
    window: Period | None = None
    """How fresh the latest value must be."""
    label: str = ""
    roles: tuple[str, ...] = ()

    def reads(self) -> frozenset[str]:
        """Give the input it looks at."""
        return frozenset((self.input,))

    def judge(self, case: Case) -> Judgement:
        """Look for a refuting value first, then for a run that ends with the latest value."""
        one = Quantity(
            self.input,
            self.limits,
            self.unit,
            self.equivalent,
            window=self.window,
            label=self.label,
            roles=self.roles,
        )
        results = [each for each in case.facts.results.get(self.input, ()) if each.role in self.roles]
        stretches = self._stretches(results, case, one)
        evidence = tuple(evidence_of(each) for each in self._reaching(results, case))
        refuting = case.since(self.refuted_in)
        outside = [each for each in stretches if each.truth is Truth.NOT_MET and each.last >= refuting]
        sure = [each for each in outside if each.first >= refuting]
        if sure:
            said = one.decided(sure[-1].result, Truth.NOT_MET, case)
            return Judgement(Truth.NOT_MET, None, said, evidence, self.reach.text)
        if any(each.reason is Reason.CONFLICT and each.last >= refuting for each in stretches):
            return unknown(Reason.CONFLICT, f"{self.label}: two answers on one day", evidence, self.reach.text)
        if outside:
            said = f"{self.label} {outside[0].result.sent} may lie within {self.refuted_in}"
            return unknown(Reason.DATE, said, evidence, self.reach.text)
        latest = newest(results, case, self.window, lambda result: one.answer(result, case))
        if latest.truth is not Truth.MET:
            found = one.sentence(latest, case, results)
            return found if found.truth is Truth.UNKNOWN else unknown(Reason.ONE_VALUE, found.message, evidence)
        ends = [case.as_of.days(each.when) for each in latest.deciding]
        return self._run(stretches, max(first for first, _ in ends), evidence, case)

    def _reaching(self, results: list[Result], case: Case) -> list[Result]:
        """Give the results of usable status that can lie between the reach and the question."""
        opens = case.since(self.reach)
        return [
            each
            for each in results
            if each.usable_status
            and case.as_of.has_begun(each.when) is not Truth.NOT_MET
            and case.as_of.days(each.when)[1] >= opens
        ]

    def _stretches(self, results: list[Result], case: Case, one: Quantity) -> list[Stretch]:
        """Give what each day says, and each result of a coarser date, in the order of their latest day."""

        def answer(result: Result) -> Answered:
            return one.answer(result, case)

        days: dict[tuple[int, int, int], list[Result]] = {}
        for number, result in enumerate(self._reaching(results, case)):
            first, last = case.as_of.days(result.when)
            days.setdefault((first, min(last, case.as_of.day), number if first != last else -1), []).append(result)
        found = []
        for (first, last, _), group in days.items():
            if first == last:
                choice = newest(group, case, None, answer)
                truth, reason = choice.truth, choice.reason
            else:
                truth, reason = answer(group[0])
            found.append(Stretch(first, last, truth, reason, group[0]))
        return sorted(found, key=lambda each: (each.last, each.first))

    def _run(self, stretches: list[Stretch], end: int, evidence: tuple[Evidence, ...], case: Case) -> Judgement:
        """Go back from the latest value until the run is long enough, or until something breaks it."""
        opens = case.since(self.reach)
        doubts: list[Reason] = []
        for index in range(len(stretches) - 1, -1, -1):
            start = stretches[index]
            between = [each for each in stretches if each is not start and each.last >= start.first]
            if start.truth is not Truth.MET:
                if start.truth is Truth.UNKNOWN:
                    doubts.append(start.reason or Reason.ONE_VALUE)
                break
            if end - start.last >= self.apart and start.first >= opens and all(e.truth is Truth.MET for e in between):
                count = len(between) + 1
                limits = self.limits.phrase(self.unit, Truth.MET, Bounds(None, None))
                said = f"{self.label} is {limits} on {count} days over {end - start.last} days, every one"
                return Judgement(Truth.MET, None, said, evidence, self.reach.text)
            if end - start.first >= self.apart and (start.first != start.last):
                doubts.append(Reason.DATE)
        said = f"{self.label}: no run of values at least {self.apart} days long"
        return unknown(most_telling(doubts or [Reason.ONE_VALUE]), said, evidence, self.reach.text)
