"""Invariants of the clinical and trial resources."""

import re
from collections.abc import Iterable

from adapter.fhir.definitions import Part, Placed
from adapter.fhir.definitions.tree import objects, values
from adapter.fhir.versions import FhirVersion
from adapter.validate.invariants import Json, broken, has, holds, is_coded, value_of
from adapter.validate.rules_types import is_after

R4, R5 = FhirVersion.R4, FhirVersion.R5
_THO = "http://terminology.hl7.org/CodeSystem"
_ALLERGY_VERIFICATION = f"{_THO}/allergyintolerance-verification"
_CONDITION_VERIFICATION = f"{_THO}/condition-ver-status"
_CONDITION_CLINICAL = f"{_THO}/condition-clinical"


@holds("obs-3")
def _a_reference_range_says_something(node: Json) -> bool:
    return has(node, "low", "high", "text")


@broken("obs-6")
def _a_reason_for_absence_has_no_value(part: Part, _placed: Placed) -> Iterable[str]:
    is_wrong = has(part.value, "dataAbsentReason") and has(part.value, "value[x]")
    return (".dataAbsentReason",) if is_wrong else ()


def _codings(concept: object) -> list[Json]:
    return objects(concept.get("coding")) if isinstance(concept, dict) else []


@broken("obs-7")
def _a_component_of_the_same_code_replaces_the_value(part: Part, _placed: Placed) -> Iterable[str]:
    if not has(part.value, "value[x]"):
        return ()
    own = _codings(part.value.get("code"))
    return (
        f".component[{index}].code"
        for index, component in enumerate(values(part.value.get("component")))
        if isinstance(component, dict) and any(each in own for each in _codings(component.get("code")))
    )


@holds("obs-8", R5)
def _has_one_body_site(node: Json) -> bool:
    return not (has(node, "bodySite") and has(node, "bodyStructure"))


@holds("con-1")
def _a_stage_says_something(node: Json) -> bool:
    return has(node, "summary", "assessment")


@holds("con-2", R4)
def _evidence_says_something(node: Json) -> bool:
    return has(node, "code", "detail")


@holds("con-2", R5)
def _a_listed_problem_has_a_known_status(node: Json) -> bool:
    return not (_is_problem(node) and is_coded(node.get("clinicalStatus"), _CONDITION_CLINICAL, "unknown"))


def _is_problem(node: Json) -> bool:
    system = f"{_THO}/condition-category"
    return any(is_coded(each, system, "problem-list-item") for each in values(node.get("category")))


def _is_condition_in_error(node: Json) -> bool:
    return is_coded(node.get("verificationStatus"), _CONDITION_VERIFICATION, "entered-in-error")


@holds("con-3", R4)
def _a_listed_problem_has_a_status(node: Json) -> bool:
    # HL7's expression compares a CodeableConcept with a string; what is checked is its text.
    return has(node, "clinicalStatus") or _is_condition_in_error(node) or not _is_problem(node)


@broken("con-3", R5)
@broken("con-4", R4)
def _an_abated_condition_is_not_active(part: Part, _placed: Placed) -> Iterable[str]:
    node = part.value
    is_over = is_coded(node.get("clinicalStatus"), _CONDITION_CLINICAL, "inactive", "resolved", "remission")
    return () if not has(node, "abatement[x]") or is_over else (".clinicalStatus",)


@broken("con-5", R4)
def _a_mistaken_condition_has_no_status(part: Part, _placed: Placed) -> Iterable[str]:
    is_wrong = _is_condition_in_error(part.value) and has(part.value, "clinicalStatus")
    return (".clinicalStatus",) if is_wrong else ()


def _is_allergy_in_error(node: Json) -> bool:
    return is_coded(node.get("verificationStatus"), _ALLERGY_VERIFICATION, "entered-in-error")


@broken("ait-1", R4)
def _an_allergy_has_a_status(part: Part, _placed: Placed) -> Iterable[str]:
    is_whole = _is_allergy_in_error(part.value) or has(part.value, "clinicalStatus")
    return () if is_whole else (".clinicalStatus",)


