"""What data an atom is judged on, as DataRequirements: what must be at hand before it can be judged."""

from collections.abc import Iterable, Iterator
from typing import Literal, assert_never

from adapter.eligibility.kinds import Kind
from adapter.eligibility.kinds.allergy import AllergyTo, SevereAllergy
from adapter.eligibility.kinds.condition import ConditionClause
from adapter.eligibility.kinds.derivation import Derivation
from adapter.eligibility.kinds.dose import DailyDosePerWeight
from adapter.eligibility.kinds.duration import Duration
from adapter.eligibility.kinds.events import Events
from adapter.eligibility.kinds.human import Ask, Consent, OtherStudy, SameAs
from adapter.eligibility.kinds.infection import Infection
from adapter.eligibility.kinds.medication import MedicationClause, OnlyReplacement
from adapter.eligibility.kinds.pregnancy import Lactation, NegativePregnancyTest, Pregnancy
from adapter.eligibility.kinds.quantity import Age, Quantity
from adapter.eligibility.kinds.record import AllClause, Clause, EncounterClause, ProcedureClause, Record, ValueClause
from adapter.eligibility.kinds.result import ResultIs
from adapter.eligibility.kinds.sustained import Sustained
from adapter.eligibility.trial import All, Atom, AtomIs, Criterion, Logic, Not, Premise
from adapter.eligibility.trial import Any as AnyOf
from adapter.emission.statement import Element
from adapter.emission.terms import Terms

_MEDICATION = ("MedicationStatement", "MedicationRequest", "MedicationAdministration", "MedicationDispense")
_CONDITION = ["code", "clinicalStatus", "verificationStatus", "onset", "abatement", "recordedDate"]
_OBSERVATION = ["status", "code", "value", "effective", "component"]
ListKind = Literal["problem-list", "medication-list", "allergy-list"]


def requirements(atom: Atom, terms: Terms) -> tuple[Element, ...]:
    """Give the DataRequirements of an atom, once each, in the order its kind names them."""
    found = list(_of_kind(atom.kind, terms))
    if atom.ask:
        found.append({"type": "QuestionnaireResponse", "mustSupport": ["questionnaire", "status", "authored", "item"]})
    return once(found)


def premise_requirements(criterion: Criterion, terms: Terms) -> tuple[Element, ...]:
    """Give the DataRequirements of what a criterion presumes of the patient."""
    return once(_of_logic(criterion.logic, terms))


def once(found: Iterable[Element]) -> tuple[Element, ...]:
    """Give each requirement once, in the order of its first mention."""
    return tuple({repr(each): each for each in found}.values())


def _of_kind(kind: Kind, terms: Terms) -> Iterator[Element]:  # noqa: PLR0915 (a case for each kind)
    match kind:
        case Age():
            yield _patient("birthDate")
        case Quantity():
            if kind.only is not None:
                yield _patient("gender")
            yield _observation(kind.input, terms, "referenceRange" if kind.times_uln else None)
            yield from _derived(kind.derive, terms)
        case Sustained():
            yield _observation(kind.input, terms)
        case ResultIs():
            yield _observation(kind.input, terms)
            yield from _conditions(kind.or_condition, terms)
        case Duration():
            yield from _conditions((*kind.condition, *kind.earlier.conditions), terms)
            yield from _medications(kind.earlier.medications, terms)
            yield from _clauses(kind.earlier.values, terms)
        case Record():
            yield from _clauses(kind.any, terms)
            if kind.empty_list is not None:
                yield _list(kind.empty_list, terms)
        case Events():
            yield from _conditions(
                (*(name for names in kind.certain.values() for name in names), *kind.possible), terms
            )
            yield _list("problem-list", terms)
        case Infection():
            yield from _infection(kind, terms)
        case Pregnancy():
            denied = (kind.denied_by,) if kind.denied_by is not None else ()
            yield from _clauses((kind.diagnosis, kind.doubtful, *denied), terms)
            yield _observation(kind.status, terms)
            yield _observation(kind.test, terms)
            yield from _childbearing(terms)
        case Lactation():
            yield from _clauses((kind.diagnosis, kind.delivery), terms)
            yield _observation(kind.status, terms)
            yield from _childbearing(terms)
        case NegativePregnancyTest():
            yield _observation(kind.test, terms)
            yield from _childbearing(terms)
        case SevereAllergy():
            yield _resource("AllergyIntolerance", ["code", "clinicalStatus", "verificationStatus", "reaction"])
            also = (kind.condition, kind.belied_by, kind.constitution)
            yield from _clauses([clause for clause in also if clause is not None], terms)
            yield _list("allergy-list", terms)
        case AllergyTo():
            for name in kind.substance:
                yield _filtered("AllergyIntolerance", "code", terms.value_set(name), ["code", "verificationStatus"])
        case DailyDosePerWeight():
            yield from _medications(kind.medication, terms)
            yield _observation(kind.weight, terms)
        case OnlyReplacement():
            yield from _medications(kind.medication, terms)
        case Ask():
            for name in kind.shows:
                yield _observation(name, terms)
            yield from _conditions(kind.conditions, terms)
        case Consent():
            yield _resource("Consent", ["status", "scope" if terms.naming.is_r4 else "category"])
        case OtherStudy():
            yield _resource("ResearchSubject", ["study", "status" if terms.naming.is_r4 else "progress", "period"])
            yield from _clauses((kind.hint,) if kind.hint is not None else (), terms)
        case SameAs():
            return
        case _:
            assert_never(kind)


