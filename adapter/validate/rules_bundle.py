"""Invariants of Bundle; R5 split those of R4 (bdl-3 became bdl-3a to bdl-3d) and brought bdl-13 to bdl-18."""

from collections.abc import Iterable, Iterator

from adapter.fhir.definitions import Part, Placed
from adapter.fhir.definitions.tree import objects, values
from adapter.fhir.versions import FhirVersion
from adapter.validate.invariants import Json, broken, has, holds, value_of

R4, R5 = FhirVersion.R4, FhirVersion.R5
_WITH_BODY = ("POST", "PUT", "PATCH")
_RESPONSES = ("transaction-response", "batch-response")
_TYPES = ("document", "message", "transaction", "batch", "history", "searchset", "collection", *_RESPONSES)
"""R4's types of Bundle; what entries must hold is only asked of a Bundle whose type is known."""


def entries(bundle: Json) -> Iterator[tuple[str, Json]]:
    """Give the entries with their places."""
    for index, entry in enumerate(values(bundle.get("entry"))):
        if isinstance(entry, dict):
            yield f".entry[{index}]", entry


def _first(bundle: Json) -> object:
    every = values(bundle.get("entry"))
    return value_of(every[0], "resource.resourceType") if every and isinstance(every[0], dict) else None


@broken("bdl-1")
def _only_searches_and_histories_have_a_total(part: Part, _placed: Placed) -> Iterable[str]:
    is_wrong = has(part.value, "total") and part.value.get("type") not in ("searchset", "history")
    return (".total",) if is_wrong else ()


@broken("bdl-2")
def _only_searches_have_search(part: Part, _placed: Placed) -> Iterable[str]:
    if part.value.get("type") == "searchset":
        return ()
    return (f"{place}.search" for place, entry in entries(part.value) if has(entry, "search"))


@broken("bdl-3", R4)
def _requests_are_where_the_type_asks(part: Part, _placed: Placed) -> Iterable[str]:
    kind = part.value.get("type")
    if kind not in _TYPES:
        return ()
    asked = kind in ("batch", "transaction", "history")
    return (place for place, entry in entries(part.value) if has(entry, "request") != asked)


@broken("bdl-4", R4)
def _responses_are_where_the_type_asks(part: Part, _placed: Placed) -> Iterable[str]:
    kind = part.value.get("type")
    if kind not in _TYPES:
        return ()
    asked = kind in (*_RESPONSES, "history")
    return (place for place, entry in entries(part.value) if has(entry, "response") != asked)


@broken("bdl-3a", R5)
def _plain_entries_are_resources_only(part: Part, _placed: Placed) -> Iterable[str]:
    if part.value.get("type") not in ("document", "message", "searchset", "collection"):
        return ()
    return (
        place
        for place, entry in entries(part.value)
        if not has(entry, "resource") or has(entry, "request") or has(entry, "response")
    )


def _has_the_body_it_should(entry: Json) -> bool:
    return (value_of(entry, "request.method") in _WITH_BODY) == has(entry, "resource")


@broken("bdl-3b", R5)
def _history_entries_have_request_and_response(part: Part, _placed: Placed) -> Iterable[str]:
    if part.value.get("type") != "history":
        return ()
    return (
        place
        for place, entry in entries(part.value)
        if not (has(entry, "request") and has(entry, "response") and _has_the_body_it_should(entry))
    )


@broken("bdl-3c", R5)
def _requested_entries_have_a_request(part: Part, _placed: Placed) -> Iterable[str]:
    if part.value.get("type") not in ("transaction", "batch"):
        return ()
    return (
        place
        for place, entry in entries(part.value)
        if value_of(entry, "request.method") is None or not _has_the_body_it_should(entry)
    )


@broken("bdl-3d", R5)
def _response_entries_have_a_response(part: Part, _placed: Placed) -> Iterable[str]:
    if part.value.get("type") not in _RESPONSES:
        return ()
    return (place for place, entry in entries(part.value) if not has(entry, "response"))


