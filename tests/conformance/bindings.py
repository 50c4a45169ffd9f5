"""Whether codes come from the value sets that HL7 binds them to."""

from collections.abc import Iterator

import msgspec
from conformance.definitions import Binding, Json, Package
from conformance.findings import Weight
from conformance.valuesets import Codes, code_list, expand, holds

Remark = tuple[str, str, Weight]
"""Key, words and weight."""


class Coded(msgspec.Struct, frozen=True):
    """One code, with its system where it has one."""

    code: str
    system: str | None


class Terminology:
    """The value sets and code systems of one package, each worked out once."""

    def __init__(self, package: Package) -> None:
        """Work nothing out yet."""
        self.package = package
        self._expanded: dict[str, Codes | None] = {}
        self._systems: dict[str, frozenset[str] | None] = {}

    def expand(self, url: str) -> Codes | None:
        """Give a value set's codes."""
        if url not in self._expanded:
            self._expanded[url] = expand(self.package, url)
        return self._expanded[url]

    def system(self, url: str) -> frozenset[str] | None:
        """Give a code system's codes; None where they are not all here."""
        if url not in self._systems:
            self._systems[url] = code_list(self.package, url)
        return self._systems[url]

    def known_code(self, coding: Json) -> Iterator[Remark]:
        """Say so when a coding names a code that its own system does not have."""
        codes = self.system(coding.get("system", ""))
        if codes is not None and "code" in coding and coding["code"] not in codes:
            yield "unknown-code", f"{coding['system']} has no {coding['code']}", Weight.ERROR

    def bound(self, binding: Binding, type_name: str, value: object) -> Iterator[Remark]:
        """Hold a coded value against the value set it is bound to."""
        if binding.strength not in ("required", "extensible"):
            return
        coded = list(codes_of(type_name, value))
        codes = self.expand(binding.value_set)
        if codes is None:
            yield "binding-open", binding.value_set, Weight.OPEN
            return
        answers = [_holds(codes, each) for each in coded]
        if True in answers:
            return
        if None in answers:
            yield "binding-open", binding.value_set, Weight.OPEN
        elif binding.strength == "required":
            if coded or type_name != "Quantity":
                yield "required-binding", f"not in {binding.value_set}", Weight.ERROR
        else:
            whole = frozenset(system for system, some in codes.items() if some == self.system(system))
            yield from _extensible(binding, coded, whole)


def _holds(codes: Codes, coded: Coded) -> bool | None:
    return holds(codes, coded.code, coded.system)


def _extensible(binding: Binding, coded: list[Coded], whole: frozenset[str]) -> Iterator[Remark]:
    """Another code may say what the value set cannot, but not one of a system that the value set takes as a whole."""
    if any(each.system in whole for each in coded):
        yield "extensible-binding", f"not in {binding.value_set}, which has all of its system", Weight.ERROR
    else:
        yield "beyond-binding", binding.value_set, Weight.WARNING


def codes_of(type_name: str, value: object) -> Iterator[Coded]:
    """Give the codes that a coded value holds; a bare code has no system of its own."""
    if isinstance(value, str):
        yield Coded(value, None)
    elif isinstance(value, dict):
        if type_name == "CodeableConcept":
            for each in value.get("coding", []):
                yield from codes_of("Coding", each)
        elif type_name == "CodeableReference":
            yield from codes_of("CodeableConcept", value.get("concept", {}))
        elif "code" in value:
            yield Coded(value["code"], value.get("system", ""))
