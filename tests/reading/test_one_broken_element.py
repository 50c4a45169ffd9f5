"""A law: whichever element of whichever resource gets the wrong JSON type, no answer rests on that resource."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from cases import AS_OF, bundle_of, cases, catalog
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.errors import AdapterError
from adapter.fhir.dates import parse_as_of
from adapter.screen import DocumentScreening, screen_bundle

CASES = [case for _, case in cases()]
Path = tuple[str | int, ...]


def places(node: object, path: Path = ()) -> Iterator[Path]:
    """Give the path of every element of a resource but its type."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if key != "resourceType":
            yield (*path, key)
            yield from places(value, (*path, key))


def of_wrong_type(value: object) -> list[object]:
    """Give what careless senders write where ``value`` belongs."""
    match value:
        case bool():
            return [str(value).lower(), int(value), [value], {}]
        case int() | float():
            return [str(value), [value], {"value": value}, True]
        case str():
            return [5, False, [value], {"value": value}, {}]
        case list():
            return [*value[:1], "x", 5, {}, [5], [[*value]]]
        case _:
            return [json.dumps(value), 5, True, [value], [], "x"]


def put(node: Any, path: Path, value: object) -> None:  # noqa: ANN401 (a JSON tree)
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value


def answers(screened: DocumentScreening) -> dict[str, tuple[str, str | None]]:
    (patient,) = screened.patients
    return {
        finding.atom: (finding.judgement.truth.word, finding.judgement.message)
        for screening in patient.screenings
        for finding in screening.findings
    }


def screen(bundle: dict[str, Any], as_of: str) -> DocumentScreening:
    return screen_bundle(json.dumps(bundle).encode(), catalog(), parse_as_of(as_of))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([case for case in CASES if len(bundle_of(case)["entry"]) > 1]), st.data())
def test_no_answer_rests_on_a_resource_of_which_an_element_has_the_wrong_type(
    case: dict[str, Any], data: st.DataObject
) -> None:
    """It rests on it where it is shown as evidence and would not be the answer without it."""
    good = bundle_of(case)
    bundle = copy.deepcopy(good)
    index = data.draw(st.integers(1, len(bundle["entry"]) - 1))
    resource = bundle["entry"][index]["resource"]
    path = data.draw(st.sampled_from(list(places(resource))))
    value = resource
    for step in path:
        value = value[step]
    put(resource, path, data.draw(st.sampled_from(of_wrong_type(value))))
    as_of = case.get("as_of", AS_OF)
    after = screen(bundle, as_of)
    here = f"Bundle.entry[{index}]"
    if not any((issue.expression or "").startswith(here) for issue in after.issues):
        del resource[path[0]]
        assert answers(after) in (answers(screen(good, as_of)), answers(screen(bundle, as_of))), "read, and not missed"
        return
    without = {**good, "entry": [each for number, each in enumerate(good["entry"]) if number != index]}
    silent = answers(screen(without, as_of))
    name = f"{good['entry'][index]['resource']['resourceType']}/{good['entry'][index]['resource']['id']}"
    resting = [
        finding.atom
        for screening in after.patients[0].screenings
        for finding in screening.findings
        if finding.judgement.truth.word not in ("unknown", silent[finding.atom][0])
        for each in finding.judgement.evidence
        if each.source.reference == name
    ]
    assert not resting


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([case for case in CASES if "answers" not in case]), st.data())
def test_a_broken_patient_makes_nothing_true_that_was_not(case: dict[str, Any], data: st.DataObject) -> None:
    """Nor anything that would not be true with the broken element left out."""
    good = bundle_of(case)
    bundle = copy.deepcopy(good)
    resource = bundle["entry"][0]["resource"]
    path = data.draw(st.sampled_from(list(places(resource))))
    value = resource
    for step in path:
        value = value[step]
    put(resource, path, data.draw(st.sampled_from(of_wrong_type(value))))
    as_of = case.get("as_of", AS_OF)
    try:
        after = answers(screen(bundle, as_of))
    except AdapterError:
        return
    before = answers(screen(good, as_of))
    del resource[path[0]]
    silent = answers(screen(bundle, as_of))
    worse = {atom for atom, (word, _) in after.items() if word not in (before[atom][0], silent[atom][0], "unknown")}
    assert not worse


def screened_or_refused(text: bytes) -> bool:
    """Whether there is an answer for a patient, or an error that says what is wrong."""
    try:
        return bool(screen_bundle(text, catalog(), parse_as_of(AS_OF)).patients)
    except AdapterError as error:
        return bool(error.issues)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceType", "type", "entry", "resource", "id", "code", "coding", "fullUrl", "request", "x"]
            ),
            inner | st.sampled_from(["Bundle", "Patient", "Observation", "collection", "DELETE", "PATCH"]),
            max_size=5,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(_JSON | st.binary(max_size=60))
def test_whatever_comes_in_is_screened_or_refused_and_never_crashes(document: object) -> None:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    assert screened_or_refused(text)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CASES), st.data())
def test_a_bundle_with_a_few_bytes_changed_never_crashes(case: dict[str, Any], data: st.DataObject) -> None:
    text = bytearray(json.dumps(bundle_of(case)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    assert screened_or_refused(bytes(text))
