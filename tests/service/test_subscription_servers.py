"""Which server a notification may be followed to: the one that is configured for its client, and no other."""

from collections.abc import Mapping, Sequence

import pytest

from adapter.errors import AdapterError
from adapter.service.settings import Source
from adapter.service.sources import Sources, named_resource

BASE = "https://ehr.example.org/fhir"


def sources(*rows: Mapping[str, object], **environment: str) -> Sources:
    return Sources([Source.model_validate(each) for each in rows], environment)


def followed(made: Sources, client: str, tenant: str, subscription: str, references: Sequence[str]) -> str:
    try:
        return made.follow(client, tenant, subscription, references)[0]
    except Exception as refusal:  # noqa: BLE001 (its code is looked at)
        return str(refusal)


OWN = {"base": BASE, "clients": ["one"]}
FOREIGN = {"base": "https://other.example.org/r4", "clients": ["one", "two"]}
NO = "unfollowed-notification"


@pytest.mark.parametrize(
    ("client", "tenant", "subscription", "reference", "expected"),
    [
        ("one", "", f"{BASE}/Subscription/1", "Patient/1", BASE),
        ("one", "", "Subscription/1", f"{BASE}/Patient/1", BASE),
        ("one", "", "Subscription/1", "Patient/1", NO),
        ("two", "", "Subscription/1", "Patient/1", "https://other.example.org/r4"),
        ("two", "", f"{BASE}/Subscription/1", "Patient/1", NO),
        ("two", "", "Subscription/1", f"{BASE}/Patient/1", NO),
        ("three", "", "Subscription/1", "Patient/1", NO),
        ("one", "north", f"{BASE}/Subscription/1", "Patient/1", BASE),
    ],
)
def test_each_client_is_followed_to_its_own_server(
    client: str, tenant: str, subscription: str, reference: str, expected: str
) -> None:
    assert followed(sources(OWN, FOREIGN), client, tenant, subscription, [reference]) == expected


def test_a_source_of_everybody_is_not_one_of_a_tenant() -> None:
    made = sources({"base": BASE})
    assert followed(made, "any", "", "Subscription/1", ["Patient/1"]) == BASE
    assert followed(made, "any", "north", "Subscription/1", ["Patient/1"]) == NO
    assert followed(made, "any", "", "Subscription/1", [f"Patient/{each}" for each in range(101)]) == NO


@pytest.mark.parametrize(
    "row", [{"base": "http://ehr.example.org/fhir"}, {"base": BASE, "token_variable": "IS_NOT_SET"}]
)
def test_a_source_that_cannot_be_read_safely_is_refused_at_the_start(row: dict[str, str]) -> None:
    with pytest.raises(AdapterError):
        sources(row)


def test_a_reference_is_taken_apart_and_never_followed_as_it_stands() -> None:
    assert named_resource("Patient/1") == ("", "Patient/1")
    assert named_resource(f"{BASE}/Patient/1/_history/2") == (BASE, "Patient/1")
    assert [named_resource(each) for each in ("", "Patient", "patient/1", "Patient/1#x", "Patient/1\n")] == [None] * 5
