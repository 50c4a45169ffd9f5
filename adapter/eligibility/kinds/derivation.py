"""Values computed from other values where none was charted: body-mass index, counts from percentages."""

from decimal import ROUND_HALF_UP, Decimal

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Result
from adapter.eligibility.finding import Evidence
from adapter.eligibility.kinds.selection import evidence_of, newest
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


Derivation = BodyMassIndex | CountFromPercent


def derived(rule: Derivation, case: Case) -> list[Derived] | Reason:
    """Compute the value, once for each set of equally valid sources of the latest day."""
    match rule:
        case BodyMassIndex():
            return case.once(rule, lambda: _body_mass_index(rule, case))
        case CountFromPercent():
            return case.once(rule, lambda: _count(rule, case))


def _is_known(result: Result) -> tuple[Truth, Reason | None]:
    exact = result.bounds is not None and result.bounds.low is not None and result.bounds.low == result.bounds.high
    return (Truth.MET, None) if exact else (Truth.UNKNOWN, result.problem or Reason.COMPARATOR)


def _latest(results: list[Result], case: Case, window: Period) -> list[Result]:
    choice = newest(results, case, window, _is_known)
    if choice.truth is not Truth.MET:
        return []
    return [each for each in choice.deciding if each.problem is None]


def _body_mass_index(rule: BodyMassIndex, case: Case) -> list[Derived] | Reason:
    facts = case.facts.results
    weights = _latest(
        [each for each in facts.get(rule.weight, ()) if each.role in rule.weight_roles], case, rule.weight_window
    )
    heights = _latest(
        [each for each in facts.get(rule.height, ()) if each.role in rule.height_roles], case, rule.height_window
    )
    heights = [each for each in heights if _height_lasts(each, rule, case)]
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
    return made or Reason.NODATA


def _height_lasts(height: Result, rule: BodyMassIndex, case: Case) -> bool:
    """A child still grows: a height taken before adult age counts for a short time only."""
    day, _ = case.as_of.days(height.when)
    age = case.age(day)
    return (age is not None and age[0] >= rule.adult_age) or day >= case.since(rule.child_height_window)


def _number(result: Result) -> Decimal:
    if result.bounds is None or result.bounds.low is None:
        raise ValueError("not an exact number")
    return result.bounds.low


def _count(rule: CountFromPercent, case: Case) -> list[Derived] | Reason:
    results = case.facts.results.get(rule.input, ())
    totals = _latest([each for each in results if each.role == rule.total], case, rule.window)
    made = []
    for total in totals:
        parts: list[list[Result]] = []
        for role in rule.percent:
            same = [each for each in results if each.role == role and _one_specimen(each, total, case)]
            parts.append([each for each in same if each.usable_status])
        if not parts[0] or any(_is_known(each)[0] is not Truth.MET for group in parts for each in group):
            continue
        first, *added = parts
        extra = sum((_number(group[0]) for group in added if group), Decimal(0))
        if any(len({_number(each) for each in group}) > 1 for group in added):
            return Reason.CONFLICT
        for share in first:
            percent = _number(share) + extra
            value = _number(total) * percent / 100
            low, high = rule.plausible
            if percent > 100 or not low <= value <= high:  # noqa: PLR2004 (the whole)
                continue
            shown = (total, share, *(group[0] for group in added if group))
            how = " and ".join(f"{each.sent} ({each.source.words})" for each in shown)
            evidence = tuple(evidence_of(each) for each in shown)
            made.append(Derived(Bounds.exactly(value), rounded(value), f"from {how}", evidence))
    return made or Reason.NODATA


def _one_specimen(part: Result, total: Result, case: Case) -> bool:
    if part.when is None or total.when is None:
        return False
    first, last = case.as_of.days(part.when)
    return first == last and (first, last) == case.as_of.days(total.when)
