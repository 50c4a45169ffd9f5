"""Conditions, procedures, allergies, encounters and empty lists to facts."""

from decimal import Decimal
from typing import TypeVar

from adapter.eligibility.facts import (
    Allergy,
    Clinical,
    Condition,
    EmptyList,
    Encounter,
    Membership,
    Procedure,
    Verification,
)
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import FIRST_DAY, LAST_DAY, Moment
from adapter.fhir import resources as fhir
from adapter.fhir.dates import parse_moment
from adapter.fhir.wire import Entered
from adapter.mapping.codes import CodeIndex
from adapter.mapping.observations import source_of
from adapter.mapping.table import Vocabulary

ASSERTED = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate"

_CLINICAL = {
    "active": Clinical.ACTIVE,
    "recurrence": Clinical.ACTIVE,
    "relapse": Clinical.ACTIVE,
    "inactive": Clinical.ENDED,
    "remission": Clinical.ENDED,
    "resolved": Clinical.RESOLVED,
}
_VERIFICATION = {
    "confirmed": Verification.CONFIRMED,
    "unconfirmed": Verification.DOUBTFUL,
    "provisional": Verification.DOUBTFUL,
    "differential": Verification.DOUBTFUL,
    "presumed": Verification.DOUBTFUL,
    "refuted": Verification.REFUTED,
}
_IN_ERROR = "entered-in-error"
_MOST_WORDS = 200
"""How much of a name is shown."""
_NO_VISIT = frozenset((_IN_ERROR, "cancelled", "planned"))
_NEVER_BEGUN = (_IN_ERROR, "preparation")
_PROCEDURE_DONE = {"completed": Truth.MET, "not-done": Truth.NOT_MET}


def label_of(concept: fhir.CodeableConcept | None) -> str:
    """Give a concept's words as sent: its text, a display, or its code."""
    if concept is None:
        return "unnamed"
    display = next((each.display for each in concept.coding if each.display), None)
    code = next((each.code for each in concept.coding if each.code), None)
    return (display or concept.text or code or "unnamed")[:_MOST_WORDS]


def coded_as(concept: fhir.CodeableConcept | None) -> str:
    """Give a concept's first code as sent, ``system|code``; empty for none."""
    if concept is None:
        return ""
    return next((f"{each.system or ''}|{each.code}" for each in concept.coding if each.code), "")


def _code(concept: fhir.CodeableConcept | None) -> str | None:
    if concept is None:
        return None
    return next((each.code for each in concept.coding if each.code), None) or (concept.text or None)


Fact = TypeVar("Fact", Condition, Procedure, Encounter)


def by_value_set(facts: list[Fact]) -> dict[str, list[Fact]]:
    """Index facts by the value sets their codes belong to, in a stable order."""
    found: dict[str, list[Fact]] = {}
    if len(facts) > 1:
        facts.sort(key=lambda fact: (fact.source.reference, fact.label))
    for fact in facts:
        for member in fact.memberships:
            found.setdefault(member.value_set, []).append(fact)
    return found


