"""Mappings: units that fit each other and their codes, codes that can be codes, numbers that can be true."""

import itertools
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from adapter.catalog.catalog import Sources
from adapter.catalog.checks_limits import in_words, plausible_in, range_issues, result_units
from adapter.catalog.codes_shape import fault_of
from adapter.catalog.compile import measure_of
from adapter.catalog.dimensions import dimension_of
from adapter.catalog.yaml_file import Loaded, Path_
from adapter.eligibility.kinds.derivation import BodyMassIndex, CountFromPercent
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Bounds, Limits, plain
from adapter.errors import Issue
from adapter.mapping.codes import undotted
from adapter.mapping.table import Factor, Input, Measure, NumberAnswer, ValueSet, Vocabulary


def mapping_issues(sources: Sources) -> Iterator[Issue]:
    """Say everything in the mappings that cannot be meant."""
    for name, mapped in sources.inputs.items():
        yield from _InputCheck(name, mapped, sources.places["inputs", name], sources.vocabulary).issues()
    for name, each in sources.value_sets.items():
        yield from _value_set(name, each, sources)
    vocabulary, place = sources.vocabulary, sources.vocabulary_file()
    if vocabulary is not None and place is not None:
        rule = vocabulary.childbearing
        if rule.ended_from <= rule.fertile_to:
            said = f"ended_from ({rule.ended_from}) is above fertile_to ({rule.fertile_to}), or one age is both"
            yield place.issue("empty-limits", said, ("vocabulary", "childbearing", "ended_from"))


