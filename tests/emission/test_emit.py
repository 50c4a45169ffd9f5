"""A whole trial: every resource once, each after what it refers to, nothing that leads nowhere."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from meaning import Problems

from adapter.catalog.catalog import Catalog
from adapter.emission.emit import emit_trial
from adapter.emission.names import Naming

CANONICAL_TYPES = ("Library", "ValueSet", "PlanDefinition", "Questionnaire", "ConceptMap", "EvidenceVariable", "Group")
ORDER = [
    "Organization",
    "Location",
    "ValueSet",
    "ConceptMap",
    "Library",
    "Questionnaire",
    "EvidenceVariable",
    "Group",
    "PlanDefinition",
    "ResearchStudy",
]
KEYS = ["BMMSC", "CFMSC", "NCT01157403", "NCT02302599", "NCT06751199"]


@pytest.fixture(scope="module", params=KEYS)
def resources(request: pytest.FixtureRequest, catalog: Catalog, naming: Naming) -> tuple[dict[str, Any], ...]:
    """Every resource of each trial in turn."""
    return emit_trial(catalog, request.param, naming)


def strings(content: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Give every string inside, with the name of its element."""
    if isinstance(content, dict):
        for name, each in content.items():
            yield from strings(each, name)
    elif isinstance(content, list | tuple):
        for each in content:
            yield from strings(each, key)
    elif isinstance(content, str):
        yield key, content


def test_ids_are_unique_and_the_order_is_that_of_dependence(resources: tuple[dict[str, Any], ...]) -> None:
    ids = [(each["resourceType"], each["id"]) for each in resources]
    assert len(ids) == len(set(ids))
    ranks = [ORDER.index(each["resourceType"]) for each in resources]
    assert ranks == sorted(ranks)
    assert ids[-1][0] == "ResearchStudy"


def test_every_reference_leads_to_a_resource_of_the_trial(resources: tuple[dict[str, Any], ...]) -> None:
    known = {f"{each['resourceType']}/{each['id']}" for each in resources}
    asked = {text for each in resources for key, text in strings(each) if key == "reference"}
    assert asked
    assert asked - known == set()


def test_every_canonical_of_ours_leads_to_a_resource_of_the_trial(
    resources: tuple[dict[str, Any], ...], naming: Naming
) -> None:
    known = {f"{each['url']}|{each['version']}" for each in resources if "url" in each}
    plain = (
        {each["url"] for each in resources if "url" in each}
        | {naming.url("Group", each["id"]) for each in resources if each["resourceType"] == "Group"}
        | {naming.url("ResearchStudy", each["id"]) for each in resources if each["resourceType"] == "ResearchStudy"}
    )
    asked = {
        text
        for each in resources
        for key, text in strings(each)
        if key not in ("url", "div", "description")
        and text.startswith(tuple(f"{naming.base}/{t}/" for t in CANONICAL_TYPES))
    }
    assert {text for text in asked if "|" in text} - known == set()
    assert {text for text in asked if "|" not in text} - plain == set()
    assert any("/ValueSet/" in text for text in asked)


def test_one_id_joins_plan_group_questionnaire_and_logic(
    resources: tuple[dict[str, Any], ...], catalog: Catalog
) -> None:
    by_type = {each["resourceType"]: each for each in resources}
    key = by_type["ResearchStudy"]["id"]
    (trial,) = (each for each in catalog.trials if each.key.lower() == key)
    ids = {one for each in trial.criteria for one in (each.id, *(atom.id for atom in each.atoms))}
    outs = {each["name"] for each in by_type["Library"]["parameter"]}
    planned = {text for name, text in strings(by_type["PlanDefinition"]) if name == "id"}
    asked = {text for name, text in strings(by_type["Questionnaire"]) if name == "linkId"}
    questions = {atom.id for each in trial.criteria for atom in each.atoms if atom.grade != "A" and atom.ask}
    assert ids <= outs
    assert ids <= planned
    assert questions <= asked


def test_every_resource_is_fhir(resources: tuple[dict[str, Any], ...], problems: Problems) -> None:
    assert [(each["id"], found) for each in resources if (found := problems(each))] == []


def test_the_same_trial_gives_the_same_bytes(catalog: Catalog, naming: Naming) -> None:
    first, second = (msgspec.json.encode(emit_trial(catalog, "NCT06751199", naming)) for _ in range(2))
    assert first == second


def test_a_trial_nobody_knows_is_refused_by_name(catalog: Catalog, naming: Naming) -> None:
    with pytest.raises(KeyError, match="NCT00000000"):
        emit_trial(catalog, "NCT00000000", naming)


def test_shared_resources_are_the_same_in_every_trial(catalog: Catalog, naming: Naming) -> None:
    seen: dict[tuple[str, str], bytes] = {}
    for key in KEYS:
        for each in emit_trial(catalog, key, naming):
            written = msgspec.json.encode(each)
            assert seen.setdefault((each["resourceType"], each["id"]), written) == written
