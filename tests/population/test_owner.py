"""Whose a line is, told from a few of its elements, is whose the reading of a whole document finds it to be."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.fhir import wire
from adapter.fhir.record import reference_of, sort_by_patient
from adapter.population.listing import TYPES
from adapter.population.owner import SHARED, Owned, owned

ABOUT = sorted(TYPES - SHARED - {"Patient"})
P1 = {"reference": "Patient/p1"}
SHAPES: dict[str, object] = {
    "reference": P1,
    "absolute": {"reference": "https://ehr.example.org/fhir/Patient/p1"},
    "with a version": {"reference": "Patient/p1/_history/3"},
    "with display": {"reference": "Patient/p1", "display": "Ann"},
    "somebody else": {"reference": "Patient/p2"},
    "a group": {"reference": "Group/p1"},
    "contained": {"reference": "#p1"},
    "a urn": {"reference": "urn:uuid:b9d5a3f0-0000-4000-8000-000000000000"},
    "by identifier": {"identifier": {"system": "x", "value": "p1"}},
    "a string": "Patient/p1",
    "a number": 5,
    "a boolean": True,
    "a list of one": [P1],
    "a list of two": [P1, {"reference": "Patient/p2"}],
    "an empty list": [],
    "an empty object": {},
    "null": None,
    "a reference that is a number": {"reference": 7},
}
_NAMES = st.sampled_from(["subject", "patient", "individual"])


def is_of_p1(resource: dict[str, Any]) -> bool:
    """Whether the whole document takes a resource for p1's, beside another patient."""
    entries = [{"resource": {"resourceType": "Patient", "id": name}} for name in ("p1", "p2")]
    entries[0]["fullUrl"] = "https://ehr.example.org/fhir/Patient/p1"  # type: ignore[assignment]
    entries.append({"resource": resource})
    document = wire.read(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode())
    first = sort_by_patient(document)[0]
    return any(first.resources.values())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ABOUT)
def test_a_line_is_the_patients_whom_the_whole_document_finds(kind: str, shape: str) -> None:
    for field in ("subject", "patient", "individual"):
        resource = {"resourceType": kind, "id": "x", field: SHAPES[shape]}
        said = owned(json.dumps(resource).encode())
        assert (said.patient == "p1") == is_of_p1(resource), (field, said)


@given(st.sampled_from(ABOUT), st.dictionaries(_NAMES, st.sampled_from(list(SHAPES.values())), max_size=3))
def test_however_its_owner_is_said_a_line_is_read_as_the_document_reads_it(kind: str, said: dict[str, object]) -> None:
    resource = {"resourceType": kind, "id": "x", **said}
    assert (owned(json.dumps(resource).encode()).patient == "p1") == is_of_p1(resource)


@given(st.sampled_from(ABOUT), st.dictionaries(_NAMES, st.sampled_from(list(SHAPES.values())), max_size=3))
def test_where_an_owner_stands_and_cannot_be_read_it_can_be_anyone(kind: str, said: dict[str, object]) -> None:
    line = json.dumps({"resourceType": kind, "id": "x", **said}).encode()
    (entered,) = wire.read(b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":%b}]}' % line).entries
    reference = reference_of(entered.resource)
    names_somebody = reference is not None and (reference.reference or "").startswith(("Patient/", "https://"))
    lost = not {"subject", "patient", "individual"}.isdisjoint(entered.unreadable)
    assert (owned(line).trouble == "anyone") == (lost and not names_somebody)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"resourceType":"Claim","id":"c","patient":{"reference":"Patient/p1"}}', Owned(None)),
        (b'{"resourceType":"Medication","id":"m"}', Owned("Medication", "m")),
        (b'{"resourceType":"Patient","id":"p1"}', Owned("Patient", "p1", "", "p1")),
        (b'{"resourceType":"Patient"}', Owned("Patient", trouble="no-id")),
        (b'{"resourceType":"Bundle","type":"batch"}', Owned(None, trouble="bundle")),
        (
            b'{"resourceType":"observation","id":"x","subject":{"reference":"Patient/p1"}}',
            Owned("Observation", "x", "", "p1"),
        ),
        (b'{"id":"x"}', Owned(None, trouble="unreadable")),
        (b"5", Owned(None, trouble="unreadable")),
        (b'"text"', Owned(None, trouble="unreadable")),
    ],
)
def test_what_a_line_says_of_itself(line: bytes, expected: Owned) -> None:
    assert owned(line) == expected