class _InputCheck:
    """Checks one input."""

    def __init__(self, name: str, mapped: Input, loaded: Loaded, vocabulary: Vocabulary | None) -> None:
        self._mapped = mapped
        self._loaded = loaded
        self._vocabulary = vocabulary
        self._at: Path_ = ("inputs", name)

    def issues(self) -> Iterator[Issue]:
        """Say what is wrong with its measures, answers, derivation and codes."""
        mapped, at = self._mapped, self._at
        seen: dict[str, int] = {}
        for number, measure in enumerate(mapped.measures):
            path = (*at, "measures", number)
            for index, role in enumerate(measure.roles):
                if seen.setdefault(role, number) != number:
                    said = f"the role {role} has a measure already: the last one would win"
                    yield self._issue("duplicate-role", said, (*path, "roles", index))
            yield from self._measure(measure, path)
            yield from self._against_properties(measure, path)
        measure_here = measure_of(mapped)
        if mapped.unit and measure_here is not None and mapped.unit != measure_here.unit:
            said = f"the deciding results are in {measure_here.unit}: write the same unit here"
            yield self._issue("canonical-unit", said, (*at, "unit"))
        for number, rule in enumerate(mapped.answers.numbers if mapped.answers is not None else ()):
            yield from self._number(rule, (*at, "answers", "numbers", number))
        yield from self._derivation()
        yield from self._codes()

    def _issue(self, code: str, said: str, path: Path_) -> Issue:
        return self._loaded.issue(code, said, path)

    def _measure(self, measure: Measure, path: Path_) -> Iterator[Issue]:
        if measure.unit not in measure.ucum:
            said = f"the canonical unit {measure.unit} is not listed under ucum: add it, with the factor 1 or kept"
            yield self._issue("canonical-unit", said, (*path, "unit"))
        elif measure.ucum[measure.unit] not in (None, 1):
            said = f"the canonical unit converts to itself: its factor is 1, not {measure.ucum[measure.unit]}"
            yield self._issue("factor", said, (*path, "ucum", measure.unit))
        tables: tuple[tuple[str, Mapping[str, Factor]], ...] = (("ucum", measure.ucum), ("printed", measure.printed))
        for field, table in tables:
            for unit, factor in table.items():
                if factor is not None and factor <= 0:
                    yield self._issue("factor", f"a factor is more than 0, not {plain(factor)}", (*path, field, unit))
        for unit, factor in measure.printed.items():
            if unit in measure.ucum and measure.ucum[unit] != factor:
                said = f"{unit} has another factor under ucum: one of them is wrong"
                yield self._issue("factor", said, (*path, "printed", unit))
            read = self._as_read(unit)
            if read != unit:
                said = f"{unit!r} is never looked up: it is read as {read!r}, so write that"
                yield self._issue("idle-unit", said, (*path, "printed", unit))
        known = result_units(measure)
        for unit, (low, high) in measure.plausible.items():
            if unit not in known:
                said = f"results are never in {unit}: they are compared in {', '.join(sorted(known))}"
                yield self._issue("unit", said, (*path, "plausible", unit))
            if low >= high:
                said = f"the lowest plausible value {plain(low)} is not below the highest {plain(high)}"
                yield self._issue("plausible-range", said, (*path, "plausible", unit))
        if measure.step is not None and measure.step <= 0:
            yield self._issue("count", "step is more than 0", (*path, "step"))
        for unit in measure.doubtful_below:
            if unit not in measure.ucum and unit not in measure.printed:
                yield self._issue("unit", f"{unit} is not a unit this measure reads", (*path, "doubtful_below", unit))
        known_codes = {code.code for role in measure.roles for code in self._mapped.codes.get(role, ())}
        for index, code in enumerate(measure.sure_codes):
            if code not in known_codes:
                said = f"{code} is not a code of the roles of this measure"
                yield self._issue("unknown-code", said, (*path, "sure_codes", index))

    def _as_read(self, unit: str) -> str:
        for character, replacement in (self._vocabulary.unit_replacements if self._vocabulary else {}).items():
            unit = unit.replace(character, replacement)
        return "".join(unit.split())

    def _against_properties(self, measure: Measure, path: Path_) -> Iterator[Issue]:
        """A unit must be one that a code's LOINC property can carry, and a property must find a unit."""
        if self._vocabulary is None:
            return
        properties = self._vocabulary.properties
        placed = [
            (code, (*self._at, "codes", role, index))
            for role in measure.roles
            for index, code in enumerate(self._mapped.codes.get(role, ()))
        ]
        units = [unit for unit in measure.ucum if dimension_of(self._spelled(unit)) is not None]
        for code, where in placed:
            carried = properties.get(code.property or "")
            if carried is not None and units and not any(self._carries(carried, unit) for unit in units):
                said = f"{code.property} is carried by units such as {', '.join(carried)}: this measure reads none"
                yield self._issue("unit-property", said, (*where, "property"))
        if any(code.property not in properties for code, _ in placed) or not placed:
            return
        for unit in units:
            known = sorted({code.property or "" for code, _ in placed})
            if not any(self._carries(properties[each], unit) for each in known):
                said = f"no code of these roles can carry {unit}: their LOINC property is {', '.join(known)}"
                yield self._issue("unit-property", said, (*path, "ucum", unit))

    def _carries(self, carried: tuple[str, ...], unit: str) -> bool:
        kinds = [dimension_of(self._spelled(each)) for each in carried]
        return unit in carried or dimension_of(self._spelled(unit)) in kinds

    def _spelled(self, unit: str) -> str:
        """Give a unit in the spelling of the same unit that is listed first."""
        for head, *others in self._vocabulary.same_units if self._vocabulary else ():
            for other in others:
                if re.search(rf"(?<![A-Za-z\[]){re.escape(other)}(?![A-Za-z\]])", unit):
                    return unit.replace(other, head)
        return unit

    def _number(self, rule: NumberAnswer, path: Path_) -> Iterator[Issue]:
        measures = [each for each in self._mapped.measures if set(each.roles) & set(rule.roles)]
        plausible = None
        if rule.unit is not None:
            known = {unit for each in measures for unit in result_units(each)}
            if rule.unit not in known:
                said = f"results are never in {rule.unit}: they are compared in {', '.join(sorted(known)) or 'none'}"
                yield self._issue("unit", said, (*path, "unit"))
            else:
                plausible = next((found for each in measures if (found := plausible_in(each, rule.unit))), None)
        yield from range_issues(rule.positive, plausible, (*path, "positive"), self._loaded)
        if rule.negative is None:
            return
        yield from range_issues(rule.negative, plausible, (*path, "negative"), self._loaded)
        if _overlap(rule.positive, rule.negative):
            said = f"a number can be {in_words(rule.positive)} and {in_words(rule.negative)}: it cannot answer both"
            yield self._issue("empty-limits", said, (*path, "negative"))

    def _derivation(self) -> Iterator[Issue]:
        rule, path = self._mapped.derive, (*self._at, "derive")
        if isinstance(rule, BodyMassIndex | CountFromPercent) and rule.plausible[0] >= rule.plausible[1]:
            said = f"the lowest plausible value {plain(rule.plausible[0])} is not below the highest"
            yield self._issue("plausible-range", said, (*path, "plausible"))
        if isinstance(rule, BodyMassIndex):
            for field in ("adult_age", "step"):
                if getattr(rule, field) <= 0:
                    yield self._issue("count", f"{field} is more than 0", (*path, field))

    def _codes(self) -> Iterator[Issue]:
        """A code plays one role: rejected and deciding at once it would never count."""
        seen: dict[tuple[str, str], str] = {}
        for role, codes in self._mapped.codes.items():
            for index, code in enumerate(codes):
                path = (*self._at, "codes", role, index)
                yield from _fault(code.system, code.code, (*path, "code"), self._loaded)
                other = seen.setdefault((code.system, code.code), role)
                if other is role and sum(each.code == code.code for each in codes[:index]) == 0:
                    continue
                if "reject" in (role, other) and role != other:
                    said = f"{code.code} is in {other} and in {role}: a rejected code never counts"
                    yield self._issue("rejected-code", said, (*path, "code"))
                else:
                    said = f"{code.code} is in {other} already: a code plays one role of an input"
                    yield self._issue("duplicate-code", said, (*path, "code"))


