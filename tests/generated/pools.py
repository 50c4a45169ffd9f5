"""What a generated trial can speak of, taken from the catalog: inputs, value sets and the blocks of real trials."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.catalog.checks_limits import kept_units, plausible_in
from adapter.catalog.checks_references import parts
from adapter.catalog.compile import measure_of
from adapter.eligibility.kinds.condition import ConditionClause
from adapter.eligibility.kinds.medication import MedicationClause
from adapter.eligibility.kinds.record import EncounterClause, ProcedureClause
from adapter.fhir import resources as fhir
from adapter.mapping.table import Measure

Block = dict[str, Any]
"""A part of a trial file."""


class Measured(msgspec.Struct, frozen=True):
    """An input whose numbers can have limits, with the units they can be printed in and what is plausible in each."""

    name: str
    title: str
    measure: Measure
    plausible: dict[str, tuple[Decimal, Decimal]]
    kept: tuple[str, ...]
    """Units that are compared as reported."""

    @property
    def compared(self) -> tuple[str, ...]:
        """Units in which results are compared."""
        converted = any(factor is not None for factor in self.measure.ucum.values()) or self.measure.score
        return tuple(dict.fromkeys((*((self.measure.unit,) if converted else ()), *self.kept)))


class Pools(msgspec.Struct, frozen=True):
    """Everything to draw from."""

    catalog: Catalog
    measured: tuple[Measured, ...]
    qualitative: tuple[str, ...]
    shown: tuple[str, ...]
    """Inputs of results, which a reviewer can be shown."""
    sets: dict[type, tuple[str, ...]]
    """Value sets by the clause that real trials use them in."""
    refutable: frozenset[str]
    cluster: dict[str, str]
    """By value set: one name for all that share a code with it, directly or by others."""
    blocks: dict[str, tuple[Block, ...]]
    """Judge blocks of the real trials, by kind."""


def pools_of(catalog: Catalog) -> Pools:
    """Sort a catalog into what can be drawn."""
    inputs = catalog.mappings.inputs
    sets: dict[type, dict[str, None]] = defaultdict(dict)
    blocks: dict[str, list[Block]] = defaultdict(list)
    fields = {
        ConditionClause: "condition",
        MedicationClause: "medication",
        ProcedureClause: "procedure",
        EncounterClause: "encounter",
    }
    for trial in catalog.trials:
        for atom in (each for criterion in trial.criteria for each in criterion.atoms):
            for part, _ in parts(atom.kind, ()):
                for kind, field in fields.items():
                    if isinstance(part, kind):
                        sets[kind].update(dict.fromkeys(getattr(part, field)))
        for entry in (each for criterion in catalog.files[trial.key].criteria for each in criterion.atoms):
            blocks[entry.judge["kind"]].append(entry.judge)
    return Pools(
        catalog,
        tuple(found for name in inputs if (found := _measured(name, catalog)) is not None),
        tuple(name for name, each in inputs.items() if each.answers is not None and each.decides),
        tuple(name for name, each in inputs.items() if each.resource == "Observation" and each.codes),
        {kind: tuple(sorted(names)) for kind, names in sets.items()},
        frozenset(name for name, each in catalog.mappings.value_sets.items() if each.refutable),
        _clusters(catalog),
        {kind: tuple(each) for kind, each in blocks.items()},
    )


def _measured(name: str, catalog: Catalog) -> Measured | None:
    mapped = catalog.mappings.inputs[name]
    measure = measure_of(mapped)
    if measure is None:
        return None
    # A unit such as 10^9/L is read in hospital data, but it is no UCUM code and no trial file should print it.
    ranges = {unit: plausible_in(measure, unit) for unit in measure.ucum if "^" not in unit}
    plausible = {unit: each for unit, each in ranges.items() if each is not None}
    kept = tuple(unit for unit in kept_units(measure) if unit in plausible)
    return Measured(name, mapped.title, measure, plausible, kept) if measure.unit in plausible else None


def _clusters(catalog: Catalog) -> dict[str, str]:
    """Join value sets that share a code: what one criterion asks for by one of them, another may refuse by another."""
    vocabulary = catalog.mappings.vocabulary
    parent = {name: name for name in catalog.mappings.value_sets}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for name, value_set in catalog.mappings.value_sets.items():
        for other in value_set.includes:
            parent[root(name)] = root(other)
        for system, codes in value_set.codes.items():
            url = vocabulary.systems[system][0]
            for code in codes:
                for end in code.code.split("-") if system in vocabulary.hierarchical else (code.code,):
                    for member in catalog.index.of_coding(fhir.Coding(system=url, code=end)):
                        parent[root(name)] = root(member.value_set)
    return {name: root(name) for name in parent}
