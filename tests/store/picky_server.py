"""A FHIR server that may give ids itself, refuse types, ask for what is referred to, and page its searches."""

import itertools
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from delivery.delivery_server import FakeServer, Json, Reply, outcome


class PickyServer(FakeServer):
    """``refused`` are types it takes no write of; ``wants_targets`` refuses references to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.wants_targets = False
        self.page_size = 2
        self.next_link: str | None = None
        """Where the next page is said to be, other than here."""
        self._pages: dict[str, list[Json]] = {}
        self._together: set[str] = set()
        """What one transaction writes, whose order means nothing."""

    def lists(self, *types: str) -> None:
        """Say in the CapabilityStatement which types there are."""
        self.types = [{"type": each, "interaction": [{"code": "read"}, {"code": "update"}]} for each in types]

    def by_identifier(self, resource_type: str) -> list[Json]:
        return [each for name, each in self.held.items() if name.startswith(f"{resource_type}/")]

    def _read(self, path: str) -> Reply:
        parts = urlsplit(path)
        query = dict(parse_qsl(parts.query))
        if not query:
            return super()._read(path)
        if "page" in query:
            found = self._pages.pop(query["page"])
        else:
            asked = {key: value for key, value in query.items() if key != "_count"}
            found = [
                each
                for each in self._of(parts.path)
                if all(self._matches(each, key, value) for key, value in asked.items())
            ]
        bundle: Json = {"resourceType": "Bundle", "type": "searchset"}
        bundle["entry"] = [{"resource": self.after(each)} for each in found[: self.page_size]]
        if found[self.page_size :]:
            page = str(len(self.requests))
            self._pages[page] = found[self.page_size :]
            link = self.next_link or f"{self.url}/{parts.path}?page={page}"
            bundle["link"] = [{"relation": "next", "url": link}]
        return 200, {}, bundle

    def _matches(self, resource: Json, key: str, value: str) -> bool:
        if key == "_tag":
            tags = resource.get("meta", {}).get("tag", [])
            return value in {f"{each['system']}|{each['code']}" for each in tags}
        if key == "target":
            return {"reference": value} in resource.get("target", [])
        return super()._matches(resource, key, value)

    def _target(self, request: Json) -> tuple[str, int]:
        if request["method"] == "POST" and not request.get("ifNoneExist"):
            self._given += 1
            return f"{request['url']}/given-{self._given}", 0
        return super()._target(request)

    def _bundle(self, body: Json) -> Reply:
        self._together = {each["request"]["url"] for each in body["entry"]}
        try:
            return super()._bundle(body)
        finally:
            self._together = set()

    def _write(self, request: Json, resource: Json, target: str | None) -> Reply:
        if resource["resourceType"] in self.refused:
            return 422, {}, outcome("no such type", code="not-supported")
        if self.gives_ids and request["method"] == "PUT" and request["url"] not in self.held:
            return 405, {}, outcome("ids are given here", code="not-supported")
        missing = [each for each in _references(resource) if each not in self.held and each not in self._together]
        if self.wants_targets and missing:
            return 400, {}, outcome("refers to nothing", code="processing")
        return super()._write(request, resource, target)


def _references(value: Any) -> list[str]:  # noqa: ANN401 (JSON)
    if isinstance(value, list):
        return list(itertools.chain.from_iterable(map(_references, value)))
    if not isinstance(value, dict):
        return []
    found = [each for key, one in value.items() for each in (_references(one) if key != "reference" else [])]
    own = value.get("reference")
    is_ours = isinstance(own, str) and own.startswith(("GuidanceResponse/", "ResearchSubject/"))
    return [*found, own] if is_ours and isinstance(own, str) else found
