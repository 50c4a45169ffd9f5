"""What would be written: the server is read as always, and every write is counted instead of sent."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

from adapter.delivery.client import Answer


class Target(Protocol):
    """A FHIR server as the courier needs it."""

    def read(self, path: str) -> Answer:
        """Read ``metadata`` or a resource."""

    def search(self, type_: str, query: str) -> Answer:
        """Search for resources of a type."""

    def put(self, path: str, body: Mapping[str, Any], version: str | None) -> Answer:
        """Write one resource in place of ``version``."""

    def post(self, path: str, body: Mapping[str, Any], none_exist: str | None) -> Answer:
        """Write one resource that the server gives an id, unless it holds one with this identifier."""

    def transaction(self, bundle: Mapping[str, Any]) -> Answer:
        """Write all or nothing."""


class Rehearsal:
    """A server that is only read; ``written`` says what would have been done how often."""

    def __init__(self, server: Target) -> None:
        self._server = server
        self.written = Counter[str]()

    def read(self, path: str) -> Answer:
        """Read, as always."""
        return self._server.read(path)

    def search(self, type_: str, query: str) -> Answer:
        """Search, as always."""
        return self._server.search(type_, query)

    def put(self, path: str, body: Mapping[str, Any], version: str | None) -> Answer:
        """Count a write."""
        self.written[f"{'write' if version is None else 'replace'}-{body['resourceType']}"] += 1
        return Answer(200, location=path)

    def post(self, path: str, body: Mapping[str, Any], none_exist: str | None) -> Answer:  # noqa: ARG002 (a server's)
        """Count a write, and give a name that nothing has."""
        self.written[f"write-{body['resourceType']}"] += 1
        return Answer(201, location=f"{path}/rehearsed-{self.written.total()}")

    def transaction(self, bundle: Mapping[str, Any]) -> Answer:
        """Count the writes of a transaction."""
        entries = []
        for each in bundle["entry"]:
            request, resource = each["request"], each["resource"]
            if request["method"] == "PUT":
                said = self.put(request["url"], resource, request.get("ifMatch"))
            else:
                said = self.post(request["url"], resource, request.get("ifNoneExist"))
            entries.append({"response": {"status": str(said.status), "location": said.location}})
        return Answer(200, {"resourceType": "Bundle", "type": "transaction-response", "entry": entries})
