"""How the mappings' names are written as FHIR: CodeableConcepts, ValueSet canonicals, quantities."""

from decimal import Decimal
from typing import Literal

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.catalog.dimensions import dimension_of
from adapter.cql.mappings import mapping_version
from adapter.eligibility.values import Limits, Period
from adapter.emission.names import Naming, input_value_set_id, value_set_id
from adapter.emission.statement import Element
from adapter.mapping.table import Code, Input

UCUM = "http://unitsofmeasure.org"
_CODE_OPTIONS = "http://hl7.org/fhir/StructureDefinition/codeOptions"
_RESOURCE_TYPES = {True: "http://hl7.org/fhir/resource-types", False: "http://hl7.org/fhir/fhir-types"}
_COMPARATORS: tuple[tuple[Literal["at_least", "more_than", "at_most", "less_than"], str], ...] = (
    ("at_least", ">="),
    ("more_than", ">"),
    ("at_most", "<="),
    ("less_than", "<"),
)
_PLAIN_UNITS = {"a": "years", "mo": "months", "d": "days"}


class Terms(msgspec.Struct, frozen=True):
    """The mappings of a catalog, as one version of FHIR writes them."""

    catalog: Catalog
    naming: Naming

    def value_set(self, name: str) -> str:
        """Give the canonical of a value set of the mappings."""
        return self.naming.canonical("ValueSet", value_set_id(name), mapping_version(self.catalog.mappings))

    def input_value_set(self, name: str) -> str:
        """Give the canonical of the value set that holds the codes an input is read from."""
        return self.naming.canonical("ValueSet", input_value_set_id(name), mapping_version(self.catalog.mappings))

    def coding(self, code: Code) -> Element:
        """Give the Coding of a code of the mappings."""
        systems = self.catalog.mappings.vocabulary.systems
        return {"system": systems[code.system][0], "code": code.code, "display": code.display}

    def member(self, name: str) -> Element:
        """Give a CodeableConcept for whatever a value set holds: its one code, or its title and the set."""
        found = self.catalog.mappings.value_sets[name]
        codes = [code for each in found.codes.values() for code in each]
        if len(codes) == 1 and not found.includes and codes[0].system not in self._hierarchical:
            return {"coding": [self.coding(codes[0])], "text": found.title}
        return {"extension": [_options(self.value_set(name))], "text": found.title}

    def kind(self, resource_type: str, text: str) -> Element:
        """Give the code of a characteristic that says that something of a resource type is on record."""
        return {"coding": [resource_type_coding(resource_type, self.naming)], "text": text}

    def deciding(self, name: str) -> tuple[Code, ...]:
        """Give the codes of an input whose results decide."""
        return deciding(self.catalog.mappings.inputs[name])

    def read(self, name: str) -> tuple[Code, ...]:
        """Give the codes an input is read from: those of its ValueSet."""
        found = self.catalog.mappings.inputs[name]
        roles = (role for role in found.codes if role != "reject" or role in found.needs_fasting)
        return tuple({code: None for role in roles for code in found.codes[role]})

    def asked(self, name: str, unit: str | None = None) -> Element:
        """Give the code of a characteristic about an input: the primary code that carries ``unit``.

        Other codes are named by their ValueSet only where they all are of that code's kind: a limit in % must not be
        read against a code that is reported in mmol/mol.
        """
        found = self.catalog.mappings.inputs[name]
        codes = self.deciding(name)
        main = next((each for each in found.codes.get("primary", ()) if self._carries(each, unit)), None)
        kinds = {each.property for each in codes}
        alike = len(kinds) == 1 and None not in kinds
        made: Element = {}
        if len(codes) > 1 and (unit is None or alike):
            made["extension"] = [_options(self.input_value_set(name))]
        if main is not None:
            made["coding"] = [self.coding(main)]
        return {**made, "text": found.title}

    def answer(self, word: Literal["positive", "negative"]) -> Element:
        """Give the CodeableConcept of a qualitative answer."""
        vocabulary = self.catalog.mappings.vocabulary
        codes = vocabulary.answer_codes.get(word, {}).get("snomed", ())
        coding = [{"system": vocabulary.systems["snomed"][0], "code": code} for code in codes[:1]]
        return {"coding": coding, "text": word} if coding else {"text": word}

    def _carries(self, code: Code, unit: str | None) -> bool:
        """Whether a result of this code comes in a unit of this kind, as far as LOINC's property axis tells."""
        kinds = self.catalog.mappings.vocabulary.properties.get(code.property or "", ())
        return unit is None or not kinds or any(dimension_of(each) == dimension_of(unit) for each in kinds)

    @property
    def _hierarchical(self) -> tuple[str, ...]:
        return self.catalog.mappings.vocabulary.hierarchical


def resource_type_coding(name: str, naming: Naming) -> Element:
    """Give the Coding of a resource type."""
    return {"system": _RESOURCE_TYPES[naming.is_r4], "code": name}


def deciding(found: Input) -> tuple[Code, ...]:
    """Give the codes of an input whose results decide, once each."""
    roles = found.decides or tuple(role for role in found.codes if role != "reject")
    return tuple({code: None for role in roles for code in found.codes.get(role, ())})


def _options(canonical: str) -> Element:
    return {"url": _CODE_OPTIONS, "valueCanonical": canonical}


def quantity(value: Decimal | int, unit: str, comparator: str | None = None) -> Element:
    """Give a Quantity in a UCUM unit."""
    made: Element = {"value": value}
    if comparator is not None:
        made["comparator"] = comparator
    shown = _PLAIN_UNITS.get(unit) or unit.strip("{}") or "1"
    return {**made, "unit": shown, "system": UCUM, "code": unit or "1"}


def values(limits: Limits, unit: str) -> tuple[Element, ...]:
    """Give the ``value[x]`` that must all hold: a Range where both ends are inside, else a Quantity for each end.

    A Range holds no comparator, so that an end outside cannot stand in one.
    """
    strict = limits.more_than is not None or limits.less_than is not None
    if limits.at_least is not None and limits.at_most is not None and not strict:
        low, high = quantity(limits.at_least, unit), quantity(limits.at_most, unit)
        return ({"valueRange": {"low": low, "high": high}},)
    ends = ((getattr(limits, name), comparator) for name, comparator in _COMPARATORS)
    return tuple({"valueQuantity": quantity(end, unit, sign)} for end, sign in ends if end is not None)


def length(period: Period) -> tuple[int, str] | None:
    """Give a calendar length as a number and its UCUM unit; None where no single unit holds it exactly."""
    if period.days:
        return (period.days, "d") if not period.years and not period.months else None
    return (period.years, "a") if not period.months else (period.years * 12 + period.months, "mo")
