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
from adapter.eligibility.values import Moment
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
    "resolved": Clinical.ENDED,
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
_PROCEDURE_DONE = {"completed": Truth.MET, "not-done": Truth.NOT_MET}


def label_of(concept: fhir.CodeableConcept | None) -> str:
    """Give a concept's words as sent: its text, a display, or its code."""
    if concept is None:
        return "unnamed"
    display = next((each.display for each in concept.coding if each.display), None)
    code = next((each.code for each in concept.coding if each.code), None)
    return display or concept.text or code or "unnamed"


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

    def conditions(self, entries: list[Entered], birth: Moment | None) -> dict[str, list[Condition]]:
        """Give conditions by value set; entered in error never happened."""
        found = []
        for entered in entries:
            resource = entered.resource
            if not isinstance(resource, fhir.Condition):
                continue
            members = self._index.memberships(resource.code)
            if not members:
                continue
            verification = _status(resource.verification_status)
            if verification == _IN_ERROR:
                continue
            found.append(_condition(entered, resource, members, verification, birth))
        return by_value_set(found)

    def procedures(self, entries: list[Entered]) -> dict[str, list[Procedure]]:
        """Give procedures by value set."""
        found = []
        for entered in entries:
            resource = entered.resource
            if not isinstance(resource, fhir.Procedure):
                continue
            members = self._index.memberships(resource.code)
            if not members or resource.status == _IN_ERROR:
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

    def encounters(self, entries: list[Entered]) -> dict[str, list[Encounter]]:
        """Give emergency and inpatient encounters by the value sets of their reasons."""
        found = []
        for entered in entries:
            resource = entered.resource
            if not isinstance(resource, fhir.Encounter) or entered.unreadable:
                continue
            if not self._acute.intersection(_classes(resource)) or resource.status in (
                _IN_ERROR,
                "cancelled",
                "planned",
            ):
                continue
            reasons = [*resource.reason_code]
            reasons.extend(value.concept for each in resource.reason for value in each.value if value.concept)
            period = resource.period or resource.actual_period
            text = (period.start or period.end) if period is not None else None
            for concept in reasons:
                members = self._index.memberships(concept)
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
            if status == _IN_ERROR:
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
                    self._index.memberships(resource.code),
                    label_of(resource.code),
                    _code(resource.code),
                    verification,
                    any(reaction.severity == "severe" for reaction in resource.reaction),
                    resource.criticality == "high",
                    source_of(entered),
                    min(dated, key=lambda each: each.first) if dated else None,
                    tuple(manifestations),
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
    verification: str | None,
    birth: Moment | None,
) -> Condition:
    clinical = _status(resource.clinical_status)
    asserted = next((each.value_date_time for each in resource.extension if each.url == ASSERTED), None)
    abated = resource.abatement_date_time or (resource.abatement_period.end if resource.abatement_period else None)
    has_abated = abated is not None or any(
        each is not None for each in (resource.abatement_age, resource.abatement_range, resource.abatement_string)
    )
    onset_text = resource.onset_date_time or (resource.onset_period.start if resource.onset_period else None)
    onset = parse_moment(onset_text) if onset_text else _at_age(resource.onset_age, birth)
    abated_at = parse_moment(abated) if abated else _at_age(resource.abatement_age, birth)
    unreadable_date = (onset_text is not None and onset is None) or (abated is not None and abated_at is None)
    states_unclear = bool(clinical) and clinical not in _CLINICAL
    return Condition(
        members,
        tuple(f"{each.system}|{each.code}" for each in resource.code.coding if each.code) if resource.code else (),
        label_of(resource.code),
        Clinical.UNCLEAR if states_unclear else _CLINICAL[clinical] if clinical else Clinical.ABSENT,
        _VERIFICATION.get(verification, Verification.DOUBTFUL) if verification else Verification.ABSENT,
        source_of(entered),
        onset,
        parse_moment(asserted) if asserted else None,
        parse_moment(resource.recorded_date) if resource.recorded_date else None,
        abated_at,
        has_abated or resource.abatement_boolean is True,
        bool(entered.unreadable) or unreadable_date,
    )


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
    if age is None or age.value is None or birth is None or age.comparator is not None:
        return None
    if (age.code or age.unit) not in ("a", "years", "year", "yr") or not Decimal(0) <= age.value < Decimal(150):
        return None
    days_a_year = Decimal("365.25")
    first = birth.first + int(age.value * days_a_year) - 1
    return Moment(f"at age {age.value} years", first, birth.last + int((age.value + 1) * days_a_year) + 1)


def _classes(encounter: fhir.Encounter) -> set[str]:
    found = encounter.class_
    if found is None:
        return set()
    codings = [found] if isinstance(found, fhir.Coding) else [coding for each in found for coding in each.coding]
    return {each.code for each in codings if each.code}
