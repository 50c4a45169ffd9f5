"""Names: what trials and mappings refer to must be defined, once, and where it can be used."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import msgspec

from adapter.catalog.catalog import PlacedAtom, Sources
from adapter.catalog.prepare import meant
from adapter.catalog.trial_file import TrialFile
from adapter.catalog.yaml_file import Loaded, Path_
from adapter.eligibility.kinds.allergy import AllergyTo, SevereAllergy
from adapter.eligibility.kinds.condition import ConditionClause
from adapter.eligibility.kinds.derivation import BodyMassIndex, CountFromPercent
from adapter.eligibility.kinds.dose import DailyDosePerWeight
from adapter.eligibility.kinds.duration import Duration, Earlier
from adapter.eligibility.kinds.events import Events
from adapter.eligibility.kinds.human import Ask, OtherStudy, SameAs
from adapter.eligibility.kinds.infection import Tests
from adapter.eligibility.kinds.medication import MedicationClause, OnlyReplacement
from adapter.eligibility.kinds.pregnancy import Lactation, NegativePregnancyTest, Pregnancy
from adapter.eligibility.kinds.quantity import Quantity
from adapter.eligibility.kinds.record import EncounterClause, ProcedureClause, ValueClause
from adapter.eligibility.kinds.result import ResultIs
from adapter.eligibility.kinds.sustained import Sustained
from adapter.errors import Issue
from adapter.mapping.table import Input

Names = Literal["inputs", "value_sets"]

REFERENCES: dict[type[msgspec.Struct], dict[str, Names]] = {
    AllergyTo: {"substance": "value_sets"},
    Ask: {"shows": "inputs", "conditions": "value_sets"},
    BodyMassIndex: {"weight": "inputs", "height": "inputs"},
    ConditionClause: dict.fromkeys(("condition", "doubtful", "rivals", "refuted"), "value_sets"),
    CountFromPercent: {"input": "inputs"},
    DailyDosePerWeight: {"input": "inputs", "medication": "value_sets", "weight": "inputs"},
    Duration: {"condition": "value_sets"},
    Earlier: {"conditions": "value_sets", "medications": "value_sets"},
    EncounterClause: {"encounter": "value_sets"},
    Events: {"certain": "value_sets", "possible": "value_sets"},
    Lactation: {"status": "inputs"},
    MedicationClause: {"medication": "value_sets"},
    NegativePregnancyTest: {"test": "inputs"},
    OnlyReplacement: {"medication": "value_sets", "replacement": "value_sets"},
    Pregnancy: {"status": "inputs", "test": "inputs"},
    ProcedureClause: {"procedure": "value_sets", "at_eye": "value_sets"},
    Quantity: {"input": "inputs"},
    ResultIs: {"input": "inputs", "or_condition": "value_sets"},
    SevereAllergy: dict.fromkeys(("severe", "none_known", "none_of_a_kind"), "value_sets"),
    Sustained: {"input": "inputs"},
    Tests: {"input": "inputs"},
    ValueClause: {"value": "inputs"},
}
"""Which fields of kinds, clauses and derivations name inputs and value sets; a test holds that none is forgotten."""


def parts(node: object, path: Path_) -> Iterator[tuple[msgspec.Struct, Path_]]:
    """Give a kind and every clause inside it, with their places."""
    if isinstance(node, msgspec.Struct):
        yield node, path
        for field in node.__struct_fields__:
            yield from parts(getattr(node, field), (*path, field))
    elif isinstance(node, tuple):
        for index, each in enumerate(node):
            yield from parts(each, (*path, index))


def names_in(node: object, path: Path_) -> Iterator[tuple[Names, str, Path_]]:
    """Give every input and value set that a kind or derivation names, with its place."""
    for part, at in parts(node, path):
        for field, block in REFERENCES.get(type(part), {}).items():
            yield from ((block, name, place) for name, place in _leaves(getattr(part, field), (*at, field)))


def _leaves(value: object, path: Path_) -> Iterator[tuple[str, Path_]]:
    """Give the names of a text, a list, a table by name (its keys), or a table of lists."""
    if isinstance(value, str):
        yield value, path
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield str(each), (*path, index)
    elif isinstance(value, dict):
        for key, inside in value.items():
            if isinstance(inside, tuple):
                yield from _leaves(inside, (*path, key))
            else:
                yield str(key), (*path, key)


def roles_of(mapped: Input) -> set[str]:
    """Give the roles that results of an input can play."""
    shown = {"fasting"} if "reject" in mapped.needs_fasting else set()
    return set(mapped.codes) | shown


def reference_issues(sources: Sources) -> list[Issue]:
    """Say every name that nothing defines, and every id that is not what it must be."""
    issues: list[Issue] = []
    for placed in sources.atoms:
        issues.extend(_of_atom(placed, sources))
    for loaded, trial in sources.trials:
        issues.extend(_of_trial(trial, loaded))
    issues.extend(_twice(sources))
    issues.extend(_of_mappings(sources))
    return issues


def _unknown(block: Names, name: str, path: Path_, loaded: Loaded, sources: Sources) -> Iterator[Issue]:
    if not sources.knows(block, name):
        code, word = ("unknown-input", "input") if block == "inputs" else ("unknown-value-set", "value set")
        said = f"no mapping defines the {word} {name}{meant(name, sources.names(block))}"
        yield loaded.issue(code, said, path)


def _unknown_role(name: str, role: str, path: Path_, loaded: Loaded, sources: Sources) -> Iterator[Issue]:
    mapped = sources.inputs.get(name)
    if mapped is not None and role not in roles_of(mapped):
        known = ", ".join(sorted(roles_of(mapped))) or "none"
        yield loaded.issue("unknown-role", f"{name} has no role {role}: it has {known}", path)


def _of_atom(placed: PlacedAtom, sources: Sources) -> Iterator[Issue]:
    loaded, judge = placed.loaded, (*placed.path, "judge")
    for index, name in enumerate(placed.entry.inputs):
        yield from _unknown("inputs", name, (*placed.path, "inputs", index), loaded, sources)
    for block, name, path in names_in(placed.kind, judge):
        yield from _unknown(block, name, path, loaded, sources)
    for part, at in parts(placed.kind, judge):
        match part:
            case Tests() | ValueClause():
                name = part.input if isinstance(part, Tests) else part.value
                for index, role in enumerate(part.roles):
                    yield from _unknown_role(name, role, (*at, "roles", index), loaded, sources)
            case OtherStudy() if part.this != placed.trial.key:
                said = f"{part.this} is not the key of this trial: write {placed.trial.key}"
                yield loaded.issue("unknown-trial", said, (*at, "this"))
            case SameAs():
                before = [each.id for each in placed.trial.criteria]
                before = before[: before.index(placed.criterion.id)]
                if part.criterion not in before:
                    said = f"{part.criterion} is not an earlier criterion of this trial{meant(part.criterion, before)}"
                    yield loaded.issue("unknown-criterion", said, (*at, "criterion"))
            case _:
                pass


def _of_trial(trial: TrialFile, loaded: Loaded) -> Iterator[Issue]:
    if not re.fullmatch(r"[A-Za-z0-9]+", trial.key):
        yield loaded.issue("trial-key", "a trial's key is letters and digits, as reviewers' answers name it", ("key",))
    for number, criterion in enumerate(trial.criteria):
        at: Path_ = ("criteria", number)
        letter = "I" if criterion.type == "inclusion" else "E"
        if not re.fullmatch(rf"{re.escape(trial.key)}-{letter}\d+", criterion.id):
            said = f"{criterion.id} is not {trial.key}-{letter} and a number, as the {criterion.type} it is"
            yield loaded.issue("criterion-id", said, (*at, "id"))
        own = [each.id for each in criterion.atoms]
        used = dict(atoms_in(criterion.logic, (*at, "logic")))
        for name, path in used.items():
            if name not in own:
                said = f"{criterion.id} has no atom {name}{meant(name, own)}"
                yield loaded.issue("unknown-atom", said, path)
        for index, entry in enumerate(criterion.atoms):
            path = (*at, "atoms", index, "id")
            if not re.fullmatch(rf"{re.escape(criterion.id)}[a-z][A-Za-z0-9-]*", entry.id):
                said = f"{entry.id} is not {criterion.id} and a letter, such as {criterion.id}a"
                yield loaded.issue("atom-id", said, path)
            if entry.id not in used:
                said = f"{entry.id} is not in the logic of {criterion.id}, so that it decides nothing: add or remove it"
                yield loaded.issue("unused-atom", said, path)
    yield from _contradictions(trial, loaded)


def atoms_in(logic: object, path: Path_) -> Iterator[tuple[str, Path_]]:
    """Give the atoms that a logic tree as written names, with their places."""
    if isinstance(logic, str):
        yield logic, path
    elif isinstance(logic, list):
        for index, each in enumerate(logic):
            yield from atoms_in(each, (*path, index))
    elif isinstance(logic, dict):
        for key, inside in logic.items():
            if key != "premise":
                yield from atoms_in(inside, (*path, key))


def _contradictions(trial: TrialFile, loaded: Loaded) -> Iterator[Issue]:
    sides = {atom.id: each.type for each in trial.criteria for atom in each.atoms}
    for number, each in enumerate(trial.contradictions):
        for field, side, names in (("includes", "inclusion", each.includes), ("excludes", "exclusion", each.excludes)):
            for index, name in enumerate(names):
                path: Path_ = ("contradictions", number, field, index)
                if name not in sides:
                    said = f"this trial has no atom {name}{meant(name, sides)}"
                    yield loaded.issue("unknown-atom", said, path)
                elif sides[name] != side:
                    said = f"{name} is an atom of an {sides[name]}: {field} names atoms of {side}s"
                    yield loaded.issue("contradiction-side", said, path)


def _twice(sources: Sources) -> Iterator[Issue]:
    """Ids must be one in all trials together: reviewers' answers name them."""
    ids: list[tuple[str, str, Loaded, Path_]] = []
    keys: set[str] = set()
    for loaded, trial in sources.trials:
        ids.append(("trial", trial.key, loaded, ("key",)))
        if trial.key in keys:
            continue  # a copy of a whole trial is one problem, not hundreds
        keys.add(trial.key)
        for number, criterion in enumerate(trial.criteria):
            ids.append(("criterion", criterion.id, loaded, ("criteria", number, "id")))
            for index, entry in enumerate(criterion.atoms):
                ids.append(("atom", entry.id, loaded, ("criteria", number, "atoms", index, "id")))
    count = Counter((what, name) for what, name, _, _ in ids)
    first: dict[tuple[str, str], tuple[Loaded, Path_]] = {}
    for what, name, loaded, path in ids:
        if count[what, name] == 1:
            continue
        earlier = first.setdefault((what, name), (loaded, path))
        if earlier != (loaded, path):
            place = f"{earlier[0].file}:{earlier[0].line(earlier[1])}"
            yield loaded.issue("duplicate-id", f"the {what} {name} stands in {place} already", path)


