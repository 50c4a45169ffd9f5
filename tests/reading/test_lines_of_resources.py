"""NDJSON: Bundles line by line, single resources together, and what a broken line costs."""

import json
from pathlib import Path

import pytest
from reading.chart import bundle, newer, older, patient
from reading.command import Screen

GOOD = json.dumps(bundle(patient(), newer())).encode()


def _lines(*resources: object, end: str = "\n") -> bytes:
    return end.join(each if isinstance(each, str) else json.dumps(each) for each in resources).encode()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n\n", "\n  \n"])
def test_lines_of_resources_are_one_document_whatever_ends_them(screen: Screen, tmp_path: Path, end: str) -> None:
    (tmp_path / "a.ndjson").write_bytes(_lines(newer(), patient(), end=end))
    run = screen(tmp_path)
    assert (run.code, run.patients, run.lines) == (0, {"p1"}, [])


def test_a_line_that_speaks_of_a_bundle_is_still_a_single_resource(screen: Screen, tmp_path: Path) -> None:
    observation = newer(derivedFrom=[{"reference": "Bundle/1", "type": "Bundle"}])
    (tmp_path / "a.ndjson").write_bytes(_lines(patient(), observation))
    run = screen(tmp_path)
    assert (run.code, run.lines) == (0, [])


def test_a_byte_order_mark_before_the_first_line_is_passed_over(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"\xef\xbb\xbf" + _lines(patient(), newer()))
    run = screen(tmp_path)
    assert (run.code, run.patients, len(run.lines)) == (0, {"p1"}, 1)


def test_a_broken_line_costs_the_bundles_beside_it_nothing(screen: Screen, tmp_path: Path) -> None:
    broken = json.dumps(bundle(patient("p3"), newer()))[:-30]
    (tmp_path / "a.ndjson").write_bytes(_lines(bundle(patient("p1")), broken, bundle(patient("p2"))))
    run = screen(tmp_path)
    assert (run.code, run.patients) == (3, {"p1", "p2"})
    (line,) = run.lines
    assert line.startswith(f"{(tmp_path / 'a.ndjson').as_posix()}:2: error: ")


def test_no_older_line_stands_in_for_a_broken_one(screen: Screen, tmp_path: Path) -> None:
    broken = json.dumps(newer())[:-30]
    (tmp_path / "a.ndjson").write_bytes(_lines(patient(), older(), broken, bundle(patient("p2"))))
    run = screen(tmp_path)
    assert (run.code, run.patients) == (3, {"p2"})
    (line,) = run.lines
    assert ":3: error: " in line
    assert "the 2 lines of single resources are set aside with it" in line


def test_what_is_wrong_with_a_line_is_said_with_its_number(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(
        _lines(patient(), "", newer(status=5), bundle(patient("p2"), newer(), kind="x"))
    )
    lines = screen(tmp_path).lines
    name = (tmp_path / "a.ndjson").as_posix()
    assert sorted(line.split(" ", 1)[0] for line in lines) == [f"{name}:3:", f"{name}:4:"]


def test_a_file_of_noise_with_an_ndjson_name_is_one_error(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(GOOD.decode().encode("utf-16") * 20)
    assert len(screen(tmp_path).lines) == 1


def test_an_empty_ndjson_file_is_an_error(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"\n\n")
    run = screen(tmp_path)
    assert (run.code, len(run.lines)) == (3, 1)