class ClinicalReader:
    """Reads what is not an Observation and not about drugs."""

    def __init__(self, vocabulary: Vocabulary, index: CodeIndex) -> None:
        self._index = index
        self._eyes = {
            (url, code)
            for system, codes in vocabulary.eye_body_sites.items()
            for url in vocabulary.systems[system]
            for code in codes
        }
        self._lists = {
            (url, kind.code): name
            for name, kind in vocabulary.empty_lists.items()
            for url in vocabulary.systems[kind.system]
        }
        self._acute = frozenset(vocabulary.acute_encounter_classes)

    def _members(self, concept: fhir.CodeableConcept | None, entered: Entered) -> tuple[Membership, ...]:
        """Give the value sets of a code; of a resource that cannot be read all those it can be meant to be in."""
        if entered.unreadable:
            return self._index.possible_memberships(concept)
        return self._index.memberships(concept)

    def conditions(self, entries: list[Entered], birth: Moment | None) -> dict[str, list[Condition]]:
        """Give conditions by value set; entered in error never happened."""
        found = []
        for entered in entries:
            resource = entered.resource
            if not isinstance(resource, fhir.Condition):
                continue
            members = self._members(resource.code, entered)
            if not members:
                continue
            verification = _status(resource.verification_status)
            if verification == _IN_ERROR and "verificationStatus" not in entered.unreadable:
                continue
            codes = self._index.spelled(resource.code) if resource.code is not None else ()
            found.append(_condition(entered, resource, members, codes, verification, birth))
        return by_value_set(found)

    def procedures(self, entries: list[Entered]) -> dict[str, list[Procedure]]:
        """Give procedures by value set."""
        found = []
        for entered in entries:
            resource = entered.resource
            if not isinstance(resource, fhir.Procedure):
                continue
            members = self._members(resource.code, entered)
            if not members or (resource.status in _NEVER_BEGUN and "status" not in entered.unreadable):
                continue
            text = resource.performed_date_time or resource.occurrence_date_time
            period = resource.performed_period or resource.occurrence_period
            if text is None and period is not None:
                text = period.end or period.start
            done = _PROCEDURE_DONE.get(resource.status or "", Truth.UNKNOWN)
            sites = {(coding.system, coding.code) for site in resource.body_site for coding in site.coding}
            found.append(
                Procedure(
                    members,
                    label_of(resource.code),
                    Truth.UNKNOWN if entered.unreadable else done,
                    source_of(entered),
                    parse_moment(text) if text else None,
                    bool(sites & self._eyes),
                )
            )
        return by_value_set(found)

    def encounters(self, entries: list[Entered], conditions: list[Entered]) -> dict[str, list[Encounter]]:
        """Give emergency and inpatient encounters by the value sets of their reasons, coded or referred to."""
        found = []
        for entered in entries:
            resource = entered.resource
            if not isinstance(resource, fhir.Encounter):
                continue
            is_acute = bool(self._acute.intersection(_classes(resource))) or "class" in entered.unreadable
            is_void = resource.status in _NO_VISIT and "status" not in entered.unreadable
            if not is_acute or is_void:
                continue
            reasons = [*resource.reason_code]
            values = [value for each in resource.reason for value in each.value]
            reasons.extend(value.concept for value in values if value.concept is not None)
            references = [*resource.reason_reference, *(value.reference for value in values)]
            reasons.extend(_referred(references, conditions))
            period = resource.period or resource.actual_period
            text = (period.start or period.end) if period is not None and not entered.unreadable else None
            for concept in reasons:
                members = self._members(concept, entered)
                if members:
                    when = parse_moment(text) if text else None
                    found.append(Encounter(members, label_of(concept), when, source_of(entered)))
        return by_value_set(found)

    def allergies(self, entries: list[Entered]) -> list[Allergy]:
        """Give every allergy record that was not entered in error."""
        found = []
        for entered in entries:
            resource = entered.resource
            if not isinstance(resource, fhir.AllergyIntolerance):
                continue
            status = _status(resource.verification_status)
            if status == _IN_ERROR and "verificationStatus" not in entered.unreadable:
                continue
            verification = _VERIFICATION.get(status, Verification.DOUBTFUL) if status else Verification.ABSENT
            if entered.unreadable:
                verification = Verification.DOUBTFUL
            manifestations: list[Membership] = []
            for reaction in resource.reaction:
                for sign in reaction.manifestation:
                    concept = sign.concept or fhir.CodeableConcept(sign.coding, sign.text)
                    manifestations.extend(self._index.memberships(concept))
            moments = [parse_moment(text) for text in (resource.recorded_date, resource.onset_date_time) if text]
            dated = [each for each in moments if each is not None]
            found.append(
                Allergy(
                    self._members(resource.code, entered),
                    label_of(resource.code),
                    _code(resource.code),
                    verification,
                    any(reaction.severity == "severe" for reaction in resource.reaction),
                    resource.criticality == "high",
                    source_of(entered),
                    min(dated, key=lambda each: each.first) if dated else None,
                    tuple(manifestations),
                    _CLINICAL.get(_status(resource.clinical_status) or "active") is not Clinical.ACTIVE,
                )
            )
        return sorted(found, key=lambda each: each.source.reference)

    def empty_lists(self, entries: list[Entered]) -> list[EmptyList]:
        """Give the lists that are current and known to be empty."""
        found = []
        for entered in entries:
            resource = entered.resource
            if not isinstance(resource, fhir.ListResource) or entered.unreadable or resource.entry:
                continue
            if resource.mode == "changes":  # nothing has changed, which is not: there is nothing
                continue
            known_empty = resource.empty_reason is not None and any(
                each.code == "nilknown" for each in resource.empty_reason.coding
            )
            if resource.status != "current" or not known_empty or resource.code is None:
                continue
            for coding in resource.code.coding:
                kind = self._lists.get((coding.system or "", coding.code or ""))
                if kind is not None and resource.date:
                    found.append(EmptyList(kind, parse_moment(resource.date), source_of(entered)))
        return sorted(found, key=lambda each: each.source.reference)


