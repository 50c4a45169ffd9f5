"""What a check finds, and what it could not look into."""

from enum import StrEnum

import msgspec


class Weight(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"
    WARNING = "warning"
    OPEN = "open"
    """Not looked into, because what it needs is not here; counted, never passed over."""


class Finding(msgspec.Struct, frozen=True, order=True):
    """One thing found in a resource, and where."""

    path: str
    key: str
    """HL7's key of an invariant, or our name for a rule."""
    said: str
    weight: Weight = Weight.ERROR


class Link(msgspec.Struct, frozen=True, order=True):
    """One pointer from a resource to something else."""

    path: str
    kind: str
    """reference, canonical or system."""
    value: str
    owner: str = ""
    """Type/id of the resource that the pointer stands in."""
    targets: tuple[str, ...] = ()
    """Types of resource that it may lead to; empty where any will do."""


class Report:
    """Everything found in one resource, each thing once."""

    def __init__(self) -> None:
        """Begin with nothing found."""
        self._findings: dict[Finding, None] = {}
        self._links: dict[Link, None] = {}

    def add(self, path: str, key: str, said: str, weight: Weight = Weight.ERROR) -> None:
        """Note a finding."""
        self._findings[Finding(path, key, said, weight)] = None

    def link(self, link: Link) -> None:
        """Note a pointer."""
        self._links[link] = None

    @property
    def links(self) -> tuple[Link, ...]:
        """Give every pointer."""
        return tuple(self._links)

    def of(self, weight: Weight) -> list[Finding]:
        """Give the findings of one weight, in the order found."""
        return [each for each in self._findings if each.weight is weight]

    @property
    def errors(self) -> list[Finding]:
        """Give what is wrong."""
        return self.of(Weight.ERROR)

    @property
    def warnings(self) -> list[Finding]:
        """Give what is allowed but needs a reason."""
        return self.of(Weight.WARNING)

    @property
    def open(self) -> list[Finding]:
        """Give what was not looked into."""
        return self.of(Weight.OPEN)
