"""The computable form of kinds that compare numbers, answers and lengths of time, in plain words."""

from collections.abc import Iterator
from typing import assert_never

from adapter.eligibility.kinds.derivation import BodyMassIndex, CountFromPercent, Derivation
from adapter.eligibility.kinds.dose import DailyDosePerWeight
from adapter.eligibility.kinds.duration import Duration
from adapter.eligibility.kinds.quantity import Age, Quantity
from adapter.eligibility.kinds.result import ResultIs
from adapter.eligibility.kinds.sustained import Sustained
from adapter.eligibility.reason import Reason
from adapter.eligibility.values import Limits
from adapter.mapping.table import NumberAnswer
from adapter.rendering.wording import (
    Form,
    Left,
    Line,
    Number,
    Text,
    Words,
    converted,
    left,
    length,
    line,
    listed,
    say,
    unit_in_print,
)


def age(kind: Age, words: Words) -> Form:
    """Say the form of an age limit."""
    limits = words.at("limits").limits(kind.limits, "years")
    return Form(
        (line("age in completed years, on the day of the question, is ", limits),),
        (line("it lies outside these limits"),),
        (left(Reason.NODATA, "no date of birth"), left(Reason.DATE, "a date of birth too partial to say")),
    )


def quantity(kind: Quantity, words: Words) -> Form:
    """Say the form of a value against limits."""
    value = words.input(kind.input)
    window = words.window(kind.window, kind.input) if kind.window is not None else None
    met = line("the latest ", value, _taken(window), " is ", _limits(kind, words))
    notes = (_derived(kind.derive, kind.input, words),) if kind.derive is not None else ()
    not_met = [line("the latest lies outside these limits")]
    if kind.only is not None:
        not_met.append(line(f"the patient is not {kind.only}: the sentence does not apply"))
    unknown = list(_unclear(kind.input, window, words))
    if kind.times_uln:
        unknown.append(left(Reason.SEX, "the sex is not known, and the reference limits of the sexes disagree"))
        unknown.append(left(Reason.ULN, "the result brings no usable upper reference limit, and the site gives none"))
    if kind.only is not None:
        unknown.append(left(Reason.SEX, f"the sex is not known, and the limit for {kind.only} patients is met"))
    return Form((met,), tuple(not_met), tuple(unknown), notes)


def sustained(kind: Sustained, words: Words) -> Form:
    """Say the form of a state that lasted."""
    window = words.window(kind.window, kind.input) if kind.window is not None else None
    limits = _with_equivalents(words.at("limits").limits(kind.limits, kind.unit), kind.equivalent, words)
    run = (
        line("at least two, the first and the last at least ", words.number(kind.apart, "apart", "days"), " apart"),
        line("every one of them ", limits),
        line("the first no older than ", words.length(kind.reach, "reach")),
        line("the last no older than ", window) if window is not None else line("the last is the latest on record"),
    )
    met = line("a run of ", words.input(kind.input), " values:", inside=run)
    refuted = words.length(kind.refuted_in, "refuted_in")
    unknown = (left(Reason.ONE_VALUE, "one value only, or no run so long"), *_unclear(kind.input, window, words))
    return Form((met,), (line("a value outside these limits within the last ", refuted),), unknown)


def result_is(kind: ResultIs, words: Words) -> Form:
    """Say the form of a qualitative answer."""
    window = words.window(kind.window, kind.input) if kind.window is not None else None
    met = [line("the latest ", words.input(kind.input), _taken(window), f" is {kind.answer}")]
    if kind.or_condition:
        sets = words.sets(kind.or_condition)
        met.append(line("where no result counts, an active condition begun in that time: ", sets))
    other = "negative" if kind.answer == "positive" else "positive"
    unknown = (left(Reason.CONFLICT, "the answer is neither positive nor negative"),)
    notes = tuple(number_answers(kind.input, words))
    return Form(tuple(met), (line(f"it is {other}"),), (*unknown, *_unclear(kind.input, window, words)), notes)


