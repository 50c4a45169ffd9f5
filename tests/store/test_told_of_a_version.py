"""What a version says of itself is what it says now, however often it was asked before."""

import copy

import msgspec
import pytest

from adapter.fhir import resources as fhir
from adapter.store.known_versions import Stamp, Version, names_of

URL = "https://one.example.org/fhir/Observation/1"
OTHER = "https://two.example.org/fhir/Observation/2"
STAMP = Stamp(None, 1, 1, is_told=True)


def version(**changed: object) -> Version:
    made = Version(fhir.Observation(id="1"), URL, "lab", STAMP, "Bundle.entry[0].resource")
    return msgspec.structs.replace(made, **changed)


def said(one: Version) -> tuple[object, ...]:
    return one.id, one.base, one.key, one.names, one.url, one.is_unique


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resource", fhir.Condition(id="3")),
        ("full_url", OTHER),
        ("full_url", None),
        ("sender", "ward"),
        ("weak", "?0123"),
        ("others", ("ward", "clinic")),
    ],
)
def test_a_version_that_is_changed_says_what_a_new_one_says(name: str, value: object) -> None:
    one = version()
    before = said(one)
    assert said(one) == before
    setattr(one, name, value)
    assert said(one) == said(version(**{name: value}))
    replaced = msgspec.structs.replace(one, **{name: value})
    assert said(replaced) == said(one)


def test_a_version_without_an_address_says_what_a_new_one_says_when_it_gets_one() -> None:
    one = version(full_url=None)
    assert said(one)[:2] == ("1", None)
    one.full_url = URL
    assert said(one) == said(version())


def test_what_was_told_is_neither_kept_nor_compared_nor_copied() -> None:
    asked, unasked = version(), version()
    said(asked)
    assert asked == unasked
    assert msgspec.json.encode(asked) == msgspec.json.encode(unasked)
    assert copy.copy(asked).__dict__ == {}


def test_names_that_are_given_can_be_changed_without_harm() -> None:
    one = version()
    names_of(one).clear()
    assert names_of(one) == [f"url|{URL}", "of|lab|Observation/1"]
