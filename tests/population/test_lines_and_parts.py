"""What is read is cut into parts that give every line once, whatever their edges, and that never change."""

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import AdapterError
from adapter.population import lines as reading
from adapter.population import parts as cutting
from adapter.population.lines import TOO_LONG, lines_between, lines_of
from adapter.population.listing import Listing, listing
from adapter.population.parts import Part, parts

ENDS = st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n"])
LINES = st.lists(st.tuples(st.sampled_from([b"", b"x", b"abc", b"y" * 40]), ENDS), max_size=30)
LAST = st.sampled_from([b"", b"end"])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines") / "a.ndjson"


def expected(data: bytes) -> list[tuple[int, bytes]]:
    found = [(number, line.strip()) for number, line in enumerate(data.split(b"\n"), 1)]
    return found if found[-1][1] else found[:-1]


@given(LINES, LAST, st.integers(1, 70))
def test_ranges_side_by_side_give_every_line_once(
    file: Path, lines: list[tuple[bytes, bytes]], last: bytes, step: int
) -> None:
    data = b"".join(text + end for text, end in lines) + last
    file.write_bytes(data)
    found, before = [], 0
    for start in range(0, len(data), step):
        piece = list(lines_between(str(file), start, min(start + step, len(data))))
        found.extend((before + number, line) for number, line in piece)
        before += len(piece)
    assert found == expected(data)
    assert list(lines_of(str(file))) == expected(data)


@given(LINES, LAST, st.sampled_from([1, 2, 7, 1 << 20]))
def test_packed_lines_are_the_same(file: Path, lines: list[tuple[bytes, bytes]], last: bytes, chunk: int) -> None:
    data = b"".join(text + end for text, end in lines) + last
    half = len(data) // 2
    file.write_bytes(gzip.compress(data[:half]) + gzip.compress(data[half:]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_CHUNK", chunk)
        if chunk > 1:  # Python has no buffer of one byte
            assert list(lines_of(str(file))) == expected(data)


def test_what_came_before_a_break_in_gzip_is_given_and_then_the_error(file: Path) -> None:
    file.write_bytes(gzip.compress(b"one\n" + os.urandom(100_000) + b"\ntwo\n")[:-2000])
    given_ = lines_of(str(file))
    assert next(given_) == (1, b"one")
    with pytest.raises(AdapterError) as error:
        list(given_)
    assert error.value.issues[0].code == "truncated"


def test_a_line_beyond_the_limit_is_not_held_and_those_after_it_are_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    monkeypatch.setattr(reading, "_CHUNK", 30)
    file.write_bytes(b"a\n" + b"x" * 1000 + b"\nb\n")
    assert list(lines_of(str(file))) == [(1, b"a"), (2, TOO_LONG), (3, b"b")]
    assert list(lines_between(str(file), 0, 2000)) == [(1, b"a"), (2, TOO_LONG), (3, b"b")]


BUNDLE = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": []})
PATIENT = json.dumps({"resourceType": "Patient", "id": "p"})


def found_in(folder: Path, *files: tuple[str, str]) -> Listing:
    for name, text in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return listing([folder])


def cut(found: Listing) -> list[tuple[str, str, int]]:
    return [(each.kind, Path(each.path).name, each.start) for each in parts(found)]


def test_a_large_file_of_bundles_is_cut_into_ranges_and_others_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "WHOLE_BYTES", 100)
    monkeypatch.setattr(cutting, "RANGE_BYTES", 80)
    found = found_in(tmp_path, ("a.json", BUNDLE * 10), ("b.ndjson", f"{BUNDLE}\n" * 3), ("c.ndjson", BUNDLE))
    assert cut(found) == [
        ("file", "a.json", 0),
        ("range", "b.ndjson", 0),
        ("range", "b.ndjson", 80),
        ("range", "b.ndjson", 160),
        ("file", "c.ndjson", 0),
    ]


def test_parts_are_numbered_in_their_order_and_answer_for_every_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "MOST_FILES", 2)
    found = found_in(tmp_path, *((f"x/{number}.json", BUNDLE) for number in range(5)))
    made: list[Part] = list(parts(found))
    assert [(each.number, len(each.more)) for each in made] == [(1, 1), (2, 1), (3, 0)]
    assert sum(each.size for each in made) == found.size
    together = [stamp for each in made for stamp in ((each.path, each.modified), *each.more)]
    assert together == [(each.path, each.modified) for each in found.files]