def duration(kind: Duration, words: Words) -> Form:
    """Say the form of how long a disease has lasted."""
    sets = words.sets(kind.condition)
    if kind.more_than is not None:
        limit, verb = say("more than ", words.length(kind.more_than, "more_than")), "so that it is met"
    elif kind.at_most is not None:
        limit, verb = say("at most ", words.length(kind.at_most, "at_most")), "so that it is not met, or left open"
    elif kind.less_than is not None:
        limit, verb = (
            say("less than ", words.length(kind.less_than, "less_than")),
            "so that it is not met, or left open",
        )
    else:
        raise ValueError("a duration needs more_than, at_most or less_than")
    earlier = kind.earlier
    signs: list[Line] = []
    if earlier.conditions:
        signs.append(line("a condition: ", words.sets(earlier.conditions)))
    if earlier.medications:
        signs.append(line("a drug: ", words.sets(earlier.medications)))
    for number, clause in enumerate(earlier.values):
        written = words.at("earlier", "values", number)
        ends = [written.at("limits", unit).limits(each, unit) for unit, each in clause.limits.items()]
        signs.append(line("a value: ", words.input(clause.value, clause.roles), " ", listed(ends, "or")))
    by = "by onset or stated date of diagnosis"
    by += ", or by the date it was recorded" if kind.more_than is not None else ""
    met = line(sets, " began ", limit, f" before the question, {by}")
    notes = (line(f"an earlier sign can only make it longer, {verb}:", inside=tuple(signs)),) if signs else ()
    unknown = (
        left(Reason.NODATA, "no record of the disease"),
        left(Reason.DATE, "the beginning is not dated well enough: a recorded date alone is only the latest it can be"),
        left(Reason.VERIFY, "the disease, or a sign that would make it longer, is not confirmed"),
    )
    return Form((met,), (line("it did not"),), unknown, notes)


def daily_dose(kind: DailyDosePerWeight, words: Words) -> Form:
    """Say the form of a dose a day and body weight."""
    parts = [
        line(
            words.input(kind.input),
            ", all products of ",
            words.sets(kind.medication),
            " together, is ",
            words.at("limits").limits(kind.limits, kind.unit),
        ),
        line("the ", words.input(kind.weight), " is no older than ", words.length(kind.weight_window, "weight_window")),
    ]
    if kind.stable is not None:
        change = words.number(kind.largest_change * 100, "largest_change", "%")
        period = words.length(kind.stable, "stable")
        parts.append(line("so for the last ", period, ", never changed by more than ", change))
    met = line("all of these together:", inside=tuple(parts))
    unknown = (
        left(Reason.NODATA, "no such drug, or no weight, is on record"),
        left(Reason.DOSE, "a part of the dose is not structured: as needed, sliding scale, a range, free text"),
        left(Reason.MEDS, "the dates leave open when it is taken"),
        left(Reason.CONFLICT, "two orders that may be one, or unequal doses or weights"),
        left(Reason.STALE, "the weight is older than that"),
        left(Reason.STATUS, "no weight is final"),
        left(Reason.UNIT, "the weight has no readable number and unit"),
        left(Reason.IMPLAUSIBLE, "the weight is not plausible"),
        left(Reason.COMPARATOR, "the weight is no exact number"),
        left(Reason.DATE, "the weight is not dated well enough"),
        left(Reason.ABSENT_REASON, "a reason stands in place of the weight"),
    )
    return Form((met,), (line("the dose can be computed throughout, and is not so"),), unknown)


def number_answers(name: str, words: Words) -> Iterator[Line]:
    """Say how numbers of a qualitative input are read."""
    mapped = words.catalog.mappings.inputs.get(name)
    rules = mapped.answers.numbers if mapped is not None and mapped.answers is not None else ()
    for index, rule in enumerate(rules):
        place = ("inputs", name, "answers", "numbers", index)
        said = say("a number", f" in {unit_in_print(rule.unit)}" if rule.unit else "", f" ({_roles(rule)}): positive ")
        said = say(said, _mapped_limits(rule.positive, (*place, "positive"), words))
        if rule.negative is not None:
            said = say(said, "; negative ", _mapped_limits(rule.negative, (*place, "negative"), words))
        yield line(said, ", or below the limit of detection" if rule.below_detection else "")


