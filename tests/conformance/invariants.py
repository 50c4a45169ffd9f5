"""HL7's invariants as plain predicates: each answers whether the element keeps the rule of that key.

Where a key holds stands in the StructureDefinitions; what it asks is written here, by release where releases differ.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from conformance.definitions import Json
from conformance.narrative import has_content, is_plain_html


class Standing(msgspec.Struct, frozen=True):
    """Where an element stands: the resource it is part of, and the outermost one."""

    resource: Json
    root: Json


Predicate = Callable[[Any, Standing], bool]
RULES: dict[tuple[str, str], Predicate] = {}
BUILT_IN = frozenset(("ele-1",))
"""Kept by the walk itself, which meets every element."""

NAME = re.compile(r"[A-Z][A-Za-z0-9_]{0,254}")


def rule(*keys: str, only: str | None = None) -> Callable[[Predicate], Predicate]:
    """Name the invariants that a predicate answers, in both releases or only one."""

    def register(predicate: Predicate) -> Predicate:
        for key in keys:
            for release in (only,) if only else ("R4", "R5"):
                assert (key, release) not in RULES, key
                RULES[key, release] = predicate
        return predicate

    return register


def states(question: Callable[[Any], bool], *keys: str, only: str | None = None) -> None:
    """Name the invariants that a question about the element alone answers."""
    rule(*keys, only=only)(lambda element, _standing: question(element))


def has(element: Json, *names: str) -> bool:
    """Whether any of the elements is there, if only as an extension; ``value[x]`` means any of its types."""
    for name in names:
        if name.endswith("[x]"):
            start = re.compile(rf"_?{name[:-3]}[A-Z]")
            if any(start.match(key) for key in element):
                return True
        elif name in element or f"_{name}" in element:
            return True
    return False


def many(element: Json, name: str) -> list[Any]:
    """Give what a repeating element holds."""
    found = element.get(name, [])
    return found if isinstance(found, list) else [found]


def one_of(element: Json, *names: str) -> bool:
    """Whether exactly one of the elements is there."""
    return sum(has(element, each) for each in names) == 1


def descendants(element: object) -> Iterator[Json]:
    """Give every object below, and the element itself."""
    if isinstance(element, dict):
        yield element
        for each in element.values():
            yield from descendants(each)
    elif isinstance(element, list):
        for each in element:
            yield from descendants(each)


def strings(element: object) -> Iterator[str]:
    """Give every string below."""
    if isinstance(element, str):
        yield element
    for each in element.values() if isinstance(element, dict) else element if isinstance(element, list) else ():
        yield from strings(each)


# Resources and their contents
states(lambda e: all("contained" not in each for each in many(e, "contained")), "dom-2")
states(
    lambda e: all(not has(each.get("meta", {}), "versionId", "lastUpdated") for each in many(e, "contained")), "dom-4"
)
states(lambda e: all("security" not in each.get("meta", {}) for each in many(e, "contained")), "dom-5")
states(lambda e: has(e.get("text", {}), "div"), "dom-6")


@rule("dom-3")
def contained_are_used(element: Json, _: Standing) -> bool:
    """Contained resources are referred to, or refer to what contains them."""
    said = set(strings(element))
    return all(f"#{each.get('id')}" in said or "#" in set(strings(each)) for each in many(element, "contained"))


@rule("ref-1")
def local_reference_resolves(element: Json, standing: Standing) -> bool:
    """A reference to ``#id`` finds a contained resource."""
    reference = element.get("reference", "")
    contained = {f"#{each.get('id')}" for each in many(standing.root, "contained")}
    return not reference.startswith("#") or reference in contained or reference == "#"


# Names and addresses of definitions
NAMES = ("pdf-0", "lib-0", "vsd-0", "cmd-0", "que-0", "evv-0")
states(lambda e: "name" not in e or bool(NAME.fullmatch(e["name"])), *NAMES, only="R4")
states(lambda e: "name" not in e or bool(re.fullmatch(r"[A-Z][A-Za-z0-9_]{1,254}", e["name"])), "cnl-0", only="R5")
states(lambda url: bool(re.fullmatch(r"[^|# ]+", url)), "cnl-1", only="R5")

