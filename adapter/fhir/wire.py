"""Bytes to typed resources: strict where a wrong reading could mislead, one bad entry never costs the others."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir import resources as fhir

MAX_BYTES = 256 * 1024 * 1024
"""The largest document that is read, after decompression."""
_BOM = b"\xef\xbb\xbf"
_MAX_REPAIRS = 64

ANSWERS = frozenset(("transaction-response", "batch-response"))
"""Bundle types that are somebody's answer and hold no patient data to screen."""
CARRIERS = frozenset(
    ("transaction", "batch", "collection", "searchset", "document", "message", "history", "subscription-notification")
)
"""Bundle types that carry resources to screen."""

_decoder = msgspec.json.Decoder(fhir.AnyResource)
_loose = msgspec.json.Decoder(float_hook=Decimal)


class Entered(msgspec.Struct, gc=False):
    """A resource as it came, with where it stood and whether a part of it could not be read."""

    resource: fhir.Tagged
    full_url: str | None
    expression: str
    unreadable: tuple[str, ...] = ()
    """Elements that were there but could not be read."""
    method: str | None = None


class Document(msgspec.Struct):
    """One JSON document: the resources to screen and what was noticed while reading."""

    entries: list[Entered]
    issues: list[Issue]


def read(data: bytes) -> Document:
    """Read a Bundle or a single resource; raises AdapterError when there is nothing that can be screened."""
    issues: list[Issue] = []
    if data.startswith(_BOM):
        data = data[len(_BOM) :]
        issues.append(Issue(Severity.WARNING, "byte-order-mark", "the document starts with a byte-order mark"))
    if len(data) > MAX_BYTES:
        raise AdapterError.of(Category.MALFORMED, "too-large", f"the document is larger than {MAX_BYTES} bytes")
    try:
        resource = _decoder.decode(data)
    except msgspec.ValidationError:
        return _read_loosely(data, issues)
    except RecursionError:
        raise AdapterError.of(Category.MALFORMED, "too-deep", "the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_json(data, error) from None
    if isinstance(resource, fhir.Bundle):
        _check_bundle(resource.type, resource.link, issues)
        return Document(list(_entries(resource)), issues)
    if not isinstance(resource, fhir.READ):
        raise _nothing_to_screen(f"a {type(resource).__name__}")
    return Document([Entered(resource, None, type(resource).__name__)], issues)


def _entries(bundle: fhir.Bundle) -> Iterator[Entered]:
    for index, entry in enumerate(bundle.entry):
        resource = entry.resource
        method = entry.request.method if entry.request is not None else None
        if resource is None:
            if method == "DELETE" and entry.request is not None and entry.request.url:
                yield Entered(_deleted(entry.request.url), entry.full_url, f"Bundle.entry[{index}]", (), method)
            continue
        yield Entered(resource, entry.full_url, f"Bundle.entry[{index}].resource", (), method)


def _deleted(url: str) -> fhir.Tagged:
    kind, _, rest = url.rpartition("/")
    known = next((each for each in fhir.READ if _type_name(each) == kind.rpartition("/")[2]), fhir.Patient)
    return known(id=rest)


def type_name(resource: fhir.Tagged) -> str:
    """Give a resource's type as FHIR names it."""
    return _type_name(type(resource))


def _type_name(kind: type[fhir.Tagged]) -> str:
    return "List" if kind is fhir.ListResource else kind.__name__


def _check_bundle(kind: str | None, links: tuple[fhir.Link, ...], issues: list[Issue]) -> None:
    if kind in ANSWERS:
        raise AdapterError.of(
            Category.UNSUPPORTED,
            "response-bundle",
            "this Bundle is somebody's answer; send the transaction, batch, collection, searchset, document, "
            "message or history that holds the resources",
            expression="Bundle.type",
        )
    if kind not in CARRIERS:
        said = "Bundle.type is missing" if kind is None else "Bundle.type is not a code of FHIR's bundle-type"
        raise AdapterError.of(Category.MALFORMED, "bundle-type", said, expression="Bundle.type")
    if any(link.relation == "next" for link in links):
        said = "the searchset goes on at its next link: what is missing here may exist, and stays unknown"
        issues.append(Issue(Severity.WARNING, "partial-searchset", said, "Bundle.link"))


def _nothing_to_screen(what: str) -> AdapterError:
    said = f"this is {what}; expected a Bundle, or a resource about a patient"
    return AdapterError.of(Category.UNSUPPORTED, "not-patient-data", said)


def _not_json(data: bytes, error: Exception) -> AdapterError:
    """Say where the text stops being JSON, without quoting it."""
    found = re.search(r"byte (\d+)", str(error))
    offset = min(int(found[1]), len(data)) if found else len(data)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as bad:
        line = data.count(b"\n", 0, bad.start) + 1
        issue = Issue(Severity.ERROR, "not-utf-8", "the text is not UTF-8; send it as UTF-8", line=line)
        return AdapterError(Category.MALFORMED, [issue])
    truncated = "truncated" in str(error)
    code = "truncated" if truncated else "not-json"
    said = "the JSON ends too early; send the whole document" if truncated else "this is not JSON"
    line = data.count(b"\n", 0, offset) + 1
    return AdapterError(Category.MALFORMED, [Issue(Severity.ERROR, code, said, line=line)])


def _read_loosely(data: bytes, issues: list[Issue]) -> Document:
    """Read entry by entry, setting the unreadable parts aside and saying which."""
    try:
        loose = _loose.decode(data)
    except RecursionError:
        raise AdapterError.of(Category.MALFORMED, "too-deep", "the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_json(data, error) from None
    if not isinstance(loose, dict) or not isinstance(loose.get("resourceType"), str):
        raise AdapterError.of(Category.MALFORMED, "not-fhir", "this is JSON, but no FHIR resource: no resourceType")
    kind = loose["resourceType"]
    if kind != "Bundle":
        entered = _repaired(loose, None, kind, issues)
        if entered is None or not isinstance(entered.resource, fhir.READ):
            raise _nothing_to_screen("no resource type that is read")
        return Document([entered], issues)
    bundle_type = loose.get("type")
    links = loose.get("link") if isinstance(loose.get("link"), list) else []
    relations = [each.get("relation") for each in links or [] if isinstance(each, dict)]
    is_next = (fhir.Link("next"),) if "next" in relations else ()
    _check_bundle(bundle_type if isinstance(bundle_type, str) else None, is_next, issues)
    entries = loose.get("entry", [])
    if not isinstance(entries, list):
        raise AdapterError.of(
            Category.MALFORMED, "bundle-entry", "Bundle.entry is not a list", expression="Bundle.entry"
        )
    found = []
    for index, entry in enumerate(entries):
        expression = f"Bundle.entry[{index}]"
        if not isinstance(entry, dict):
            issues.append(_unreadable(expression))
            continue
        entered = _loose_entry(entry, expression, issues)
        if entered is not None:
            found.append(entered)
    return Document(found, issues)


def _loose_entry(entry: dict[str, Any], expression: str, issues: list[Issue]) -> Entered | None:
    full_url = entry.get("fullUrl")
    if full_url is not None and not isinstance(full_url, str):
        issues.append(_unreadable(f"{expression}.fullUrl"))
        full_url = None
    request = entry.get("request")
    method = request.get("method") if isinstance(request, dict) else None
    resource = entry.get("resource")
    if resource is None:
        url = request.get("url") if isinstance(request, dict) else None
        if method == "DELETE" and isinstance(url, str):
            return Entered(_deleted(url), full_url, expression, (), method)
        return None
    if not isinstance(resource, dict):
        issues.append(_unreadable(f"{expression}.resource"))
        return None
    entered = _repaired(resource, full_url, f"{expression}.resource", issues)
    if entered is not None and isinstance(method, str):
        entered.method = method
    return entered


def _unreadable(expression: str, *, said: str = "cannot be read; what depends on it is unknown") -> Issue:
    return Issue(Severity.WARNING, "unreadable", f"this element {said}", expression)


def _repaired(resource: dict[str, Any], full_url: str | None, expression: str, issues: list[Issue]) -> Entered | None:
    """Decode a resource, leaving out element by element what cannot be read."""
    lost: list[str] = []
    for _ in range(_MAX_REPAIRS):
        try:
            decoded = msgspec.convert(resource, fhir.AnyResource, strict=True)
        except msgspec.ValidationError as error:
            path = _path(str(error))
            if not path or path == ["resourceType"] or not _remove(resource, path):
                issues.append(_unreadable(expression, said="is not a resource that can be read"))
                return None
            place = _fhirpath(path)
            lost.append(str(path[0]))
            issues.append(_unreadable(f"{expression}.{place}"))
        else:
            return Entered(decoded, full_url, expression, tuple(lost))
    issues.append(_unreadable(expression, said="has too many parts that cannot be read"))
    return None


def _path(message: str) -> list[str | int]:
    found = re.search(r"at `\$((?:\.[A-Za-z_]+|\[\d+\]|\[\.\.\.\])*)`", message)
    if found is None:
        return []
    parts = re.findall(r"\.([A-Za-z_]+)|\[(\d+)\]", found[1])
    return [name or int(index) for name, index in parts]


def _remove(resource: dict[str, Any], path: list[str | int]) -> bool:
    """Take the element at ``path`` out of the tree."""
    node: Any = resource
    for step in path[:-1]:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return False
    last = path[-1]
    if isinstance(node, list) and isinstance(last, int) and last < len(node):
        del node[last]
        return True
    if isinstance(node, dict) and last in node:
        del node[last]
        return True
    return False


def _fhirpath(path: list[str | int]) -> str:
    said = ""
    for step in path:
        said += f"[{step}]" if isinstance(step, int) else f".{step}"
    return said.lstrip(".")
