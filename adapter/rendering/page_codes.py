"""Inputs and codes on a page: which codes an atom reads, and each list in full."""

from collections.abc import Iterator

from adapter.catalog.catalog import Catalog
from adapter.eligibility.kinds.derivation import BodyMassIndex
from adapter.eligibility.trial import Atom
from adapter.mapping.table import Code, Input, System, ValueSet
from adapter.rendering.markup import Html, element, fold, joined, listing, table
from adapter.rendering.wording import Concept, Form, Words

SYSTEMS: dict[System, str] = {
    "loinc": "LOINC",
    "snomed": "SNOMED CT",
    "icd10cm": "ICD-10-CM",
    "icd10": "ICD-10 (WHO)",
    "rxnorm": "RxNorm",
    "atc": "ATC",
    "cpt": "CPT",
    "icd10pcs": "ICD-10-PCS",
    "hl7v3": "HL7 v3",
}
_VERIFIED = {
    "verified": "official source",
    "verified-secondary": "single public files",
    "exists-only": "exists, meaning not checked",
    "weak": "weakly",
    "unverified": "not yet",
}
_HEAD = ["Code", "System", "Display", "Counts as", "Verified"]


class Codes:
    """The code lists of one page: in short at each atom, in full once, with the atoms that use them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._users: dict[Concept, list[str]] = {}
        self.systems: set[System] = set()
        """Code systems of which codes stand on the page."""

    def of_atom(self, atom: Atom, form: Form) -> Html:
        """Write the inputs and value sets of an atom with their codes in short."""
        words = Words(self._catalog, None)
        found = dict.fromkeys((*form.concepts, *(words.concept("inputs", name) for name in atom.inputs)))
        concepts = list(dict.fromkeys(each for concept in found for each in self._with_parts(concept, words)))
        for each in concepts:
            self._users.setdefault(each, []).append(atom.id)
        if not concepts:
            return Html()
        names = ", ".join(dict.fromkeys(each.title for each in concepts))
        summary = joined(element("strong", "Inputs and codes: "), names)
        return fold(summary, listing([self._in_short(each) for each in concepts]), class_="codes")

    def in_full(self) -> Html:
        """Write every list that an atom of the page uses: code, system, display, how it counts, how it was checked."""
        return joined(*(self._one(each, users) for each, users in self._users.items()))

    def _with_parts(self, concept: Concept, words: Words) -> Iterator[Concept]:
        """Give a concept, the value sets it includes and the inputs it is computed from."""
        yield concept
        mappings = self._catalog.mappings
        if concept.block == "value_sets" and concept.name in mappings.value_sets:
            for name in mappings.value_sets[concept.name].includes:
                yield from self._with_parts(words.concept("value_sets", name), words)
        elif concept.block == "inputs" and concept.name in mappings.inputs:
            rule = mappings.inputs[concept.name].derive
            if isinstance(rule, BodyMassIndex):
                yield words.concept("inputs", rule.weight)
                yield words.concept("inputs", rule.height)

    def _in_short(self, concept: Concept) -> Html:
        mappings = self._catalog.mappings
        by_system: dict[System, list[str]] = {}
        if concept.block == "inputs" and concept.name in mappings.inputs:
            for role, codes in mappings.inputs[concept.name].codes.items():
                for code in codes if role != "reject" else ():
                    by_system.setdefault(code.system, []).append(code.code)
        elif concept.block == "value_sets" and concept.name in mappings.value_sets:
            for system, codes in mappings.value_sets[concept.name].codes.items():
                by_system.setdefault(system, []).extend(code.code for code in codes)
        link = element("a", concept.title, href=f"#{_place(concept)}")
        said = "; ".join(f"{SYSTEMS[system]} {', '.join(codes)}" for system, codes in by_system.items())
        return joined(link, ": " if said else "", element("span", said, class_="short") if said else "")

    def _one(self, concept: Concept, users: list[str]) -> Html:
        mappings = self._catalog.mappings
        rows: list[list[str]] = []
        about: list[str] = []
        if concept.block == "inputs" and concept.name in mappings.inputs:
            rows, about = self._input(mappings.inputs[concept.name])
        elif concept.block == "value_sets" and concept.name in mappings.value_sets:
            rows, about = self._value_set(mappings.value_sets[concept.name])
        links = joined(*(element("a", each.partition("-")[2], href=f"#{each}") for each in users), by=", ")
        remarks = [element("p", f"{each.rstrip('.')}.") for each in about]
        inside = table(f"Codes of {concept.title}", _HEAD, rows, class_="list") if rows else Html()
        summary = joined(element("strong", concept.title), f" ({len(rows)})" if rows else "")
        block = element("div", element("p", "Used by ", links), *remarks, inside, id=_place(concept))
        return fold(summary, block, class_="concept-codes")

    def _input(self, mapped: Input) -> tuple[list[list[str]], list[str]]:
        rows: list[list[str]] = []
        for role, codes in mapped.codes.items():
            part = "never counts" if role == "reject" else role.replace("_", " ")
            rows.extend(self._row(code, code.system, part) for code in codes)
        about = [f"Read from {mapped.source}"]
        about.extend([f"Computed: {mapped.derivation}"] if mapped.derivation else [])
        return rows, about

    def _value_set(self, value_set: ValueSet) -> tuple[list[list[str]], list[str]]:
        suggests = {
            (system, code): reason.value
            for reason, by_system in value_set.suggests.items()
            for system, codes in by_system.items()
            for code in codes
        }
        rows = []
        for system, listed in value_set.codes.items():
            for code in listed:
                reason = suggests.get((system, code.code))
                rows.append(self._row(code, system, f"only suggests it: {reason}" if reason else "proves it"))
        known = self._catalog.mappings.value_sets
        about = []
        if value_set.includes:
            about.append(f"With {', '.join(known[each].title for each in value_set.includes if each in known)}")
        if not rows and not value_set.includes:
            about.append("No codes: a site gives its own")
        return rows, [*about, *([value_set.note] if value_set.note else [])]

    def _row(self, code: Code, system: System, part: str) -> list[str]:
        self.systems.add(system)
        return [element("code", code.code), SYSTEMS[system], code.display, part, _VERIFIED[code.verified]]


def _place(concept: Concept) -> str:
    return f"{'input' if concept.block == 'inputs' else 'codes'}-{concept.name}"
