"""One step of an export: some resources written in one transaction, or one alone where there are no transactions.

An update says which version it replaces (If-Match), so that nothing is overwritten unseen.  A creation is a PUT under
our id, or, where the server gives ids, conditional on the resource's URL or identifier.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from adapter.delivery.capability import Capability
from adapter.delivery.client import Answer, Client
from adapter.delivery.identity import Name, Resource, key_of, name_of
from adapter.delivery.reading import Held
from adapter.delivery.references import ServerIds, with_references

_SPACE = uuid.UUID("6a6f0f0e-6f0e-5d2b-9a55-0b5f7e6b7d10")


class Change(msgspec.Struct, frozen=True):
    """A resource that must be written, and what it replaces."""

    name: Name
    resource: Resource
    held: Held | None

    @property
    def is_creation(self) -> bool:
        """Whether the server holds nothing of it yet."""
        return self.held is None


class Writer:
    """Writes changes to one server, in the way this server takes them."""

    def __init__(self, client: Client, capability: Capability, ids: ServerIds, *, conditional: bool) -> None:
        self._client = client
        self._capability = capability
        self._ids = ids
        self._conditional = conditional
        self._ours: Mapping[Name, Resource] = {}
        self.unfinished: set[Name] = set()
        """What was last sent with a reference still open, since what it refers to has no id on the server yet."""

    def expect(self, ours: Mapping[Name, Resource]) -> None:
        """Say which resources are ours, so that a reference to one of them must be made to fit the server's ids."""
        self._ours = ours

    def transaction(self, changes: Sequence[Change]) -> Answer:
        """Send all or nothing; raises AnswerLost where it may have taken place."""
        self.unfinished = set()
        local = {str(each.name): self._full_url(each) for each in changes} if self._conditional else {}
        entries = [self._entry(each, local) for each in changes]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = self._client.write("POST", "", bundle, {"Prefer": "return=minimal"})
        if answer.is_success:
            for each, entry in zip(changes, (answer.body or {}).get("entry") or (), strict=False):
                response = entry.get("response") if isinstance(entry, dict) else None
                self._learn(each.name, response.get("location") if isinstance(response, dict) else None)
        return answer

    def alone(self, change: Change) -> Answer:
        """Send one change by itself; raises AnswerLost where it may have taken place."""
        self.unfinished = set()
        request = self._request(change)
        named = {"ifMatch": "If-Match", "ifNoneExist": "If-None-Exist"}
        headers = {header: request[key] for key, header in named.items() if key in request}
        answer = self._client.write(request["method"], request["url"], self._body(change, {}), headers)
        if answer.is_success:
            self._learn(change.name, answer.location)
            if answer.body is not None and answer.body.get("resourceType") == change.name.type:
                self._ids.learn(change.name, str(answer.body.get("id")))
        return answer

    def _entry(self, change: Change, local: Mapping[str, str]) -> dict[str, Any]:
        return {
            "fullUrl": self._full_url(change),
            "resource": self._body(change, local),
            "request": self._request(change),
        }

    def _request(self, change: Change) -> dict[str, str]:
        if change.held is not None:
            versioned = {"ifMatch": change.held.etag} if change.held.etag else {}
            return {"method": "PUT", "url": f"{change.name.type}/{change.held.id}", **versioned}
        if not self._conditional:
            return {"method": "PUT", "url": str(change.name)}
        said = self._capability.of(change.name.type)
        query = key_of(change.resource).query()
        if said.conditional_update is False and said.conditional_create is not False:
            return {"method": "POST", "url": change.name.type, "ifNoneExist": query}
        return {"method": "PUT", "url": f"{change.name.type}?{query}"}

    def _full_url(self, change: Change) -> str:
        if self._conditional and change.held is None:
            return f"urn:uuid:{uuid.uuid5(_SPACE, str(change.name))}"
        id_ = change.held.id if change.held is not None else change.name.id
        return f"{self._client.server.url}/{change.name.type}/{id_}"

    def _body(self, change: Change, local: Mapping[str, str]) -> dict[str, Any]:
        if not self._conditional:
            return dict(change.resource)
        body: dict[str, Any] = with_references(change.resource, lambda each: self._reference(change, each, local))
        body.pop("id", None)
        return body if change.held is None else {**body, "id": change.held.id}

    def _reference(self, change: Change, reference: str, local: Mapping[str, str]) -> Mapping[str, Any]:
        """Give a reference as this server can follow it: within the transaction, else by the id it gave.

        Two resources that refer to each other cannot both be second: where they are not written in one transaction,
        the first says by identifier what it means, and is written again when the other has an id.
        """
        type_, _, id_ = reference.partition("/")
        target = Name(type_, id_)
        if target not in self._ours:
            return {"reference": reference}
        known = self._ids.of(target)
        if known is not None:
            return {"reference": f"{type_}/{known}"}
        if reference in local:
            return {"reference": local[reference]}
        self.unfinished.add(change.name)
        return {"type": type_, "identifier": key_of(self._ours[target]).identifier()}

    def _learn(self, name: Name, location: object) -> None:
        """Take the id out of ``[base]/Type/id/_history/1``."""
        parts = location.split("/") if isinstance(location, str) else []
        if name.type in parts[:-1]:
            self._ids.learn(name, parts[len(parts) - 1 - parts[::-1].index(name.type) + 1])


def names_of(resources: Sequence[Resource]) -> dict[Name, Resource]:
    """Give resources by their names."""
    return {name_of(each): each for each in resources}
