"""A moment with every entry point: broken samples, broken bytes, and bytes that were never anything (S12)."""

import json
import os
import random

import pytest
from fuzz.mutants import broken, samples
from fuzz.targets import TARGETS, is_json, parsed, seeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("FUZZ_CASES", "60"))
EASY = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
SMALL = [each for each in samples() if len(each) < 60_000]


def cut_and_spliced(seed: int, begun: list[bytes], *, as_json: bool) -> bytes:
    """Give bytes that were a document once."""
    by = random.Random(seed)  # noqa: S311 (it breaks, it keeps no secret)
    data = by.choice(begun)
    tree = parsed(data) if as_json else None
    if tree is not None and by.random() < 0.7:
        return json.dumps(broken(tree, by)).encode()
    spoilt = bytearray(data)
    for _ in range(by.choice((1, 2, 5))):
        place = by.randrange(len(spoilt) + 1)
        match by.randrange(4):
            case 0:
                del spoilt[place : place + by.randrange(1, 40)]
            case 1:
                spoilt[place:place] = by.choice((b"\0", b'"', b"\xff", b"{", b"]", b"\n", b"9", b"\\u0000", b"1e999"))
            case 2:
                spoilt[place:place] = by.choice(begun)[place : place + 60]
            case _:
                spoilt[place : place + 1] = bytes((by.randrange(256),))
    return bytes(spoilt)


@pytest.mark.parametrize("name", TARGETS)
def test_no_document_is_an_exception(name: str) -> None:
    begun = seeds(name, SMALL)

    @EASY
    @given(
        st.one_of(
            st.integers(0, 2**64).map(lambda seed: cut_and_spliced(seed, begun, as_json=is_json(name))), st.binary()
        )
    )
    def asked(data: bytes) -> None:
        TARGETS[name](data)

    asked()


@pytest.mark.parametrize("name", TARGETS)
def test_what_it_begins_with_is_no_exception(name: str) -> None:
    for each in seeds(name, SMALL):
        TARGETS[name](each)
