"""In what order resources can be written one by one, and how references are made to fit a server's ids."""

import itertools
from typing import Any

import pytest
from small_trial import small_trial

from adapter.delivery.identity import Key, key_of, name_of
from adapter.delivery.references import ServerIds, in_order, referred_to
from adapter.errors import AdapterError


def test_each_resource_comes_after_those_it_refers_to() -> None:
    for shuffled in itertools.permutations(small_trial()):
        written: set[str] = set()
        for each in in_order(shuffled):
            assert set(referred_to(each)) <= written
            written.add(str(name_of(each)))
        assert len(written) == len(shuffled)


def test_definitions_come_before_those_that_name_their_url() -> None:
    library = {"resourceType": "Library", "id": "L", "url": "https://a.example.org/Library/L"}
    plan = {"resourceType": "PlanDefinition", "id": "p", "library": ["https://a.example.org/Library/L|1.0.0"]}
    assert in_order([plan, library]) == [library, plan]


def test_a_reference_counts_more_than_a_url_where_the_two_disagree() -> None:
    form = {
        "resourceType": "Questionnaire",
        "id": "q",
        "url": "https://a.example.org/q",
        "extension": [{"valueReference": {"reference": "ResearchStudy/s"}}],
    }
    plan = {"resourceType": "PlanDefinition", "id": "p", "library": ["https://a.example.org/q"]}
    study = {"resourceType": "ResearchStudy", "id": "s", "protocol": [{"reference": "PlanDefinition/p"}]}
    for shuffled in itertools.permutations((form, plan, study)):
        assert in_order(shuffled) == [plan, study, form]


def test_resources_that_refer_to_each_other_are_all_given() -> None:
    one = {"resourceType": "Group", "id": "a", "partOf": {"reference": "Group/b"}}
    two = {"resourceType": "Group", "id": "b", "partOf": {"reference": "Group/a"}}
    assert {each["id"] for each in in_order([one, two])} == {"a", "b"}


def test_a_servers_references_are_read_by_our_names() -> None:
    study, *_ = small_trial()
    ids = ServerIds("https://fhir.example.org/r4")
    ids.learn(name_of({"resourceType": "Group", "id": "t1-eligibility"}), "77")
    held = {**study, "enrollment": [{"reference": "https://fhir.example.org/r4/Group/77"}]}
    assert ids.ours(held) == study


@pytest.mark.parametrize(
    ("resource", "query"),
    [
        (
            {"resourceType": "ValueSet", "id": "v", "url": "https://a.example.org/v?x=1"},
            "url=https%3A%2F%2Fa.example.org%2Fv%3Fx%3D1",
        ),
        (
            {
                "resourceType": "ResearchStudy",
                "id": "s",
                "url": "https://a.example.org/s",
                "identifier": [{"system": "r", "value": "N|1,2"}],
            },
            "identifier=r%7CN%5C%7C1%5C%2C2",
        ),
    ],
)
def test_a_resource_is_searched_for_with_its_key_escaped(resource: dict[str, Any], query: str) -> None:
    assert key_of(resource).query() == query


def test_our_own_identifier_comes_before_a_url_and_a_registrys() -> None:
    study, plan, *_ = small_trial()
    assert key_of(plan).parameter == "identifier"
    assert key_of(study) == Key("identifier", "https://trials.example.org/fhir/identifier/study|t1")


def test_what_cannot_be_found_again_is_refused_by_name() -> None:
    with pytest.raises(AdapterError, match=r"Group/g: .*neither a url nor an identifier.*no-identity"):
        key_of({"resourceType": "Group", "id": "g"})
