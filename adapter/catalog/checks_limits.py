"""Limits and windows that cannot be meant: empty, never deciding, of an unread unit, or without any effect."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from adapter.catalog.catalog import PlacedAtom, Sources
from adapter.catalog.checks_references import parts
from adapter.catalog.compile import measure_of
from adapter.catalog.yaml_file import Loaded, Path_
from adapter.eligibility.kinds.allergy import SevereAllergy
from adapter.eligibility.kinds.condition import ConditionClause, State
from adapter.eligibility.kinds.dose import DailyDosePerWeight
from adapter.eligibility.kinds.duration import Duration, Earlier
from adapter.eligibility.kinds.events import Events
from adapter.eligibility.kinds.human import Ask
from adapter.eligibility.kinds.medication import MedicationClause, Taken
from adapter.eligibility.kinds.quantity import Age, Quantity
from adapter.eligibility.kinds.record import AllClause, Record, ValueClause
from adapter.eligibility.kinds.sustained import Sustained
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Bounds, Limits, Period, plain
from adapter.errors import Issue
from adapter.mapping.table import Input, Measure

Range = tuple[Decimal, Decimal]
_AGES: Range = (Decimal(0), Decimal(150))
_TOLERANCE = Decimal(2) / 100
"""How far published equivalents may lie apart, as a share."""
_COUNTS: dict[type[msgspec.Struct], dict[str, int]] = {
    ValueClause: {"days": 1},
    Sustained: {"apart": 1},
    MedicationClause: {"gap_days": 0},
    Events: {"at_least": 1, "apart_days": 0},
    SevereAllergy: {"unrelated": 1},
    DailyDosePerWeight: {"largest_change": 0},
}
"""Numbers that are not limits, with the least they can be."""


def limit_issues(sources: Sources) -> Iterator[Issue]:
    """Say every limit and window of the trials that cannot be meant."""
    for placed in sources.atoms:
        for part, at in parts(placed.kind, (*placed.path, "judge")):
            yield from _limits(part, at, placed, sources)
            yield from _lengths(part, at, placed.loaded)
            yield from _pairs(part, at, placed.loaded)


def is_empty(limits: Limits) -> bool:
    """Whether no number lies inside."""
    lows = [(end, strict) for end, strict in ((limits.at_least, False), (limits.more_than, True)) if end is not None]
    highs = [(end, strict) for end, strict in ((limits.at_most, False), (limits.less_than, True)) if end is not None]
    return any(low > high or (low == high and (a or b)) for low, a in lows for high, b in highs)


def in_words(limits: Limits) -> str:
    """Write limits for people: ``at least 7 and below 9``."""
    words = zip(
        ("at least", "above", "at most", "below"),
        (getattr(limits, field) for field in limits.__struct_fields__),
        strict=True,
    )
    return " and ".join(f"{word} {plain(end)}" for word, end in words if end is not None)


def range_issues(limits: Limits, within: Range | None, path: Path_, loaded: Loaded) -> Iterator[Issue]:
    """Say why limits cannot be meant: none, an empty interval, or one that every or no plausible value meets."""
    ends = {field: getattr(limits, field) for field in limits.__struct_fields__}
    given = [field for field, end in ends.items() if end is not None]
    if not given:
        yield loaded.issue(
            "empty-limits", "no limit stands here: write at_least, more_than, at_most or less_than", path
        )
        return
    if is_empty(limits):
        said = f"no number is {in_words(limits)}: correct one of the limits"
        yield loaded.issue("empty-limits", said, (*path, given[-1]))
        return
    if within is None or within[0] >= within[1]:
        return
    low, high = within
    truth = limits.hold(Bounds(low, high))
    if truth is not Truth.UNKNOWN:
        every = "every" if truth is Truth.MET else "no"
        said = f"{every} plausible value ({plain(low)} to {plain(high)}) is {in_words(limits)}"
        yield loaded.issue("idle-limits", f"{said}, so that this never varies", (*path, given[0]))
        return
    for field in given:
        end = ends[field]
        if not low <= end <= high:
            said = f"{plain(end)} lies outside the plausible values ({plain(low)} to {plain(high)})"
            yield loaded.issue("idle-limits", said, (*path, field))


def _limits(part: msgspec.Struct, at: Path_, placed: PlacedAtom, sources: Sources) -> Iterator[Issue]:
    loaded = placed.loaded
    match part:
        case Age():
            yield from range_issues(part.limits, _AGES, (*at, "limits"), loaded)
        case DailyDosePerWeight():
            yield from range_issues(part.limits, None, (*at, "limits"), loaded)
            dose = sources.inputs.get(part.input)
            if dose is not None and part.unit != dose.unit:
                said = f"doses of {part.input} are computed in {dose.unit}: write the limits in it"
                yield loaded.issue("unit", said, (*at, "unit"))
        case Quantity() if part.times_uln:
            if is_empty(part.limits) or any(end <= 0 for end in part.limits.ends) or not part.limits.ends:
                said = "multiples of the upper limit are more than 0, and leave room between them"
                yield loaded.issue("empty-limits", said, (*at, "limits"))
            for field in ("unit", "equivalent"):
                if getattr(part, field):
                    yield _idle(field, "with times_uln", at, loaded)
        case Quantity() | Sustained():
            yield from _measured(part, at, loaded, sources.inputs.get(part.input))
        case ValueClause():
            yield from _of_value(part, at, loaded, sources.inputs.get(part.value))
        case _:
            pass


def _measured(part: Quantity | Sustained, at: Path_, loaded: Loaded, mapped: Input | None) -> Iterator[Issue]:
    measure = measure_of(mapped) if mapped is not None else None
    if measure is None:
        yield from range_issues(part.limits, None, (*at, "limits"), loaded)
        return
    unit = part.unit or measure.unit
    yield from range_issues(part.limits, plausible_in(measure, unit), (*at, "limits"), loaded)
    for other, limits in part.equivalent.items():
        path = (*at, "equivalent", other)
        if other not in kept_units(measure):
            said = f"{other} is not a unit that the mapping compares as reported: its results are converted"
            yield loaded.issue("unit", said, path)
            continue
        if other == unit:
            yield loaded.issue("no-effect", f"the limits in {unit} stand above already", path)
            continue
        yield from range_issues(limits, plausible_in(measure, other), path, loaded)
        yield from _apart(part.limits, unit, limits, other, measure, path, loaded)


def _of_value(part: ValueClause, at: Path_, loaded: Loaded, mapped: Input | None) -> Iterator[Issue]:
    if not part.limits:
        yield loaded.issue("empty-limits", "no limit stands here: write limits by unit", (*at, "limits"))
    if mapped is None:
        return
    roles = part.roles or mapped.decides
    measures = [each for each in mapped.measures if set(each.roles) & {*roles, *_unproven(roles)}]
    first: tuple[str, Limits] | None = None
    for unit, limits in part.limits.items():
        path = (*at, "limits", unit)
        measure = next((each for each in measures if unit in result_units(each)), None)
        if measure is None:
            known = ", ".join(sorted({each for one in measures for each in result_units(one)})) or "none"
            said = f"results of {part.value} are never in {unit}: they are compared in {known}"
            yield loaded.issue("unit", said, path)
            continue
        yield from range_issues(limits, plausible_in(measure, unit), path, loaded)
        if first is not None:
            yield from _apart(first[1], first[0], limits, unit, measure, path, loaded)
        first = first or (unit, limits)


def _unproven(roles: tuple[str, ...]) -> tuple[str, ...]:
    return ("reject",) if "fasting" in roles else ()


def kept_units(measure: Measure) -> list[str]:
    """Give the units that are compared as reported."""
    return [unit for unit, factor in measure.ucum.items() if factor is None]


def result_units(measure: Measure) -> set[str]:
    """Give the units that results of a measure can be in once they are read."""
    converted = (
        {measure.unit} if any(factor is not None for factor in measure.ucum.values()) or measure.score else set()
    )
    return converted | set(kept_units(measure))


def plausible_in(measure: Measure, unit: str) -> Range | None:
    """Give the plausible range in a unit that the measure reads."""
    if unit in measure.plausible:
        return measure.plausible[unit]
    factor, limits = measure.ucum.get(unit), measure.plausible.get(measure.unit)
    if factor is None or limits is None or factor <= 0:
        return None
    return limits[0] / factor, limits[1] / factor


def _apart(
    one: Limits, unit: str, two: Limits, other: str, measure: Measure, path: Path_, loaded: Loaded
) -> Iterator[Issue]:
    """Limits of two units must be the same limits: the plausible ranges of both units say how they convert."""
    here, there = plausible_in(measure, unit), plausible_in(measure, other)
    for field in one.__struct_fields__:
        end, equivalent = getattr(one, field), getattr(two, field)
        if (end is None) != (equivalent is None):
            said = f"{field} stands for one unit and not for the other: write the same limits in both"
            yield loaded.issue("equivalent", said, (*path, field))
        elif end is not None and here is not None and there is not None and here[0] < here[1]:
            expected = there[0] + (end - here[0]) * (there[1] - there[0]) / (here[1] - here[0])
            if abs(equivalent - expected) > abs(expected) * _TOLERANCE:
                said = f"{plain(equivalent)} {other} is not {plain(end)} {unit}, which is about {expected:.1f} {other}"
                yield loaded.issue("equivalent", said, (*path, field))


def _lengths(part: msgspec.Struct, at: Path_, loaded: Loaded) -> Iterator[Issue]:
    """Windows must have a length, and counts a sense."""
    for field in part.__struct_fields__:
        value = getattr(part, field)
        if isinstance(value, Period) and not (value.years or value.months or value.days):
            said = f"{value.text} has no length: write a window such as P30D"
            yield loaded.issue("empty-window", said, (*at, field))
    for field, least in _COUNTS.get(type(part), {}).items():
        if getattr(part, field) < least:
            yield loaded.issue("count", f"{field} is at least {least}", (*at, field))


def _longer(one: Period, other: Period) -> bool:
    """Whether one length is longer than another, whatever the months have of days."""
    return (one.years * 12 + one.months) * 30 + one.days > (other.years * 12 + other.months) * 31 + other.days


def _idle(field: str, why: str, at: Path_, loaded: Loaded) -> Issue:
    return loaded.issue("no-effect", f"{field} has no effect {why}: remove it, or say what it should do", (*at, field))


def _pairs(part: msgspec.Struct, at: Path_, loaded: Loaded) -> Iterator[Issue]:
    """Keys that need each other, and keys without effect."""
    match part:
        case ConditionClause():
            yield from _of_condition(part, at, loaded)
        case MedicationClause():
            if part.taken is Taken.NOW and part.period is not None:
                yield _idle("period", "where taken is now", at, loaded)
            if part.taken is not Taken.NOW and part.period is None:
                yield loaded.issue("missing-key", f"taken {part.taken.value} needs a period", at)
            if part.gap_days and part.taken is not Taken.THROUGHOUT:
                yield _idle("gap_days", "unless taken is throughout", at, loaded)
        case Duration():
            given = [each for each in ("more_than", "at_most", "less_than") if getattr(part, each) is not None]
            if not given:
                yield loaded.issue("missing-key", "a duration needs more_than, at_most or less_than", at)
            for each in given[1:]:
                yield _idle(each, f"beside {given[0]}", at, loaded)
        case Earlier():
            for index, clause in enumerate(part.values):
                for field, default in (("days", 1), ("within", None), ("gives", None)):
                    if getattr(clause, field) != default:
                        yield _idle(field, "in what dates a disease earlier", (*at, "values", index), loaded)
        case Record():
            if not part.any:
                yield loaded.issue("missing-key", "nothing stands here: write at least one clause", (*at, "any"))
            if (part.empty_list is None) != (part.empty_list_within is None):
                yield loaded.issue("missing-key", "empty_list and empty_list_within need each other", at)
        case AllClause() if not part.all:
            yield loaded.issue("missing-key", "nothing stands here: write at least one clause", (*at, "all"))
        case DailyDosePerWeight() if part.largest_change and part.stable is None:
            yield _idle("largest_change", "without stable", at, loaded)
        case Ask() if not part.shows:
            for field in ("window", "missing"):
                if getattr(part, field) is not None:
                    yield _idle(field, "without shows", at, loaded)
        case Sustained():
            if _longer(Period("", days=part.apart), part.reach):
                said = f"a run of {part.apart} days does not fit into {part.reach}: lengthen reach"
                yield loaded.issue("empty-window", said, (*at, "reach"))
            if _longer(part.refuted_in, part.reach):
                said = f"values older than {part.reach} are not looked at: lengthen reach"
                yield loaded.issue("empty-window", said, (*at, "refuted_in"))
        case _:
            pass


def _of_condition(part: ConditionClause, at: Path_, loaded: Loaded) -> Iterator[Issue]:
    if part.state is State.WITHIN:
        if part.within is None:
            yield loaded.issue("missing-key", "the state within needs within, a length of time", at)
        elif part.grey is not None and not _longer(part.grey, part.within):
            yield loaded.issue("empty-window", "grey is longer than within, or has no effect", (*at, "grey"))
    else:
        for field, default in (("within", None), ("grey", None), ("end_counts", False)):
            if getattr(part, field) != default:
                yield _idle(field, f"in the state {part.state.value}", at, loaded)
    if part.state is not State.ACTIVE:
        for field in ("dated_in", "no_longer_than"):
            if getattr(part, field) is not None:
                yield _idle(field, f"in the state {part.state.value}", at, loaded)