def _clauses(clauses: Iterable[Clause], terms: Terms) -> Iterator[Element]:
    for clause in clauses:
        match clause:
            case ConditionClause():
                yield from _conditions((*clause.condition, *clause.rivals), terms)
            case MedicationClause():
                yield from _medications(clause.medication, terms)
            case ProcedureClause():
                when = "performed" if terms.naming.is_r4 else "occurrence"
                for name in clause.procedure:
                    yield _filtered("Procedure", "code", terms.value_set(name), ["code", "status", when])
            case EncounterClause():
                path = "reasonCode" if terms.naming.is_r4 else "reason"
                when = "period" if terms.naming.is_r4 else "actualPeriod"
                for name in clause.encounter:
                    yield _filtered("Encounter", path, terms.value_set(name), ["status", "class", when, path])
            case ValueClause():
                yield _observation(clause.value, terms)
            case AllClause():
                yield from _clauses(clause.all, terms)
            case _:
                assert_never(clause)


def _infection(kind: Infection, terms: Terms) -> Iterator[Element]:
    yield from _clauses((*kind.conditions, *kind.suggested_by), terms)
    presumptive = (tests for rule in kind.presumptive for tests in (rule.positive, *rule.against))
    ruling_out = (tests for group in kind.ruled_out_by for tests in group)
    for tests in (*kind.conclusive, *presumptive, *kind.suggestive, *ruling_out):
        yield _observation(tests.input, terms)


def _childbearing(terms: Terms) -> Iterator[Element]:
    """Give what says of whom a sentence about childbearing speaks: sex, age, and records that end it."""
    yield _patient("birthDate", "gender")
    for name in terms.catalog.mappings.vocabulary.childbearing.ended_by:
        yield from _conditions((name,), terms)
        yield _filtered("Procedure", "code", terms.value_set(name), ["code", "status"])


def _of_logic(logic: Logic, terms: Terms) -> Iterator[Element]:
    match logic:
        case AtomIs():
            return
        case Premise():
            if logic.of == "male":
                yield _patient("gender")
            else:
                yield from _childbearing(terms)
        case Not():
            yield from _of_logic(logic.of, terms)
        case All() | AnyOf():
            for each in logic.of:
                yield from _of_logic(each, terms)
        case _:
            assert_never(logic)


def _derived(derive: Derivation | None, terms: Terms) -> Iterator[Element]:
    """Give the inputs that a value is computed from where none was charted."""
    for name in sorted(derive.reads()) if derive is not None else ():
        yield _observation(name, terms)


def _conditions(names: Iterable[str], terms: Terms) -> Iterator[Element]:
    for name in names:
        yield _filtered("Condition", "code", terms.value_set(name), _CONDITION)


def _medications(names: Iterable[str], terms: Terms) -> Iterator[Element]:
    for name in names:
        for resource_type in _MEDICATION:
            yield _filtered(resource_type, "medication", terms.value_set(name), ["status", "medication"])


def _observation(name: str, terms: Terms, also: str | None = None) -> Element:
    """Give the requirement of an input's results: by its one code, or by the ValueSet of its codes."""
    needed = [*_OBSERVATION, *((also,) if also is not None else ())]
    codes = terms.read(name)
    if not codes:
        return _resource(terms.catalog.mappings.inputs[name].resource, [])
    if len(codes) == 1:
        made = {"path": "code", "code": [terms.coding(codes[0])]}
        return {"type": "Observation", "codeFilter": [made], "mustSupport": needed}
    return _filtered("Observation", "code", terms.input_value_set(name), needed)


def _filtered(resource_type: str, path: str, value_set: str, needed: list[str]) -> Element:
    return {"type": resource_type, "codeFilter": [{"path": path, "valueSet": value_set}], "mustSupport": needed}


def _list(kind: ListKind, terms: Terms) -> Element:
    """Give the requirement of the list that may be known to be empty."""
    vocabulary = terms.catalog.mappings.vocabulary
    coded = vocabulary.empty_lists[kind]
    code = {"system": vocabulary.systems[coded.system][0], "code": coded.code}
    return {
        "type": "List",
        "codeFilter": [{"path": "code", "code": [code]}],
        "mustSupport": ["status", "date", "emptyReason"],
    }


def _patient(*elements: str) -> Element:
    return _resource("Patient", list(elements))


def _resource(resource_type: str, needed: list[str]) -> Element:
    return {"type": resource_type, "mustSupport": needed} if needed else {"type": resource_type}