@holds("bdl-5")
def _an_entry_has_content(entry: Json) -> bool:
    return has(entry, "resource", "request", "response")


@broken("bdl-7")
def _full_urls_are_unique(part: Part, _placed: Placed) -> Iterable[str]:
    if part.value.get("type") == "history":
        return
    seen: set[tuple[str, object]] = set()
    for place, entry in entries(part.value):
        url = entry.get("fullUrl")
        if not isinstance(url, str):
            continue
        version = value_of(entry, "resource.meta.versionId")
        key = (url, version if isinstance(version, str) else None)
        if key in seen:
            yield f"{place}.fullUrl"
        seen.add(key)


@broken("bdl-8")
def _a_full_url_names_no_version(part: Part, _placed: Placed) -> Iterable[str]:
    url = part.value.get("fullUrl")
    return (".fullUrl",) if isinstance(url, str) and "/_history/" in url else ()


@broken("bdl-9")
def _a_document_has_an_identifier(part: Part, _placed: Placed) -> Iterable[str]:
    identifier = part.value.get("identifier")
    is_whole = isinstance(identifier, dict) and has(identifier, "system") and has(identifier, "value")
    return () if part.value.get("type") != "document" or is_whole else (".identifier",)


@broken("bdl-10")
def _a_document_has_a_date(part: Part, _placed: Placed) -> Iterable[str]:
    is_wrong = part.value.get("type") == "document" and part.value.get("timestamp") is None
    return (".timestamp",) if is_wrong else ()


def _starts_with(part: Part, kind: str, resource_type: str) -> Iterable[str]:
    is_wrong = part.value.get("type") == kind and _first(part.value) != resource_type
    return (".entry[0]",) if is_wrong else ()


@broken("bdl-11")
def _a_document_starts_with_its_composition(part: Part, _placed: Placed) -> Iterable[str]:
    return _starts_with(part, "document", "Composition")


@broken("bdl-12")
def _a_message_starts_with_its_header(part: Part, _placed: Placed) -> Iterable[str]:
    return _starts_with(part, "message", "MessageHeader")


@broken("bdl-13", R5)
def _a_notification_starts_with_its_status(part: Part, _placed: Placed) -> Iterable[str]:
    return _starts_with(part, "subscription-notification", "SubscriptionStatus")


@broken("bdl-14", R5)
def _a_history_holds_no_patch(part: Part, _placed: Placed) -> Iterable[str]:
    if part.value.get("type") != "history":
        return ()
    return (
        f"{place}.request.method"
        for place, entry in entries(part.value)
        if value_of(entry, "request.method") == "PATCH"
    )


@broken("bdl-15", R5)
def _entries_have_a_full_url(part: Part, _placed: Placed) -> Iterable[str]:
    if part.value.get("type") in ("transaction", "batch", *_RESPONSES):
        return ()
    return (
        place
        for place, entry in entries(part.value)
        if not has(entry, "fullUrl") and value_of(entry, "request.method") != "POST"
    )


@broken("bdl-16", R5)
def _remarks_are_no_errors(part: Part, _placed: Placed) -> Iterable[str]:
    issues = part.value.get("issues")
    for index, issue in enumerate(objects(issues.get("issue")) if isinstance(issues, dict) else []):
        if issue.get("severity") not in ("information", "warning"):
            yield f".issues.issue[{index}].severity"


@broken("bdl-17", R5)
def _a_document_has_no_remarks(part: Part, _placed: Placed) -> Iterable[str]:
    return (".issues",) if part.value.get("type") == "document" and has(part.value, "issues") else ()


@broken("bdl-18", R5)
def _a_searchset_has_a_self_link(part: Part, _placed: Placed) -> Iterable[str]:
    links = objects(part.value.get("link"))
    has_self = any(link.get("relation") == "self" and has(link, "url") for link in links)
    return () if part.value.get("type") != "searchset" or has_self else (".link",)
