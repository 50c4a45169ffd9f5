"""The clauses of a record sentence as CQL: each an expression of an outcome, null where no record speaks."""

from collections.abc import Iterable
from typing import assert_never

from adapter.cql.mappings import codes_of, results_of
from adapter.cql.text import (
    DATE,
    STRING,
    boolean,
    call,
    limits_by_unit,
    listed,
    maybe,
    null,
    since,
    string,
    strings,
    tupled,
)
from adapter.cql.types import spelled
from adapter.eligibility.kinds.condition import ConditionClause, State
from adapter.eligibility.kinds.medication import MedicationClause, Taken
from adapter.eligibility.kinds.record import AllClause, Clause, EncounterClause, ProcedureClause, ValueClause
from adapter.eligibility.reason import Reason

_ENDED_ANSWERS = null(STRING)


def clause(each: Clause) -> str:
    """Write a clause as the expression of its outcome."""
    match each:
        case ConditionClause():
            return condition(each)
        case MedicationClause():
            return medication(each)
        case ProcedureClause():
            return _procedure(each)
        case EncounterClause():
            return _encounter(each)
        case ValueClause():
            return _value(each)
        case AllClause():
            return call(
                'Judge."All Say"',
                listed(map(clause, each.all), STRING),
                reason(each.partial),
                reason(each.gives),
            )
        case _:
            assert_never(each)


def condition(each: ConditionClause) -> str:
    """Write what conditions of the value sets amount to."""
    return call('Judge."Condition Says"', found(each), _how(each))


def found(each: ConditionClause) -> str:
    """Write the conditions that a clause looks at."""
    names = dict.fromkeys((*each.condition, *each.doubtful, *each.refuted))
    return found_in(listed((_about(each, name) for name in names), spelled("$About")))


def found_of(names: Iterable[str]) -> str:
    """Write the conditions of value sets, whatever is asked of them."""
    return found_in(asked(names))


def found_in(about: str) -> str:
    """Write the conditions of what is asked about."""
    return call('Mappings."Found"', about)


def asked(names: Iterable[str]) -> str:
    """Write value sets as what is asked about."""
    return listed((call('Judge."Asked"', f"Mappings.{codes_of(name)}") for name in names), spelled("$About"))


def _about(each: ConditionClause, name: str) -> str:
    is_asked, is_refutable, doubtful = name in each.condition, name in each.refuted, each.doubtful.get(name)
    if is_asked and doubtful is None:
        function = "Asked Or Refuted" if is_refutable else "Asked"
        return call(f'Judge."{function}"', f"Mappings.{codes_of(name)}")
    return tupled(
        {
            "asked": boolean(value=is_asked),
            "refutable": boolean(value=is_refutable),
            "doubtful": reason(doubtful),
            "rows": f"Mappings.{codes_of(name)}",
        }
    )


def _how(each: ConditionClause) -> str:
    """Write what is asked of the conditions, by its short name where nothing more than a state is asked."""
    is_within = each.state is State.WITHIN
    if each == ConditionClause(
        each.condition, each.state, each.within, doubtful=each.doubtful, rivals=each.rivals, refuted=each.refuted
    ):
        return call('Judge."Since"', since(each.within)) if is_within else f'Judge."{each.state.value.capitalize()}"'
    return tupled(
        {
            "state": string(each.state.value),
            "opens": since(each.within) if is_within else null(DATE),
            "endCounts": boolean(value=each.end_counts),
            "grey": since(each.grey),
            "gives": reason(each.gives),
            "confirmed": boolean(value=each.confirmed),
            "ended": reason(each.ended),
            "required": boolean(value=each.required),
            "datedSince": since(each.dated_in),
            "notBefore": since(each.no_longer_than),
        }
    )


def reason(each: Reason | None) -> str:
    """Write a reason code, or a null string."""
    return maybe(each.value if each is not None else None)


def medication(each: MedicationClause) -> str:
    """Write what medication records of the value sets amount to."""
    now = each.taken is Taken.NOW
    how = tupled(
        {
            "taken": string(each.taken.value),
            "opens": "Today()" if now else since(each.period),
            "gap": str(each.gap_days if each.taken is Taken.THROUGHOUT else 0),
            "systemic": boolean(value=each.systemic),
            "ended": reason(each.ended),
            "gives": reason(each.gives),
        }
    )
    return call('Judge."Drug Says"', call('Judge."Drugs Of"', 'Mappings."Drugs"', asked(each.medication)), how)


def _procedure(each: ProcedureClause) -> str:
    how = tupled({"opens": since(each.within), "older": reason(each.older), "gives": reason(each.gives)})
    return call('Judge."Procedure Says"', 'Mappings."Procedures"', asked(each.procedure), asked(each.at_eye), how)


def _encounter(each: EncounterClause) -> str:
    return call(
        'Judge."Encounter Says"', 'Mappings."Encounters"', asked(each.encounter), since(each.within), reason(each.gives)
    )


def _value(each: ValueClause) -> str:
    return call(
        'Judge."Value Says"',
        results(each.value, each.roles),
        limits_by_unit(each.limits),
        str(each.days),
        since(each.within),
        reason(each.gives),
        reason(each.short),
    )


def results(input_name: str, roles: Iterable[str]) -> str:
    """Write the results of an input under some roles."""
    return f"Mappings.{results_of(input_name)} R where R.role in {strings(roles)} return all R"