@broken("ait-2", R4)
def _a_mistaken_allergy_has_no_status(part: Part, _placed: Placed) -> Iterable[str]:
    is_wrong = _is_allergy_in_error(part.value) and has(part.value, "clinicalStatus")
    return (".clinicalStatus",) if is_wrong else ()


@holds("pat-1")
def _a_contact_can_be_reached(node: Json) -> bool:
    return has(node, "name", "telecom", "address", "organization")


@holds("qrs-1")
def _an_item_has_answers_or_items(node: Json) -> bool:
    return not (has(node, "answer") and has(node, "item"))


@holds("lst-1")
@holds("cmp-2")
def _a_reason_for_emptiness_has_no_entries(node: Json) -> bool:
    return not (has(node, "emptyReason") and has(node, "entry"))


@broken("lst-2", R4)
def _only_changes_delete(part: Part, _placed: Placed) -> Iterable[str]:
    return _only_in_mode(part, "changes", "deleted")


@broken("lst-3", R4)
def _only_working_lists_date_entries(part: Part, _placed: Placed) -> Iterable[str]:
    return _only_in_mode(part, "working", "date")


def _only_in_mode(part: Part, mode: str, name: str) -> Iterable[str]:
    if part.value.get("mode") == mode:
        return ()
    return (
        f".entry[{index}].{name}"
        for index, entry in enumerate(values(part.value.get("entry")))
        if isinstance(entry, dict) and has(entry, name)
    )


@holds("cmp-1")
def _a_section_says_something(node: Json) -> bool:
    return has(node, "text", "entry", "section")


@holds("mad-1", R4)
def _a_dosage_has_a_dose_or_a_rate(node: Json) -> bool:
    return has(node, "dose", "rate[x]")


@holds("mad-1", R5)
def _a_dosage_has_a_dose_a_rate_or_text(node: Json) -> bool:
    return has(node, "dose", "rate[x]", "text")


@broken("mdd-1")
def _is_prepared_before_handed_over(part: Part, _placed: Placed) -> Iterable[str]:
    is_wrong = is_after(part.value.get("whenPrepared"), part.value.get("whenHandedOver"))
    return (".whenHandedOver",) if is_wrong else ()


@holds("ppc-1", R4)
def _a_consent_has_a_policy(node: Json) -> bool:
    return has(node, "policy", "policyRule")


def _consent_has_a_patient(code: str) -> None:
    # HL7's expressions look for the system 'something'; what is checked is their text.
    @holds(code_of[code], R4)
    def _has_a_patient(node: Json) -> bool:
        return has(node, "patient") or not is_coded(node.get("scope"), f"{_THO}/consentscope", code)


code_of = {"patient-privacy": "ppc-2", "research": "ppc-3", "adr": "ppc-4", "treatment": "ppc-5"}
for _code in code_of:
    _consent_has_a_patient(_code)


@holds("enc-1", R5)
def _a_participant_is_someone(node: Json) -> bool:
    return has(node, "actor", "type")


@broken("enc-2", R5)
def _a_patient_takes_part_as_a_patient(part: Part, _placed: Placed) -> Iterable[str]:
    reference = value_of(part.value, "actor.reference")
    is_patient = isinstance(reference, str) and re.search(r"(^|/)(Patient|Group)/[^/]+$", reference) is not None
    return (".type",) if is_patient and has(part.value, "type") else ()


@holds("org-1")
def _an_organization_is_named(node: Json) -> bool:
    return has(node, "identifier", "name")


@holds("imm-1", R4)
def _education_is_told_apart(node: Json) -> bool:
    return has(node, "documentType", "reference")


@broken("grp-1", R4)
def _only_actual_groups_have_members(part: Part, _placed: Placed) -> Iterable[str]:
    return (".member",) if has(part.value, "member") and part.value.get("actual") is not True else ()
