"""Bad input at the scale of a population: a located message and a count, and nobody lost, mixed, or there twice."""

import gzip
import json
import resource
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from population.crowds import command, digests, screened, write_crowd
from population.exported import AS_OF, write_export
from reading.chart import bundle, newer, patient

ONE = ("findings",)


def bundles(folder: Path, count: int = 60) -> Path:
    """Write lines of Bundles, one patient each."""
    folder.mkdir(parents=True)
    lines = []
    for number in range(count):
        name = f"p{number:03}"
        text = json.dumps(bundle(patient(name), newer(note=[{"text": "x" * 3000}])))
        lines.append(text.replace("Patient/p1", f"Patient/{name}"))
    (folder / "b.ndjson").write_text("\n".join(lines) + "\n")
    return folder


def patients(out: Path) -> Counter[str]:
    lines = map(json.loads, (out / "findings.ndjson").read_bytes().splitlines())
    return Counter(each["patient"] for each in lines if each.get("trial") == "BMMSC" and "verdict" in each)


def aside(out: Path) -> list[tuple[str, str, int | None]]:
    lines = map(json.loads, (out / "set-aside.ndjson").read_bytes().splitlines())
    return [(each["code"], Path(each["file"]).name, each["line"]) for each in lines]


def all_but(*gone: int, count: int = 60) -> Counter[str]:
    return Counter(f"p{number:03}" for number in range(count) if number not in gone)


def killing(name: str, *, times: int = 1000) -> str:
    """Give Python that ends a process, so many times, when it screens the patient of this name."""
    return (
        "from adapter.population import screened\n"
        "from pathlib import Path\n"
        "whole = screened.screen_bundle\n"
        "def deadly(data, *given, **named):\n"
        f"    if b'\"{name}\"' in data:\n"
        "        count = Path(sys.argv[sys.argv.index('--out') + 1] + '.deaths')\n"
        "        died = int(count.read_text()) if count.exists() else 0\n"
        f"        if died < {times}:\n"
        "            count.write_text(str(died + 1))\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return whole(data, *given, **named)\n"
        "screened.screen_bundle = deadly\n"
    )


def before_it_begins(said: str) -> str:
    """Give Python that does something after the files were listed and before any is read."""
    return (
        "from adapter.population import local\n"
        "whole = local.Local.to_folder\n"
        "def after_listing(*given, **named):\n"
        f"    {said}\n"
        "    return whole(*given, **named)\n"
        "local.Local.to_folder = after_listing\n"
    )


def test_a_document_that_ends_its_process_twice_is_set_aside_and_costs_nobody_else(tmp_path: Path) -> None:
    folder, out = bundles(tmp_path / "in"), tmp_path / "out"
    code, said = screened(folder, out, "--processes", "2", patched=killing("p033"), formats=ONE)
    assert (code, patients(out)) == (3, all_but(33))
    assert aside(out) == [("killed", "b.ndjson", 34)]
    assert any(line.startswith(f"{folder}/b.ndjson:34: error: ") and line.endswith("[killed]") for line in said)
    assert (tmp_path / "out.deaths").read_text() == "2"


def test_a_process_that_is_ended_once_costs_nobody_anything(tmp_path: Path) -> None:
    folder, out = bundles(tmp_path / "in"), tmp_path / "out"
    code, _ = screened(folder, out, "--processes", "2", patched=killing("p033", times=1), formats=ONE)
    assert (code, patients(out)) == (0, all_but())
    assert not (out / "set-aside.ndjson").exists()


def test_a_patient_of_an_export_who_ends_processes_is_set_aside_alone(tmp_path: Path) -> None:
    everyone = [one for number in range(40) for one in (patient(f"p{number:03}"),)]
    folder, out = write_export(tmp_path / "in", [*everyone, newer()], files=2), tmp_path / "out"
    code, _ = screened(folder, out, "--processes", "2", patched=killing("p017"), formats=ONE)
    assert (code, patients(out)) == (3, all_but(17, count=40))
    assert aside(out) == [("killed", "Patient.001.ndjson", 9)]


def test_a_part_that_ends_processes_before_any_document_is_set_aside_whole(tmp_path: Path) -> None:
    folder, out = bundles(tmp_path / "in"), tmp_path / "out"
    patched = (
        "from adapter.population import work\n"
        "whole = work.lines_between\n"
        "def deadly(path, start, end):\n"
        "    if start == 60_000: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return whole(path, start, end)\n"
        "work.lines_between = deadly\n"
    )
    code, said = screened(folder, out, "--processes", "2", patched=patched, formats=ONE)
    left = patients(out)
    assert code == 3
    assert set(left.values()) == {1}
    assert 60 - 20 < len(left) < 60
    assert aside(out) == [("killed", "b.ndjson", None)]
    assert any("1 documents, lines or files set aside" in line for line in said)


