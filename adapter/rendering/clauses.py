"""What a clause of a record asks for, in plain words: a disease, a drug, a procedure, a visit, a value, or several."""

from collections.abc import Iterator
from typing import assert_never

from adapter.eligibility.kinds.condition import ConditionClause, State
from adapter.eligibility.kinds.medication import MedicationClause, Taken
from adapter.eligibility.kinds.record import AllClause, Clause, EncounterClause, ProcedureClause, ValueClause
from adapter.eligibility.reason import Reason
from adapter.rendering.sentences_numbers import unreadable
from adapter.rendering.wording import Left, Line, Text, Words, left, line, listed, say


def asked(clause: Clause, words: Words) -> Line:
    """Say what a clause looks for."""
    match clause:
        case ConditionClause():
            return line(_condition(clause, words))
        case MedicationClause():
            return line(_medication(clause, words))
        case ProcedureClause():
            said = say("a procedure done: ", words.sets(clause.procedure))
            if clause.within is not None:
                said = say(said, ", within the last ", words.length(clause.within, "within"))
            if clause.at_eye:
                said = say(said, "; ", words.sets(clause.at_eye), " only where the body site is an eye")
            return line(said)
        case EncounterClause():
            within = words.length(clause.within, "within")
            return line(
                "an emergency visit or hospital stay because of ",
                words.sets(clause.encounter),
                ", within the last ",
                within,
            )
        case ValueClause():
            return line(_value(clause, words))
        case AllClause():
            parts = tuple(asked(each, words.at("all", index)) for index, each in enumerate(clause.all))
            return line("all of these together:", inside=parts)
        case _:
            assert_never(clause)


def _condition(clause: ConditionClause, words: Words) -> Text:
    names = words.sets(clause.condition)
    a_condition = "a confirmed condition" if clause.confirmed else "a condition"
    match clause.state:
        case State.ACTIVE:
            said = say("an active condition", ", recorded as confirmed: " if clause.confirmed else ": ", names)
        case State.EVER:
            said = say(f"{a_condition}, present or past: ", names)
        case State.SUSPECTED:
            said = say("recorded as unconfirmed, provisional or differential: ", names)
        case State.WITHIN:
            signs = "beginning or end" if clause.end_counts else "beginning"
            said = say(f"{a_condition}: ", names, f", its {signs} dated")
            if clause.within is not None:
                said = say(said, " within the last ", words.length(clause.within, "within"))
        case _:
            assert_never(clause.state)
    if clause.dated_in is not None:
        said = say(said, ", begun within the last ", words.length(clause.dated_in, "dated_in"))
    if clause.no_longer_than is not None:
        said = say(said, ", open for no longer than ", words.length(clause.no_longer_than, "no_longer_than"))
    return said


def _medication(clause: MedicationClause, words: Words) -> Text:
    said = say("a drug: ", words.sets(clause.medication))
    period = words.length(clause.period, "period") if clause.period is not None else ""
    match clause.taken:
        case Taken.NOW:
            said = say(said, ", taken now")
        case Taken.WITHIN:
            said = say(said, ", taken at some time within the last ", period)
        case Taken.THROUGHOUT:
            said = say(said, ", taken throughout the last ", period)
        case Taken.CONTINUOUSLY:
            said = say(said, ", taken without a gap for the last ", period)
        case _:
            assert_never(clause.taken)
    if clause.taken is Taken.THROUGHOUT and clause.gap_days:
        said = say(said, ", gaps up to ", words.number(clause.gap_days, "gap_days", "days"), " aside")
    return say(said, ", by a systemic route") if clause.systemic else said


def _value(clause: ValueClause, words: Words) -> Text:
    limits = [words.at("limits", unit).limits(each, unit) for unit, each in clause.limits.items()]
    said = say(words.input(clause.value, clause.roles), " ", listed(limits, "or"))
    if clause.days > 1:
        said = say(said, ", on ", words.number(clause.days, "days"), " different days")
    if clause.within is not None:
        said = say(said, ", within the last ", words.length(clause.within, "within"))
    return said


def opens_only(clause: Clause) -> Reason | None:
    """Why a match of a clause settles nothing; None where it makes the sentence true."""
    inside = clause.all if isinstance(clause, AllClause) else ()
    return clause.gives or next((reason for each in inside if (reason := opens_only(each)) is not None), None)


