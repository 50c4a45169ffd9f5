"""Values computed from other values where none was charted: body-mass index, counts from percentages."""

from decimal import ROUND_HALF_UP, Decimal

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Result
from adapter.eligibility.finding import Evidence
from adapter.eligibility.kinds.selection import evidence_of, most_telling, newest
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Bounds, Period, plain, rounded


class Derived(msgspec.Struct, frozen=True):
    """A computed value with how it was made."""

    bounds: Bounds
    words: str
    how: str
    evidence: tuple[Evidence, ...]
    unrounded: Decimal | None = None
    day: int = 0
    """The day it stands for."""


class NotDerived(msgspec.Struct, frozen=True):
    """Why a value cannot be computed, and what was looked at."""

    reason: Reason
    evidence: tuple[Evidence, ...] = ()
    day: int = 0
    """The last day it may have stood for, where only a date too coarse is in the way; 0 otherwise."""


class BodyMassIndex(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="weight-over-height-squared"
):
    """Weight in kg over height in m squared, rounded half up as a charted index is."""

    weight: str
    height: str
    weight_window: Period
    height_window: Period
    """For a height measured at ``adult_age`` or later."""
    child_height_window: Period
    adult_age: int
    step: Decimal
    plausible: tuple[Decimal, Decimal]
    weight_roles: tuple[str, ...] = ()
    height_roles: tuple[str, ...] = ()

    def reads(self) -> frozenset[str]:
        """Give the inputs it is computed from."""
        return frozenset((self.weight, self.height))

    @property
    def competes(self) -> bool:
        """A computed index stands in only where no usable one was charted."""
        return False


class CountFromPercent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="percent-of-total-count"
):
    """A cell count as the total count times its percentages, all of one specimen (one instant or day)."""

    input: str
    total: str
    """Role of the total count among the input's codes."""
    percent: tuple[str, ...]
    """Roles of the percentages; the first is needed, the others are added where present."""
    window: Period
    plausible: tuple[Decimal, Decimal]

    def reads(self) -> frozenset[str]:
        """Give the input it is computed from."""
        return frozenset((self.input,))

    @property
    def competes(self) -> bool:
        """A count from percentages is as good as one counted: the later of the two decides."""
        return True


Derivation = BodyMassIndex | CountFromPercent


def derived(rule: Derivation, case: Case) -> list[Derived] | NotDerived:
    """Compute the value, once for each set of equally valid sources of the latest day."""
    match rule:
        case BodyMassIndex():
            return case.once(rule, lambda case: _body_mass_index(rule, case))
        case CountFromPercent():
            return case.once(rule, lambda case: _count(rule, case))


def _is_known(result: Result) -> tuple[Truth, Reason | None]:
    exact = result.bounds is not None and result.bounds.low is not None and result.bounds.low == result.bounds.high
    return (Truth.MET, None) if exact else (Truth.UNKNOWN, result.problem or Reason.COMPARATOR)


def _latest(results: list[Result], case: Case, window: Period) -> list[Result] | NotDerived:
    choice = newest(results, case, window, _is_known)
    if choice.truth is not Truth.MET:
        return NotDerived(choice.reason or Reason.NODATA, tuple(evidence_of(each) for each in choice.deciding))
    return [each for each in choice.deciding if each.problem is None]


def _together(*parts: list[Result] | NotDerived) -> NotDerived:
    """Give the reason that tells most of the parts that are missing."""
    missing = [each for each in parts if isinstance(each, NotDerived)]
    reason = most_telling(each.reason for each in missing)
    return NotDerived(reason, tuple(item for each in missing if each.reason is reason for item in each.evidence))


def _body_mass_index(rule: BodyMassIndex, case: Case) -> list[Derived] | NotDerived:
    facts = case.facts.results
    weights = _latest(
        [each for each in facts.get(rule.weight, ()) if each.role in rule.weight_roles], case, rule.weight_window
    )
    heights = _heights(rule, case)
    if isinstance(weights, NotDerived) or isinstance(heights, NotDerived):
        return _together(weights, heights)
    made = []
    for weight in weights:
        for height in heights:
            kilograms, metres = _number(weight), _number(height)
            if metres == 0:
                continue
            unrounded = kilograms / (metres * metres)
            value = unrounded.quantize(rule.step, rounding=ROUND_HALF_UP)
            low, high = rule.plausible
            if not low <= value <= high:
                continue
            evidence = (evidence_of(weight), evidence_of(height))
            how = f"from {weight.sent} ({weight.source.words}) and {height.sent} ({height.source.words})"
            made.append(Derived(Bounds.exactly(value), plain(value), how, evidence, unrounded))
    return made or NotDerived(Reason.IMPLAUSIBLE, tuple(evidence_of(each) for each in (*weights, *heights)))


