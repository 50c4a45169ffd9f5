"""The invariants of value sets, concept maps, questionnaires and Bundles, as plain predicates."""

from typing import Any

from conformance.definitions import Json
from conformance.invariants import Standing, descendants, has, many, one_of, rule, states

# Value sets
states(lambda e: has(e, "valueSet", "system"), "vsd-1")
states(lambda e: not has(e, "concept", "filter") or has(e, "system"), "vsd-2")
states(lambda e: not (has(e, "concept") and has(e, "filter")), "vsd-3")
states(lambda e: has(e, "code", "display"), "vsd-6")
states(lambda e: has(e, "code") or e.get("abstract") is True, "vsd-9")
states(lambda e: not has(e, "code") or has(e, "system"), "vsd-10")
states(lambda e: not has(e, "additionalUse") or has(e, "use"), "vsd-11", only="R5")
VALUE_SET = "http://hl7.org/fhir/StructureDefinition/valueset-"
OTHER_DEFINITIONS = {f"{VALUE_SET}rules-text", f"{VALUE_SET}expression"}
states(
    lambda e: has(e, "compose") + len(OTHER_DEFINITIONS & {each.get("url") for each in many(e, "extension")}) == 1,
    "cvs-1",
    only="R5",
)

# Concept maps
states(lambda e: has(e, "comment") or e.get("equivalence") not in ("narrower", "inexact"), "cmd-1", only="R4")
states(lambda e: e.get("mode") != "fixed" or has(e, "code"), "cmd-2", only="R4")
states(lambda e: e.get("mode") != "other-map" or has(e, "url"), "cmd-3", only="R4")
states(lambda e: e.get("mode") != "fixed" or one_of(e, "code", "valueSet"), "cmd-2", only="R5")
states(lambda e: e.get("mode") != "other-map" or has(e, "otherMap"), "cmd-3", only="R5")
states(lambda e: e.get("noMap") is not True or not has(e, "target"), "cmd-4", only="R5")
states(lambda e: one_of(e, "code", "valueSet"), "cmd-5", "cmd-7", only="R5")
states(lambda e: one_of(e, "value[x]", "valueSet"), "cmd-6", only="R5")
states(lambda e: e.get("mode") == "fixed" or not has(e, "code", "display", "valueSet"), "cmd-8", only="R5")
states(lambda e: e.get("mode") == "other-map" or has(e, "relationship"), "cmd-9", only="R5")
states(lambda e: e.get("mode") == "other-map" or not has(e, "otherMap"), "cmd-10", only="R5")
states(lambda e: e.get("type") != "code" or has(e, "system"), "cmd-11", only="R5")
VAGUE = ("source-is-broader-than-target", "not-related-to")


@rule("cmd-1", only="R5")
def vague_maps_are_commented(element: Json, standing: Standing) -> bool:
    """A map to something broader or unrelated says why, unless the map is a draft."""
    is_draft = standing.resource.get("status") == "draft"
    return has(element, "comment") or is_draft or element.get("relationship") not in VAGUE


# Questionnaires
@rule("que-2")
def link_ids_differ(element: Json, _: Standing) -> bool:
    """No two items share a linkId."""
    ids = [each["linkId"] for each in descendants(element.get("item", [])) if "linkId" in each]
    return len(ids) == len(set(ids))


def is_a(element: Json, *types: str) -> bool:
    """Whether an item is of one of the types."""
    return element.get("type") in types


R4_LISTED = ("choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity")
R5_LISTED = ("coding", "decimal", "integer", "date", "dateTime", "time", "string", "quantity")
SHORT = ("boolean", "decimal", "integer", "string", "text", "url")

states(
    lambda e: (not is_a(e, "group") or has(e, "item")) and not (is_a(e, "display") and has(e, "item")),
    "que-1",
    only="R4",
)
states(lambda e: not is_a(e, "group") or has(e, "item"), "que-1b", only="R5")
states(lambda e: not is_a(e, "display") or not has(e, "item"), "que-1c", only="R5")
rule("que-1a", only="R5")(
    lambda e, standing: not is_a(e, "group") or standing.resource.get("status") != "complete" or has(e, "item")
)
states(lambda e: not is_a(e, "display") or not has(e, "code"), "que-3")
states(lambda e: not (has(e, "answerOption") and has(e, "answerValueSet")), "que-4")
states(lambda e: is_a(e, *R4_LISTED) or not has(e, "answerOption", "answerValueSet"), "que-5", only="R4")
states(lambda e: is_a(e, *R5_LISTED) or not has(e, "answerOption", "answerValueSet"), "que-5", only="R5")
states(lambda e: not is_a(e, "display") or not has(e, "required", "repeats"), "que-6")
states(lambda e: e.get("operator") != "exists" or has(e, "answerBoolean"), "que-7")
states(lambda e: not is_a(e, "group", "display") or not has(e, "initial"), "que-8")
states(lambda e: not is_a(e, "display") or not has(e, "readOnly"), "que-9")
states(lambda e: is_a(e, *SHORT, "open-choice") or not has(e, "maxLength"), "que-10", only="R4")
states(
    lambda e: is_a(e, *SHORT) or e.get("answerConstraint") == "optionOrString" or not has(e, "maxLength"),
    "que-10",
    only="R5",
)
states(lambda e: not (has(e, "answerOption") and has(e, "initial")), "que-11")
# R4's expression says "more than two", its own words "more than one"; R5 set the expression right.
states(lambda e: len(many(e, "enableWhen")) <= 1 or has(e, "enableBehavior"), "que-12")
states(lambda e: e.get("repeats") is True or len(many(e, "initial")) <= 1, "que-13")
states(lambda e: not has(e, "answerConstraint") or has(e, "answerOption", "answerValueSet"), "que-14", only="R5")
states(lambda link_id: len(link_id) <= 255, "que-15", only="R5")

