"""Numbers against printed limits: age, laboratory and vital values, multiples of a reference limit."""

from decimal import Decimal
from typing import Literal

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Population, ReferenceRange, Result, Sex
from adapter.eligibility.finding import Evidence, Judgement, unknown
from adapter.eligibility.kinds.derivation import Derivation, NotDerived, derived
from adapter.eligibility.kinds.selection import Answered, Choice, Latest, asked_of, evidence_of, latest_of
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Bounds, Limits, Period, plain, rounded

_REPLACEABLE = frozenset(
    (Reason.NODATA, Reason.STALE, Reason.STATUS, Reason.UNIT, Reason.IMPLAUSIBLE, Reason.ABSENT_REASON)
)


class Age(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="age"):
    """Completed years at the instant of the question lie within the limits."""

    limits: Limits

    def reads(self) -> None:
        """Say that it is always judged: it asks about the person."""

    def judge(self, case: Case) -> Judgement:
        """A partial birth date gives the youngest and oldest the patient can be; both must agree."""
        person = case.facts.person
        age = case.age()
        if age is None:
            return unknown(Reason.NODATA if person.birth is None else Reason.DATE, "no usable date of birth")
        birth = person.birth.text if person.birth else ""
        evidence = (Evidence(person.source, f"born {birth}"),)
        low, high = age
        bounds = Bounds(Decimal(low), Decimal(high))
        truth = self.limits.hold(bounds)
        if truth is Truth.UNKNOWN:
            said = f"age is {low} or {high}: the date of birth is not complete"
            return unknown(Reason.DATE, said, evidence)
        years = str(low) if low == high else f"{low} to {high}"
        return Judgement(truth, None, f"age {years} years is {self.limits.phrase('years', truth, bounds)}", evidence)


