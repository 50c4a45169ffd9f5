"""A real FHIR server as a test sees it: what it holds of the trials, how many of each, and how to empty it."""

from decimal import Decimal
from typing import Any

import msgspec
import requests

from adapter.delivery.export import Trials
from adapter.delivery.identity import Resource, has_key, key_of, name_of
from adapter.delivery.references import in_order

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_TIMEOUT_S = 60


def every(trials: Trials) -> list[Resource]:
    """Give each resource of the trials once."""
    return list({name_of(each): each for resources in trials.values() for each in resources}.values())


def without_terminology(trials: Trials) -> Trials:
    """Give the trials with their value sets and concept maps left out, so that each fits into any transaction."""
    terminology = {"ConceptMap", "ValueSet"}
    return {
        key: tuple(each for each in resources if each["resourceType"] not in terminology)
        for key, resources in trials.items()
    }


class RealServer:
    def __init__(self, base: str) -> None:
        self.base = base
        self._session = requests.Session()

    def read(self, url: str) -> Any:  # noqa: ANN401 (JSON)
        answer = self._session.get(f"{self.base}/{url}", timeout=_TIMEOUT_S, headers={"Cache-Control": "no-cache"})
        return _DECODER.decode(answer.content) if answer.ok else None

    def put(self, resource: dict[str, Any]) -> None:
        url = f"{self.base}/{name_of(resource)}"
        body = msgspec.json.Encoder(decimal_format="number").encode(resource)
        headers = {"Content-Type": "application/fhir+json"}
        assert self._session.put(url, data=body, headers=headers, timeout=_TIMEOUT_S).ok

    def found(self, trials: Trials) -> dict[str, list[dict[str, Any]]]:
        """Give every copy of each resource of the trials, whatever its id: one reading for each type."""
        wanted = every(trials)
        held = {each: self._all(each) for each in sorted({each["resourceType"] for each in wanted})}
        keys = [(each, key_of(each)) for each in wanted]
        return {
            str(name_of(each)): [copy for copy in held[each["resourceType"]] if has_key(copy, key)]
            for each, key in keys
        }

    def _all(self, resource_type: str) -> list[dict[str, Any]]:
        copies: list[dict[str, Any]] = []
        url: str | None = f"{self.base}/{resource_type}?_count=500"
        while url is not None:
            answer = self._session.get(url, timeout=_TIMEOUT_S, headers={"Cache-Control": "no-cache"})
            searchset = _DECODER.decode(answer.content)
            copies += [each["resource"] for each in searchset.get("entry", [])]
            url = next((each["url"] for each in searchset.get("link", []) if each["relation"] == "next"), None)
        return copies

    def state(self, trials: Trials) -> dict[str, list[dict[str, Any]]]:
        """Give every copy of everything, without what differs from run to run."""
        return {
            name: [{key: value for key, value in copy.items() if key != "meta"} for copy in copies]
            for name, copies in self.found(trials).items()
        }

    def clear(self, trials: Trials) -> None:
        """Delete every copy of everything, what refers before what is referred to."""
        found = self.found(trials)
        names = [str(name_of(each)) for each in reversed(in_order(every(trials)))]
        for copy in (copy for name in names for copy in found[name]):
            url = f"{self.base}/{copy['resourceType']}/{copy['id']}"
            self._session.delete(url, timeout=_TIMEOUT_S).raise_for_status()
