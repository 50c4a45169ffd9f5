"""One change to a sound resource for each rule of the checker, and where it must be found."""

from typing import Any

import msgspec
from conformance.definitions import Json
from conformance.findings import Weight
from conformance.packages import RELEASES
from conformance.sound_resources import BASE, PROFILE, THO

GONE = object()


class Break(msgspec.Struct, frozen=True):
    """One change to a sound resource, and what must then be found where."""

    type: str
    at: str
    value: Any
    key: str
    path: str = ""
    """Where it must be found; where the change was made, if not said."""
    releases: tuple[str, ...] = RELEASES
    weight: Weight = Weight.ERROR

    @property
    def place(self) -> str:
        """Give the path of the finding."""
        steps = [f"[{step}]" if step.isdigit() else f".{step}" for step in self.at.split(".")]
        return self.path or self.type + "".join(steps)


def concept(system: str, code: str) -> Json:
    """Give a CodeableConcept of one code."""
    return {"coding": [{"system": system, "code": code}]}


WARNING = Weight.WARNING
R4, R5 = ("R4",), ("R5",)
CRITERION = "characteristic.0"
STEP = "action.0.action.0"
STEP_PATH = "PlanDefinition.action[0].action[0]"
CONSTRAINT = f"{PROFILE}questionnaire-constraint"
KEY = {"url": "key", "valueId": "a"}
PART = "Questionnaire.extension[0].extension"