class Quantity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="quantity"):
    """The latest value of an input inside the window lies within the limits.

    The limits stand in ``unit``; ``equivalent`` gives published equivalents for units that are compared as
    reported.  With ``times_uln`` the limits multiply the upper reference limit of the same result.
    """

    input: str
    limits: Limits
    unit: str = ""
    equivalent: dict[str, Limits] = msgspec.field(default_factory=dict)
    times_uln: bool = False
    window: Period | None = None
    only: Literal["male", "female"] | None = None
    """Whom the sentence speaks of; of others it is not true."""
    label: str = ""
    roles: tuple[str, ...] = ()
    derive: Derivation | None = None
    as_printed: Limits | None = None
    """The limits as the trial prints them, in ``as_printed_unit``."""
    as_printed_unit: str = ""
    near: Decimal = Decimal(0)
    """Share of a limit within which a converted value is called borderline."""

    def reads(self) -> frozenset[str] | None:
        """Give the inputs it looks at; where it speaks of one sex it is always judged."""
        if self.only is not None:
            return None
        return frozenset((self.input,)).union(self.derive.reads() if self.derive is not None else ())

    def judge(self, case: Case) -> Judgement:
        """Judge by the latest day of usable status; an older value never stands in for it."""
        if self.only is not None and case.sex is not Sex.UNKNOWN and case.sex.value != self.only:
            said = f"not applicable: the sentence speaks of {self.only} patients"
            sex = Evidence(case.facts.person.source, f"sex {case.sex.value}")
            return Judgement(Truth.NOT_MET, None, said, (sex,), applicable=False)
        results = case.facts.results.get(self.input, ())
        latest = case.keep((self.input, self.roles), lambda: self._latest(case))
        choice = asked_of(latest, case, self.window, lambda result: self.answer(result, case))
        judgement = self.sentence(choice, case, results)
        if self.derive is not None and self.derive.competes and choice.deciding:
            judgement = self._later_of(judgement, choice, case)
        elif judgement.truth is Truth.UNKNOWN and self.derive is not None and judgement.reason in _REPLACEABLE:
            judgement = self._derived(judgement, case)
        if judgement.truth is Truth.MET and self.only is not None and case.sex is Sex.UNKNOWN:
            said = f"{judgement.message}, and the limit is for {self.only} patients"
            return unknown(Reason.SEX, said, judgement.evidence, judgement.window)
        return judgement

    def _latest(self, case: Case) -> Latest:
        results = case.facts.results.get(self.input, ())
        return latest_of([result for result in results if result.role in self.roles], case)

    def answer(self, result: Result, case: Case) -> Answered:
        """Say whether one result lies within the limits."""
        if result.problem is not None or result.bounds is None:
            return Truth.UNKNOWN, result.problem or Reason.ABSENT_REASON
        if self.times_uln:
            return self._against_uln(result, case)
        limits = self.equivalent.get(result.unit or "")
        if limits is None:
            if result.unit != self.unit:
                return Truth.UNKNOWN, Reason.UNIT
            limits = self.limits
        truth = limits.hold(result.bounds)
        return truth, Reason.COMPARATOR if truth is Truth.UNKNOWN else None

    def _against_uln(self, result: Result, case: Case) -> Answered:
        bounds = result.bounds
        ranges = matching(result.ranges, case, result)
        highs = [each.high for each in ranges if each.high is not None]
        if bounds is None or not highs:
            return Truth.UNKNOWN, Reason.ULN
        truths = {self.limits.map(lambda end, high=high: end * high).hold(bounds) for high in highs}  # type: ignore[misc]  # bound per turn
        if len(truths) > 1:
            return Truth.UNKNOWN, Reason.SEX if case.sex is Sex.UNKNOWN else Reason.ULN
        truth = truths.pop()
        return truth, Reason.COMPARATOR if truth is Truth.UNKNOWN else None

    def _later_of(self, direct: Judgement, choice: Choice, case: Case) -> Judgement:
        """Let the later of the reported and the computed value decide; of one day both must agree."""
        made = derived(self.derive, case) if self.derive is not None else None
        if made is None:
            return direct
        reported = max(case.as_of.days(each.when)[1] for each in choice.deciding)
        if isinstance(made, NotDerived):
            if direct.truth is Truth.UNKNOWN or made.day < reported:
                return direct
            said = f"a computed {self.label} may be as new as the reported one: {Reason.DATE.meaning}"
            return unknown(Reason.DATE, said, made.evidence + direct.evidence, self._window)
        if made[0].day < reported:
            return direct
        computed = self._derived(direct, case)
        if made[0].day > reported or all(each.problem is not None for each in choice.deciding):
            return computed
        if computed.truth is direct.truth:
            return direct
        evidence = (*direct.evidence, *(item for item in computed.evidence if item not in direct.evidence))
        return unknown(Reason.CONFLICT, f"{self.label} reported and computed differ", evidence, self._window)

    def _derived(self, direct: Judgement, case: Case) -> Judgement:
        if self.derive is None:
            return direct
        made = derived(self.derive, case)
        if isinstance(made, NotDerived):
            if direct.reason is not Reason.NODATA or made.reason is Reason.NODATA:
                return direct
            said = f"no {self.label} on record, and none to compute: {made.reason.meaning}"
            return unknown(made.reason, said, made.evidence + direct.evidence, self._window)
        truths = {self.limits.hold(each.bounds) for each in made}
        evidence = tuple(item for each in made[:1] for item in each.evidence) + direct.evidence
        if len(truths) > 1:
            return unknown(Reason.CONFLICT, f"{self.label} computed from the record differs", evidence, self._window)
        truth = truths.pop()
        first = made[0]
        value = f"{first.words} {self.unit}".rstrip()
        if truth is Truth.UNKNOWN:
            return unknown(Reason.COMPARATOR, f"{self.label} {value} can lie on both sides", evidence, self._window)
        said = f"{self.label} {value}, {first.how}, is {self.limits.phrase(self.unit, truth, first.bounds)}"
        if first.unrounded is not None and self.limits.hold(Bounds.exactly(first.unrounded)) is not truth:
            said += "; borderline: unrounded it would not be"
        return Judgement(truth, None, said, evidence, self._window)

    @property
    def _window(self) -> str | None:
        return self.window.text if self.window else None

    def sentence(self, choice: Choice, case: Case, results: tuple[Result, ...] | list[Result]) -> Judgement:
        """Say what the deciding results amount to."""
        evidence = choice.latest.evidence
        if choice.truth is not Truth.UNKNOWN:
            result = next(each for each in choice.deciding if each.problem is None)
            return Judgement(
                choice.truth, None, self.decided(result, choice.truth, case), evidence, self._window, result
            )
        reason = choice.reason or Reason.NODATA
        if reason is Reason.NODATA:
            unproven = [each for each in results if each.role == "unproven" and self._is_inside(each, case)]
            if unproven:
                said = f"{self.label}: a value is on record, but not that it was taken fasting"
                return unknown(Reason.FASTING, said, tuple(evidence_of(each) for each in unproven), self._window)
            aside = [each for each in results if each.role not in self.roles and self._is_inside(each, case)]
            shown = tuple(evidence_of(each, "shown for review only") for each in aside[-1:])
            return unknown(reason, f"no {self.label} on record", shown, self._window)
        return unknown(reason, self._open(choice, reason), evidence, self._window)

    def _is_inside(self, result: Result, case: Case) -> bool:
        if result.role == "derivation" or not result.usable_status:
            return False
        if self.window is None:
            return case.as_of.has_begun(result.when) is not Truth.NOT_MET
        first, last = case.as_of.days(result.when)
        return last >= case.since(self.window) and first <= case.as_of.day

    def decided(self, result: Result, truth: Truth, case: Case) -> str:
        """Say which result decided, and how it lies to the limits."""
        when = f" on {result.when.text[:10]}" if result.when else ""
        said = f"{self.label} {result.sent}{when} ({result.source.words}) is "
        if self.times_uln:
            ranges = matching(result.ranges, case, result)
            limit = next(each for each in ranges if each.high is not None)
            site = ", the site's table" if limit.from_site else ""
            high = limit.high or Decimal(1)
            times = (result.bounds or Bounds(None, None)).map(lambda end: end / high)
            words = self.limits.phrase(f"times the upper limit {limit.sent}{site}", truth, times)
            return said + words + self._borderline(result, self.limits.map(lambda end: end * (limit.high or end)))
        bounds = result.bounds or Bounds(None, None)
        equivalent = self.equivalent.get(result.unit or "")
        if equivalent is not None:
            return said + equivalent.phrase(result.unit or "", truth, bounds)
        words = self.limits.phrase(self.as_printed_unit or self.unit, truth, bounds, self.as_printed)
        is_as_printed = bool(self.as_printed_unit) and result.sent.endswith(f" {self.as_printed_unit}")
        how = ""
        if not is_as_printed and result.conversion is not None:
            how = f" ({result.conversion})"
        elif not is_as_printed and self.as_printed_unit and self.as_printed_unit != self.unit:
            limits = self.limits.map(lambda end: Decimal(rounded(end)))
            how = f" ({limits.phrase(self.unit, truth, bounds)})"
        return said + words + how + self._borderline(result, self.limits)

    def _borderline(self, result: Result, limits: Limits) -> str:
        bounds = result.bounds
        if result.conversion is None or bounds is None or bounds.low is None or bounds.low != bounds.high:
            return ""
        value = bounds.low
        near = any(end != 0 and abs(value - end) <= abs(end) * self.near for end in limits.ends)
        return f"; borderline: within {plain(self.near * 100)} % of the limit after conversion" if near else ""

    def _open(self, choice: Choice, reason: Reason) -> str:
        if not choice.deciding:
            return f"{self.label}: {reason.meaning}"
        result = choice.deciding[0]
        when = f" on {result.when.text[:10]}" if result.when else " without a date"
        if reason is Reason.STALE and self.window is not None:
            return f"{self.label} {result.sent}{when} ({result.source.words}) is older than {self.window}"
        return f"{self.label} {result.sent}{when} ({result.source.words}): {reason.meaning}"


def matching(ranges: tuple[ReferenceRange, ...], case: Case, result: Result) -> list[ReferenceRange]:
    """Give the reference ranges that are for this patient; the site's own only where the result has none usable."""
    day = case.as_of.days(result.when)[0] if result.when else None
    age = case.age(min(day, case.as_of.day)) if day is not None else case.age()
    own = [each for each in ranges if not each.from_site and _is_for(each, case.sex, age)]
    if any(each.high is not None for each in own):
        return [each for each in own if each.high is not None]
    return [each for each in ranges if each.from_site and _is_for(each, case.sex, age)]


def _is_for(limit: ReferenceRange, sex: Sex, age: tuple[int, int] | None) -> bool:
    if limit.population is Population.OTHER:
        return False
    if limit.population is not Population.ANYONE and sex is not Sex.UNKNOWN and limit.population.value != sex.value:
        return False
    if age is None:
        return limit.age_low is None and limit.age_high is None
    low, high = age
    if limit.age_low is not None and high < limit.age_low:
        return False
    return limit.age_high is None or low <= limit.age_high