def leaves(clause: Clause, words: Words) -> Iterator[Left]:
    """Say which records leave a clause open, with the reason each gives."""
    match clause:
        case ConditionClause():
            yield from _condition_leaves(clause, words)
        case MedicationClause():
            yield from _medication_leaves(clause, words)
        case ProcedureClause():
            yield left(Reason.STATUS, "the procedure is not recorded as completed")
            yield from _suggestions(clause.procedure, words)
            yield left(Reason.DATE, "the procedure is not dated well enough")
            if clause.within is not None:
                yield left(clause.older, "the procedure is older than that")
            if clause.at_eye:
                yield left(Reason.SEVERITY, words.sets(clause.at_eye), " where the record names no eye")
        case EncounterClause():
            yield left(Reason.NOEVIDENCE, "the visit is older than that")
            yield left(Reason.DATE, "the visit is not dated well enough")
        case ValueClause():
            if clause.gives is None:
                yield left(clause.short, "values are on record, but not enough of them in the limits")
                yield from unreadable(clause.value, words)
        case AllClause():
            for index, each in enumerate(clause.all):
                yield from leaves(each, words.at("all", index))
            if clause.partial is not None:
                yield left(clause.partial, "a part holds and nothing is on record of the rest")
        case _:
            assert_never(clause)


def _condition_leaves(clause: ConditionClause, words: Words) -> Iterator[Left]:
    if clause.state is not State.SUSPECTED:
        verification = ", or its verification status is missing" if clause.confirmed else ""
        yield left(Reason.VERIFY, f"the condition is not confirmed{verification}")
    for name, reason in clause.doubtful.items():
        yield left(reason, "the record says only: ", words.sets((name,)))
    if clause.gives is None:
        yield from _suggestions(clause.condition, words)
    if clause.rivals:
        yield left(Reason.VERIFY, "on record as well: ", words.sets(clause.rivals))
    against = "any record of it" if clause.required else "a record of the same code"
    yield left(Reason.CONFLICT, f"one record confirms it and {against} refutes it")
    yield left(Reason.DATE, "its date is too coarse to say whether it has begun")
    if clause.state is State.ACTIVE:
        yield left(Reason.CONFLICT, "the condition is active, yet has an end in the past")
    if clause.state is State.ACTIVE and clause.ended is not None:
        yield left(clause.ended, "the condition has ended")
    if clause.state is State.WITHIN:
        yield left(Reason.DATE, "the condition is not dated well enough")
        if clause.grey is not None:
            yield left(Reason.DATE, "it is older than that, but no older than ", words.length(clause.grey, "grey"))
        yield left(Reason.NOEVIDENCE, "it is older still" if clause.grey is not None else "it is older than that")
    if clause.no_longer_than is not None:
        yield left(Reason.STALE, "the condition has been open for longer than that")


def _medication_leaves(clause: MedicationClause, words: Words) -> Iterator[Left]:
    yield left(Reason.MEDS, "whether or when the drug is taken is not clear")
    if clause.taken in (Taken.NOW, Taken.WITHIN):
        yield left(clause.ended, "the drug ended before")
    else:
        yield left(Reason.NOEVIDENCE, "the drug is not shown for the whole time")
    if _refutable(clause.medication, words):
        yield left(Reason.NOEVIDENCE, "one drug of the class alone is recorded as not taken")
    if clause.systemic:
        yield left(Reason.NOEVIDENCE, "the drug acts locally only")
        yield left(Reason.MEDS, "the route is not known")


def _suggestions(names: tuple[str, ...], words: Words) -> Iterator[Left]:
    """Name the value sets of which some codes only suggest what they are for."""
    known = words.catalog.mappings.value_sets
    for name in names:
        if name in known:
            members = (known[each] for each in included(name, words))
            reasons = dict.fromkeys(reason for each in members for reason in each.suggests)
            for reason in reasons:
                yield left(reason, "the code only suggests it, in ", words.sets((name,)))


def included(name: str, words: Words) -> list[str]:
    """Give a value set with those it includes, by name."""
    known = words.catalog.mappings.value_sets
    found = [name]
    for each in found:
        if each in known:
            found.extend(other for other in known[each].includes if other not in found)
    return found


def denials(clause: Clause, words: Words) -> Iterator[Line]:
    """Say which records of a clause answer no; parts of a combination never do."""
    known = words.catalog.mappings.value_sets
    match clause:
        case ConditionClause():
            names = _refutable(clause.refuted, words)
            if names:
                yield line("a record refutes ", words.sets(names), ", by a code that names it as a whole")
            if clause.state is State.ACTIVE and clause.ended is None:
                yield line("the condition has resolved or abated")
        case MedicationClause():
            names = _refutable(clause.medication, words)
            roots = [code for name in names for code in known[name].refutable]
            if names:
                yield line("the whole class is recorded as not taken: ", words.sets(names), f" ({', '.join(roots)})")
        case ProcedureClause():
            names = _refutable(clause.procedure, words)
            if names:
                yield line("recorded as not done: ", words.sets(names))
        case EncounterClause() | ValueClause() | AllClause():
            pass
        case _:
            assert_never(clause)


def _refutable(names: tuple[str, ...], words: Words) -> tuple[str, ...]:
    known = words.catalog.mappings.value_sets
    return tuple(name for name in names if name in known and known[name].refutable)
