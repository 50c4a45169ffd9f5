"""A trial file to a trial that can be judged: labels, roles and units come from the mappings of its inputs."""

from decimal import Decimal
from typing import Any, assert_never

import msgspec

from adapter.catalog.catalog import PlacedAtom, Sources
from adapter.catalog.prepare import meant
from adapter.catalog.trial_file import TrialFile
from adapter.catalog.yaml_file import Loaded, Path_
from adapter.eligibility import trial as core
from adapter.eligibility.kinds import Kind
from adapter.eligibility.kinds.allergy import AllergyTo
from adapter.eligibility.kinds.derivation import BodyMassIndex, CountFromPercent, Derivation
from adapter.eligibility.kinds.dose import DailyDosePerWeight
from adapter.eligibility.kinds.human import Ask, Consent
from adapter.eligibility.kinds.pregnancy import Lactation, NegativePregnancyTest, Pregnancy
from adapter.eligibility.kinds.quantity import Quantity
from adapter.eligibility.kinds.record import ValueClause
from adapter.eligibility.kinds.result import ResultIs
from adapter.eligibility.kinds.sustained import Sustained
from adapter.eligibility.values import Limits
from adapter.mapping.table import Input, Measure

BORDERLINE = "borderline"
"""The policy that says how near to a limit a converted value is called borderline."""

Questions = dict[tuple[type, bytes], Any]
"""Kinds and clauses already made, by type and content: equal ones become one object, answered once a patient."""


def compile_trial(
    trial: TrialFile,
    atoms: list[PlacedAtom],
    sources: Sources,
    configured: frozenset[str],
    questions: Questions,
) -> core.Trial | None:
    """Make the judged form of a trial; problems are added to the issues of ``sources``.

    ``atoms`` are this trial's; ``configured`` names the value sets that the site has filled; ``questions`` holds what
    earlier trials asked.  None where an atom cannot be judged.  Names that nothing defines are not reported here.
    """
    before = len(sources.issues)
    compiler = _Compiler(sources, configured, questions)
    made = {each.path: compiler.atom(each) for each in atoms}
    loaded = next((each for each, other in sources.trials if other is trial), None)
    criteria = []
    for number, entry in enumerate(trial.criteria):
        own = [each for path, each in made.items() if path[1] == number]
        logic = compiler.logic(entry.logic, ("criteria", number, "logic"), loaded)
        kept = tuple(each for each in own if each is not None)
        criteria.append(core.Criterion(entry.id, entry.type, entry.text, logic, kept))
    if len(sources.issues) > before or None in made.values():
        return None
    contradictions = tuple(core.Contradiction(each.includes, each.excludes, each.text) for each in trial.contradictions)
    title = trial.metadata.title.text
    return core.Trial(trial.key, trial.version, title, tuple(criteria), contradictions, trial.notices)


