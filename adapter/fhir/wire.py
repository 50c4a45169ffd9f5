"""Bytes to typed resources: strict where a wrong reading could mislead, one bad entry never costs the others."""

import re
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir import resources as fhir
from adapter.fhir.json_text import EXPECTED, MAX_BYTES, check_size, check_utf8, not_json, too_deep
from adapter.fhir.mend import mend

__all__ = ["ANSWERS", "CARRIERS", "MAX_BYTES", "WHOLE", "Document", "Entered", "read", "type_name"]

_BOM = b"\xef\xbb\xbf"

ANSWERS = frozenset(("transaction-response", "batch-response"))
"""Bundle types that are somebody's answer and hold no patient data to screen."""
CARRIERS = frozenset(
    ("transaction", "batch", "collection", "searchset", "document", "message", "history", "subscription-notification")
)
"""Bundle types that carry resources to screen."""

_decoder = msgspec.json.Decoder(fhir.AnyResource, dec_hook=fhir.to_number, float_hook=Decimal)
_entry_decoder = msgspec.json.Decoder(fhir.Entry, dec_hook=fhir.to_number, float_hook=Decimal)
_any_json = msgspec.json.Decoder(msgspec.Raw).decode
_word = msgspec.json.Decoder(str).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_links = msgspec.json.Decoder(tuple[fhir.Link, ...]).decode
_ABSENT = msgspec.Raw(b"null")


WHOLE = ""
"""What is unreadable where no single element is: a key that stands twice, a resource sent as text."""


class Entered(msgspec.Struct, gc=False):
    """A resource as it came, with where it stood and whether a part of it could not be read."""

    resource: fhir.Tagged
    full_url: str | None
    expression: str
    unreadable: tuple[str, ...] = ()
    """Elements that were there but could not be read: what depends on this resource is unknown.

    ``WHOLE`` stands for the resource itself.
    """
    method: str | None = None
    has_namesake: bool = False
    """Whether another resource of its type has its id here, so that only its place or fullUrl names it."""
    target: str | None = None
    """What its request is addressed to: of a PUT it names the resource."""


class Document(msgspec.Struct):
    """One JSON document: the resources to screen and what was noticed while reading."""

    entries: list[Entered]
    issues: list[Issue]


class _Loose(fhir.Element):
    """A document whose parts are looked at one by one."""

    resource_type: msgspec.Raw = _ABSENT
    type: msgspec.Raw = _ABSENT
    link: msgspec.Raw = _ABSENT
    entry: msgspec.Raw = msgspec.Raw(b"[]")
    implicit_rules: msgspec.Raw = _ABSENT
    modifier_extension: msgspec.Raw = _ABSENT


class _LooseEntry(fhir.Element):
    full_url: msgspec.Raw = _ABSENT
    resource: msgspec.Raw = _ABSENT
    request: msgspec.Raw = _ABSENT
    response: msgspec.Raw = _ABSENT
    modifier_extension: msgspec.Raw = _ABSENT


_loose = msgspec.json.Decoder(_Loose).decode
_loose_entry = msgspec.json.Decoder(_LooseEntry).decode
_request = msgspec.json.Decoder(fhir.Request).decode
_response = msgspec.json.Decoder(fhir.Response).decode


def read(data: bytes) -> Document:
    """Read a Bundle or a single resource; raises AdapterError when there is nothing that can be screened."""
    issues: list[Issue] = []
    if data.startswith(_BOM):
        data = data[len(_BOM) :]
        issues.append(Issue(Severity.WARNING, "byte-order-mark", "the document starts with a byte-order mark"))
    check_size(data)
    check_utf8(data)
    try:
        resource = _decoder.decode(data)
    except msgspec.ValidationError:
        resource = None
    except RecursionError:
        raise too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise not_json(data, error) from None
    if resource is None:  # not read inside the handler: its exception quotes the value, and would be dragged along
        return _read_loosely(data, issues)
    if isinstance(resource, fhir.Bundle):
        _check_bundle(resource.type, resource.link, issues)
        return Document(list(_entries(resource.entry, issues)), issues)
    if not isinstance(resource, fhir.READ):
        raise _nothing_to_screen(f"a {type(resource).__name__}")
    return Document([Entered(resource, None, type_name(resource))], issues)