@pytest.mark.parametrize(
    ("files", "documents", "members"),
    [
        ([("Patient.ndjson", PATIENT), ("Observation.ndjson", PATIENT)], [], ["Observation.ndjson", "Patient.ndjson"]),
        ([("one.ndjson", PATIENT), ("a.json", BUNDLE)], ["a.json", "one.ndjson"], []),
        ([("b.ndjson", BUNDLE), ("c.ndjson", BUNDLE)], ["b.ndjson", "c.ndjson"], []),
        (
            [("b.ndjson", BUNDLE), ("P.ndjson", PATIENT), ("x/O.ndjson", PATIENT)],
            ["b.ndjson"],
            ["P.ndjson", "O.ndjson"],
        ),
        ([("P.ndjson", PATIENT), ("broken.ndjson", "{{{\n" * 50)], [], ["P.ndjson", "broken.ndjson"]),
        ([("P.ndjson", PATIENT), ("empty.ndjson", "")], [], ["P.ndjson", "empty.ndjson"]),
        ([("P.ndjson", "{broken\n\n" + PATIENT), ("O.ndjson", PATIENT)], [], ["O.ndjson", "P.ndjson"]),
        ([("P.ndjson", json.dumps({"id": "Bundle", "resourceType": "Patient"})), ("O.ndjson", PATIENT)], [], None),
    ],
)
def test_an_export_is_told_by_its_lines_and_what_cannot_be_told_belongs_to_it(
    tmp_path: Path, files: list[tuple[str, str]], documents: list[str], members: list[str] | None
) -> None:
    found = found_in(tmp_path, *files)
    assert [Path(each.path).name for each in found.files] == documents
    inside = [Path(each.path).name for export in found.exports for each in export.files]
    assert inside == (members if members is not None else ["O.ndjson", "P.ndjson"])


def test_files_of_one_folder_given_one_by_one_are_one_export(tmp_path: Path) -> None:
    found_in(tmp_path, ("P.ndjson", PATIENT), ("O.ndjson", PATIENT))
    found = listing([tmp_path / "P.ndjson", tmp_path / "O.ndjson", tmp_path / "P.ndjson"])
    assert [len(each.files) for each in found.exports] == [2]


def test_a_pattern_that_the_shell_left_alone_is_followed(tmp_path: Path) -> None:
    found_in(tmp_path, ("a.json", BUNDLE), ("b.json", BUNDLE), ("c.txt", ""))
    assert [Path(each.path).name for each in listing([tmp_path / "*.json"]).files] == ["a.json", "b.json"]


@pytest.mark.parametrize("times", [1, 2])
def test_a_file_that_two_ways_lead_to_is_read_once(tmp_path: Path, times: int) -> None:
    found_in(tmp_path, ("in/a.json", BUNDLE), ("out/b.json", BUNDLE))
    (tmp_path / "in" / "link.json").symlink_to(tmp_path / "in" / "a.json")
    (tmp_path / "in" / "far.json").symlink_to(tmp_path / "out" / "b.json")
    (tmp_path / "in" / "far2.json").symlink_to(tmp_path / "out" / "b.json")
    found = listing([tmp_path / "in"] * times)
    assert [Path(each.path).name for each in found.files] == ["a.json", "far.json"]


def test_what_a_run_is_making_is_never_input(tmp_path: Path) -> None:
    found = found_in(tmp_path, ("a.json", BUNDLE), (".screening/findings.ndjson", PATIENT))
    assert [Path(each.path).name for each in found.files] == ["a.json"]
    assert found.exports == ()
