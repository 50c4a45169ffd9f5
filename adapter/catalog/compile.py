"""A trial file to a trial that can be judged: labels, roles and units come from the mappings of its inputs."""

from decimal import Decimal
from typing import Any, assert_never

import msgspec

from adapter.catalog.prepare import convert
from adapter.catalog.trial_file import AtomEntry, CriterionEntry, TrialFile
from adapter.catalog.yaml_file import Loaded, Path_
from adapter.eligibility import trial as core
from adapter.eligibility.kinds import Kind
from adapter.eligibility.kinds.allergy import AllergyTo
from adapter.eligibility.kinds.derivation import BodyMassIndex, CountFromPercent, Derivation
from adapter.eligibility.kinds.dose import DailyDosePerWeight
from adapter.eligibility.kinds.human import Ask, Consent
from adapter.eligibility.kinds.pregnancy import Lactation, NegativePregnancyTest, Pregnancy
from adapter.eligibility.kinds.quantity import Quantity, ResultIs, Sustained
from adapter.eligibility.kinds.record import ValueClause
from adapter.eligibility.values import Limits
from adapter.errors import Issue
from adapter.mapping.extract import Mappings
from adapter.mapping.table import Input, Measure

Questions = dict[tuple[type, bytes], Any]
"""Kinds and clauses already made, by type and content: equal ones become one object, answered once a patient."""


def compile_trial(
    trial: TrialFile,
    loaded: Loaded,
    mappings: Mappings,
    values: dict[str, Any],
    issues: list[Issue],
    configured: frozenset[str],
    questions: Questions,
) -> core.Trial | None:
    """Make the judged form of a trial; problems are added to ``issues``.

    ``configured`` names the value sets that the site has filled; ``questions`` holds what earlier trials asked.
    """
    before = len(issues)
    compiler = _Compiler(loaded, mappings, values, issues, configured, questions)
    criteria = tuple(compiler.criterion(each, ("criteria", index)) for index, each in enumerate(trial.criteria))
    if len(issues) > before:
        return None
    contradictions = tuple(core.Contradiction(each.includes, each.excludes, each.text) for each in trial.contradictions)
    title = trial.metadata.title.text
    return core.Trial(trial.key, trial.version, title, criteria, contradictions, trial.notices)


