"""The reviewer's form asks what no record answers, and its answers are what the screening reads."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cases import AS_OF

from adapter.catalog.catalog import Catalog
from adapter.eligibility.decide import Screening
from adapter.eligibility.trial import Trial
from adapter.eligibility.truth import Truth
from adapter.emission.names import Naming
from adapter.emission.questionnaire import questionnaire
from adapter.fhir.dates import parse_as_of
from adapter.screen import screen_bundle

Problems = Callable[[dict[str, Any]], list[str]]
KEYS = ("BMMSC", "CFMSC", "NCT01157403", "NCT02302599", "NCT06751199")
FRESH, OLD = "2026-10-20T09:00:00Z", "2026-09-20T09:00:00Z"


def form(key: str, catalog: Catalog, naming: Naming) -> dict[str, Any]:
    (trial,) = catalog.only((key,))
    return questionnaire(trial, catalog.files[key], naming)


def items(of: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in of.get("item", []):
        yield item
        yield from items(item)


def answered(of: dict[str, Any], answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Fill a form as a person would: the same groups, an answer to every question."""
    filled = []
    for item in of.get("item", []):
        if item["type"] == "boolean":
            filled.append({"linkId": item["linkId"], "text": item["text"], "answer": [answer]})
        elif item["type"] == "group":
            filled.append({"linkId": item["linkId"], "item": answered(item, answer)})
    return filled


def screened(
    emitted: dict[str, Any], answer: dict[str, Any], trial: Trial, catalog: Catalog, said: dict[str, Any] | None = None
) -> Screening:
    """Screen a woman of whom nothing is known but a reviewer's answers."""
    response = {
        "resourceType": "QuestionnaireResponse",
        "id": "answers",
        "questionnaire": f"{emitted['url']}|{emitted['version']}",
        "status": "completed",
        "subject": {"reference": "Patient/p"},
        "authored": FRESH,
        "author": {"reference": "Practitioner/reviewer"},
        "item": answered(emitted, answer),
    } | (said or {})
    patient = {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1980-05-01"}
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": patient}, {"resource": {k: v for k, v in response.items() if v is not None}}],
    }
    (found,) = screen_bundle(json.dumps(bundle).encode(), catalog, parse_as_of(AS_OF), (trial,)).patients
    return found.screenings[0]


@pytest.mark.parametrize("key", KEYS)
def test_a_form_keeps_to_its_version_of_fhir(key: str, catalog: Catalog, naming: Naming, problems: Problems) -> None:
    assert problems(form(key, catalog, naming)) == []


@pytest.mark.parametrize("key", KEYS)
def test_a_form_holds_exactly_the_reviewers_questions(key: str, catalog: Catalog, naming: Naming) -> None:
    (trial,) = catalog.only((key,))
    asked = {item["linkId"]: item["text"] for item in items(form(key, catalog, naming)) if item["type"] == "boolean"}
    atoms = [atom for criterion in trial.criteria for atom in criterion.atoms]
    assert asked == {atom.id: atom.ask for atom in atoms if atom.grade in ("B", "C")}


@pytest.mark.parametrize("key", KEYS)
def test_every_question_stands_under_its_criterion_in_the_words_of_the_source(
    key: str, catalog: Catalog, naming: Naming
) -> None:
    (trial,) = catalog.only((key,))
    emitted = form(key, catalog, naming)
    words = {criterion.id: criterion.text for criterion in trial.criteria}
    homes = {atom.id: (criterion.type, criterion.id) for criterion in trial.criteria for atom in criterion.atoms}
    for side in (item for item in emitted["item"] if item["type"] == "group"):
        for group in side["item"]:
            assert group["text"] == words[group["linkId"]]
            for question in group["item"]:
                assert homes[question["linkId"]] == (side["linkId"], group["linkId"])


@pytest.mark.parametrize("key", KEYS)
def test_no_link_id_stands_twice(key: str, catalog: Catalog, naming: Naming) -> None:
    ids = [item["linkId"] for item in items(form(key, catalog, naming))]
    assert len(ids) == len(set(ids))


def test_the_help_says_what_is_left_to_people(catalog: Catalog, naming: Naming) -> None:
    helps = {item["linkId"]: item["text"] for item in items(form("NCT02302599", catalog, naming))}
    assert helps["NCT02302599-E1b.help"] == "Asked about: tumor\nLeft to people: benign tumours; past tumours"


def test_a_reviewer_sees_the_notices_first(catalog: Catalog, naming: Naming) -> None:
    first, second, *_ = form("NCT01157403", catalog, naming)["item"]
    assert [first["text"], second["text"]] == list(catalog.files["NCT01157403"].notices)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        ({"valueBoolean": True}, Truth.MET),
        ({"valueBoolean": False}, Truth.NOT_MET),
        ({"valueCoding": {"system": "http://loinc.org", "code": "LA33-6"}}, Truth.MET),
    ],
    ids=["yes", "no", "a coded yes"],
)
def test_a_filled_form_decides_every_atom_it_asks_about(
    key: str, answer: dict[str, Any], truth: Truth, catalog: Catalog, naming: Naming
) -> None:
    (trial,) = catalog.only((key,))
    emitted = form(key, catalog, naming)
    found = screened(emitted, answer, trial, catalog)
    asked = [item["linkId"] for item in items(emitted) if item["type"] == "boolean"]
    assert asked
    assert {atom: found.by_atom[atom].judgement.truth for atom in asked} == dict.fromkeys(asked, truth)
    assert all(found.by_atom[atom].judgement.attested for atom in asked)


@pytest.mark.parametrize(
    "said",
    [{"authored": OLD}, {"author": None}, {"status": "in-progress"}],
    ids=["older than 30 days", "unsigned", "not completed"],
)
def test_a_form_that_is_not_a_fresh_signed_answer_decides_nothing(
    said: dict[str, Any], catalog: Catalog, naming: Naming
) -> None:
    (trial,) = catalog.only(("CFMSC",))
    emitted = form("CFMSC", catalog, naming)
    found = screened(emitted, {"valueBoolean": True}, trial, catalog, said)
    asked = [item["linkId"] for item in items(emitted) if item["type"] == "boolean"]
    assert not any(found.by_atom[atom].judgement.attested for atom in asked)


def test_a_trial_without_questions_gives_an_empty_form(catalog: Catalog, naming: Naming, problems: Problems) -> None:
    (trial,) = catalog.only(("CFMSC",))
    file = catalog.files["CFMSC"]
    emitted = questionnaire(trial, type(file)(file.key, file.version, file.metadata, file.source, ()), naming)
    assert "item" not in emitted
    assert problems(emitted) == []