# Data types
states(lambda e: has(e, "extension") != has(e, "value[x]"), "ext-1")
states(lambda e: not has(e, "code") or has(e, "system"), "qty-3")
states(lambda e: not has(e, "comparator"), "sqty-1")
states(lambda e: has(e, "reference", "identifier", "display", "extension"), "ref-2", only="R5")
states(lambda e: has(e, "value"), "ident-1", only="R5")
states(lambda e: has(e, "code") or not has(e, "display"), "cod-1", only="R5")
states(lambda e: not has(e, "data") or has(e, "contentType"), "att-1")
states(lambda e: not has(e, "value") or has(e, "system"), "cpt-2")
states(lambda e: has(e, "expression", "reference"), "exp-1")
states(lambda e: "name" not in e or bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", e["name"])), "exp-2", only="R5")
states(lambda e: one_of(e, "path", "searchParam"), "drq-1", "drq-2")
states(lambda e: not (has(e, "data") and has(e, "timing[x]")), "trd-1")
states(lambda e: not has(e, "condition") or has(e, "data"), "trd-2")
states(is_plain_html, "txt-1")
states(has_content, "txt-2")
TRIGGER_NEEDS = {"named-event": "name", "periodic": "timing[x]"}
states(
    lambda e: (
        has(e, TRIGGER_NEEDS.get(e.get("type", ""), "type"))
        and (not e.get("type", "").startswith("data-") or has(e, "data"))
    ),
    "trd-3",
)
states(
    lambda e: (
        (has(e, "code") or not has(e, "value"))
        and e.get("system", "http://unitsofmeasure.org") == "http://unitsofmeasure.org"
        and e.get("value", 1) > 0
    ),
    "age-1",
)
states(lambda e: not has(e, "code") or (e.get("system") == "http://unitsofmeasure.org" and has(e, "value")), "drt-1")


@rule("rng-2")
def low_is_not_above_high(element: Json, _: Standing) -> bool:
    """A range's bounds are in order, where they are in one unit."""
    low, high = element.get("low", {}), element.get("high", {})
    if "value" not in low or "value" not in high or low.get("code") != high.get("code"):
        return True
    return bool(low["value"] <= high["value"])


@rule("per-1")
def start_is_not_after_end(element: Json, _: Standing) -> bool:
    """A period's bounds are in order, as far as both are precise."""
    start, end = str(element.get("start", ""))[:10], str(element.get("end", ""))[:10]
    precise = min(len(start), len(end))
    return start[:precise] <= end[:precise]


# Timing
states(lambda e: not has(e, "duration") or has(e, "durationUnit"), "tim-1")
states(lambda e: not has(e, "period") or has(e, "periodUnit"), "tim-2")
states(lambda e: e.get("duration", 0) >= 0, "tim-4")
states(lambda e: e.get("period", 0) >= 0, "tim-5")
states(lambda e: not has(e, "periodMax") or has(e, "period"), "tim-6")
states(lambda e: not has(e, "durationMax") or has(e, "duration"), "tim-7")
states(lambda e: not has(e, "countMax") or has(e, "count"), "tim-8")
MEALS = {"C", "CM", "CD", "CV"}
states(lambda e: not has(e, "offset") or bool(many(e, "when") and not MEALS & set(many(e, "when"))), "tim-9")
states(lambda e: not (has(e, "timeOfDay") and has(e, "when")), "tim-10")
states(
    lambda e: not (e.get("allDay") and has(e, "availableStartTime", "availableEndTime")),
    "av-1",
    only="R5",
)

# Groups, organisations
states(lambda e: not has(e, "member") or e.get("actual") is True, "grp-1", only="R4")
states(lambda e: has(e, "identifier", "name"), "org-1")
states(lambda e: e.get("use") != "home", "org-2", "org-3", only="R4")
states(lambda e: all(each.get("use") != "home" for each in many(e, "telecom")), "org-3", only="R5")
states(lambda e: e.get("address", {}).get("use") != "home", "org-4", only="R5")

# Plans and evidence variables
states(lambda e: one_of(e, "requirement", "relatedData"), "pld-0", "pld-1", only="R5")


@rule("pld-3", only="R5")
def goals_are_there(element: Json, _: Standing) -> bool:
    """An action's goals are goals of the plan."""
    goals = {each.get("id") for each in many(element, "goal")}
    return all(each in goals for action in descendants(element.get("action", [])) for each in many(action, "goalId"))


@rule("pld-4", only="R5")
def related_actions_are_there(element: Json, _: Standing) -> bool:
    """A related action is an action of the plan, by its id."""
    below = list(descendants(element.get("action", [])))
    ids = {each["id"] for each in below if "id" in each}
    return all(related.get("targetId") in ids for each in below for related in many(each, "relatedAction"))


DEFINED_BY = ("Reference", "Canonical", "CodeableConcept", "Id", "ByTypeAndValue", "ByCombination")
states(lambda e: sum(has(e, f"definition{each}") for each in DEFINED_BY) <= 1, "evv-1", only="R5")


@rule("clb-1")
def one_content_is_cql(element: Json, _: Standing) -> bool:
    """Exactly one content of a CQL library is its source (stated by the CQL IG's profiles)."""
    return sum(str(each.get("contentType", "")).startswith("text/cql") for each in many(element, "content")) == 1