def _entries(entries: tuple[fhir.Entry, ...], issues: list[Issue], first: int = 0) -> Iterator[Entered]:
    for index, entry in enumerate(entries, first):
        resource, request = entry.resource, entry.request
        method = request.method if request is not None else None
        if resource is None or method == "PATCH":
            entered = _change(entry, index, issues)
            if entered is not None:
                yield entered
        elif isinstance(resource, fhir.Resource) and (entry.search is None or entry.search.mode != "outcome"):
            target = request.url if request is not None else None
            yield Entered(resource, entry.full_url, f"Bundle.entry[{index}].resource", (), method, target=target)


def _change(entry: fhir.Entry, index: int, issues: list[Issue]) -> Entered | None:
    """Give what an entry says of a resource that stands elsewhere: that it is deleted, or changed unseen."""
    request, response = entry.request, entry.response or fhir.Response()
    if request is None or request.method not in ("DELETE", "PATCH"):
        return None
    expression = f"Bundle.entry[{index}]"
    target = re.fullmatch(r"(?:.*/)?([A-Za-z]+)/([A-Za-z0-9\-.]+)(?:/_history/.*)?", request.url or "")
    kind = _READ.get(target[1]) if target is not None else None
    if target is None:
        said = f"a conditional {request.method} is not followed: what it changes is used as it stands here"
        issues.append(Issue(Severity.WARNING, "conditional-change", said, f"{expression}.request"))
    if target is None or kind is None:
        return None
    version = re.fullmatch(r'W?/?"?([A-Za-z0-9\-.]+)"?', response.etag or "")
    meta = fhir.Meta(version[1] if version else None, response.last_modified)
    return Entered(kind(id=target[2], meta=meta), entry.full_url, expression, (), request.method, target=request.url)


def type_name(resource: fhir.Tagged) -> str:
    """Give a resource's type as FHIR names it."""
    return "List" if isinstance(resource, fhir.ListResource) else type(resource).__name__


_READ = {"List" if kind is fhir.ListResource else kind.__name__: kind for kind in fhir.READ}


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
        raise AdapterError.of(
            Category.MALFORMED,
            "bundle-type",
            f"{said}; expected {', '.join(sorted(CARRIERS))}",
            expression="Bundle.type",
        )
    if any(link.relation == "next" for link in links):
        said = "the searchset goes on at its next link: what is missing here may exist, and stays unknown"
        issues.append(Issue(Severity.WARNING, "partial-searchset", said, "Bundle.link"))


def _nothing_to_screen(what: str) -> AdapterError:
    return AdapterError.of(Category.UNSUPPORTED, "not-patient-data", f"this is {what}; {EXPECTED}")


def _read_loosely(data: bytes, issues: list[Issue]) -> Document:
    """Read entry by entry, setting the unreadable parts aside and saying which."""
    try:
        _any_json(data)
        loose = _loose(data)
        kind = _word(loose.resource_type)
    except RecursionError:
        raise too_deep() from None
    except msgspec.ValidationError:
        said = f"this is JSON, but no FHIR resource: it has no resourceType; {EXPECTED}"
        raise AdapterError.of(Category.MALFORMED, "not-fhir", said) from None
    except msgspec.DecodeError as error:
        raise not_json(data, error) from None
    if kind != "Bundle":
        entered = _mended(data, None, kind, issues, None) if kind in _READ else None
        if entered is None:
            raise _nothing_to_screen("no resource type that is read")
        return Document([entered], issues)
    _check_understood(loose)
    _check_bundle(_text_of(loose.type), _links_of(loose.link, issues), issues)
    try:
        entries = _list(loose.entry)
    except msgspec.ValidationError:
        said = "Bundle.entry is not a list"
        raise AdapterError.of(Category.MALFORMED, "bundle-entry", said, expression="Bundle.entry") from None
    found: list[Entered] = []
    for index, each in enumerate(entries):
        try:
            found.extend(_entry(each, index, issues))
        except RecursionError:
            issues.append(_unreadable(f"Bundle.entry[{index}]"))
    return Document(found, issues)


