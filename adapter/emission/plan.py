"""A trial's eligibility as a PlanDefinition: the criteria that fire, and a proposal where all is in favour.

Nesting is for people: the decision stands in the condition of ``propose``, because PlanDefinition has no "all of these
actions" (docs/export.md, "PlanDefinition").
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from adapter.catalog.catalog import Catalog
from adapter.catalog.trial_file import TrialFile
from adapter.eligibility.trial import Atom, Criterion, Trial
from adapter.emission.names import IS_ELIGIBLE, Naming, library_name, pascal, trial_id
from adapter.emission.narrative import narrative
from adapter.emission.requirement import premise_requirements, requirements
from adapter.emission.statement import Element
from adapter.emission.terms import Terms, resource_type_coding

Side = Literal["inclusion", "exclusion"]

_HL7 = "http://hl7.org/fhir/StructureDefinition"
_PROFILES_R4 = [
    f"{_HL7}/shareableplandefinition",
    f"{_HL7}/computableplandefinition",
    "http://hl7.org/fhir/uv/cpg/StructureDefinition/cpg-computableplandefinition",
]
_PROFILES_R5 = [f"{_HL7}/shareableplandefinition", f"{_HL7}/computableplandefinition"]
_PUBLISHABLE_R5 = f"{_HL7}/publishableplandefinition"
_THO = "http://terminology.hl7.org/CodeSystem"
_NCIT = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
_SIDES: dict[Side, tuple[str, str]] = {
    "inclusion": ("C25532", "Inclusion Criteria"),
    "exclusion": ("C25370", "Exclusion Criteria"),
}
"""NCI Thesaurus code and display of each group of criteria."""
_DAY = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


def plan_definition(
    trial: Trial, file: TrialFile, catalog: Catalog, naming: Naming, *, unsaid: Iterable[str] = ()
) -> Element:
    """Give the PlanDefinition of a trial.

    ``unsaid`` names atoms that the Library leaves null for everyone: like a reviewer's question, their actions have no
    condition, so that ``$apply`` shows them instead of dropping them.
    """
    id_ = f"{trial_id(trial.key)}-eligibility"
    title = f"{trial.title}: eligibility"
    date = dated(file)
    plan: Element = {
        "resourceType": "PlanDefinition",
        "id": id_,
        "meta": {"profile": _profiles(naming, is_dated=date is not None)},
        "text": narrative(title, [(each.id, each.text) for each in trial.criteria]),
        "url": naming.url("PlanDefinition", id_),
        "identifier": [naming.identifier("eligibility-plan", trial.key)],
        "version": trial.version,
        "name": f"{pascal(trial.key)}EligibilityPlan",
        "title": title,
        "type": {
            "coding": [{"system": f"{_THO}/plan-definition-type", "code": "eca-rule", "display": "ECA Rule"}],
        },
        "status": "active",
        "experimental": False,
        "subjectCodeableConcept": {"coding": [resource_type_coding("Patient", naming)]},
    }
    if date is not None:
        plan["date"] = date
    plan |= {
        "publisher": naming.publisher,
        "description": (
            f"Inclusion and exclusion criteria of {trial.key}, computable as far as records answer them. "
            "A criterion's action applies where its sentence is true of the patient; what nobody knows is not shown."
        ),
        "useContext": [program(trial)],
        "library": [naming.canonical("Library", library_name(trial.key), trial.version)],
        "action": [_screen(trial, catalog, naming, frozenset(unsaid)), _propose(naming)],
    }
    return plan


def program(trial: Trial) -> Element:
    """Give the UsageContext that says to which study a definition belongs."""
    return {
        "code": {"system": f"{_THO}/usage-context-type", "code": "program"},
        "valueReference": {"reference": f"ResearchStudy/{trial_id(trial.key)}"},
    }


def dated(file: TrialFile) -> str | None:
    """Give the day of the source's last change, where it prints one; no clock is asked."""
    day = file.metadata.last_update
    return day if day is not None and _DAY.fullmatch(day) else None