def _of_mappings(sources: Sources) -> Iterator[Issue]:
    for name, mapped in sources.inputs.items():
        yield from _of_input(name, mapped, sources.places["inputs", name], sources)
    for name, each in sources.value_sets.items():
        loaded = sources.places["value_sets", name]
        for index, other in enumerate(each.includes):
            yield from _unknown("value_sets", other, ("value_sets", name, "includes", index), loaded, sources)
        for system in each.codes:
            yield from _unknown_system(system, ("value_sets", name, "codes", system), loaded, sources)
    vocabulary, place = sources.vocabulary, sources.vocabulary_file()
    if vocabulary is None or place is None:
        return
    for field, names in (
        ("childbearing.ended_by", vocabulary.childbearing.ended_by),
        ("dosage.of", vocabulary.dosage.of),
    ):
        for index, name in enumerate(names):
            path: Path_ = ("vocabulary", *field.split("."), index)
            yield from _unknown("value_sets", name, path, place, sources)
    tables: list[tuple[Path_, list[str]]] = [
        (("answer_codes", word), list(each)) for word, each in vocabulary.answer_codes.items()
    ]
    tables += [(("routes", word, "codes"), list(each.codes)) for word, each in vocabulary.routes.items()]
    tables += [(("eye_body_sites",), list(vocabulary.eye_body_sites))]
    tables += [(("fasting_status", "answers"), list(vocabulary.fasting_status.answers))]
    for at, systems in tables:
        for one in systems:
            yield from _unknown_system(one, ("vocabulary", *at, one), place, sources)
    single: list[tuple[Path_, str]] = [(("fasting_status", "system"), vocabulary.fasting_status.system)]
    single += [(("empty_lists", kind, "system"), each.system) for kind, each in vocabulary.empty_lists.items()]
    single += [(("hierarchical", index), each) for index, each in enumerate(vocabulary.hierarchical)]
    for keys, one in single:
        yield from _unknown_system(one, ("vocabulary", *keys), place, sources)


