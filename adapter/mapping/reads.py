"""Whether mappings could make a fact of a resource: what they never read need not be kept."""

import re

from adapter.fhir import resources as fhir
from adapter.fhir.wire import Entered
from adapter.mapping.codes import CodeIndex

ATOM = re.compile(r"[A-Za-z0-9]+-[IE]\d+[A-Za-z0-9-]*", re.ASCII)
_ALWAYS = (
    fhir.AllergyIntolerance,
    fhir.Consent,
    fhir.ListResource,
    fhir.QuestionnaireResponse,
    fhir.ResearchSubject,
)


def is_read(entered: Entered, index: CodeIndex) -> bool:
    """Whether a resource about a patient can give a fact; what cannot be read whole may say anything."""
    resource = entered.resource
    if entered.unreadable or isinstance(resource, _ALWAYS):
        return True
    match resource:
        case fhir.Observation():
            return _is_observed(resource, index)
        case fhir.Condition() | fhir.Procedure():
            return bool(index.memberships(resource.code))
        case fhir.MedicationRecord():
            return _is_drug(resource, index)
        case fhir.Encounter():
            return bool(resource.reason_code or resource.reason_reference or resource.reason)
        case _:
            return False


def _is_observed(observation: fhir.Observation, index: CodeIndex) -> bool:
    code = observation.code
    if index.targets(code) or any(index.targets(part.code) for part in observation.component):
        return True
    return code is not None and any(each.code and ATOM.fullmatch(each.code) for each in code.coding)


def _is_drug(resource: fhir.MedicationRecord, index: CodeIndex) -> bool:
    stated = resource.medication
    if resource.medication_reference is not None or (stated is not None and stated.reference is not None):
        return True  # the Medication that it refers to may come later, or change
    concepts = (resource.medication_codeable_concept, stated.concept if stated is not None else None)
    return any(index.memberships(each) for each in concepts)
