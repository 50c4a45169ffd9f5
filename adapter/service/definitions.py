"""The trials as this service gives them: every emitted resource by type and id, and how they are searched."""

import functools
import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.eligibility.trial import Trial
from adapter.emission.emit import emit_trial
from adapter.emission.files import Resource
from adapter.emission.names import Naming
from adapter.fhir.versions import FhirVersion
from adapter.service.operation_definitions import operation_definitions
from adapter.service.outcomes import Refusal, encode

MAX_PAGE = 500
PAGE = 50
SEARCHED = ("_id", "url", "identifier")
_OF_THE_ANSWER = ("_count", "_offset", "_format")


class Definition(msgspec.Struct, frozen=True):
    """One resource, as it is sent and as it is searched."""

    resource: Resource
    body: bytes

    def has(self, name: str, value: str) -> bool:
        """Whether a search parameter finds it; several values are joined by commas, any will do."""
        return any(self._has_one(name, each) for each in value.split(","))

    def _has_one(self, name: str, value: str) -> bool:
        match name:
            case "_id":
                return bool(self.resource["id"] == value)
            case "url":
                return self.resource.get("url") == value
            case _:
                return is_identified(self.resource, value)


def is_identified(resource: Resource, token: str) -> bool:
    """Whether a resource has an identifier: ``value``, ``system|value``, ``system|`` or ``|value``."""
    found = resource.get("identifier", [])
    identifiers = found if isinstance(found, list | tuple) else [found]
    system, bar, value = token.rpartition("|")
    return any(
        (not value or each.get("value") == value) and (not bar or each.get("system", "") == system)
        for each in identifiers
    )


class Definitions:
    """All of them, in the version asked for; made when they are first asked for."""

    def __init__(self, catalog: Catalog, base: str, publisher: str) -> None:
        self.catalog = catalog
        self.base = base
        self._publisher = publisher
        self._lock = threading.Lock()
        self._by_id = functools.cache(self._made)

    def of(self, version: FhirVersion) -> Mapping[tuple[str, str], Definition]:
        """Give every resource by type and id."""
        with self._lock:
            return self._by_id(version)

    def _made(self, version: FhirVersion) -> dict[tuple[str, str], Definition]:
        naming = Naming(version, self.base, self._publisher)
        every: Iterable[Resource] = (
            each for trial in self.catalog.trials for each in emit_trial(self.catalog, trial.key, naming)
        )
        made = {(each["resourceType"], each["id"]): Definition(each, encode(each)) for each in every}
        for each in operation_definitions(naming):
            made["OperationDefinition", each["id"]] = Definition(each, encode(each))
        return made

    def read(self, version: FhirVersion, kind: str, id_: str) -> Definition:
        """Give one resource; raises Refusal (404)."""
        found = self.of(version).get((kind, id_))
        if found is None:
            raise Refusal.of(404, "not-found", "there is no such resource here")
        return found

    def search(self, version: FhirVersion, kind: str, query: Iterable[tuple[str, str]], *, is_strict: bool) -> bytes:
        """Give a page of what is found, as a searchset; raises Refusal (400, 404)."""
        of_kind = [each for (type_, _), each in sorted(self.of(version).items(), key=_by_id) if type_ == kind]
        if not of_kind:
            raise Refusal.of(404, "not-found", "no resources of this type are here")
        used = [(name, value) for name, value in query if name in SEARCHED]
        unknown = [name for name, _ in query if name not in SEARCHED + _OF_THE_ANSWER]
        if unknown and is_strict:
            said = f"a search parameter is not known; known are {', '.join((*SEARCHED, '_count'))}"
            raise Refusal.of(400, "bad-parameter", said)
        found = [each for each in of_kind if all(each.has(name, value) for name, value in used)]
        numbers = dict(query)
        count = min(_number(numbers, "_count", PAGE), MAX_PAGE)
        first = _number(numbers, "_offset", 0)
        page = found[first : first + count]
        links = [_link("self", self._url(kind, [*used, ("_count", count), ("_offset", first)]))]
        if count and first + count < len(found):
            links.append(_link("next", self._url(kind, [*used, ("_count", count), ("_offset", first + count)])))
        entries = [
            {
                "fullUrl": f"{self.base}/{kind}/{each.resource['id']}",
                "resource": msgspec.Raw(each.body),
                "search": {"mode": "match"},
            }
            for each in page
        ]
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links}
        return encode(bundle | ({"entry": entries} if entries else {}))

    def trial_of(self, version: FhirVersion, study: str) -> Trial:
        """Give the trial of a ResearchStudy's id; raises Refusal (404)."""
        found = [trial for trial in self.catalog.trials if trial.key.lower() == study]
        if not found:
            raise Refusal.of(404, "unknown-trial", "there is no trial with this id here")
        self.read(version, "ResearchStudy", study)
        return found[0]

    def trial_with(self, version: FhirVersion, token: str) -> Trial:
        """Give the trial of a business identifier; raises Refusal (404)."""
        studies = [each for (kind, _), each in self.of(version).items() if kind == "ResearchStudy"]
        found = [each.resource["id"] for each in studies if is_identified(each.resource, token)]
        if len(found) != 1:
            raise Refusal.of(404, "unknown-trial", "there is no trial with this identifier here")
        return self.trial_of(version, found[0])

    def _url(self, kind: str, query: list[tuple[str, Any]]) -> str:
        return f"{self.base}/{kind}?{urlencode(query)}"


def _by_id(item: tuple[tuple[str, str], Definition]) -> tuple[str, str]:
    return item[0]


def _number(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name)
    if text is None:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 8):  # noqa: PLR2004 (more resources than there are)
        raise Refusal.of(400, "bad-parameter", f"{name} must be a whole number")
    return int(text)


def _link(relation: str, url: str) -> dict[str, str]:
    return {"relation": relation, "url": url}