def _condition(
    entered: Entered,
    resource: fhir.Condition,
    members: tuple[Membership, ...],
    codes: tuple[str, ...],
    verification: str | None,
    birth: Moment | None,
) -> Condition:
    clinical = _status(resource.clinical_status)
    asserted = next((each.value_date_time for each in resource.extension if each.url == ASSERTED), None)
    ends = (resource.abatement_date_time, resource.abatement_period, resource.abatement_age)
    has_abated = any(each is not None for each in (*ends, resource.abatement_range, resource.abatement_string))
    onset = _moment(resource.onset_date_time, resource.onset_period, resource.onset_age, birth)
    abated_at = _moment(*ends, birth)
    begins = (resource.onset_date_time, resource.onset_period)
    unreadable_date = (onset is None and begins != (None, None)) or (abated_at is None and ends[:2] != (None, None))
    # An abatement of which only an extension came is neither active nor ended.
    begun = not has_abated and resource.abatement_date_time_extended is not None
    is_unreadable = bool(entered.unreadable)
    states_unclear = bool(clinical) and clinical not in _CLINICAL
    return Condition(
        members,
        codes,
        label_of(resource.code),
        Clinical.UNCLEAR if states_unclear else _CLINICAL[clinical] if clinical else Clinical.ABSENT,
        Verification.DOUBTFUL
        if is_unreadable
        else _VERIFICATION.get(verification, Verification.DOUBTFUL)
        if verification
        else Verification.ABSENT,
        source_of(entered),
        onset,
        parse_moment(asserted) if asserted else None,
        parse_moment(resource.recorded_date) if resource.recorded_date else None,
        abated_at,
        has_abated or resource.abatement_boolean is True,
        is_unreadable or unreadable_date or begun,
        coded_as(resource.code),
    )


def _moment(
    text: str | None, period: fhir.Period | None, age: fhir.Quantity | None, birth: Moment | None
) -> Moment | None:
    """Give when something happened; a period is a time within which it did, open where an end is missing."""
    if text is not None:
        return parse_moment(text)
    if period is None:
        return _at_age(age, birth)
    start, end = (parse_moment(each) if each is not None else None for each in (period.start, period.end))
    if (period.start is not None and start is None) or (period.end is not None and end is None):
        return None
    if start is None and end is None:
        return None
    first = start.first if start is not None else FIRST_DAY
    last = end.last if end is not None else LAST_DAY
    return Moment(f"{period.start or ''}/{period.end or ''}", first, max(first, last))


def _status(concept: fhir.CodeableConcept | None) -> str | None:
    """Give the one status code a concept holds; a concept without a usable code is ``unreadable``, not absent."""
    if concept is None:
        return None
    codes = {each.code for each in concept.coding if each.code}
    if len(codes) == 1:
        return codes.pop()
    known = [code for code in codes if code in _CLINICAL or code in _VERIFICATION or code == _IN_ERROR]
    return known[0] if len(known) == 1 else "unreadable"


def _at_age(age: fhir.Quantity | None, birth: Moment | None) -> Moment | None:
    """Give the year of life an age in years means, as the days it can lie on."""
    if age is None or age.value is None or birth is None or (age.comparator or age.comparator_extended) is not None:
        return None
    if (age.code or age.unit) not in ("a", "years", "year", "yr") or not Decimal(0) <= age.value < Decimal(150):
        return None
    days_a_year = Decimal("365.25")
    first = birth.first + int(age.value * days_a_year) - 1
    return Moment(f"at age {age.value} years", first, birth.last + int((age.value + 1) * days_a_year) + 1)


def _referred(references: list[fhir.Reference | None], conditions: list[Entered]) -> list[fhir.CodeableConcept]:
    """Give the codes of the patient's own conditions that an encounter names as its reason."""
    wanted = {each.reference for each in references if each is not None and each.reference}
    found = []
    for entered in conditions if wanted else ():
        resource = entered.resource
        if not isinstance(resource, fhir.Condition) or _status(resource.verification_status) in (_IN_ERROR, "refuted"):
            continue
        if resource.code is not None and wanted & {source_of(entered).reference, entered.full_url}:
            found.append(resource.code)
    return found


def _classes(encounter: fhir.Encounter) -> set[str]:
    found = encounter.class_
    if found is None:
        return set()
    listed = found if isinstance(found, list) else [found]
    return {each.code for one in listed for each in (one, *one.coding) if each.code}