@pytest.mark.parametrize("work", [[], ["--work"]])
def test_a_full_disk_ends_the_run_with_one_error_and_it_can_be_resumed(tmp_path: Path, work: list[str]) -> None:
    folder, out, whole = write_crowd(tmp_path / "in", times=1), tmp_path / "out", tmp_path / "whole"
    assert screened(folder, whole, "--processes", "2")[0] == 3

    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    options = [*work, *([str(tmp_path / "work")] if work else [])]
    done = subprocess.run(
        command(folder, out, "--processes", "2", *options),
        preexec_fn=small,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stderr.splitlines() if line.endswith("[unwritable]")]
    assert (done.returncode, len(errors)) == (1, 1)
    assert sorted(each.name for each in out.iterdir()) == [".screening"]
    assert screened(folder, out, "--processes", "2", "--resume", *options)[0] == 3
    assert digests(out) == digests(whole)


def test_a_file_that_vanishes_is_set_aside_and_the_others_are_screened(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.json").write_text(json.dumps(bundle(patient(f"p{number:03}"))))
    gone = folder / "3.json"
    patched = before_it_begins(f"os.unlink({str(gone)!r})")
    code, said = screened(folder, out, "--processes", "2", patched=patched, formats=ONE)
    assert (code, patients(out)) == (3, all_but(3, count=6))
    assert aside(out) == [("unreadable-file", "3.json", None)]
    assert any("3.json: error: " in line for line in said)


def test_a_file_that_is_changed_is_not_read_half_and_half(tmp_path: Path) -> None:
    folder, out = bundles(tmp_path / "in"), tmp_path / "out"
    (folder / "c.json").write_text(json.dumps(bundle(patient("p060"))))
    file = str(folder / "b.ndjson")
    patched = before_it_begins(f"os.utime({file!r})")
    code, _ = screened(folder, out, "--processes", "2", patched=patched, formats=ONE)
    assert (code, patients(out)) == (3, Counter({"p060": 1}))
    assert {each[0] for each in aside(out)} == {"file-changed"}


def test_a_large_packed_file_that_breaks_off_gives_what_came_before(tmp_path: Path) -> None:
    folder, out = bundles(tmp_path / "in"), tmp_path / "out"
    data = gzip.compress((folder / "b.ndjson").read_bytes(), 0)
    (folder / "b.ndjson").unlink()
    (folder / "b.ndjson.gz").write_bytes(data[: len(data) // 2])
    code, _ = screened(folder, out, "--processes", "2", formats=ONE)
    found = patients(out)
    assert (code, set(found.values())) == (3, {1})
    assert sorted(found) == sorted(all_but())[: len(found)]
    assert 20 < len(found) < 40
    assert aside(out) == [("not-json", "b.ndjson.gz", len(found) + 1), ("truncated", "b.ndjson.gz", None)]


def test_a_single_resource_among_many_bundles_is_set_aside_with_its_line(tmp_path: Path) -> None:
    folder, out = bundles(tmp_path / "in"), tmp_path / "out"
    lines = (folder / "b.ndjson").read_text().splitlines()
    lines.insert(40, json.dumps(newer()))
    lines.insert(20, "")
    (folder / "b.ndjson").write_text("\n".join(lines))
    code, _ = screened(folder, out, "--processes", "2", formats=ONE)
    assert (code, patients(out)) == (3, all_but())
    assert aside(out) == [("single-resource", "b.ndjson", 42)]


def test_a_flood_of_broken_lines_is_counted_and_not_written_out(tmp_path: Path) -> None:
    folder, out = bundles(tmp_path / "in", count=10), tmp_path / "out"
    with (folder / "b.ndjson").open("a") as stream:
        stream.write("{x\n" * 30_000)
    code, said = screened(folder, out, "--processes", "2", formats=ONE)
    assert (code, patients(out)) == (3, all_but(count=10))
    assert len(said) < 30
    assert "10 patients screened, 30000 documents, lines or files set aside" in said[-1]


def test_no_value_of_a_patient_is_told(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    secret = patient("p000", name=[{"family": "Ann-Smith"}])
    write_export(folder, [secret, patient("p001")])
    with (folder / "Patient.000.ndjson").open("a") as stream:
        stream.write(json.dumps(secret)[:-3] + "\n")
    (folder / "Observation.000.ndjson").write_text(json.dumps(newer(subject={"reference": "Ann-Smith"})) + "\n")
    code, said = screened(folder, out, "--processes", "2", formats=ONE)
    assert code == 3
    assert "Ann-Smith" not in "\n".join(said) + (out / "set-aside.ndjson").read_text() + (out / "run.json").read_text()


def test_a_secret_is_nowhere_but_in_the_ids(tmp_path: Path) -> None:
    folder, out = bundles(tmp_path / "in", count=20), tmp_path / "out"
    (tmp_path / "secret").write_text("open-sesame")
    asked = command(folder, out, "--processes", "2", "--secret-file", str(tmp_path / "secret"), formats=("bundles",))
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    everything = "".join(each.read_text() for each in out.iterdir()) + done.stderr
    assert "open-sesame" not in everything
    assert AS_OF in everything
