"""A small document is found to be within its shape at a glance, exactly where a look at each value finds it so."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapter.service import reading
from adapter.service.outcomes import Refusal
from adapter.service.reading import Shape, read_object

TEXT = st.sampled_from(["", "a", "\n", "\n" + " " * 80, "[[[[", "]]]]", '"', "\\", "é", "\ud7ff"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=30,
)


def nested(depth: int, inner: Any = ()) -> Any:  # noqa: ANN401 (any JSON)
    for _ in range(depth):
        inner = [inner]
    return inner


def refused(data: bytes, shape: Shape) -> str | None:
    try:
        read_object(data, shape)
    except Refusal as error:
        return error.code
    return None


@given(JSON, st.integers(1, 6), st.integers(1, 40), st.sampled_from([None, 3]))
@example(nested(3, {}), 4, 40, 3)
@example(nested(3, []), 5, 40, None)
@example(nested(3, {"a": 1}), 5, 40, None)
def test_what_is_refused_is_what_a_look_at_each_value_refuses(
    value: object, depth: int, nodes: int, indent: int | None
) -> None:
    data = json.dumps({"in": value}, indent=indent).encode()
    shape = Shape(depth=depth, nodes=nodes)
    seen = refused(data, shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_AT_A_GLANCE", 0)
        assert refused(data, shape) == seen


@pytest.mark.parametrize(("depth", "code"), [(62, None), (63, None), (64, "too-deep"), (900, "too-deep")])
@pytest.mark.parametrize("inner", [[], {}])
def test_the_deepest_list_may_be_empty(depth: int, code: str | None, inner: object) -> None:
    data = json.dumps({"in": nested(depth - 1, inner)}).encode()
    assert refused(data, Shape()) == code


def test_values_are_counted_where_there_may_be_too_many() -> None:
    data = b'{"in":[' + b",".join([b"1"] * 99) + b"]}"
    assert refused(data, Shape(nodes=100)) is None
    assert refused(data, Shape(nodes=99)) == "too-many-values"