def _roles(rule: NumberAnswer) -> str:
    return ", ".join(role.replace("_", " ") for role in rule.roles)


def _mapped_limits(limits: Limits, place: tuple[str | int, ...], words: Words) -> Text:
    bare = Words(words.catalog, None).limits(limits, "")
    fields = (field for field in limits.__struct_fields__ if getattr(limits, field) is not None)
    return tuple(words.mapped(part.words, *place, next(fields)) if isinstance(part, Number) else part for part in bare)


def _taken(window: Number | None) -> Text:
    return say(", no older than ", window, ",") if window is not None else ()


def _limits(kind: Quantity, words: Words) -> Text:
    written = words.at("limits")
    if kind.times_uln:
        return say(written.limits(kind.limits, "times"), " the upper reference limit of the same result")
    printed, unit = kind.as_printed or kind.limits, kind.as_printed_unit or kind.unit
    said = written.limits(printed, unit)
    if unit != kind.unit and printed != kind.limits:
        compared = Words(words.catalog, None).limits(converted(kind.limits), kind.unit)
        said = say(said, " (compared in one unit: ", compared, ")")
    return _with_equivalents(said, kind.equivalent, words)


def _with_equivalents(said: Text, equivalent: dict[str, Limits], words: Words) -> Text:
    for unit, each in equivalent.items():
        same = words.at("equivalent", unit).limits(each, unit)
        said = say(said, f"; reported in {unit_in_print(unit)}, ", same)
    return said


def _derived(rule: Derivation, name: str, words: Words) -> Line:
    match rule:
        case BodyMassIndex():
            weight = words.mapped(length(rule.weight_window), "inputs", name, "derive", "weight_window")
            height = words.mapped(length(rule.height_window), "inputs", name, "derive", "height_window")
            child = words.mapped(length(rule.child_height_window), "inputs", name, "derive", "child_height_window")
            adult = words.mapped(str(rule.adult_age), "inputs", name, "derive", "adult_age")
            return line(
                "where none is charted, computed from ",
                words.input(rule.weight),
                " (no older than ",
                weight,
                ") and ",
                words.input(rule.height),
                " (no older than ",
                height,
                "; measured before the age of ",
                adult,
                ", than ",
                child,
                ")",
            )
        case CountFromPercent():
            window = words.mapped(length(rule.window), "inputs", name, "derive", "window")
            return line(
                "or the total count times its percentages of the same specimen, no older than ",
                window,
                ": the later of the two decides, and of one day both must agree",
            )
        case _:
            assert_never(rule)


def _unclear(name: str, window: Number | None, words: Words) -> Iterator[Left]:
    yield left(Reason.NODATA, "none is on record")
    if window is not None:
        yield left(Reason.STALE, "the latest is older than that")
    yield left(Reason.CONFLICT, "results of one day disagree")
    yield from unreadable(name, words)


def unreadable(name: str, words: Words) -> Iterator[Left]:
    """Say why results of an input that are on record may say nothing."""
    mapped = words.catalog.mappings.inputs.get(name)
    yield left(Reason.STATUS, "none is final")
    yield left(Reason.DATE, "it is not dated well enough")
    yield left(Reason.ABSENT_REASON, "a reason, or nothing, stands in place of the value")
    if mapped is None:
        return
    if mapped.needs_fasting:
        yield left(Reason.FASTING, "it is not shown to be fasting")
    if mapped.measures:
        yield left(Reason.UNIT, "no readable number and unit")
        yield left(Reason.IMPLAUSIBLE, "it is not plausible")
        yield left(Reason.COMPARATOR, "a sign such as < leaves both sides possible")
    elif mapped.answers is not None:
        yield left(Reason.UNIT, "a number that is no answer by itself")
    if mapped.answers is not None:
        yield left(Reason.TEXT, "the answer stands in words that are not read")
