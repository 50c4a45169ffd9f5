"""Whether what one clause asks for makes another clause true, by states, times and the codes of their value sets."""

from adapter.eligibility.facts import Membership
from adapter.eligibility.kinds.condition import ConditionClause, State
from adapter.eligibility.kinds.medication import MedicationClause, Taken
from adapter.eligibility.kinds.record import AllClause, Clause, EncounterClause, ProcedureClause, ValueClause
from adapter.eligibility.reason import Reason
from adapter.eligibility.values import Period
from adapter.fhir import resources as fhir
from adapter.mapping.codes import CodeIndex
from adapter.mapping.table import ValueSet, Vocabulary

Simple = ConditionClause | MedicationClause | ProcedureClause | EncounterClause | ValueClause

_LONG = (Taken.THROUGHOUT, Taken.CONTINUOUSLY)


def alternatives(clause: Clause) -> list[Simple]:
    """Give the simple clauses that hold together in one."""
    if isinstance(clause, AllClause):
        return [simple for each in clause.all for simple in alternatives(each)]
    return [clause]


def sets_of(clause: Clause) -> tuple[str, ...]:
    """Give the value sets of a clause."""
    match clause:
        case ConditionClause():
            return clause.condition
        case MedicationClause():
            return clause.medication
        case ProcedureClause():
            return clause.procedure
        case EncounterClause():
            return clause.encounter
        case _:
            return ()


class Implication:
    """Compares clauses by what the mappings say of their value sets."""

    def __init__(self, value_sets: dict[str, ValueSet], vocabulary: Vocabulary, index: CodeIndex) -> None:
        self._value_sets = value_sets
        self._vocabulary = vocabulary
        self._index = index

    @staticmethod
    def decides(clause: Clause) -> bool:
        """Whether a match of a refusing clause refuses; one that leaves it to people does not."""
        gives = getattr(clause, "gives", None)
        inside = clause.all if isinstance(clause, AllClause) else ()
        ours = (None, Reason.CONTRADICTION)
        return gives in ours and all(getattr(each, "gives", None) in ours for each in inside)

    def holds(self, fact: Simple, names: tuple[str, ...], clause: Clause) -> bool:
        """Whether a fact, true by any code of ``names``, makes a clause true."""
        if not _same_time(fact, clause) or not names:
            return False
        doubtful = clause.doubtful if isinstance(clause, ConditionClause) else {}
        wanted = tuple(name for name in sets_of(clause) if name not in doubtful)
        return all(self._is_inside(name, wanted) for name in names)

    def _is_inside(self, name: str, wanted: tuple[str, ...]) -> bool:
        """Whether every code that proves one value set proves one of the others."""
        if name in wanted:
            return True
        codes = self._codes(name)
        return bool(codes) and all(
            any(member.value_set in wanted and member.doubt is None for member in self._members(system, code))
            for system, code in codes
        )

    def _codes(self, name: str) -> list[tuple[str, str]]:
        """Give the codes that prove a value set, ranges by their ends."""
        found = [name]
        for each in found:
            known = self._value_sets.get(each)
            found.extend(other for other in (known.includes if known is not None else ()) if other not in found)
        listed = [
            (system, end)
            for each in found
            if each in self._value_sets
            for system, codes in self._value_sets[each].codes.items()
            for code in codes
            for end in (code.code.split("-") if system in self._vocabulary.hierarchical else (code.code,))
        ]
        return [
            (system, code)
            for system, code in listed
            if any(member.value_set == name and member.doubt is None for member in self._members(system, code))
        ]

    def _members(self, system: str, code: str) -> tuple[Membership, ...]:
        urls = next((urls for key, urls in self._vocabulary.systems.items() if key == system), ())
        return self._index.of_coding(fhir.Coding(system=urls[0], code=code)) if urls else ()


def _same_time(fact: Simple, clause: Clause) -> bool:
    """Whether the state and the time of a fact are those a clause asks for."""
    match fact, clause:
        case ConditionClause(), ConditionClause():
            if fact.state is State.SUSPECTED or clause.state is State.SUSPECTED:
                return fact.state is clause.state
            if clause.dated_in is not None or (clause.confirmed and not fact.confirmed):
                return False
            if clause.state is State.WITHIN:
                return fact.state is State.WITHIN and _is_within(fact.within, clause.within)
            return clause.state is State.EVER or fact.state is clause.state
        case MedicationClause(), MedicationClause():
            if clause.systemic and not fact.systemic:
                return False
            if clause.taken is Taken.NOW:
                return fact.taken is Taken.NOW or fact.taken in _LONG
            if clause.taken is Taken.WITHIN:
                return fact.taken is not Taken.WITHIN or _is_within(fact.period, clause.period)
            return fact.taken is clause.taken and _is_within(clause.period, fact.period)
        case ProcedureClause(), ProcedureClause():
            return (fact.at_eye or not clause.at_eye) and (
                clause.within is None or (fact.within is not None and _is_within(fact.within, clause.within))
            )
        case EncounterClause(), EncounterClause():
            return _is_within(fact.within, clause.within)
        case _:
            return False


def _is_within(inner: Period | None, outer: Period | None) -> bool:
    """Whether a window lies inside another, whatever the months have of days."""
    if inner is None or outer is None:
        return inner is outer
    if inner == outer:
        return True
    return (inner.years * 12 + inner.months) * 31 + inner.days <= (outer.years * 12 + outer.months) * 30 + outer.days
