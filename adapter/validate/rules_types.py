"""Invariants of data types and of every resource: periods, quantities, references, timing, contained ones."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from adapter.fhir.dates import parse_moment
from adapter.fhir.definitions import Part, Placed
from adapter.fhir.definitions.tree import objects, values
from adapter.fhir.versions import FhirVersion
from adapter.validate.invariants import Json, broken, has, holds, value_of

R4, R5 = FhirVersion.R4, FhirVersion.R5
_UCUM = "http://unitsofmeasure.org"


@broken("ele-1")
def _has_value_or_children(part: Part, _placed: Placed) -> Iterable[str]:
    # _birthDate may hold no more than an id, where birthDate stands beside it.
    is_companion = part.type.name == "Element"
    return () if any(name != "id" or is_companion for name in part.value) else ("",)


@holds("ext-1")
def _has_extensions_or_a_value(node: Json) -> bool:
    return has(node, "extension") != has(node, "value[x]")


def is_after(start: object, end: object) -> bool:
    """Whether the first date is surely later than the second; coarse dates are taken at their earliest and latest."""
    if not isinstance(start, str) or not isinstance(end, str):
        return False
    left, right = parse_moment(start), parse_moment(end)
    if left is None or right is None:
        return False
    if left.instant is not None and right.instant is not None:
        return left.instant > right.instant
    # A day without a time may begin up to 14 hours before or after one told in another zone.
    slack = 0 if left.instant is None and right.instant is None else 1
    return left.first > right.last + slack


@holds("per-1")
def _starts_before_it_ends(node: Json) -> bool:
    return not is_after(node.get("start"), node.get("end"))


@holds("qty-3")
def _a_unit_code_has_a_system(node: Json) -> bool:
    return not has(node, "code") or has(node, "system")


@holds("sqty-1")
def _has_no_comparator(node: Json) -> bool:
    return not has(node, "comparator")


def _has_code_of_ucum(node: Json) -> bool:
    has_code = has(node, "code") or not has(node, "value")
    return has_code and (not has(node, "system") or node.get("system") == _UCUM)


@holds("age-1")
def _is_a_positive_time(node: Json) -> bool:
    return _has_code_of_ucum(node) and not (is_number(node.get("value")) and node["value"] <= 0)


@holds("cnt-3")
def _is_a_whole_count(node: Json) -> bool:
    is_fraction = is_number(node.get("value")) and not isinstance(node["value"], int)
    return _has_code_of_ucum(node) and node.get("code", "1") == "1" and not is_fraction


@holds("dis-1")
def _is_a_length(node: Json) -> bool:
    return _has_code_of_ucum(node)


@holds("drt-1")
def _a_coded_duration_is_in_ucum(node: Json) -> bool:
    return not has(node, "code") or (node.get("system") == _UCUM and has(node, "value"))


def is_number(value: object) -> bool:
    """Whether this is a JSON number (true and false are not)."""
    return isinstance(value, (int, Decimal, float)) and not isinstance(value, bool)


@holds("rng-2")
def _is_low_below_high(node: Json) -> bool:
    low, high = value_of(node, "low.value"), value_of(node, "high.value")
    units = [(value_of(node, f"{end}.system"), value_of(node, f"{end}.code")) for end in ("low", "high")]
    # Only like is compared with like; other units are for the ones who can convert.
    return not (is_number(low) and is_number(high)) or units[0] != units[1] or bool(low <= high)


@holds("rat-1")
def _has_both_terms_or_none(node: Json) -> bool:
    if has(node, "numerator") != has(node, "denominator"):
        return False
    return has(node, "numerator", "extension")


@holds("att-1")
def _data_has_a_content_type(node: Json) -> bool:
    return not has(node, "data") or has(node, "contentType")


@holds("cpt-2")
def _a_contact_value_has_a_system(node: Json) -> bool:
    return not has(node, "value") or has(node, "system")


@holds("exp-1")
def _has_an_expression_or_a_reference(node: Json) -> bool:
    return has(node, "expression", "reference")


@holds("drq-1")
@holds("drq-2")
def _has_a_path_or_a_search_parameter(node: Json) -> bool:
    return has(node, "path") != has(node, "searchParam")


@holds("trd-1")
def _has_data_or_timing(node: Json) -> bool:
    return not (has(node, "data") and has(node, "timing[x]"))


@holds("trd-2")
def _a_condition_has_data(node: Json) -> bool:
    return not has(node, "condition") or has(node, "data")


@holds("tim-1")
def _a_duration_has_a_unit(node: Json) -> bool:
    return not has(node, "duration") or has(node, "durationUnit")


@holds("tim-2")
def _a_period_has_a_unit(node: Json) -> bool:
    return not has(node, "period") or has(node, "periodUnit")


@holds("tim-4")
def _a_duration_is_not_negative(node: Json) -> bool:
    return not (is_number(node.get("duration")) and node["duration"] < 0)


@holds("tim-5")
def _a_period_is_not_negative(node: Json) -> bool:
    return not (is_number(node.get("period")) and node["period"] < 0)


@holds("tim-6")
def _a_longest_period_has_a_period(node: Json) -> bool:
    return not has(node, "periodMax") or has(node, "period")


@holds("tim-7")
def _a_longest_duration_has_a_duration(node: Json) -> bool:
    return not has(node, "durationMax") or has(node, "duration")


@holds("tim-8")
def _a_highest_count_has_a_count(node: Json) -> bool:
    return not has(node, "countMax") or has(node, "count")


@holds("tim-9")
def _an_offset_is_from_an_event(node: Json) -> bool:
    when = values(node.get("when"))
    return not has(node, "offset") or (bool(when) and not any(each in ("C", "CM", "CD", "CV") for each in when))


@holds("tim-10")
def _has_a_time_of_day_or_an_event(node: Json) -> bool:
    return not (has(node, "timeOfDay") and has(node, "when"))


@holds("dos-1", R5)
def _is_as_needed_for_only_when_as_needed(node: Json) -> bool:
    return not has(node, "asNeededFor") or node.get("asNeeded") is not False


@holds("ref-2", R5)
def _refers_to_something(node: Json) -> bool:
    return has(node, "reference", "identifier", "display", "extension")


@broken("ref-1")
def _a_local_reference_is_contained(part: Part, placed: Placed) -> Iterable[str]:
    reference = part.value.get("reference")
    if not isinstance(reference, str) or not reference.startswith("#"):
        return ()
    is_here = placed.is_contained if reference == "#" else placed.contained(reference[1:]) is not None
    return () if is_here else (".reference",)


def _contained(part: Part) -> Iterator[tuple[str, Json]]:
    for index, each in enumerate(values(part.value.get("contained"))):
        if isinstance(each, dict):
            yield f".contained[{index}]", each


@broken("dom-2")
def _contained_ones_contain_none(part: Part, _placed: Placed) -> Iterable[str]:
    return (f"{place}.contained" for place, each in _contained(part) if has(each, "contained"))


@broken("dom-3")
def _contained_ones_are_referred_to(part: Part, _placed: Placed) -> Iterable[str]:
    said = set(_strings(part.value))
    for place, each in _contained(part):
        identity = each.get("id")
        if isinstance(identity, str) and f"#{identity}" not in said and "#" not in set(_strings(each)):
            yield place


@broken("dom-4")
def _contained_ones_have_no_version(part: Part, _placed: Placed) -> Iterable[str]:
    for place, each in _contained(part):
        meta = each.get("meta")
        if isinstance(meta, dict) and has(meta, "versionId", "lastUpdated"):
            yield f"{place}.meta"


@broken("dom-5")
def _contained_ones_have_no_security_label(part: Part, _placed: Placed) -> Iterable[str]:
    for place, each in _contained(part):
        meta = each.get("meta")
        if isinstance(meta, dict) and has(meta, "security"):
            yield f"{place}.meta.security"


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Give every string that could be a local reference."""
    if isinstance(value, str):
        if value.startswith("#"):
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


@broken("inv-1")
def _a_parameter_has_one_content(part: Part, _placed: Placed) -> Iterable[str]:
    if part.type.name != "Parameters.parameter":
        return ()
    node = part.value
    ways = [has(node, "value[x]"), has(node, "resource"), bool(objects(node.get("part")))]
    return () if sum(ways) == 1 else ("",)