class _Compiler:
    def __init__(self, sources: Sources, configured: frozenset[str], questions: Questions) -> None:
        self._sources = sources
        self._issues = sources.issues
        self._configured = configured
        self._questions = questions
        self._loaded: Loaded
        share = sources.policy.get(BORDERLINE)
        self._borderline = Decimal(share.value) if share is not None else Decimal(0)

    def atom(self, placed: PlacedAtom) -> core.Atom | None:
        """Compile an atom: its kind, completed by the mappings of its inputs."""
        if placed.kind is None:
            return None
        self._loaded = placed.loaded
        entry = placed.entry
        before = len(self._issues)
        filled = self._fill(placed.kind, (*placed.path, "judge"))
        if isinstance(filled, Ask | Consent):
            filled = msgspec.structs.replace(filled, question=entry.ask or "")
        if len(self._issues) > before:
            return None
        shared = _shared(filled, self._questions)
        return core.Atom(entry.id, entry.text, entry.grade, shared, entry.inputs, entry.ask, entry.decision)

    def logic(self, logic: object, path: Path_, loaded: Loaded | None) -> core.Logic:
        """Compile a tree of atoms."""
        if isinstance(logic, str):
            return core.AtomIs(logic)
        if isinstance(logic, dict) and len(logic) == 1:
            ((key, inside),) = logic.items()
            if key in ("all", "any") and isinstance(inside, list):
                parts = tuple(self.logic(each, (*path, key, index), loaded) for index, each in enumerate(inside))
                return core.All(parts) if key == "all" else core.Any(parts)
            if key == "not":
                return core.Not(self.logic(inside, (*path, key), loaded))
            if key == "premise" and inside in ("childbearing_potential", "male"):
                return core.Premise(inside)
        if loaded is not None and not self._sources.issues:
            self._issues.append(loaded.issue("schema", "logic is an atom's id, or one of all, any, not, premise", path))
        return core.All(())

    def _input(self, name: str) -> Input | None:
        return self._sources.inputs.get(name)

    def _fill(self, kind: Kind, path: Path_) -> Kind:
        """Complete a kind with what the mappings of its inputs say."""
        match kind:
            case Quantity():
                return self._quantity(kind, path)
            case Sustained():
                return self._sustained(kind, path)
            case ResultIs():
                mapped = self._input(kind.input)
                if mapped is None:
                    return kind
                window = kind.window or mapped.freshness
                return msgspec.structs.replace(kind, label=mapped.title, roles=mapped.decides, window=window)
            case Pregnancy():
                status, test = self._input(kind.status), self._input(kind.test)
                if status is None or test is None:
                    return kind
                return msgspec.structs.replace(kind, status_roles=status.decides, test_roles=test.decides)
            case Lactation():
                status = self._input(kind.status)
                return msgspec.structs.replace(kind, status_roles=status.decides) if status is not None else kind
            case NegativePregnancyTest():
                test = self._input(kind.test)
                return msgspec.structs.replace(kind, test_roles=test.decides) if test is not None else kind
            case DailyDosePerWeight():
                weight, dose = self._input(kind.weight), self._input(kind.input)
                if weight is None or dose is None:
                    return kind
                return msgspec.structs.replace(kind, weight_roles=weight.decides, label=dose.title)
            case AllergyTo():
                known = self._sources.value_sets
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
            mapped = self._input(node.value)
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
        mapped = self._input(kind.input)
        if mapped is None:
            return kind
        derive = self._derivation(mapped.derive) if mapped.derive is not None else None
        window = kind.window or mapped.freshness
        filled = msgspec.structs.replace(kind, label=mapped.title, roles=mapped.decides, window=window, derive=derive)
        filled = msgspec.structs.replace(filled, near=self._borderline)
        if kind.times_uln:
            return msgspec.structs.replace(filled, unit="x ULN", derive=None)
        unit, limits = self._canonical(kind.limits, kind.unit, mapped, path)
        return msgspec.structs.replace(
            filled, unit=unit, limits=limits, as_printed=kind.limits, as_printed_unit=kind.unit or unit
        )

    def _sustained(self, kind: Sustained, path: Path_) -> Sustained:
        mapped = self._input(kind.input)
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
            said = "no measure of this input reads numbers under the roles that decide"
            self._issues.append(self._loaded.issue("no-measure", said, (*path, "input")))
            return unit, limits
        if measure.score and unit in ("", measure.unit):
            return measure.unit, limits
        if unit not in measure.ucum:
            near = meant(unit, measure.ucum) or f": it reads {', '.join(measure.ucum)}"
            said = f"the unit {unit or '(none)'} is not one the mapping of this input reads{near}"
            self._issues.append(self._loaded.issue("unit", said, (*path, "unit")))
            return unit, limits
        factor = measure.ucum[unit]
        if factor is None:
            return unit, limits
        return measure.unit, limits if factor == Decimal(1) else limits.map(lambda end: end * factor)

    def _derivation(self, rule: Derivation) -> Derivation:
        inputs = self._sources.inputs
        match rule:
            case BodyMassIndex():
                weight, height = inputs.get(rule.weight), inputs.get(rule.height)
                if weight is None or height is None:
                    return rule
                return msgspec.structs.replace(rule, weight_roles=weight.decides, height_roles=height.decides)
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
