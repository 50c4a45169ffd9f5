"""R5: however messages are shuffled, doubled, late, amended or taken back, what is known in the end is the same."""

import datetime
import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from service.known_desk import C_PEPTIDE, HBA1C, START, Desk, bundle, condition, patient, result, truths

import adapter
from adapter.fhir import resources as fhir
from adapter.service.evaluation import Evaluator
from adapter.store.known_patient import patients_of
from adapter.store.known_versions import settled

EXAMPLES = 1000 if os.environ.get("RELIABILITY") == "whole" else 60
UNMAPPED = "11111-1"
PEOPLE: dict[str, tuple[str, dict[str, Any]]] = {
    # Two of one sender, and a namesake of another who has the same id.
    "lab/1": ("lab", patient("1")),
    "lab/2": ("lab", patient("2", gender="male", birthDate="1961-02-03")),
    "ward/1": ("ward", patient("1", gender="male", birthDate="1988-12-31")),
}
AFTER = START + datetime.timedelta(days=1)

Message = tuple[str, dict[str, Any]]
"""The sender, and the Bundle."""


@st.composite
def versions(draw: st.DrawFn, number: int) -> Message:
    """Give what happens to one resource at one moment, as a message of its own or with its Patient."""
    who = draw(st.sampled_from(list(PEOPLE)))
    sender, person = PEOPLE[who]
    id_ = draw(st.sampled_from(["r1", f"r2-{person['id']}", "r3"]))
    said = START - datetime.timedelta(hours=1) + datetime.timedelta(minutes=number)
    owner = person["id"]
    if draw(st.integers(0, 4)) == 0 and sender == "lab" and not id_.startswith("r2"):
        owner = "2" if owner == "1" else "1"  # filed under the wrong patient, or put right
    kind = draw(st.sampled_from(["hba1c", "c-peptide", "unmapped", "condition", "deleted"]))
    meta: dict[str, Any] = {}
    if draw(st.booleans()):
        meta["versionId"] = str(number + 1)
    if draw(st.booleans()):
        meta["lastUpdated"] = said.isoformat()
    if kind == "deleted":
        name = f"{'Condition' if id_ == 'r3' else 'Observation'}/{id_}"
        request = {"method": "DELETE", "url": name}
        response = {"lastModified": said.isoformat()}
        made = bundle(at=said, entry=[{"request": request, "response": response}]) | {"type": "history"}
        return sender, made
    if kind == "condition" or id_ == "r3":
        resource = condition("r3", of=f"Patient/{owner}", status=draw(st.sampled_from(["active", "resolved"])))
    else:
        code = C_PEPTIDE if kind == "c-peptide" else HBA1C
        if kind == "unmapped" and id_.startswith("r2"):
            code = UNMAPPED
        status = draw(st.sampled_from(["final", "corrected", "entered-in-error"]))
        resource = result(id_, number / 10 + 5, code, f"Patient/{owner}", status=status)
    resource["meta"] = meta
    with_patient = [person] if draw(st.booleans()) and owner == person["id"] else []
    made = bundle(*with_patient, resource, at=said)
    for entry in made["entry"] if sender == "ward" and draw(st.booleans()) else ():
        entry["fullUrl"] = f"http://ward/fhir/{entry['resource']['resourceType']}/{entry['resource']['id']}"
    return sender, made


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Message], list[Message]]:
    """Give what happened in its order, and how it arrives."""
    count = draw(st.integers(2, 7))
    told = [draw(versions(number)) for number in range(count)]
    told += [(sender, bundle(person, at=START)) for sender, person in PEOPLE.values()]
    again = draw(st.lists(st.sampled_from(told), max_size=3))
    return told, draw(st.permutations([*told, *again]))


def state(desk: Desk) -> dict[str, Any]:
    """Give what is known of each patient in the end, and what follows from it."""
    found = {}
    desk.clock = AFTER
    for who, (sender, person) in PEOPLE.items():
        asked = bundle(result("probe", 1, UNMAPPED, f"Patient/{person['id']}"), at=START)
        (judged,) = desk.send(asked, sender).patients
        found[who] = truths(judged)
    return found


def kept(desk: Desk) -> list[Any]:
    """Give what counts of what is kept, by patient."""
    made = []
    for sender, person in PEOPLE.values():
        found = settled(desk.held(f"of|{sender}|Patient/{person['id']}").versions)
        people = patients_of(found)
        current = [
            (each.name, each.resource, each.unreadable, one.is_contradicted)
            for one in found
            for each in one.current
            if each.name != "Observation/probe"
        ]
        made.append((sorted(map(repr, current)), [repr(each.resource) for each in people]))
    return made


@settings(max_examples=EXAMPLES, deadline=None)
@given(history=histories())
def test_what_is_known_in_the_end_depends_on_no_order(history: tuple[list[Message], list[Message]]) -> None:
    told, arrived = history
    ordered, shuffled = Desk(CATALOG, evaluator=EVALUATOR), Desk(CATALOG, evaluator=EVALUATOR)
    for sender, message in told:
        ordered.send(message, sender)
    for sender, message in arrived:
        shuffled.send(message, sender)
    assert kept(shuffled) == kept(ordered)
    assert state(shuffled) == state(ordered)
    for who, values in of_each(shuffled).items():
        assert values <= said_of(told, who), "nobody has what was said of another"


def said_of(told: list[Message], who: str) -> set[str]:
    """Give the values that were sent about a patient."""
    sender, person = PEOPLE[who]
    resources = [each.get("resource", {}) for by, message in told if by == sender for each in message["entry"]]
    mine = [each for each in resources if each.get("subject", {}).get("reference") == f"Patient/{person['id']}"]
    return {str(each["valueQuantity"]["value"]) for each in mine if "valueQuantity" in each}


def of_each(desk: Desk) -> dict[str, set[str]]:
    """Give the values that count for each patient."""
    found = {}
    for who, (sender, person) in PEOPLE.items():
        current = [
            each for one in settled(desk.held(f"of|{sender}|Patient/{person['id']}").versions) for each in one.current
        ]
        results = [each.resource for each in current if isinstance(each.resource, fhir.Observation)]
        found[who] = {str(each.value_quantity.value) for each in results if each.value_quantity is not None}
    return found


CATALOG = adapter.load_catalog()
EVALUATOR = Evaluator(CATALOG, "test", "https://trials.example.org/fhir", "")
