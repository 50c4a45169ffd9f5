"""The reviewer's form of a trial: every question that no record answers, grouped as the source prints its criteria.

An answered form is what the screening reads: ``linkId`` is the atom's id, and a yes means that the atom's sentence is
true (docs/adr/0012).
"""

from typing import Any

from adapter.catalog.trial_file import AtomEntry, CriterionEntry, TrialFile
from adapter.eligibility.trial import Trial
from adapter.emission.names import Naming, pascal, trial_id
from adapter.emission.narrative import narrative

Resource = dict[str, Any]

_ITEM_CONTROL = "http://hl7.org/fhir/StructureDefinition/questionnaire-itemControl"
_HELP = {
    "url": _ITEM_CONTROL,
    "valueCodeableConcept": {"coding": [{"system": "http://hl7.org/fhir/questionnaire-item-control", "code": "help"}]},
}
_SIDES = {"inclusion": "Inclusion criteria", "exclusion": "Exclusion criteria"}


def questionnaire_id(key: str) -> str:
    """Give the id of a trial's Questionnaire."""
    return f"{trial_id(key)}-review"


def questionnaire(trial: Trial, file: TrialFile, naming: Naming) -> Resource:
    """Give the Questionnaire of a trial: all of a class C atom, and of a class B atom what is left to people."""
    id_ = questionnaire_id(trial.key)
    asked = [each for each in file.criteria if _questions(each)]
    rows = [(atom.id, atom.ask or "") for criterion in asked for atom in _questions(criterion)]
    title = f"{trial.title}: reviewer's questions"
    items = [*_notices(file), *(_side(side, asked) for side in _SIDES if any(each.type == side for each in asked))]
    form: Resource = {
        "resourceType": "Questionnaire",
        "id": id_,
        "text": narrative(title, rows),
        "url": naming.url("Questionnaire", id_),
        "identifier": [naming.identifier("questionnaire", id_)],
        "version": trial.version,
        "name": f"{pascal(trial.key)}Review",
        "title": title,
        "status": "active",
        "experimental": False,
        "subjectType": ["Patient"],
        "publisher": naming.publisher,
        "description": (
            "What no record answers of the trial's criteria. Yes means that the words asked about are true of the "
            "patient, also where that excludes; a question without an answer stays unknown. The screening reads the "
            "completed, dated and signed response; it never overrules what the record decides."
        ),
        "useContext": [
            {
                "code": {"system": "http://terminology.hl7.org/CodeSystem/usage-context-type", "code": "program"},
                "valueReference": {"reference": f"ResearchStudy/{trial_id(trial.key)}"},
            }
        ],
    }
    return {**form, "item": items} if items else form


def _questions(criterion: CriterionEntry) -> list[AtomEntry]:
    return [atom for atom in criterion.atoms if atom.grade != "A" and atom.ask]


def _notices(file: TrialFile) -> list[Resource]:
    """Give what a reviewer must know before the first question."""
    said = [*file.notices, *(each.text for each in file.contradictions)]
    return [{"linkId": f"notice.{number}", "text": text, "type": "display"} for number, text in enumerate(said, 1)]


def _side(side: str, asked: list[CriterionEntry]) -> Resource:
    inside = [_criterion(each) for each in asked if each.type == side]
    return {"linkId": side, "text": _SIDES[side], "type": "group", "item": inside}


def _criterion(criterion: CriterionEntry) -> Resource:
    """Give a criterion in the words of the source, with its questions."""
    number = criterion.printed_number or criterion.id.rpartition("-")[2]
    return {
        "linkId": criterion.id,
        "prefix": number,
        "text": criterion.text,
        "type": "group",
        "item": [_question(atom) for atom in _questions(criterion)],
    }


def _question(atom: AtomEntry) -> Resource:
    """Give one question; its help says which words it is about and what is left to people."""
    told = [f"Asked about: {atom.text}"]
    if atom.left_to_people:
        told.append(f"Left to people: {atom.left_to_people}")
    if atom.decision:
        told.append(f"How we read it: {atom.decision}")
    help_ = {"extension": [_HELP], "linkId": f"{atom.id}.help", "text": "\n".join(told), "type": "display"}
    return {"linkId": atom.id, "text": atom.ask, "type": "boolean", "item": [help_]}
