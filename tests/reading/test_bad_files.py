"""The contract of bad input, through the command: exit code, one located line on stderr, the others screened."""

import functools
import gzip
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from reading.chart import AS_OF, bundle, newer, older, patient
from reading.command import Screen

from adapter import inputs
from adapter.fhir import json_text
from adapter.population import at_once, screened

packed = functools.partial(gzip.compress, mtime=0)  # the same bytes on every run: they name the cases

GOOD = json.dumps(bundle(patient(), newer())).encode()


BAD = {
    "text": (b"hello", "not-json"),
    "truncated": (GOOD[:-20], "truncated"),
    "trailing": (GOOD + b"x", "not-json"),
    "two documents": (GOOD + GOOD, "not-json"),
    "empty": (b"", "empty"),
    "blank": (b" \n\n ", "empty"),
    "latin-1": (GOOD.replace(b'"final"', '"fin\xe4l"'.encode("latin-1")), "not-utf-8"),
    "latin-1 where nobody reads": (
        GOOD.replace(b'"gender"', '"text": "\xe4", "gender"'.encode("latin-1")),
        "not-utf-8",
    ),
    "utf-16": (GOOD.decode().encode("utf-16"), "not-utf-8"),
    "utf-16 without mark": (GOOD.decode().encode("utf-16-be"), "not-json"),
    "a surrogate as bytes": (GOOD.replace(b"final", b"\xed\xa0\x80"), "not-utf-8"),
    "nan": (GOOD.replace(b"8.4", b"NaN"), "not-json"),
    "infinity": (GOOD.replace(b"8.4", b"-Infinity"), "not-json"),
    "nul": (b"\0" + GOOD, "not-json"),
    "a control character": (GOOD.replace(b"final", b"fi\x01nal"), "not-json"),
    "deep": (b"[" * 100_000, "too-deep"),
    "deep where nobody reads": (GOOD.replace(b'"gender"', b'"x": ' + b"[" * 100_000 + b', "gender"'), "too-deep"),
    "deep objects": (b'{"resourceType":' * 100_000, "too-deep"),
    "deep bundles": (b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":' * 20_000, "too-deep"),
    "null": (b"null", "not-fhir"),
    "a list that ends too early": (b"[", "truncated"),
    "a list of resources": (json.dumps([patient(), newer()]).encode(), "not-fhir"),
    "no type": (b'{"id": "x"}', "not-fhir"),
    "wrong type": (b'{"resourceType": "Practitioner"}', "not-patient-data"),
    "unknown type": (b'{"resourceType": "Nonsense"}', "not-patient-data"),
    "no patient": (json.dumps(bundle(newer())).encode(), "no-patient"),
    "entries that are no list": (b'{"resourceType":"Bundle","type":"batch","entry":{}}', "bundle-entry"),
    "response": (json.dumps(bundle(patient(), kind="batch-response")).encode(), "response-bundle"),
    "bundle type": (json.dumps(bundle(patient(), kind="heap")).encode(), "bundle-type"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_set_aside_with_one_located_error_and_the_others_are_screened(
    screen: Screen, tmp_path: Path, name: str
) -> None:
    data, code = BAD[name]
    (tmp_path / "a.json").write_bytes(data)
    (tmp_path / "b.json").write_bytes(GOOD)
    run = screen(tmp_path)
    assert (run.code, run.patients) == (3, {"p1"})
    (line,) = run.lines
    assert line.startswith((tmp_path / "a.json").as_posix())
    assert line.endswith(f"[{code}]")
    assert ": error: " in line


def test_the_error_of_broken_json_names_the_line(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{\n"resourceType":\n"Patient",,}')
    assert screen(tmp_path).lines[0].startswith(f"{(tmp_path / 'a.json').as_posix()}:3: error: ")


def test_a_byte_order_mark_is_passed_over(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + GOOD)
    run = screen(tmp_path)
    assert (run.code, run.patients, len(run.lines)) == (0, {"p1"}, 1)


@pytest.mark.parametrize("text", ["\\u0000", "\\u001b[31m", "\\n", "\U0001f600", "\u202e"])
def test_characters_that_json_may_escape_are_no_reason_to_refuse(screen: Screen, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(GOOD.replace(b'"%"', f'"%", "extra": "{text}"'.encode()))
    assert screen(tmp_path).code == 0


@pytest.mark.parametrize(
    ("name", "data", "patients"),
    [
        ("a.json.gz", packed(GOOD), {"p1"}),
        ("a.json", packed(GOOD), {"p1"}),
        ("a.json.gz", GOOD, {"p1"}),
        ("a.ndjson.gz", packed(GOOD + b"\n") + packed(GOOD.replace(b"p1", b"p2")), {"p1", "p2"}),
        ("A.JSON", GOOD, {"p1"}),
    ],
)
def test_gzip_is_told_by_its_content(
    screen: Screen, tmp_path: Path, name: str, data: bytes, patients: set[str]
) -> None:
    (tmp_path / name).write_bytes(data)
    run = screen(tmp_path)
    assert (run.code, run.patients, run.lines) == (0, patients, [])


_ZIPPED = packed(GOOD)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_ZIPPED[:-1], "truncated"),
        (_ZIPPED[:40], "truncated"),
        (_ZIPPED[:2], "truncated"),
        (_ZIPPED + b"xx", "not-gzip"),
        (_ZIPPED + b"\0" * 512, "not-gzip"),
        (_ZIPPED[:-8] + b"\0" * 8, "not-gzip"),
        (_ZIPPED[:30] + b"\xff\xff" + _ZIPPED[32:], "not-gzip"),
        (_ZIPPED + _ZIPPED, "not-json"),
        (packed(_ZIPPED), "not-utf-8"),
        (packed(b"") * 10_002, "not-gzip"),
    ],
)
def test_damaged_gzip_is_set_aside(screen: Screen, tmp_path: Path, data: bytes, code: str) -> None:
    (tmp_path / "a.json.gz").write_bytes(data)
    run = screen(tmp_path)
    assert (run.code, run.patients) == (3, set())
    (line,) = run.lines
    assert line.endswith(f"[{code}]")


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MAX_BYTES", 1 << 20)
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    (tmp_path / "a.json.gz").write_bytes(pack.compress(b" " * (200 << 20)) + pack.flush())
    (line,) = screen(tmp_path).lines
    assert line.endswith("[too-large]")


def test_more_objects_than_memory_is_refused_before_they_are_made(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_text, "_LARGE", 1000)
    monkeypatch.setattr(json_text, "_MAX_OBJECTS", 500)
    document = bundle(patient())
    document["entry"].extend({} for _ in range(1000))
    (tmp_path / "a.json").write_text(json.dumps(document))
    (line,) = screen(tmp_path).lines
    assert line.endswith("[too-large]")


def test_long_strings_and_many_entries_are_screened(screen: Screen, tmp_path: Path) -> None:
    document = bundle(patient(), newer(valueString=None, note=[{"text": "x" * 10_000_000}]))
    document["entry"].extend({"resource": {"resourceType": "Basic"}} for _ in range(100_000))
    document["entry"].append({"resource": {**older(), "status": 5, "id": "y" * 1_000_000}})
    (tmp_path / "a.json").write_text(json.dumps(document))
    run = screen(tmp_path)
    assert (run.code, run.patients, len(run.lines)) == (0, {"p1"}, 1)


def test_a_flood_of_remarks_is_cut(screen: Screen, tmp_path: Path) -> None:
    document = bundle(patient())
    document["entry"].extend({"resource": 5} for _ in range(5000))
    (tmp_path / "a.json").write_text(json.dumps(document))
    lines = screen(tmp_path).lines
    assert len(lines) == at_once._MOST_ISSUES + 1
    assert lines[-1].startswith(f"{5000 - at_once._MOST_ISSUES} more remarks")


@pytest.mark.parametrize("missing", ["nothing.json", "no/such/folder"])
def test_a_path_that_is_not_there_is_a_usage_error_and_nothing_is_screened(
    screen: Screen, tmp_path: Path, missing: str
) -> None:
    (tmp_path / "b.json").write_bytes(GOOD)
    run = screen(tmp_path, tmp_path / missing)
    assert (run.code, run.patients) == (2, set())
    assert run.lines[0].endswith("[not-found]")


def test_a_folder_without_any_file_to_read_is_a_usage_error(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    run = screen(tmp_path)
    assert (run.code, run.lines[0].rsplit(" ", 1)[1]) == (2, "[empty-folder]")


def test_a_path_given_twice_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(GOOD)
    (tmp_path / "again.json").symlink_to(path)
    again = tmp_path / ".." / tmp_path.name / "a.json"
    assert inputs.find([path, tmp_path, path, again]) == [path]


def test_a_folder_named_like_a_file_and_a_loop_of_links_are_walked_once(screen: Screen, tmp_path: Path) -> None:
    inside = tmp_path / "x.json"
    inside.mkdir()
    (inside / "loop").symlink_to(tmp_path)
    (inside / "dead.json").symlink_to(tmp_path / "gone.json")
    (inside / "a.json").write_bytes(GOOD)
    run = screen(tmp_path)
    assert (run.code, run.patients, run.lines) == (0, {"p1"}, [])


def test_a_file_that_cannot_be_read_is_set_aside(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(GOOD.replace(b"p1", name[:1].encode()))
    read = inputs.read_bytes

    def denied(path: Path) -> bytes:
        if path.name == "a.json":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(inputs, "read_bytes", denied)
    run = screen(tmp_path)
    assert (run.code, run.patients, len(run.lines)) == (3, {"b"}, 1)
    assert run.lines[0].endswith("[unreadable-file]")


def test_a_defect_of_ours_costs_no_other_file_its_answer(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_bytes(GOOD.replace(b"p1", name.encode()))
    whole = screened.screen_bundle

    def broken(data: bytes, *others: object, **named: object) -> object:
        if b'"a"' in data:
            raise KeyError("Ann Smith")
        return whole(data, *others, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(screened, "screen_bundle", broken)
    run = screen(tmp_path)
    assert (run.code, run.patients) == (3, {"b"})
    assert run.lines[0].endswith("(KeyError) [defect]")


def test_a_file_name_cannot_write_a_second_line_or_to_the_terminal(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "a\nb\x1b[31m.json").write_bytes(b"x")
    (line,) = screen(tmp_path).lines
    assert "a\\x0ab\\x1b[31m.json" in line


def test_a_bad_trial_file_stops_everything_and_every_problem_is_listed(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(GOOD)
    trials = tmp_path / "trials"
    trials.mkdir()
    (trials / "x.yaml").write_text("trial: {key: 5}\ncriteria: 7\n")
    run = screen(tmp_path / "a.json", "--trials", trials)
    assert (run.code, run.patients) == (1, set())
    assert len(run.lines) >= 2


def test_standard_output_that_is_full_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(GOOD)
    command = [sys.executable, "-m", "adapter", "screen", str(tmp_path), "--as-of", AS_OF, "--format", "findings"]
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    (line,) = run.stderr.splitlines()
    assert run.returncode == 1
    assert line.endswith("[unwritable]")


def test_a_reader_that_has_seen_enough_is_no_error_message(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.json").write_bytes(GOOD)
    command = f"{sys.executable} -m adapter screen {tmp_path} --as-of {AS_OF} --format findings | head -1"
    run = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False, text=True, env=dict(os.environ))
    assert (len(run.stdout.splitlines()), run.stderr) == (1, "")


def test_standard_output_that_is_closed_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(GOOD)
    command = f"{sys.executable} -m adapter screen {tmp_path} --as-of {AS_OF} --format findings >&-"
    run = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False, text=True)
    (line,) = run.stderr.splitlines()
    assert (run.returncode, line.rsplit(" ", 1)[1]) == (1, "[unwritable]")
