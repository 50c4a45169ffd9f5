"""The criteria of a trial that a Group cannot hold, as R5 EvidenceVariables: alternatives, exceptions, times, counts.

R4 has another resource of this name that says none of this: there the Group carries the words.
"""

from typing import assert_never

from adapter.catalog.catalog import Catalog
from adapter.eligibility.trial import Criterion, Trial
from adapter.eligibility.values import Period
from adapter.emission.group import held_of
from adapter.emission.names import Naming, pascal, trial_id
from adapter.emission.narrative import narrative
from adapter.emission.statement import Coded, Element, Every, Held, InWords, Named, Negated, Some, Statement
from adapter.emission.terms import Terms, length, quantity

_SCREENING = "Screening"


def evidence_variables(trial: Trial, catalog: Catalog, naming: Naming) -> list[Element]:
    """Give the EvidenceVariables that a trial's Group refers to; none in R4."""
    if naming.is_r4:
        return []
    terms = Terms(catalog, naming)
    return [
        _variable(one, criterion, trial, naming)
        for criterion in trial.criteria
        for one in held_of(criterion, terms)
        if one.how == "combined"
    ]


def _variable(one: Held, criterion: Criterion, trial: Trial, naming: Naming) -> Element:
    id_ = one.id.lower()
    side = criterion.type.capitalize()
    title = f"{side} {one.id}"
    return {
        "resourceType": "EvidenceVariable",
        "id": id_,
        "text": narrative(title, [(one.id, one.text)]),
        "url": naming.url("EvidenceVariable", id_),
        "identifier": [naming.identifier("eligibility-criterion", one.id)],
        "version": trial.version,
        "name": pascal(one.id),
        "title": title,
        "status": "active",
        "experimental": False,
        "publisher": naming.publisher,
        "description": one.text,
        "useContext": [
            {
                "code": {"system": "http://terminology.hl7.org/CodeSystem/usage-context-type", "code": "program"},
                "valueReference": {"reference": f"ResearchStudy/{trial_id(trial.key)}"},
            }
        ],
        "actual": False,
        # The sentence itself: whether it includes or excludes is said by the Group.
        "characteristic": [_characteristic(one.says, exclude=False, link_id=one.id, description=one.text)],
    }


def _characteristic(said: Statement, *, exclude: bool, link_id: str = "", description: str = "") -> Element:
    match said:
        case Named():
            return _characteristic(said.of, exclude=exclude, link_id=said.atom.id, description=said.atom.text)
        case Negated():
            return _characteristic(said.of, exclude=not exclude, link_id=link_id, description=description)
        case Every() | Some():
            inside = [_characteristic(each, exclude=False) for each in said.of]
            code = "all-of" if isinstance(said, Every) else "any-of"
            definition: Element = {"definitionByCombination": {"code": code, "characteristic": inside}}
        case InWords():
            definition = {"definitionCodeableConcept": {"text": said.text}}
        case Coded():
            definition = {"definitionByTypeAndValue": {"type": said.code, **said.value}, **_times(said)}
        case _:
            assert_never(said)
    named: Element = {"linkId": link_id} if link_id else {}
    worded: Element = {"description": description} if description else {}
    return {**named, **worded, "exclude": exclude, **definition}


def _times(said: Coded) -> Element:
    made: Element = {}
    if said.times > 1:
        made["instancesQuantity"] = {"value": said.times, "comparator": ">="}
    if said.lasting is not None:
        size = length(said.lasting)
        if size is not None:
            made["durationQuantity"] = quantity(*size, ">=")
    if said.within is not None:
        made["timeFromEvent"] = [_within(said.within)]
    return made


def _within(period: Period) -> Element:
    made: Element = {
        "description": f"within {period} before screening",
        "eventCodeableConcept": {"text": _SCREENING},
    }
    size = length(period)
    if size is not None:
        number, unit = size
        made["range"] = {"low": quantity(-number, unit), "high": quantity(0, unit)}
    return made