def _unknown_system(system: str, path: Path_, loaded: Loaded, sources: Sources) -> Iterator[Issue]:
    vocabulary = sources.vocabulary
    if vocabulary is not None and system not in vocabulary.systems:
        said = f"the vocabulary lists no URL of the system {system}: add it under systems"
        yield loaded.issue("unknown-system", said, path)


def _of_input(name: str, mapped: Input, loaded: Loaded, sources: Sources) -> Iterator[Issue]:
    at: Path_ = ("inputs", name)
    if mapped.derive is not None:
        for block, other, path in names_in(mapped.derive, (*at, "derive")):
            yield from _unknown(block, other, path, loaded, sources)
    if mapped.answers is not None:
        for answer, other in mapped.answers.value_sets.items():
            path = (*at, "answers", "value_sets", answer)
            yield from _unknown("value_sets", other, path, loaded, sources)
    for role, codes in mapped.codes.items():
        for index, code in enumerate(codes):
            path = (*at, "codes", role, index, "system")
            yield from _unknown_system(code.system, path, loaded, sources)
    roles: list[tuple[str, Path_]] = []
    for field, names in (("decides", mapped.decides), ("needs_fasting", mapped.needs_fasting)):
        roles.extend((role, (*at, field, index)) for index, role in enumerate(names))
    for number, measure in enumerate(mapped.measures):
        roles.extend((role, (*at, "measures", number, "roles", index)) for index, role in enumerate(measure.roles))
    for number, rule in enumerate(mapped.answers.numbers if mapped.answers is not None else ()):
        place = (*at, "answers", "numbers", number, "roles")
        roles.extend((role, (*place, index)) for index, role in enumerate(rule.roles))
    if isinstance(mapped.derive, CountFromPercent):
        roles.append((mapped.derive.total, (*at, "derive", "total")))
        roles.extend((role, (*at, "derive", "percent", index)) for index, role in enumerate(mapped.derive.percent))
    for role, path in roles:
        yield from _unknown_role(name, role, path, loaded, sources)
