"""A trial's resources as one transaction: all of them or none, and writing it twice is writing it once.

By id (``PUT Library/CfmscEligibility``) where the server lets a client choose ids.  Where it does not, by condition
(``PUT Library?url=...``): the server chooses, entries know each other by ``urn:uuid``, and their references are
rewritten so that the server can put its own ids in.
"""

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from adapter.emission.files import Resource

_NAMESPACE = uuid.UUID("8b1f5a0e-2f0b-5c6e-8a57-0d0c2a3c9d41")
_ORDER = (
    "CodeSystem",
    "ValueSet",
    "ConceptMap",
    "Organization",
    "Location",
    "Library",
    "Questionnaire",
    "EvidenceVariable",
    "PlanDefinition",
    "Group",
    "ResearchStudy",
)
"""What is pointed at comes before what points at it; only the study, which definitions name as theirs, comes last.

A server needs no order inside a transaction; a person, and a server without transactions, do.
"""


def in_order(resources: Iterable[Resource]) -> list[Resource]:
    """Sort resources so that each comes after those it refers to; within a type as they were."""
    places = {resource_type: place for place, resource_type in enumerate(_ORDER)}
    return sorted(resources, key=lambda each: places.get(each["resourceType"], len(_ORDER)))


def transaction(resources: Iterable[Resource], base: str) -> Resource:
    """Give the Bundle that writes every resource under the id we chose."""
    entries = []
    for each in in_order(resources):
        local = f"{each['resourceType']}/{each['id']}"
        request = {"method": "PUT", "url": local}
        entries.append({"fullUrl": f"{base}/{local}", "resource": each, "request": request})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def conditional_transaction(resources: Iterable[Resource], base: str, query: Callable[[Resource], str]) -> Resource:
    """Give the Bundle that writes every resource where a search finds it, else as a new one.

    ``query`` gives the search, such as ``url=http...``.  It leaves the version out: a new version of a definition
    takes the place of the old one.
    """
    ordered = in_order(resources)
    names = {f"{each['resourceType']}/{each['id']}": entry_name(each, base) for each in ordered}
    targets = names | {f"{base}/{local}": name for local, name in names.items()}
    entries = []
    for each in ordered:
        # An id in the body would tell the server which id to give: that is what it refuses.
        body = {key: _pointed(value, targets) for key, value in each.items() if key != "id"}
        request = {"method": "PUT", "url": f"{each['resourceType']}?{query(each)}"}
        entries.append({"fullUrl": entry_name(each, base), "resource": body, "request": request})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def entry_name(resource: Resource, base: str) -> str:
    """Give the name an entry has inside its transaction: ``urn:uuid``, the same on every run."""
    url = f"{base}/{resource['resourceType']}/{resource['id']}"
    return f"urn:uuid:{uuid.uuid5(_NAMESPACE, url)}"


def _pointed(value: Any, targets: dict[str, str]) -> Any:  # noqa: ANN401 (any part of a resource)
    """Copy a part of a resource with its references to other entries replaced by their names."""
    if isinstance(value, dict):
        return {
            key: targets.get(inside, inside)
            if key == "reference" and isinstance(inside, str)
            else _pointed(inside, targets)
            for key, inside in value.items()
        }
    if isinstance(value, list | tuple):
        return [_pointed(each, targets) for each in value]
    return value
