"""Reading what a notification names: from the subscription server that the site configured, and from nowhere else.

A reference out of a payload is never an address.  It is taken apart, its origin must be the configured one, and what
is asked for is made anew of a type and an id; nothing is redirected.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from adapter.delivery.client import Answer
from adapter.delivery.json_answer import written
from adapter.delivery.settings import Secret, Server, checked_url
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir import resources as fhir
from adapter.service.outcomes import Refusal
from adapter.service.settings import Source
from adapter.store.transport import FhirTransport, NoAnswer

_REFERENCE = re.compile(
    r"(?:(https?://[^\s?#]+)/)?([A-Z][A-Za-z]{1,63})/((?!\.{1,2}(?:/|$))[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?",
    re.ASCII,
)
TYPES = frozenset("List" if kind is fhir.ListResource else kind.__name__ for kind in fhir.READ)
"""What is read at all."""
_MOST = 100
_ALL_S = 45
_READ_S = 10
_GONE = (404, 410)
_DELETED = 410
_DONE = 200


class Reader(Protocol):
    """A FHIR server that is read."""

    def read(self, path: str) -> Answer:
        """Read a resource."""

    def close(self) -> None:
        """Close the connections."""


class Found(msgspec.Struct, frozen=True):
    """What was read, as the entries of a history, and what could not be."""

    entries: tuple[dict[str, Any], ...]
    issues: tuple[Issue, ...]


class _Named(msgspec.Struct, frozen=True):
    base: str
    server: Server
    clients: frozenset[str]


class Sources:
    """The configured subscription servers."""

    def __init__(
        self,
        sources: Sequence[Source],
        environment: Mapping[str, str],
        connect: Callable[[Server], Reader] = FhirTransport,
    ) -> None:
        """Take the settings; raises AdapterError where one cannot be used."""
        self._connect = connect
        self._sources = tuple(_source(each, environment) for each in sources)

    def follow(
        self, client: str, tenant: str, subscription: str, references: Sequence[str]
    ) -> tuple[str, Sequence[str]]:
        """Give the server that references are to be read from, and what of it; raises Refusal (422) where none is."""
        named = [(each, named_resource(each)) for each in references]
        if any(one is None for _, one in named) or len(named) > _MOST:
            said = f"a notification names at most {_MOST} resources, each as Type/id"
            raise Refusal.of(422, "unfollowed-notification", said, expression="Bundle.entry[0].resource")
        own = [each for each in self._sources if client in each.clients or not (each.clients or tenant)]
        bases = {one[0] for _, one in named if one is not None and one[0]}
        where = named_resource(subscription)
        if not bases and where is not None and where[0]:
            bases = {where[0]}
        found = [each for each in own if not bases or bases == {each.base}]
        if len(found) != 1:
            said = "what the notification names is of no subscription server that is configured for this client"
            raise Refusal.of(422, "unfollowed-notification", said, expression="Bundle.entry[0].resource")
        return found[0].base, list(dict.fromkeys(one[1] for _, one in named if one is not None))

    def read(self, base: str, paths: Sequence[str]) -> Found:
        """Read resources, and the patients they are about; raises Refusal (503) where that has to be tried again."""
        server = next(each.server for each in self._sources if each.base == base)
        reader = self._connect(server)
        try:
            return _read(reader, base, paths)
        except NoAnswer as lost:
            raise _later(lost.code) from None
        finally:
            reader.close()


def named_resource(reference: str) -> tuple[str, str] | None:
    """Take a reference apart: the base it has, which may be empty, and ``Type/id``; None where it is none."""
    found = _REFERENCE.fullmatch(reference)
    return None if found is None else ((found[1] or "").rstrip("/"), f"{found[2]}/{found[3]}")


def _read(reader: Reader, base: str, paths: Sequence[str]) -> Found:
    until = time.monotonic() + _ALL_S
    entries: list[dict[str, Any]] = []
    issues: list[Issue] = []
    wanted = list(paths)
    for path in wanted:
        if time.monotonic() > until:
            raise _later("timeout")
        answer = reader.read(path)
        resource = answer.body or {}
        if answer.status == _DONE and f"{resource.get('resourceType')}/{resource.get('id')}" == path:
            entries.append(
                {"fullUrl": f"{base}/{path}", "resource": resource, "request": {"method": "PUT", "url": path}}
            )
            wanted += [each for each in _patients(base, resource) if each not in wanted]
        elif answer.status in _GONE:
            if answer.status == _DELETED:
                entries.append({"fullUrl": f"{base}/{path}", "request": {"method": "DELETE", "url": path}})
            said = "a resource that the notification names is not there any more"
            issues.append(Issue(Severity.WARNING, "focus-gone", said))
        else:
            raise _later(f"http-{answer.status}")
    return Found(tuple(entries), tuple(issues))


def document(entries: Sequence[Mapping[str, Any] | msgspec.Raw]) -> bytes:
    """Give what was read as a Bundle."""
    return written({"resourceType": "Bundle", "type": "history", "entry": list(entries)})


def _patients(base: str, resource: Mapping[str, Any]) -> Iterator[str]:
    """Give the Patient a resource is about, where it is on the same server."""
    for name in ("subject", "patient", "individual"):
        about = resource.get(name)
        named = named_resource(about["reference"]) if isinstance(about, dict) and _is_text(about) else None
        if named is not None and named[0] in ("", base) and named[1].startswith("Patient/"):
            yield named[1]


def _is_text(about: Mapping[str, Any]) -> bool:
    return isinstance(about.get("reference"), str)


def _later(code: str) -> Refusal:
    said = f"the subscription server does not give what its notification names ({code}); it is tried again"
    return Refusal.of(503, "source-unavailable", said)


def _source(source: Source, environment: Mapping[str, str]) -> _Named:
    base = checked_url(str(source.base), "sources", secret_goes_there=True)
    text = environment.get(source.token_variable or "", "").strip()
    if source.token_variable and not (text and text.isascii() and text.isprintable()):
        said = "the variable that token_variable of a source names holds no token, which is one line of ASCII"
        raise AdapterError.of(Category.NOT_FOUND, "setting", said)
    token = Secret(text) if text else None
    bundle = environment.get("TRIAL_ADAPTER_CA_BUNDLE") or None
    return _Named(base, Server(base, token, ca_bundle=bundle, timeout_s=_READ_S), frozenset(source.clients))