def _overlap(one: Limits, two: Limits) -> bool:
    """Whether a number meets both: tried at every end, between them and beyond."""
    tried = (Bounds.exactly(point) for point in points(one, two))
    return any(one.hold(each) is Truth.MET and two.hold(each) is Truth.MET for each in tried)


def points(*limits: Limits) -> list[Decimal]:
    """Give numbers that tell limits apart: every end, one between two neighbours, and one beyond each outermost."""
    ends = sorted({end for each in limits for end in each.ends})
    if not ends:
        return [Decimal(0)]
    between = [(low + high) / 2 for low, high in itertools.pairwise(ends)]
    return [ends[0] - 1, *ends, *between, ends[-1] + 1]


def _fault(system: str, code: str, path: Path_, loaded: Loaded) -> Iterator[Issue]:
    said = fault_of(system, code)
    if said is not None:
        yield loaded.issue("code-form", f"{code} {said}", path)


def _value_set(name: str, each: ValueSet, sources: Sources) -> Iterator[Issue]:
    loaded, at = sources.places["value_sets", name], ("value_sets", name)
    hierarchical = sources.vocabulary.hierarchical if sources.vocabulary is not None else ()
    for system, codes in each.codes.items():
        seen = set()
        for index, code in enumerate(codes):
            path = (*at, "codes", system, index, "code")
            yield from _fault(system, code.code, path, loaded)
            spelled = undotted(code.code) if system in hierarchical else code.code
            if spelled in seen:
                yield loaded.issue("duplicate-code", f"{code.code} is listed above already", path)
            seen.add(spelled)
    listed = _listed(name, sources)
    for reason, by_system in each.suggests.items():
        for system, names in by_system.items():
            for index, code_name in enumerate(names):
                if (system, code_name) not in listed:
                    place = (*at, "suggests", reason.value, system, index)
                    yield loaded.issue("unknown-code", f"{code_name} is not listed under codes, to the letter", place)
    for index, code_name in enumerate(each.refutable if each.refutable != "any-code" else ()):
        if not any(_lies_below(code_name, code) for _, code in listed):
            said = f"{code_name} is not listed under codes, nor below a root that is"
            yield loaded.issue("unknown-code", said, (*at, "refutable", index))
    for code_name in each.routes:
        if code_name not in {code for _, code in listed}:
            said = f"{code_name} is not listed under codes, to the letter"
            yield loaded.issue("unknown-code", said, (*at, "routes", code_name))
    for system, prefixes in each.excluding.items():
        if system not in each.codes:
            said = f"nothing is listed for {system}, so that nothing is left out"
            yield loaded.issue("no-effect", said, (*at, "excluding", system))
        for index, prefix in enumerate(prefixes):
            yield from _fault(system, prefix, (*at, "excluding", system, index), loaded)


def _listed(name: str, sources: Sources) -> set[tuple[str, str]]:
    """Give the codes of a value set and of everything it includes, as written."""
    found = [name]
    for each in found:
        known = sources.value_sets.get(each)
        found.extend(other for other in (known.includes if known is not None else ()) if other not in found)
    sets = (sources.value_sets[each] for each in found if each in sources.value_sets)
    return {(system, code.code) for each in sets for system, codes in each.codes.items() for code in codes}


def _lies_below(code: str, listed: str) -> bool:
    """Whether a code is the listed one, or lies below the listed root or range of a classification."""
    low, _, high = undotted(listed).partition("-")
    bare = undotted(code)
    return bare == low or (low[:1].isalpha() and low <= bare[: len(low)] <= (high or low))