def _heights(rule: BodyMassIndex, case: Case) -> list[Result] | NotDerived:
    results = [each for each in case.facts.results.get(rule.height, ()) if each.role in rule.height_roles]
    heights = _latest(results, case, rule.height_window)
    if isinstance(heights, NotDerived):
        return heights
    lasting = [each for each in heights if _height_lasts(each, rule, case)]
    return lasting or NotDerived(Reason.STALE, tuple(evidence_of(each) for each in heights))


def _height_lasts(height: Result, rule: BodyMassIndex, case: Case) -> bool:
    """A child still grows: a height taken before adult age counts for a short time only."""
    day, _ = case.as_of.days(height.when)
    age = case.age(day)
    return (age is not None and age[0] >= rule.adult_age) or day >= case.since(rule.child_height_window)


def _number(result: Result) -> Decimal:
    if result.bounds is None or result.bounds.low is None:
        raise ValueError("not an exact number")
    return result.bounds.low


def _count(rule: CountFromPercent, case: Case) -> list[Derived] | NotDerived:
    results = case.facts.results.get(rule.input, ())
    totals = _latest([each for each in results if each.role == rule.total], case, rule.window)
    shares = [each for each in results if each.role in rule.percent and each.usable_status]
    if isinstance(totals, NotDerived):
        is_open = totals.reason is Reason.DATE and any(each.role == rule.percent[0] for each in shares)
        return NotDerived(totals.reason, totals.evidence, case.as_of.day if is_open else 0)
    made = []
    missing: list[Reason] = []
    for total in totals:
        parts: list[list[Result]] = []
        for role in rule.percent:
            same = [each for each in results if each.role == role and _one_specimen(each, total, case)]
            parts.append([each for each in same if each.usable_status])
            missing.extend([Reason.STATUS] if same and not parts[-1] and role == rule.percent[0] else [])
        doubts = [reason for group in parts for each in group if (reason := _is_known(each)[1]) is not None]
        doubts.extend(Reason.DATE for each in shares if _may_be_of_specimen(each, total, case))
        missing.extend(doubts)
        if not parts[0] or doubts:
            continue
        first, *added = parts
        extra = sum((_number(group[0]) for group in added if group), Decimal(0))
        if any(len({_number(each) for each in group}) > 1 for group in added):
            return NotDerived(Reason.CONFLICT, tuple(evidence_of(each) for group in added for each in group))
        for share in first:
            percent = _number(share) + extra
            value = _number(total) * percent / 100
            low, high = rule.plausible
            if percent > 100 or not low <= value <= high:  # noqa: PLR2004 (the whole)
                continue
            shown = (total, share, *(group[0] for group in added if group))
            how = " and ".join(f"{each.sent} ({each.source.words})" for each in shown)
            evidence = tuple(evidence_of(each) for each in shown)
            day, _ = case.as_of.days(total.when)
            made.append(Derived(Bounds.exactly(value), rounded(value), f"from {how}", evidence, day=day))
    if made:
        return made
    reason = most_telling(missing or [Reason.NODATA])
    last = max(min(case.as_of.days(each.when)[1], case.as_of.day) for each in totals)
    return NotDerived(reason, tuple(evidence_of(each) for each in totals), last if Reason.DATE in missing else 0)


def _one_specimen(part: Result, total: Result, case: Case) -> bool:
    if part.when is None or total.when is None:
        return False
    first, last = case.as_of.days(part.when)
    return first == last and (first, last) == case.as_of.days(total.when)


def _may_be_of_specimen(part: Result, total: Result, case: Case) -> bool:
    """Whether a date too coarse to say leaves open that it belongs to the same day."""
    first, last = case.as_of.days(part.when)
    day, of_day = case.as_of.days(total.when)
    return (first < last or day < of_day) and first <= of_day and day <= last