class _Compiler:
    def __init__(
        self,
        loaded: Loaded,
        mappings: Mappings,
        values: dict[str, Any],
        issues: list[Issue],
        configured: frozenset[str],
        questions: Questions,
    ) -> None:
        self._loaded = loaded
        self._mappings = mappings
        self._values = values
        self._issues = issues
        self._configured = configured
        self._questions = questions

    def criterion(self, entry: CriterionEntry, path: Path_) -> core.Criterion:
        """Compile a criterion: its tree and its atoms."""
        atoms = tuple(self._atom(each, (*path, "atoms", index)) for index, each in enumerate(entry.atoms))
        logic = self._logic(entry.logic, (*path, "logic"))
        return core.Criterion(
            entry.id, entry.type, entry.text, logic, tuple(each for each in atoms if each is not None)
        )

    def _atom(self, entry: AtomEntry, path: Path_) -> core.Atom | None:
        kind: Kind | None = convert(entry.judge, Kind, self._loaded, self._issues, self._values, (*path, "judge"))
        if kind is None:
            return None
        before = len(self._issues)
        filled = self._fill(kind, (*path, "judge"))
        if isinstance(filled, Ask | Consent):
            filled = msgspec.structs.replace(filled, question=entry.ask or "")
        if len(self._issues) > before:
            return None
        shared = _shared(filled, self._questions)
        return core.Atom(entry.id, entry.text, entry.grade, shared, entry.inputs, entry.ask, entry.decision)

    def _logic(self, logic: object, path: Path_) -> core.Logic:
        if isinstance(logic, str):
            return core.AtomIs(logic)
        if isinstance(logic, dict) and len(logic) == 1:
            ((key, inside),) = logic.items()
            if key in ("all", "any") and isinstance(inside, list):
                parts = tuple(self._logic(each, (*path, key, index)) for index, each in enumerate(inside))
                return core.All(parts) if key == "all" else core.Any(parts)
            if key == "not":
                return core.Not(self._logic(inside, (*path, key)))
            if key == "premise" and inside in ("childbearing_potential", "male"):
                return core.Premise(inside)
        said = "logic is an atom's id, or one of all, any, not, premise"
        self._issues.append(self._loaded.issue("logic", said, path))
        return core.All(())

    def _input(self, name: str, path: Path_) -> Input | None:
        found = self._mappings.inputs.get(name)
        if found is None:
            self._issues.append(self._loaded.issue("unknown-input", f"no mapping defines the input {name}", path))
        return found

    def _fill(self, kind: Kind, path: Path_) -> Kind:
        """Complete a kind with what the mappings of its inputs say."""
        match kind:
            case Quantity():
                return self._quantity(kind, path)
            case Sustained():
                return self._sustained(kind, path)
            case ResultIs():
                mapped = self._input(kind.input, (*path, "input"))
                if mapped is None:
                    return kind
                window = kind.window or mapped.freshness
                return msgspec.structs.replace(kind, label=mapped.title, roles=mapped.decides, window=window)
            case Pregnancy():
                status, test = self._input(kind.status, (*path, "status")), self._input(kind.test, (*path, "test"))
                if status is None or test is None:
                    return kind
                return msgspec.structs.replace(kind, status_roles=status.decides, test_roles=test.decides)
            case Lactation():
                status = self._input(kind.status, (*path, "status"))
                return msgspec.structs.replace(kind, status_roles=status.decides) if status is not None else kind
            case NegativePregnancyTest():
                test = self._input(kind.test, (*path, "test"))
                return msgspec.structs.replace(kind, test_roles=test.decides) if test is not None else kind
            case DailyDosePerWeight():
                weight, dose = self._input(kind.weight, (*path, "weight")), self._input(kind.input, (*path, "input"))
                if weight is None or dose is None:
                    return kind
                return msgspec.structs.replace(kind, weight_roles=weight.decides, label=dose.title)
            case AllergyTo():
                known = self._mappings.value_sets
                filled = any(known[name].codes for name in kind.substance if name in known)
                is_configured = filled or bool(self._configured.intersection(kind.substance))
                return msgspec.structs.replace(kind, configured=is_configured)
            case _:
                return self._with_value_roles(kind, path)

    def _with_value_roles(self, kind: Kind, path: Path_) -> Kind:
        """Give value clauses, wherever they stand inside a kind, the deciding roles of their input."""
        filled = self._filled_clause(kind, path)
        if not isinstance(filled, type(kind)):
            raise TypeError("filling a kind keeps its type")
        return filled

    def _filled_clause(self, node: object, path: Path_) -> Any:  # noqa: ANN401 (a node of any kind's tree)
        if isinstance(node, ValueClause):
            mapped = self._input(node.value, (*path, "value"))
            if mapped is None or node.roles:
                return node
            return msgspec.structs.replace(node, roles=mapped.decides)
        if isinstance(node, tuple):
            return tuple(self._filled_clause(each, (*path, index)) for index, each in enumerate(node))
        if isinstance(node, msgspec.Struct) and not isinstance(node, Limits):
            changes = {}
            for name in node.__struct_fields__:
                inside = getattr(node, name)
                if isinstance(inside, tuple | msgspec.Struct):
                    made = self._filled_clause(inside, (*path, name))
                    if made is not inside and made != inside:
                        changes[name] = made
            return msgspec.structs.replace(node, **changes) if changes else node
        return node

    def _quantity(self, kind: Quantity, path: Path_) -> Quantity:
        mapped = self._input(kind.input, (*path, "input"))
        if mapped is None:
            return kind
        derive = self._derivation(mapped.derive) if mapped.derive is not None else None
        window = kind.window or mapped.freshness
        filled = msgspec.structs.replace(kind, label=mapped.title, roles=mapped.decides, window=window, derive=derive)
        filled = msgspec.structs.replace(filled, near=Decimal(self._values.get("borderline", 0)))
        if kind.times_uln:
            return msgspec.structs.replace(filled, unit="x ULN", derive=None)
        unit, limits = self._canonical(kind.limits, kind.unit, mapped, path)
        return msgspec.structs.replace(filled, unit=unit, limits=limits)

    def _sustained(self, kind: Sustained, path: Path_) -> Sustained:
        mapped = self._input(kind.input, (*path, "input"))
        if mapped is None:
            return kind
        unit, limits = self._canonical(kind.limits, kind.unit, mapped, path)
        window = kind.window or mapped.freshness
        return msgspec.structs.replace(
            kind, label=mapped.title, roles=mapped.decides, window=window, unit=unit, limits=limits
        )

    def _canonical(self, limits: Limits, unit: str, mapped: Input, path: Path_) -> tuple[str, Limits]:
        """Bring printed limits to the unit results are compared in, by the mapping's own exact factor."""
        measure = measure_of(mapped)
        if measure is None:
            self._issues.append(self._loaded.issue("no-unit", "this input has no unit to compare in", (*path, "input")))
            return unit, limits
        if measure.score and unit in ("", measure.unit):
            return measure.unit, limits
        if unit not in measure.ucum:
            said = f"the unit {unit or '(none)'} is not one this input's mapping reads"
            self._issues.append(self._loaded.issue("unit", said, (*path, "unit")))
            return unit, limits
        factor = measure.ucum[unit]
        if factor is None:
            return unit, limits
        return measure.unit, limits if factor == Decimal(1) else limits.map(lambda end: end * factor)

    def _derivation(self, rule: Derivation) -> Derivation:
        inputs = self._mappings.inputs
        match rule:
            case BodyMassIndex():
                weight, height = inputs[rule.weight].decides, inputs[rule.height].decides
                return msgspec.structs.replace(rule, weight_roles=weight, height_roles=height)
            case CountFromPercent():
                return rule
            case _:
                assert_never(rule)


def _shared(node: Any, questions: Questions) -> Any:  # noqa: ANN401 (a node of any kind's tree)
    """Give the one object that stands for this kind and every clause inside it."""
    if isinstance(node, tuple):
        return tuple(_shared(each, questions) for each in node)
    if not isinstance(node, msgspec.Struct):
        return node
    key = (type(node), msgspec.json.encode(node))
    if key not in questions:
        inside = {name: _shared(getattr(node, name), questions) for name in node.__struct_fields__}
        questions[key] = type(node)(**inside)
    return questions[key]


def measure_of(mapped: Input) -> Measure | None:
    """Give the measure in which an input's deciding results are compared."""
    return next((each for each in mapped.measures if set(each.roles) & set(mapped.decides)), None)