def _profiles(naming: Naming, *, is_dated: bool) -> list[str]:
    if naming.is_r4:
        return list(_PROFILES_R4)
    return [*_PROFILES_R5, _PUBLISHABLE_R5] if is_dated else list(_PROFILES_R5)


def _screen(trial: Trial, catalog: Catalog, naming: Naming, unsaid: frozenset[str]) -> Element:
    terms = Terms(catalog, naming)
    groups = []
    for side, (code, display) in _SIDES.items():
        criteria = [each for each in trial.criteria if each.type == side]
        if not criteria:
            continue
        concept = {"coding": [{"system": _NCIT, "code": code, "display": display}]}
        group = _action(side, naming, title=display)
        group["code"] = [concept] if naming.is_r4 else concept
        group["groupingBehavior"] = "logical-group"
        group["action"] = [_criterion(each, trial, terms, unsaid) for each in criteria]
        groups.append(group)
    screen = _action("screen", naming, title="Evaluate the eligibility criteria")
    screen["groupingBehavior"] = "logical-group"
    screen["action"] = groups
    return screen


def _criterion(criterion: Criterion, trial: Trial, terms: Terms, unsaid: frozenset[str]) -> Element:
    atoms = [_atom(each, trial, terms, unsaid) for each in criterion.atoms]
    naming = terms.naming
    action = _action(criterion.id, naming, title=_line(criterion.text))
    action["prefix"] = criterion.id.removeprefix(f"{trial.key}-")
    action["textEquivalent"] = criterion.text
    # What only people answer is never shown by a condition: without one, $apply always shows it.
    if any("condition" in each for each in atoms):
        action["condition"] = [_applies(criterion.id)]
    needed = premise_requirements(criterion, terms)
    if needed:
        action["input"] = _input(needed, naming)
    action["groupingBehavior"] = "logical-group"
    action["action"] = atoms
    return action


def _atom(atom: Atom, trial: Trial, terms: Terms, unsaid: frozenset[str]) -> Element:
    naming = terms.naming
    action = _action(atom.id, naming, title=_line(atom.text))
    action["prefix"] = atom.id.removeprefix(f"{trial.key}-")
    if atom.decision:
        action["description"] = atom.decision
    action["textEquivalent"] = atom.ask or atom.text
    if atom.ask and atom.grade != "A":
        form = naming.canonical("Questionnaire", f"{trial_id(trial.key)}-review", trial.version)
        action["documentation"] = [{"type": "documentation", "label": atom.id, "display": atom.ask, "resource": form}]
    if atom.grade != "C" and atom.id not in unsaid:
        action["condition"] = [_applies(atom.id)]
    needed = requirements(atom, terms)
    if needed:
        action["input"] = _input(needed, naming)
    return action


def _propose(naming: Naming) -> Element:
    action = _action("propose", naming, title="Propose the patient to the study team")
    action["description"] = "The patient is put forward; people decide on enrolment."
    action["condition"] = [_applies(IS_ELIGIBLE)]
    target = "actionId" if naming.is_r4 else "targetId"
    action["relatedAction"] = [{target: "screen", "relationship": "after"}]
    return action


def _action(id_: str, naming: Naming, *, title: str) -> Element:
    # R5's pld-4 still looks an action up by its id, so both keys hold the same.
    return {"id": id_, "title": title} if naming.is_r4 else {"id": id_, "linkId": id_, "title": title}


def _applies(define: str) -> Element:
    return {"kind": "applicability", "expression": {"language": "text/cql-identifier", "expression": define}}


def _input(needed: Iterable[Mapping[str, object]], naming: Naming) -> list[Element]:
    return [dict(each) for each in needed] if naming.is_r4 else [{"requirement": dict(each)} for each in needed]


def _line(text: str) -> str:
    """Write a sentence on one line, as a title is."""
    return " ".join(text.split())
