"""Units of the shipped mappings against a full UCUM library: valid, of one kind, with the right factors."""

from decimal import Decimal
from functools import cache
from typing import Any

import pint
import pytest
from ucumvert import PintUcumRegistry

from adapter.catalog.dimensions import dimension_of
from adapter.catalog.load import read_catalog
from adapter.mapping.table import Measure

ANALYTES = {
    # Between mass and moles: g/mol, as the specification prints them.
    "creatinine": ("mg/dL", "umol/L", Decimal("113.12")),
    "bilirubin_total": ("mg/dL", "umol/L", Decimal("584.67")),
    "hemoglobin": ("g/dL", "mmol/L", Decimal(16114)),
    "fasting_cpeptide": ("ng/mL", "nmol/L", Decimal("3020.30")),
    "pp2h_cpeptide": ("ng/mL", "nmol/L", Decimal("3020.30")),
}
SAME = {
    # Read against UCUM on purpose: what laboratories mean.
    "G/L": "10*9/L",  # giga per litre, not gauss
}
ARBITRARY = ("[IU]", "[iU]")


@cache
def registry() -> PintUcumRegistry:
    return PintUcumRegistry()


def quantity(unit: str) -> pint.Quantity:
    return registry().from_ucum(SAME.get(unit, unit))


def measures() -> list[Any]:
    sources, _ = read_catalog()
    return [
        pytest.param(name, measure, id=f"{name}-{number}")
        for name, mapped in sources.inputs.items()
        for number, measure in enumerate(mapped.measures)
    ]


@pytest.mark.parametrize(("name", "measure"), measures())
def test_every_unit_is_valid_ucum(name: str, measure: Measure) -> None:
    for unit in measure.ucum:
        assert unit.startswith("{") or quantity(unit).magnitude > 0, f"{name}: {unit}"


@pytest.mark.parametrize(("name", "measure"), measures())
def test_factors_between_units_of_one_kind_are_those_of_ucum(name: str, measure: Measure) -> None:
    converted = {unit: factor for unit, factor in measure.ucum.items() if factor is not None and "{" not in unit}
    if not converted:
        return
    canonical = quantity(measure.unit)
    for unit, factor in converted.items():
        if unit == measure.unit:
            assert factor == 1
            continue
        given = quantity(unit)
        spelled = any(sign in f"{unit}{measure.unit}" for sign in ARBITRARY)
        if given.dimensionality != canonical.dimensionality and not spelled:
            mass, moles, weight = ANALYTES[name]
            per_mole = quantity(moles).to("mol/L").magnitude / quantity(mass).to("g/L").magnitude
            expected = 1 / (float(weight) * per_mole)
            to_mass = quantity(measure.unit).dimensionality == quantity(mass).dimensionality
            base = quantity(moles if to_mass else mass)
            share = (given / base).to_base_units().magnitude
            assert float(factor) == pytest.approx((1 / expected if to_mass else expected) * share, rel=3e-4), unit
        elif not spelled:
            assert float(factor) == pytest.approx((given / canonical).to_base_units().magnitude, rel=1e-9), unit


def test_our_reading_of_dimensions_is_that_of_the_library() -> None:
    sources, _ = read_catalog()
    assert sources.vocabulary is not None
    units = {unit for mapped in sources.inputs.values() for measure in mapped.measures for unit in measure.ucum}
    units |= {unit for each in sources.vocabulary.properties.values() for unit in each}
    units |= {"mL/min", "mL/min/{1.73_m2}", "mg/g", "meq/L", "[degF]", "cm[H2O]", "{cells}/uL", "10*3.mL", "g/24.h"}
    known = {unit: dimension_of(unit) for unit in units if "{" not in unit or "/" in unit}
    assert {unit for unit, found in known.items() if found is None} == {"G/L", "cm[H2O]"}
    by_ours: dict[Any, set[str]] = {}
    for unit, found in known.items():
        if found is not None and not any(sign in unit for sign in ARBITRARY):
            by_ours.setdefault(found, set()).add(str(sorted(dict(quantity(unit).dimensionality).items())))
    assert all(len(theirs) == 1 for theirs in by_ours.values()), by_ours
    assert len({next(iter(theirs)) for theirs in by_ours.values()}) == len(by_ours)


@pytest.mark.parametrize("unit", ["", "/", "mg/", "mgg/dL", "mol//L", "foo", "{", "L^", "ng/mL/x"])
def test_what_is_no_unit_has_no_dimension(unit: str) -> None:
    assert dimension_of(unit) is None
