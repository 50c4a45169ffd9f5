"""Which inputs and value sets a code belongs to: exact for most systems, by prefix or range for classifications."""

import re

import msgspec

from adapter.eligibility.facts import Membership, Route
from adapter.eligibility.reason import Reason
from adapter.fhir import resources as fhir
from adapter.mapping.table import Input, System, ValueSet, Vocabulary


class Target(msgspec.Struct, frozen=True):
    """An input and the role a code plays in it."""

    input: str
    role: str


class _Prefix(msgspec.Struct, frozen=True):
    """A root of a classification: every code below it, or between two roots as compared by their own length."""

    low: str
    high: str
    value_set: str
    doubt: Reason | None
    naming: frozenset[str] | None
    """Codes that name the whole concept; None: any here does."""
    excluding: tuple[str, ...]

    def holds(self, code: str) -> bool:
        """Whether an undotted code lies here."""
        if self.high == self.low:
            inside = code.startswith(self.low)
        else:
            inside = self.low <= code[: len(self.low)] and code[: len(self.high)] <= self.high
        return inside and not any(code.startswith(each) for each in self.excluding)


def undotted(code: str) -> str:
    """Write a classification code without its dot: E11.9 and E119 are one code."""
    return code.replace(".", "").upper()


class CodeIndex:
    """Every code of the mappings, and a site's, ready to be looked up by (system, code)."""

    def __init__(self, inputs: dict[str, Input], value_sets: dict[str, ValueSet], vocabulary: Vocabulary) -> None:
        self._system: dict[str, System] = {url: key for key, urls in vocabulary.systems.items() for url in urls}
        self._hierarchical = frozenset(vocabulary.hierarchical)
        self._urls = vocabulary.systems
        self._targets: dict[tuple[str, str | None], tuple[Target, ...]] = {}
        """By a system's URL, not its name, so that an Observation's code takes one look-up."""
        self._exact: dict[tuple[System, str], list[Membership]] = {}
        self._prefixes: dict[System, list[_Prefix]] = {}
        self._kept: dict[tuple[str | None, str | None], tuple[Membership, ...]] = {}
        self._routes: dict[str, Route] = {}
        self._by_code: dict[str, tuple[Target, ...]] = {}
        """The same targets without their systems; made when it is first needed."""
        self._local: dict[tuple[str, str], tuple[tuple[System, str], ...]] = {}
        for name, each in inputs.items():
            for role, codes in each.codes.items():
                for code in codes:
                    for url in vocabulary.systems[code.system]:
                        self._add_targets(url, code.code, (Target(name, role),))
        for name, value_set in value_sets.items():
            self._routes.update({code: Route(route) for code, route in value_set.routes.items()})
            for member in with_included(name, value_sets):
                self._add_set(name, value_sets[member], value_set)

    def _add_targets(self, url: str, code: str, targets: tuple[Target, ...]) -> None:
        key = (url, code)
        self._targets[key] = (*self._targets.get(key, ()), *targets)

    def _add_set(self, name: str, source: ValueSet, owner: ValueSet) -> None:
        for system, codes in source.codes.items():
            for code in codes:
                naming = None if owner.refutable == "any-code" else frozenset(map(undotted, owner.refutable))
                doubt = doubt_of(owner, system, code.code) or doubt_of(source, system, code.code)
                if system in self._hierarchical:
                    low, _, high = undotted(code.code).partition("-")
                    excluding = tuple(undotted(each) for each in source.excluding.get(system, ()))
                    prefix = _Prefix(low, high or low, name, doubt, naming, excluding)
                    self._prefixes.setdefault(system, []).append(prefix)
                else:
                    whole = naming is None or undotted(code.code) in naming
                    self._exact.setdefault((system, code.code), []).append(Membership(name, doubt, whole))

    def add_local(self, system: str, code: str, target: tuple[System, str]) -> None:
        """Let a site's own code mean a standard one."""
        key = (system, code)
        self._local[key] = (*self._local.get(key, ()), target)
        if system not in self._system:
            standard, standard_code = target
            found = self._targets.get((self._urls[standard][0], standard_code), ())
            self._add_targets(system, code, found)

    def add_member(self, value_set: str, system: str, code: str) -> bool:
        """Let a site's expansion add a code to a value set; False for a system that is not known."""
        known = self._system.get(system)
        if known is None:
            return False
        if known in self._hierarchical:
            root = undotted(code)
            self._prefixes.setdefault(known, []).append(_Prefix(root, root, value_set, None, frozenset(), ()))
        else:
            self._exact.setdefault((known, code), []).append(Membership(value_set))
        self._kept.clear()
        return True

    def standard(self, coding: fhir.Coding) -> tuple[tuple[System, str], ...]:
        """Give the standard code(s) a coding means: itself, or what the site maps it to."""
        system, code = coding.system, coding.code
        if code is None or system is None:
            return ()
        known = self._system.get(system)
        if known is not None:
            return ((known, code),)
        return self._local.get((system, code), ())

    def targets(self, concept: fhir.CodeableConcept | None) -> tuple[Target, ...]:
        """Give the inputs a concept's codings stand for, each input once, a ``reject`` before all else."""
        if concept is None:
            return ()
        found: tuple[Target, ...] = ()
        for coding in concept.coding:
            hit = self._targets.get((coding.system or "", coding.code))
            if hit is not None:
                found = hit if not found else (*found, *hit)
        return found if len(found) < 2 else _one_role_each(found)  # noqa: PLR2004 (one needs no choosing)

    def memberships(self, concept: fhir.CodeableConcept | None) -> tuple[Membership, ...]:
        """Give the value sets a concept's codings belong to; a coding that proves one outweighs one that suggests."""
        if concept is None:
            return ()
        if len(concept.coding) == 1:
            return self.of_coding(concept.coding[0])
        found: dict[str, Membership] = {}
        for coding in concept.coding:
            for member in self.of_coding(coding):
                other = found.get(member.value_set)
                if other is None or (other.doubt is not None and member.doubt is None):
                    found[member.value_set] = member
        return tuple(found.values())

    def possible_targets(self, concept: fhir.CodeableConcept | None) -> tuple[Target, ...]:
        """Give the inputs a concept can mean of which a part cannot be read: its codes in any system."""
        if not self._by_code:
            for (_, code), hits in self._targets.items():
                self._by_code[code or ""] = (*self._by_code.get(code or "", ()), *hits)
        return tuple(dict.fromkeys(hit for word in sorted(_words(concept)) for hit in self._by_code.get(word, ())))

    def possible_memberships(self, concept: fhir.CodeableConcept | None) -> tuple[Membership, ...]:
        """Give the value sets a concept can belong to of which a part cannot be read; none of them is proven."""
        systems = dict.fromkeys((*(coding.system for coding in concept.coding), *self._system) if concept else ())
        words = sorted(_words(concept))
        found = (hit for url in systems for word in words for hit in self.of_coding(fhir.Coding(url, word)))
        return tuple(Membership(name, Reason.VERIFY) for name in dict.fromkeys(hit.value_set for hit in found))

    def of_coding(self, coding: fhir.Coding) -> tuple[Membership, ...]:
        """Give the value sets one coding belongs to."""
        key = (coding.system, coding.code)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._look_up(coding)
            if len(self._kept) < 100_000:  # noqa: PLR2004 (a bound on memory, not a clinical number)
                self._kept[key] = kept
        return kept

    def _look_up(self, coding: fhir.Coding) -> tuple[Membership, ...]:
        found: dict[str, Membership] = {}
        for system, code in self.standard(coding):
            for member in self._exact.get((system, code), ()):
                other = found.get(member.value_set)
                if other is None or (other.doubt is not None and member.doubt is None):
                    found[member.value_set] = member
            if system in self._hierarchical:
                self._look_up_prefixes(system, undotted(code), found)
        return tuple(found.values())

    def _look_up_prefixes(self, system: System, code: str, found: dict[str, Membership]) -> None:
        """The longest root that holds a code speaks for its set: I80.0 may only suggest where I80 proves."""
        longest: dict[str, int] = {}
        for root in self._prefixes.get(system, ()):
            if root.holds(code) and len(root.low) > longest.get(root.value_set, 0):
                longest[root.value_set] = len(root.low)
                whole = root.naming is None or code in root.naming
                found[root.value_set] = Membership(root.value_set, root.doubt, whole)

    def spelled(self, concept: fhir.CodeableConcept) -> tuple[str, ...]:
        """Give a concept's codes as ``system|code`` in one spelling, so that E119 and E11.9 are the same."""
        found = []
        for coding in concept.coding:
            if coding.code:
                system = self._system.get(coding.system or "")
                code = undotted(coding.code) if system in self._hierarchical else coding.code
                found.append(f"{system or coding.system}|{code}")
        return tuple(found)

    def route_of(self, concept: fhir.CodeableConcept | None) -> Route | None:
        """Give the route a product code names, where the mapping says so."""
        if concept is None:
            return None
        return next((self._routes[c.code] for c in concept.coding if c.code in self._routes), None)

    def system_of(self, url: str | None) -> System | None:
        """Give the mappings' name of a code system; None for one they do not read."""
        return self._system.get(url or "")


def _words(concept: fhir.CodeableConcept | None) -> set[str]:
    """Give whatever in a concept can be meant as a code."""
    said = (coding.code for coding in concept.coding if coding.code) if concept is not None else ()
    return {word for code in said for word in (code, *re.split(r"[|\s]+", code))}


def doubt_of(value_set: ValueSet, system: System, code: str) -> Reason | None:
    """Say why a code of a value set does not prove its concept; None where it does."""
    for reason, codes in value_set.suggests.items():
        if code in codes.get(system, ()):
            return reason
    return None


def with_included(name: str, value_sets: dict[str, ValueSet]) -> list[str]:
    """Give a value set and everything it includes, each once."""
    found = [name]
    for each in found:
        found.extend(other for other in value_sets[each].includes if other not in found and other in value_sets)
    return found


def _one_role_each(found: tuple[Target, ...]) -> tuple[Target, ...]:
    chosen: dict[str, Target] = {}
    for target in found:
        if target.input not in chosen or target.role == "reject":
            chosen[target.input] = target
    return tuple(chosen.values())
