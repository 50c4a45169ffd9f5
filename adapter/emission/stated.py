"""What an atom and a premise state, in codes and values where these say it exactly, in words where they do not.

How a record proves a sentence (statuses, freshness, doubtful codes) belongs to the logic, not to the sentence: it
stands in the Library.  A sentence that people answer in part stays in words: its codes alone would say less.
"""

from collections.abc import Iterable
from typing import assert_never

from adapter.eligibility.kinds import Kind
from adapter.eligibility.kinds.allergy import AllergyTo, SevereAllergy
from adapter.eligibility.kinds.condition import ConditionClause, State
from adapter.eligibility.kinds.dose import DailyDosePerWeight
from adapter.eligibility.kinds.duration import Duration
from adapter.eligibility.kinds.events import Events
from adapter.eligibility.kinds.human import Ask, Consent, OtherStudy, SameAs
from adapter.eligibility.kinds.infection import Infection
from adapter.eligibility.kinds.medication import MedicationClause, OnlyReplacement, Taken
from adapter.eligibility.kinds.pregnancy import Lactation, NegativePregnancyTest, Pregnancy
from adapter.eligibility.kinds.quantity import Age, Quantity
from adapter.eligibility.kinds.record import AllClause, Clause, EncounterClause, ProcedureClause, Record, ValueClause
from adapter.eligibility.kinds.result import ResultIs
from adapter.eligibility.kinds.sustained import Sustained
from adapter.eligibility.trial import Atom, Premise
from adapter.eligibility.values import Period
from adapter.emission.statement import Coded, Element, Every, InWords, Some, Statement
from adapter.emission.terms import Terms, length, quantity, values

_GENDER = "http://hl7.org/fhir/administrative-gender"
_RATIO = ""
"""The unit of a multiple of a reference limit: a plain number."""
_DISEASE = {
    State.ACTIVE: "Disease, present",
    State.EVER: "Disease, present or past",
    State.WITHIN: "Disease, begun or active in the time stated",
    State.SUSPECTED: "Disease, suspected",
}


def stated(atom: Atom, terms: Terms) -> Statement:
    """Give what an atom states; its words where people answer part of it or its kind has no exact form."""
    words = InWords(_sentence(atom), by_people=atom.grade == "C")
    if atom.grade != "A":
        return words
    said = _of_kind(atom.kind, terms)
    return said if said is not None and _has_lengths(said) else words


def premise(said: Premise) -> Statement:
    """Give what a premise states: something true of the patient that is no criterion."""
    if said.of == "male":
        return _sex("male")
    return InWords("The patient is of childbearing potential")


def _sentence(atom: Atom) -> str:
    """Give words that mean the atom on their own: a reviewer's question says what a fragment of a list leaves out."""
    if atom.grade == "B" and atom.ask:
        return atom.ask
    return atom.text


def _has_lengths(said: Statement) -> bool:
    """Whether every stretch of time in it is one number of one unit, as FHIR's durations are."""
    if isinstance(said, Every | Some):
        return all(_has_lengths(each) for each in said.of)
    return not isinstance(said, Coded) or said.lasting is None or length(said.lasting) is not None


def _of_kind(kind: Kind, terms: Terms) -> Statement | None:
    match kind:
        case Age(limits):
            return _all(Coded({"text": "Age in completed years"}, each) for each in values(limits, "a"))
        case Quantity():
            return _quantity(kind, terms)
        case Sustained():
            code = terms.asked(kind.input, kind.unit)
            values_ = values(kind.limits, kind.unit)
            return _all(Coded(code, each, lasting=kind.refuted_in, times=2) for each in values_)
        case ResultIs():
            answer = {"valueCodeableConcept": terms.answer(kind.answer)}
            return Coded(terms.asked(kind.input), answer, _printed_window(kind, terms))
        case Duration():
            return _duration(kind)
        case Record():
            return _record(kind.any, terms)
        case Infection():
            return None if kind.open_ended else _record(kind.conditions, terms)
        case Pregnancy():
            return None if kind.wish else _status(kind.status, terms)
        case Lactation():
            return _status(kind.status, terms)
        case NegativePregnancyTest():
            negative = {"valueCodeableConcept": terms.answer("negative")}
            return Coded(terms.asked(kind.test), negative, within=kind.window)
        case DailyDosePerWeight():
            said = {"text": kind.label}
            return _all(Coded(said, each, lasting=kind.stable) for each in values(kind.limits, kind.unit))
        case Events() | SevereAllergy() | AllergyTo() | OnlyReplacement() | Ask() | Consent() | OtherStudy() | SameAs():
            return None
        case _:
            assert_never(kind)