BREAKS = [
    # elements: known, counted, typed
    Break("ResearchStudy", "recruiter", "x", "unknown-element"),
    Break("ResearchStudy", "label", [{"value": "x"}], "unknown-element", releases=R4),
    Break("ResearchStudy", "enrollment", [], "unknown-element", releases=R5),
    Break("Group", "actual", False, "unknown-element", releases=R5),
    Break("Group", f"{CRITERION}.colour", "x", "unknown-element"),
    Break("Group", f"{CRITERION}.code.code", "x", "unknown-element"),
    Break("PlanDefinition", f"{STEP}.linkId", "x", "unknown-element", releases=R4),
    Break("PlanDefinition", f"{STEP}.relatedAction.0.actionId", "x", "unknown-element", releases=R5),
    Break("ResearchStudy", "status", GONE, "min"),
    Break("Group", f"{CRITERION}.exclude", GONE, "min"),
    Break("Group", f"{CRITERION}.valueRange", GONE, "min", path="Group.characteristic[0].value"),
    Break("Questionnaire", "item.3.item.0.linkId", GONE, "min"),
    Break("ConceptMap", "group.0.element.0.target.0.relationship", GONE, "min", releases=R5),
    Break("ResearchStudy", "site", {"reference": "Location/site"}, "list"),
    Break("ResearchStudy", "title", ["A study"], "list"),
    Break("ResearchStudy", "site", [], "ele-1"),
    Break("ResearchStudy", "title", None, "ele-1"),
    Break("ResearchStudy", "period", {}, "ele-1"),
    Break("ResearchStudy", "site", [None], "ele-1", path="ResearchStudy.site[0]"),
    Break("Group", f"{CRITERION}.valueBoolean", True, "one-choice", path="Group.characteristic[0].value"),
    Break("Group", f"{CRITERION}.valueString", "x", "unknown-element"),
    Break("Group", f"{CRITERION}.code", "x", "json-kind"),
    Break("Group", f"{CRITERION}.exclude", "false", "json-kind"),
    Break("Group", f"{CRITERION}.valueRange.low.value", 18.5, "json-kind"),
    Break("Group", f"{CRITERION}.valueRange.low.value", "18", "json-kind"),
    Break("Library", "parameter.0.min", 2**31, "range"),
    Break("Library", "id", "a_b", "pattern"),
    Break("Library", "date", "2026-2-1", "pattern"),
    Break("Library", "date", "2026-02-30", "calendar"),
    Break("Library", "date", "2026-02-01T10:00:00", "pattern", releases=R4),
    Break("Library", "url", "has space", "pattern"),
    Break("Library", "content.0.data", "a-b=", "pattern"),
    Break("Library", "content.0.data", "=abc", "base64", releases=R4),
    Break("Library", "_title", "x", "beside", path="Library.title"),
    Break("Library", "_title", {"value": "x"}, "beside", path="Library.title"),
    Break("Group", f"{CRITERION}.code.id", "I1", "unique-id"),
    Break("Location", "resourceType", "Place", "resource-type", path="Place.resourceType"),
    Break("Bundle", "entry.0.resource.resourceType", "Place", "resource-type"),
    Break("Bundle", "entry.0.resource.colour", "x", "unknown-element"),
    # contained resources
    Break(
        "Location", "contained", [{"resourceType": "Organization", "id": "a", "name": "x"}], "dom-3", path="Location"
    ),
    Break(
        "Location",
        "contained",
        [{"resourceType": "Organization", "id": "a", "colour": "x"}],
        "unknown-element",
        path="Location.contained[0].colour",
    ),
    Break("Location", "managingOrganization.reference", "#a", "ref-1", path="Location.managingOrganization"),
    # profiles
    Break("PlanDefinition", "publisher", GONE, "min", releases=R4),
    Break("PlanDefinition", "title", GONE, "min", releases=R5),
    Break("PlanDefinition", "library", GONE, "min"),
    Break("PlanDefinition", "library", [f"{BASE}/Library/A|1", f"{BASE}/Library/B|1"], "max"),
    Break("Group", "actual", True, "fixed", releases=R4),
    Break("Group", "membership", "enumerated", "fixed", releases=R5),
    Break("Group", "member", [{"entity": {"reference": "Patient/a"}}], "max", releases=R4),
    Break("Group", "meta.profile", [f"{PROFILE}shareablelibrary"], "profile-type", path="Group.meta.profile[0]"),
    # codes
    Break("ResearchStudy", "status", "recruiting", "required-binding"),
    Break("Group", "type", "people", "required-binding"),
    Break("PlanDefinition", f"{STEP}.condition.0.kind", "x", "required-binding"),
    Break("ConceptMap", "group.0.element.0.target.0.equivalence", "same", "required-binding", releases=R4),
    Break("ConceptMap", "group.0.element.0.target.0.relationship", "wider", "required-binding", releases=R5),
    Break("Questionnaire", "item.0.type", "choice", "required-binding", releases=R5),
    Break("Questionnaire", "item.1.type", "coding", "required-binding", releases=R4),
    Break("Bundle", "entry.0.request.method", "WRITE", "required-binding"),
    Break("EvidenceVariable", "characteristic.0.definitionByCombination.code", "or", "required-binding", releases=R5),
    Break(
        "ResearchStudy",
        "primaryPurposeType",
        concept(f"{THO}research-study-prim-purp-type", "cure"),
        "extensible-binding",
        releases=R4,
    ),
    Break("PlanDefinition", "type", concept(f"{THO}plan-definition-type", "rule"), "extensible-binding"),
    Break(
        "ResearchStudy",
        "progressStatus.0.state",
        concept("http://hl7.org/fhir/research-study-status", "open"),
        "extensible-binding",
        releases=R5,
    ),
    Break("PlanDefinition", "type", {"text": "eligibility"}, "beyond-binding", weight=WARNING),
    Break("Location", "type.0", concept(f"{THO}v3-RoleCode", "MTH"), "beyond-binding", weight=WARNING),
    Break(
        "ResearchStudy",
        "phase",
        concept(f"{THO}research-study-phase", "phase-9"),
        "unknown-code",
        path="ResearchStudy.phase.coding[0].code",
    ),
    # targets
    Break("ResearchStudy", "site.0.reference", "Patient/a", "target", path="ResearchStudy.site[0]"),
    Break("ResearchStudy", "site.0.reference", "Organization/a", "target", path="ResearchStudy.site[0]", releases=R4),
    Break(
        "ResearchStudy",
        "enrollment.0.reference",
        "EvidenceVariable/a",
        "target",
        path="ResearchStudy.enrollment[0]",
        releases=R4,
    ),
    Break(
        "ResearchStudy",
        "recruitment.eligibility.reference",
        "Location/a",
        "target",
        path="ResearchStudy.recruitment.eligibility",
        releases=R5,
    ),
    Break(
        "ResearchStudy",
        "focus.0",
        {"reference": {"reference": "Patient/a"}},
        "target",
        path="ResearchStudy.focus[0].reference",
        releases=R5,
    ),
    Break("ResearchStudy", "site.0.reference", "the site", "reference-form"),
    Break("ResearchStudy", "site.0.type", "Organization", "reference-type"),
    Break("PlanDefinition", "library.0", f"{BASE}/ValueSet/codes|1.0.0", "target"),
    Break("Questionnaire", "item.1.answerValueSet", f"{BASE}/CodeSystem/x", "target"),
    # extensions
    Break("Questionnaire", "extension", [{"url": CONSTRAINT, "extension": [KEY]}], "min", PART),
    Break("Questionnaire", "extension", [{"url": CONSTRAINT, "extension": [KEY, KEY]}], "max", PART),
    Break(
        "Questionnaire", "extension", [{"url": CONSTRAINT, "valueId": "a"}], "max", "Questionnaire.extension[0].value"
    ),
    Break("Group", "extension.0.url", GONE, "min"),
    Break("Group", "extension.0.url", "artifact-version", "extension-url"),
    Break("Group", "extension.0.valueString", GONE, "ext-1", path="Group.extension[0]"),
    Break(
        "Group",
        "extension.0",
        {"url": f"{PROFILE}artifact-version", "valueInteger": 1},
        "unknown-element",
        path="Group.extension[0].valueInteger",
    ),
    Break(
        "ResearchStudy",
        "extension",
        [{"url": f"{PROFILE}artifact-version", "valueString": "1"}],
        "extension-context",
        path="ResearchStudy.extension[0]",
    ),
    Break(
        "Group",
        f"{CRITERION}.extension",
        [{"url": f"{PROFILE}codeOptions", "valueCanonical": f"{BASE}/ValueSet/codes"}],
        "extension-context",
        path="Group.characteristic[0].extension[0]",
    ),
    Break(
        "Group",
        "modifierExtension",
        [{"url": f"{PROFILE}artifact-version", "valueString": "1"}],
        "modifier",
        path="Group.modifierExtension[0]",
    ),
]


def put(resource: Json, at: str, value: object) -> None:
    """Put a value where a dotted path says, or take away what is there."""
    *steps, last = [int(step) if step.isdigit() else step for step in at.split(".")]
    holder: Any = resource
    for step in steps:
        holder = holder[step]
    if value is GONE:
        del holder[last]
    else:
        holder[last] = value
