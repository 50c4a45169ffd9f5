"""Numbers with units, read by closed tables: what is not listed is not converted."""

import functools
import re
from decimal import Decimal

import msgspec

from adapter.eligibility.facts import Answer
from adapter.eligibility.reason import Reason
from adapter.eligibility.values import Bounds, plain, rounded
from adapter.fhir import resources as fhir
from adapter.mapping.table import Factor, Measure, Vocabulary

UCUM = "http://unitsofmeasure.org"
_LARGEST_EXPONENT = 18
_ONE = Decimal(1)
_ZERO = Decimal(0)


class Reading(msgspec.Struct, frozen=True, gc=False):
    """A value as it can be compared, or why it cannot."""

    sent: str
    bounds: Bounds | None = None
    unit: str | None = None
    problem: Reason | None = None
    conversion: str | None = None
    answer: Answer | None = None


class UnitReader:
    """Reads the numbers of one measure."""

    def __init__(self, measure: Measure, vocabulary: Vocabulary) -> None:
        self.measure = measure
        self._replacements = vocabulary.unit_replacements
        self._same = vocabulary.same_units
        self._factor = functools.lru_cache(maxsize=4096)(self.compared_in)

    def read(self, quantity: fhir.Quantity | None, code: fhir.CodeableConcept | None = None) -> Reading:
        """Read a Quantity under a code: its interval in the canonical or the kept unit, or what is wrong with it."""
        if quantity is None or quantity.value is None:
            return Reading("no value", problem=Reason.ABSENT_REASON)
        value = quantity.value or _ZERO  # a zero of any exponent is written as one digit
        if not value.is_finite() or abs(value.adjusted()) > _LARGEST_EXPONENT or +value != value:
            return Reading("a number out of any range", problem=Reason.IMPLAUSIBLE)
        printed = quantity.unit or quantity.code or ""
        comparator = quantity.comparator
        number = plain(value)
        sent = f"{comparator or ''}{number}{' ' if printed else ''}{printed}"
        found = self._factor(quantity.system, quantity.code, quantity.unit)
        if found is None:
            return Reading(sent, problem=Reason.UNIT)
        unit, factor = found
        converted = value if factor is None else value * factor
        if not self._is_plausible(value, converted, unit, quantity, code):
            return Reading(sent, problem=Reason.IMPLAUSIBLE)
        if comparator is None and quantity.comparator_extended is not None:
            return Reading(sent, problem=Reason.COMPARATOR)
        bounds = bounds_of(converted, comparator)
        if bounds is None:
            return Reading(sent, problem=Reason.COMPARATOR)
        if factor is None:
            return Reading(sent, bounds, unit)
        how = f"{number} {printed} x {plain(factor)} = {rounded(converted)} {unit}"
        return Reading(sent, bounds, unit, conversion=how)

    def read_plain(self, value: Decimal) -> Reading:
        """Read a number that came without a unit, as scores do."""
        return self.read(fhir.Quantity(value=value))

    def _is_plausible(
        self,
        value: Decimal,
        converted: Decimal,
        unit: str,
        quantity: fhir.Quantity,
        code: fhir.CodeableConcept | None,
    ) -> bool:
        measure = self.measure
        limits = measure.plausible.get(unit)
        if limits is not None and not limits[0] <= converted <= limits[1]:
            return False
        if measure.step is not None and converted % measure.step != 0:
            return False
        if measure.doubtful_below and _first_code(code) not in measure.sure_codes:
            lowest = measure.doubtful_below.get(quantity.code or quantity.unit or "")
            return lowest is None or value >= lowest
        return True

    def compared_in(self, system: str | None, code: str | None, unit: str | None) -> tuple[str, Factor] | None:
        """Give the unit a number is compared in and what multiplies it; None for one that is as it should be."""
        measure = self.measure
        if system == UCUM and code:
            for form in self._forms(code):
                if form in measure.ucum:
                    return self._result(form, measure.ucum[form])
            return (measure.unit, None) if measure.score and _is_unity(code) else None
        printed = unit or code
        if not printed:
            return (measure.unit, None) if measure.score else None
        for character, replacement in self._replacements.items():
            printed = printed.replace(character, replacement)
        printed = "".join(printed.split())
        if printed in measure.printed:
            return self._result(printed, measure.printed[printed])
        return (measure.unit, None) if measure.score and _is_unity(printed) else None

    def _forms(self, code: str) -> list[str]:
        """Give a UCUM code as written, without annotations, and in the spelling of the same unit that is listed."""
        forms = [code]
        bare = re.sub(r"\{[^}]*\}", "", code)
        if bare != code and bare:
            forms.append(bare)
        for group in self._same:
            head, *others = group
            for other in others:
                if other in forms[-1]:
                    forms.append(forms[-1].replace(other, head))
                    break
        return forms

    def _result(self, unit: str, factor: Factor) -> tuple[str, Factor]:
        if factor is not None:
            return self.measure.unit, None if factor == _ONE else factor
        kept = (each for each, how in self.measure.ucum.items() if how is None)
        return next((each for each in kept if each.lower() == unit.lower()), unit), None


def _first_code(concept: fhir.CodeableConcept | None) -> str:
    return next((each.code or "" for each in concept.coding), "") if concept is not None else ""


def _is_unity(unit: str) -> bool:
    return unit in ("1", "") or re.fullmatch(r"\{[^}]*\}", unit) is not None


def bounds_of(value: Decimal, comparator: str | None) -> Bounds | None:
    """Give the interval a comparator means (http://hl7.org/fhir/R5/valueset-quantity-comparator.html)."""
    match comparator:
        case None:
            return Bounds(value, value)
        case "<":
            return Bounds(None, value, high_open=True)
        case "<=":
            return Bounds(None, value)
        case ">":
            return Bounds(value, None, low_open=True)
        case ">=":
            return Bounds(value, None)
        case _:
            return None