def _entry(data: msgspec.Raw, index: int, issues: list[Issue]) -> Iterator[Entered]:
    """Read one entry as it should be, or else what is left of it."""
    expression = f"Bundle.entry[{index}]"
    try:
        entry = _entry_decoder.decode(data)
    except msgspec.ValidationError:
        pass
    else:
        yield from _entries((entry,), issues, index)
        return
    try:
        loose = _loose_entry(data)
    except msgspec.ValidationError:
        issues.append(_unreadable(expression))
        return
    full_url = _text_of(loose.full_url)
    if full_url is None and loose.full_url != _ABSENT:
        issues.append(_unreadable(f"{expression}.fullUrl"))
    try:
        request = _request(loose.request) if loose.request != _ABSENT else None
        response = _response(loose.response) if loose.response != _ABSENT else None
    except msgspec.ValidationError:
        issues.append(_unreadable(f"{expression}.request"))
        request, response = None, None
    entered: Entered | None
    if request is not None and (loose.resource == _ABSENT or request.method == "PATCH"):
        entered = _change(fhir.Entry(full_url=full_url, request=request, response=response), index, issues)
    else:
        entered = _mended(loose.resource, full_url, f"{expression}.resource", issues, request)
        if entered is not None and loose.modifier_extension not in (_ABSENT, msgspec.Raw(b"[]")):
            issues.append(_unreadable(f"{expression}.modifierExtension"))
            entered.unreadable += ("modifierExtension",)
    if entered is not None:
        yield entered


def _mended(
    data: bytes | msgspec.Raw,
    full_url: str | None,
    expression: str,
    issues: list[Issue],
    request: fhir.Request | None,
) -> Entered | None:
    """Decode a resource, leaving out element by element what cannot be read."""
    found = mend(data, full_url or (request.url if request is not None else None))
    if found is None:
        issues.append(_unreadable(expression, said="is not a resource that can be read; it is used for nobody"))
        return None
    places = (f"{expression}.{place}".strip(".") if place else expression for place in found.lost)
    issues.extend(_unreadable(place) for place in places)
    lost = tuple(dict.fromkeys(re.split(r"[.\[]", place, maxsplit=1)[0] for place in found.lost))
    if request is None:
        return Entered(found.resource, full_url, expression, lost)
    return Entered(found.resource, full_url, expression, lost, request.method, target=request.url)


def _check_understood(bundle: _Loose) -> None:
    for name, value in (("implicitRules", bundle.implicit_rules), ("modifierExtension", bundle.modifier_extension)):
        if value not in (_ABSENT, msgspec.Raw(b"[]"), msgspec.Raw(b'""')):
            said = f"Bundle.{name} changes how the whole Bundle must be read, and is not understood; send it without"
            raise AdapterError.of(Category.UNSUPPORTED, "not-understood", said, expression=f"Bundle.{name}")


def _links_of(data: msgspec.Raw, issues: list[Issue]) -> tuple[fhir.Link, ...]:
    try:
        return _links(data) if data != _ABSENT else ()
    except msgspec.ValidationError:
        issues.append(_unreadable("Bundle.link"))
        return ()


def _text_of(data: msgspec.Raw) -> str | None:
    try:
        return _word(data)
    except msgspec.ValidationError:
        return None


def _unreadable(expression: str, *, said: str = "cannot be read; what depends on it is unknown") -> Issue:
    return Issue(Severity.WARNING, "unreadable", f"this element {said}", expression)