# Bundles
SENT = ("batch", "transaction")
ANSWERED = ("batch-response", "transaction-response")
PLAIN = ("document", "message", "searchset", "collection")
CHANGING = ("POST", "PUT", "PATCH")


def entries(bundle: Json) -> list[Any]:
    """Give a Bundle's entries."""
    return many(bundle, "entry")


def first(bundle: Json) -> str:
    """Name the type of the first entry's resource."""
    return str(entries(bundle)[0].get("resource", {}).get("resourceType")) if entries(bundle) else ""


def brings_what_it_writes(entry: Json) -> bool:
    """Whether a resource is there exactly where the request writes one."""
    return (entry.get("request", {}).get("method") in CHANGING) == has(entry, "resource")


states(lambda e: not has(e, "total") or is_a(e, "searchset", "history"), "bdl-1")
states(lambda e: is_a(e, "searchset") or not any(has(each, "search") for each in entries(e)), "bdl-2")
states(
    lambda e: all(has(each, "request") == is_a(e, *SENT, "history") for each in entries(e)),
    "bdl-3",
    only="R4",
)
states(
    lambda e: all(has(each, "response") == is_a(e, *ANSWERED, "history") for each in entries(e)),
    "bdl-4",
    only="R4",
)
states(
    lambda e: (
        not is_a(e, *PLAIN)
        or all(has(each, "resource") and not has(each, "request", "response") for each in entries(e))
    ),
    "bdl-3a",
    only="R5",
)
states(
    lambda e: (
        not is_a(e, "history")
        or all(has(each, "request") and has(each, "response") and brings_what_it_writes(each) for each in entries(e))
    ),
    "bdl-3b",
    only="R5",
)
states(
    lambda e: not is_a(e, *SENT) or all(has(each, "request") and brings_what_it_writes(each) for each in entries(e)),
    "bdl-3c",
    only="R5",
)
states(lambda e: not is_a(e, *ANSWERED) or all(has(each, "response") for each in entries(e)), "bdl-3d", only="R5")
states(lambda e: has(e, "resource", "request", "response"), "bdl-5")


@rule("bdl-7")
def full_urls_differ(element: Json, _: Standing) -> bool:
    """No two entries share a fullUrl and a version, except in a history."""
    named = [each for each in entries(element) if "fullUrl" in each]
    keys = [(each["fullUrl"], each.get("resource", {}).get("meta", {}).get("versionId")) for each in named]
    return is_a(element, "history") or len(keys) == len(set(keys))


states(lambda e: "/_history/" not in e.get("fullUrl", ""), "bdl-8")
states(lambda e: not is_a(e, "document") or {"system", "value"} <= e.get("identifier", {}).keys(), "bdl-9")
states(lambda e: not is_a(e, "document") or has(e, "timestamp"), "bdl-10")
states(lambda e: not is_a(e, "document") or first(e) == "Composition", "bdl-11")
states(lambda e: not is_a(e, "message") or first(e) == "MessageHeader", "bdl-12")
states(lambda e: not is_a(e, "subscription-notification") or first(e) == "SubscriptionStatus", "bdl-13", only="R5")
states(
    lambda e: not is_a(e, "history") or all(each.get("request", {}).get("method") != "PATCH" for each in entries(e)),
    "bdl-14",
    only="R5",
)
states(
    lambda e: (
        is_a(e, *SENT, *ANSWERED)
        or all(has(each, "fullUrl") or each.get("request", {}).get("method") == "POST" for each in entries(e))
    ),
    "bdl-15",
    only="R5",
)
states(
    lambda e: all(each.get("severity") in ("information", "warning") for each in e.get("issues", {}).get("issue", [])),
    "bdl-16",
    only="R5",
)
states(lambda e: not is_a(e, "document") or not has(e, "issues"), "bdl-17", only="R5")
states(
    lambda e: (
        not is_a(e, "searchset") or any(each.get("relation") == "self" and has(each, "url") for each in many(e, "link"))
    ),
    "bdl-18",
    only="R5",
)
