"""Which inputs and value sets a trial's atoms read: what an export must carry for the trial to be judged elsewhere."""

from collections.abc import Iterable

from adapter.catalog.checks_references import names_in
from adapter.eligibility.kinds.pregnancy import Lactation, NegativePregnancyTest, Pregnancy
from adapter.eligibility.trial import All, Any, Atom, Logic, Not, Premise, Trial
from adapter.mapping.extract import Mappings


def inputs_read(trial: Trial, mappings: Mappings) -> list[str]:
    """Give the inputs a trial's atoms name, and those they are computed from, sorted."""
    atoms = [atom for criterion in trial.criteria for atom in criterion.atoms]
    found = {name for atom in atoms for name in atom.inputs}
    found |= {name for atom in atoms for block, name, _ in names_in(atom.kind, ()) if block == "inputs"}
    pending = list(found)
    while pending:
        mapped = mappings.inputs.get(pending.pop())
        if mapped is not None and mapped.derive is not None:
            new = {name for block, name, _ in names_in(mapped.derive, ()) if block == "inputs"} - found
            found |= new
            pending.extend(new)
    return sorted(name for name in found if name in mappings.inputs)


def value_sets_read(trial: Trial, mappings: Mappings) -> list[str]:
    """Give the value sets a trial's atoms read: by their kind, by the answers of their inputs, by inclusion; sorted."""
    found: set[str] = set()
    for criterion in trial.criteria:
        for atom in criterion.atoms:
            found |= {name for block, name, _ in names_in(atom.kind, ()) if block == "value_sets"}
        if _asks_for_childbearing(criterion.logic, criterion.atoms):
            found |= set(mappings.vocabulary.childbearing.ended_by)
    for name in inputs_read(trial, mappings):
        answers = mappings.inputs[name].answers
        found |= set(answers.value_sets.values()) if answers is not None else set()
    return sorted(name for name in with_included(found, mappings) if name in mappings.value_sets)


def with_included(names: Iterable[str], mappings: Mappings) -> set[str]:
    """Give value sets and all that they include."""
    found = set(names)
    pending = list(found)
    while pending:
        known = mappings.value_sets.get(pending.pop())
        new = [each for each in known.includes if each not in found] if known is not None else []
        found.update(new)
        pending.extend(new)
    return found


def _asks_for_childbearing(logic: Logic, atoms: Iterable[Atom]) -> bool:
    """Whether what ends childbearing potential is looked up for a criterion."""
    if any(isinstance(atom.kind, Pregnancy | Lactation | NegativePregnancyTest) for atom in atoms):
        return True
    match logic:
        case Premise(of):
            return of == "childbearing_potential"
        case Not(inside):
            return _asks_for_childbearing(inside, ())
        case All(parts) | Any(parts):
            return any(_asks_for_childbearing(each, ()) for each in parts)
        case _:
            return False
