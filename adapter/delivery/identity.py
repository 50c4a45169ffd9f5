"""Which resource is meant: its id where ids are ours, else its canonical URL or its business identifier."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from adapter.errors import AdapterError, Category, Issue, Severity

Resource = Mapping[str, Any]
"""A resource in FHIR's JSON shape."""

_FOUND_BY_URL = frozenset(
    {"CodeSystem", "ConceptMap", "EvidenceVariable", "Library", "PlanDefinition", "Questionnaire", "ValueSet"}
)
"""Types whose ``url`` is a search parameter in R4 and R5; ResearchStudy has a url in R5 that cannot be searched for."""


class Name(NamedTuple):
    """What a resource is called in this export, whatever id the server gives it."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


def name_of(resource: Resource) -> Name:
    """Give the name of a resource of ours."""
    return Name(resource["resourceType"], resource["id"])


class Key(NamedTuple):
    """By what a resource is found on a server that gives ids itself."""

    parameter: str
    value: str

    def query(self) -> str:
        """Give it as a search: encoded, and with the characters escaped that mean something in a search."""
        value = self.value if self.parameter == "url" else _escaped_token(self.value)
        return f"{self.parameter}={quote(value, safe='')}"

    def identifier(self) -> dict[str, str]:
        """Give it as a business identifier, for a reference to what has no id yet."""
        if self.parameter == "url":
            return {"system": "urn:ietf:rfc:3986", "value": self.value}
        system, _, value = self.value.partition("|")
        return {"system": system, "value": value}


def key_of(resource: Resource) -> Key:
    """Give what finds this resource and no other; raises AdapterError where it has nothing of the kind.

    First an identifier that was minted for this resource: a search for a token is exact on every server, while one for
    a ``url`` finds all that begin with it on some (Medplum's router in memory), and would overwrite another.  Then the
    canonical URL.  Last an identifier that everybody uses, such as the NCT number, under which a hospital may keep its
    own record of the same study.
    """
    listed = resource.get("identifier", [])
    identifiers = [
        Key("identifier", f"{each['system']}|{each['value']}")
        for each in (listed if isinstance(listed, list) else [listed])
        if each.get("system") and each.get("value")
    ]
    minted = [each for each in identifiers if "/identifier/" in each.value]
    has_url = resource["resourceType"] in _FOUND_BY_URL and isinstance(resource.get("url"), str)
    by_url = [Key("url", resource["url"])] if has_url else []
    for key in (*minted, *by_url, *identifiers):
        return key
    said = "this has neither a url nor an identifier, so it cannot be found again; export without --conditional"
    raise AdapterError(Category.UNSUPPORTED, [Issue(Severity.ERROR, "no-identity", said, file=str(name_of(resource)))])


def has_key(resource: Resource, key: Key) -> bool:
    """Whether a resource that the server found is the one asked for: some servers ignore a search they do not know."""
    if key.parameter == "url":
        return bool(resource.get("url") == key.value)
    return key.value in _identifiers(resource)


def is_another(ours: Resource, held: Resource) -> bool:
    """Whether the server holds, under our id, something that was never ours."""
    if "url" in ours and "url" in held:
        return bool(ours["url"] != held["url"])
    mine, theirs = _identifiers(ours), _identifiers(held)
    return bool(mine and theirs) and mine.isdisjoint(theirs)


def _identifiers(resource: Resource) -> set[str]:
    listed = resource.get("identifier", [])
    found = listed if isinstance(listed, list) else [listed]
    return {f"{each.get('system')}|{each.get('value')}" for each in found if isinstance(each, dict)}


def _escaped_token(text: str) -> str:
    """Escape a token value; the bar between system and value is the search's own."""
    system, _, value = text.partition("|")
    return "|".join(_escaped(each) for each in (system, value))


def _escaped(text: str) -> str:
    for character in "\\,$|":
        text = text.replace(character, f"\\{character}")
    return text
