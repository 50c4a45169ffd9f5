"""Sample bundles, broken: what a hospital might send on a bad day, and what an attacker would on any."""

import copy
import json
import random
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

SAMPLES = Path(__file__).parents[2] / "sample_bundles"
STRANGE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    7.5,
    1e18,
    1e-300,
    999999999999999999,
    "",
    " ",
    "\u0000",
    "0",
    "x" * 300,
    "Patient/",
    "/",
    "#",
    "#p",
    "urn:uuid:",
    "http://",
    "http:///Patient/1",
    "Patient/1/_history/2",
    "2026",
    "2026-13-45",
    "0000-00-00",
    "9999-12-31T23:59:60+14:00",
    "2026-02-30T24:00:00Z",
    "\u0662\u0660\u0662\u0666-\u0660\u0661-\u0660\u0661",  # digits, but not ASCII's
    "\ud83d\ude00",
    "é\u0301\u202e",
    [],
    {},
    [[]],
    [None],
    [{}],
    {"resourceType": "Bundle"},
    {"resourceType": []},
    {"reference": "#"},
    {"value": "7", "unit": 1},
    {"coding": {}},
    {"extension": [{"url": "x"}]},
)
NAMES = (
    "id",
    "resourceType",
    "meta",
    "code",
    "status",
    "subject",
    "value",
    "valueQuantity",
    "_value",
    "extension",
    "x",
)


def samples() -> list[bytes]:
    """Give the sample bundles, each as JSON."""
    return [path.read_bytes() for path in sorted(SAMPLES.glob("*.json"))]


def broken(document: Any, by: random.Random) -> Any:  # noqa: ANN401 (any JSON)
    """Give a copy of a document with one thing in it changed."""
    changed = copy.deepcopy(document)
    places = list(_places(changed))
    for _ in range(by.choice((1, 1, 2, 3, 8))):
        holder, key = by.choice(places)
        _change(holder, key, by)
    return changed


def _places(value: Any) -> Any:  # noqa: ANN401 (pairs of any holder and its key)
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            yield from _places(value[key])


def _change(holder: Any, key: Any, by: random.Random) -> None:  # noqa: ANN401 (the same)
    strange = copy.deepcopy(by.choice(STRANGE))
    try:
        held = holder[key]
    except (KeyError, IndexError):
        return  # gone by an earlier change
    match by.randrange(6):
        case 0:
            del holder[key]
        case 1:
            holder[key] = strange
        case 2:
            holder[key] = [held]
        case 3 if isinstance(holder, list):
            holder.insert(by.randrange(len(holder) + 1), copy.deepcopy(by.choice(holder)))
        case 4 if isinstance(holder, dict):
            holder[by.choice(NAMES)] = strange
        case 5 if isinstance(held, str) and held:
            place = by.randrange(len(held))
            holder[key] = held[:place] + by.choice(("", "\u0000", " ", "9", "/", "\u202e")) + held[place + 1 :]
        case _:
            holder[key] = held[0] if isinstance(held, list) and held else strange


def mutants() -> st.SearchStrategy[Any]:
    """Give broken samples; the same seed breaks a sample in the same way."""
    whole = [json.loads(each) for each in samples() if len(each) < 60_000]
    return st.builds(
        lambda which, seed: broken(whole[which], random.Random(seed)),  # noqa: S311 (it breaks, it keeps no secret)
        st.integers(0, len(whole) - 1),
        st.integers(0, 2**32),
    )
