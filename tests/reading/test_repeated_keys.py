"""A key that stands twice in one JSON object: which value is meant nobody knows, so nothing rests on it."""

import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading.chart import AGE, answered, bundle, codes, newer, older, patient, word

from adapter.fhir.duplicates import has_repeated_key


def _twice(resource: dict[str, object], key: str, value: object) -> bytes:
    """Write a bundle in which a resource has a key a second time, which decoders take for the only one."""
    text = json.dumps(resource)
    twice = text[:-1] + f', "{key}": {json.dumps(value)}' + "}"
    return json.dumps(bundle(patient(), older(), resource)).replace(text, twice).encode()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("valueQuantity", newer()["valueQuantity"]),
        ("valueQuantity", {**newer()["valueQuantity"], "value": 6.0}),
        ("status", "final"),
        ("id", "newer"),
    ],
)
def test_nothing_rests_on_a_result_that_has_a_key_twice(key: str, value: object) -> None:
    document = _twice(newer(), key, value)
    assert word(document) == "unknown"
    assert codes(document) == ["repeated-key"]


def test_a_key_that_stands_twice_deep_inside_is_found() -> None:
    text = json.dumps(bundle(patient(), older(), newer()))
    assert word(text.replace('"value": 8.4', '"value": 8.4, "value": 8.4').encode()) == "unknown"


def test_a_bundle_with_two_lists_of_entries_is_refused() -> None:
    text = json.dumps(bundle(patient(), *(newer(id=f"n{number}") for number in range(100))))
    again = text[:-1] + f', "entry": {json.dumps(bundle(patient(), older())["entry"])}' + "}"
    with pytest.raises(Exception, match="repeated-key"):
        answered(again.encode())


def test_a_patient_with_a_key_twice_has_no_age() -> None:
    document = json.dumps(bundle(patient())).replace('"birthDate"', '"birthDate": "1990-01-01", "birthDate"')
    assert word(document.encode(), AGE) == "unknown"


class Text(NamedTuple):
    """JSON as somebody wrote it, and whether an object in it has a key twice."""

    text: str
    is_twice: bool


KEYS = {'"a"': "a", '"\\u0061"': "a", '"b"': "b", '"/"': "/", '"\\/"': "/", '"é"': "é", '"\\u00e9"': "é", '""': ""}
"""Ways to write a key, and the key."""
WORDS = (
    *KEYS,
    "1",
    "-0",
    "1.50",
    "1e5",
    "1E-400",
    "18446744073709551616",
    "true",
    "null",
    '"\\n\\u0000\\ud83d\\ude00"',
)
BLANKS = st.sampled_from(("", "", "", " ", "\n\t"))


def _object(pairs: list[tuple[str, Text]], blank: str) -> Text:
    names = [KEYS[name] for name, _ in pairs]
    text = ",".join(f"{blank}{name}:{blank}{value.text}" for name, value in pairs)
    return Text("{" + text + "}", len(set(names)) < len(names) or any(value.is_twice for _, value in pairs))


def _list(items: list[Text], blank: str) -> Text:
    return Text(f"[{blank}{','.join(each.text for each in items)}]", any(each.is_twice for each in items))


TEXTS = st.recursive(
    st.sampled_from(WORDS).map(lambda word: Text(word, is_twice=False)),
    lambda inner: (
        st.builds(_object, st.lists(st.tuples(st.sampled_from(tuple(KEYS)), inner), max_size=4), BLANKS)
        | st.builds(_list, st.lists(inner, max_size=4), BLANKS)
    ),
    max_leaves=12,
)


@given(TEXTS)
def test_a_key_is_found_twice_exactly_where_it_stands_twice(written: Text) -> None:
    assert has_repeated_key(written.text.encode()) is written.is_twice