def _quantity(kind: Quantity, terms: Terms) -> Statement | None:
    if kind.times_uln:
        # The LOINC code names the concentration; a multiple of a limit is another quantity, so it has no such code.
        code: Element = {"text": f"{kind.label} divided by its upper reference limit"}
        ends = values(kind.limits, _RATIO)
    else:
        unit = kind.as_printed_unit or kind.unit
        code, ends = terms.asked(kind.input, unit), values(kind.as_printed or kind.limits, unit)
    within = _printed_window(kind, terms)
    said: list[Statement] = [Coded(code, each, within) for each in ends]
    if kind.only is not None:
        said.insert(0, _sex(kind.only))
    return _all(said)


def _printed_window(kind: Quantity | ResultIs, terms: Terms) -> Period | None:
    """Give the window that the sentence asks for; how fresh any result of its input must be is no part of it."""
    usual = terms.catalog.mappings.inputs[kind.input].freshness
    return None if kind.window == usual else kind.window


def _duration(kind: Duration) -> Statement | None:
    ends = ((kind.more_than, ">"), (kind.at_most, "<="), (kind.less_than, "<"))
    code = {"text": f"Time since the beginning of {kind.subject}"}
    said: list[Statement] = []
    for period, comparator in ends:
        if period is None:
            continue
        size = length(period)
        if size is None:
            return None
        said.append(Coded(code, {"valueQuantity": quantity(*size, comparator)}))
    return _all(said)


def _record(clauses: Iterable[Clause], terms: Terms) -> Statement | None:
    """Give what makes a record met: any of the clauses that can; one that only leaves it open states nothing."""
    said = []
    for clause in clauses:
        if clause.gives is not None:
            continue
        one = _clause(clause, terms)
        if one is None:
            return None
        said.append(one)
    return _any(said) if said else None


def _clause(clause: Clause, terms: Terms) -> Statement | None:
    match clause:
        case ConditionClause():
            within = clause.within if clause.state is State.WITHIN else clause.dated_in
            return _on_record("Condition", _DISEASE[clause.state], clause.condition, terms, within)
        case MedicationClause():
            return _medication(clause, terms)
        case ProcedureClause():
            return _on_record("Procedure", "Procedure, done", clause.procedure, terms, clause.within)
        case EncounterClause():
            text = "Emergency or inpatient encounter for"
            return _on_record("Encounter", text, clause.encounter, terms, clause.within)
        case ValueClause():
            return _any(
                _all(
                    Coded(terms.asked(clause.value, unit), each, clause.within, times=clause.days)
                    for each in values(limits, unit)
                )
                for unit, limits in clause.limits.items()
            )
        case AllClause():
            inside = [_clause(each, terms) for each in clause.all]
            said = [each for each in inside if each is not None]
            # A part that only leaves the whole open has no place in a sentence that must be true.
            open_ended = any(each.gives is not None for each in clause.all)
            return None if open_ended or len(said) != len(inside) else _all(said)
        case _:
            assert_never(clause)


def _medication(clause: MedicationClause, terms: Terms) -> Statement:
    how = "Medication with a systemic route" if clause.systemic else "Medication"
    match clause.taken:
        case Taken.NOW:
            return _on_record("MedicationStatement", f"{how}, taken now", clause.medication, terms)
        case Taken.WITHIN:
            return _on_record(
                "MedicationStatement", f"{how}, taken in the time stated", clause.medication, terms, clause.period
            )
        case Taken.THROUGHOUT | Taken.CONTINUOUSLY:
            # Whichever product of the class: one after another covers the time as well as one alone.
            return _on_record(
                "MedicationStatement", f"{how}, taken without a break", clause.medication, terms, lasting=clause.period
            )
        case _:
            assert_never(clause.taken)


def _on_record(
    resource_type: str,
    text: str,
    names: tuple[str, ...],
    terms: Terms,
    within: Period | None = None,
    lasting: Period | None = None,
) -> Statement:
    code = terms.kind(resource_type, text)
    return _any(Coded(code, {"valueCodeableConcept": terms.member(name)}, within, lasting) for name in names)


def _status(name: str, terms: Terms) -> Statement:
    """Give that the answer to a yes-or-no question about the patient is yes."""
    answers = terms.catalog.mappings.inputs[name].answers
    members = answers.value_sets.get("positive") if answers is not None else None
    value = terms.member(members) if members is not None else terms.answer("positive")
    return Coded(terms.asked(name), {"valueCodeableConcept": value})


def _sex(code: str) -> Coded:
    return Coded({"text": "Sex"}, {"valueCodeableConcept": {"coding": [{"system": _GENDER, "code": code}]}})


def _all(said: Iterable[Statement]) -> Statement:
    parts = tuple(said)
    return parts[0] if len(parts) == 1 else Every(parts)


def _any(said: Iterable[Statement]) -> Statement:
    parts = tuple(part for each in said for part in (each.of if isinstance(each, Some) else (each,)))
    return parts[0] if len(parts) == 1 else Some(parts)
