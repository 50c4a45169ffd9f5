"""What the site's FHIR server takes of us, by what it says of itself and by what it refused."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from adapter.delivery.client import Answer
from adapter.fhir.versions import FhirVersion
from adapter.store.verdict import Refused, Verdict

Fallback = Literal["refuse", "observation", "task", "file"]
"""What becomes of what the server does not take: given up, or said in another way."""
FALLBACK_TYPES = {"observation": ("Observation",), "task": ("Task",)}
RESULTS = ("ResearchSubject", "GuidanceResponse", "Provenance")
_RELEASES = {"4.0": FhirVersion.R4, "4.3": FhirVersion.R4, "5.0": FhirVersion.R5}


class Manner(msgspec.Struct, frozen=True):
    """How a site wants its results delivered."""

    conditional: bool = False
    """Whether the server gives ids itself, and resources are found by our identifiers."""
    fallback: Fallback = "refuse"
    folder: Path | None = None
    """Where ``file`` puts what the server does not take."""
    rehearses: bool = False
    """Whether everything is read and planned, and nothing written."""

    @property
    def types(self) -> tuple[str, ...]:
        """The types that may be written."""
        return (*RESULTS, *FALLBACK_TYPES.get(self.fallback, ()))


class Ability(msgspec.Struct, frozen=True):
    """What a server takes."""

    version: FhirVersion | None = None
    """None where it does not say, or says one that we do not write."""
    spoken: str = ""
    transactions: bool = False
    types: frozenset[str] = frozenset()
    """Empty where the server does not list its types."""
    read_only: frozenset[str] = frozenset()
    """Types that it lists, but writes nothing of."""
    gives_ids: frozenset[str] = frozenset()
    """Types whose ids it says it gives itself."""

    def lacks(self, types: Iterable[str], *, conditional: bool = False) -> dict[str, str]:
        """Give the types that cannot be written, each with a code that says why."""
        found = {}
        for each in dict.fromkeys(types):
            if self.types and each not in self.types:
                found[each] = "type-not-supported"
            elif each in self.read_only:
                found[each] = "type-not-written"
            elif not conditional and each in self.gives_ids:
                found[each] = "client-ids-refused"
        return found

    def without(self, type_: str) -> "Ability":
        """Give what is left once the server has refused a type."""
        return msgspec.structs.replace(self, read_only=self.read_only | {type_})


def ability_of(said: Answer) -> Ability:
    """Read a CapabilityStatement; raises Refused where there is none (now)."""
    body = said.body or {}
    if not said.is_success or body.get("resourceType") != "CapabilityStatement":
        raise Refused(Verdict.LATER, f"no-capability-statement: http-{said.status}", said.retry_after_s, said)
    spoken = body.get("fhirVersion")
    spoken = spoken[:40] if isinstance(spoken, str) else ""
    rest = [each for each in _objects(body.get("rest")) if each.get("mode", "server") == "server"]
    listed = {str(each.get("type")): each for one in rest for each in _objects(one.get("resource"))}
    codes = {type_: {told.get("code") for told in _objects(each.get("interaction"))} for type_, each in listed.items()}
    return Ability(
        version=_RELEASES.get(spoken[:3]),
        spoken=spoken,
        transactions=any(
            told.get("code") == "transaction" for one in rest for told in _objects(one.get("interaction"))
        ),
        types=frozenset(listed),
        read_only=frozenset(type_ for type_, told in codes.items() if told and told.isdisjoint({"create", "update"})),
        gives_ids=frozenset(type_ for type_, each in listed.items() if each.get("updateCreate") is False),
    )


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
