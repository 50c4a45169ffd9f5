"""Verdicts taken over from what was decided are those of screening the resources anew."""

import re
import shutil
from pathlib import Path

import pytest
from cases import catalog
from population.crowds import screened
from population.exported import AS_OF

from adapter.catalog.load import shipped
from adapter.population import kept_verdicts
from adapter.population.kept_facts import DECIDED_FILES, PATIENT_FILES
from adapter.population.kept_verdicts import verdict_rows
from adapter.population.screened import Screener, Setup

pytest.importorskip("pyarrow", reason="facts are kept as Parquet")
pytestmark = pytest.mark.xdist_group("kept_verdicts")


@pytest.fixture(scope="module")
def facts(crowd: Path) -> Path:
    folder = crowd.parent / "facts"
    assert screened(crowd, crowd.parent / "kept", "--keep-facts", str(folder))[0] == 3
    return folder


@pytest.fixture(scope="module")
def changed(crowd: Path) -> Path:
    """The shipped trials, one of them with other ages, and one under a name that nobody decided."""
    folder = crowd.parent / "trials"
    shutil.copytree(shipped("trials"), folder)
    first, second = sorted(folder.glob("*.yaml"))[:2]
    text = first.read_text(encoding="utf-8")
    before, age, after = text.partition("kind: age")
    assert re.search(r"at_most: \d+", after), "a limit must be another, or this shows nothing"
    first.write_text(before + age + re.sub(r"at_most: \d+", "at_most: 52", after, count=1), encoding="utf-8")
    key = next(each.key for each in catalog().trials if each.key in second.read_text(encoding="utf-8"))
    new = folder / f"{key}X.yaml"
    new.write_text(second.read_text(encoding="utf-8").replace(key, f"{key}X"), encoding="utf-8")
    return folder


def rows(path: Path, out: Path, *more: str) -> list[str]:
    assert screened(path, out, "--processes", "1", *more, formats=("verdicts",))[0] in (0, 3)
    return sorted((out / "verdicts.csv").read_text().splitlines())


def taken(facts: Path, screener: Screener) -> list[tuple[bytes, int] | None]:
    return [verdict_rows(each, screener) for each in sorted((facts / PATIENT_FILES).iterdir())]


def test_nothing_is_judged_where_nothing_changed(
    crowd: Path, facts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_verdicts, "read_patients", lambda _: pytest.fail("facts were read"))
    found = taken(facts, Screener(Setup(as_of=AS_OF), catalog()))
    said = b"".join(each[0] for each in found if each is not None).decode().splitlines()
    assert sorted(said) == [each for each in rows(crowd, tmp_path) if not each.startswith("patient,")]


def test_the_command_says_the_same_of_facts_and_of_resources(crowd: Path, facts: Path, tmp_path: Path) -> None:
    assert rows(facts, tmp_path / "facts") == rows(crowd, tmp_path / "resources")


def test_a_changed_trial_and_a_new_one_are_judged_beside_what_is_taken_over(
    crowd: Path, facts: Path, changed: Path, tmp_path: Path
) -> None:
    options = ("--trials", str(changed))
    assert rows(facts, tmp_path / "facts", *options) == rows(crowd, tmp_path / "resources", *options)
    screener = Screener(Setup(as_of=AS_OF, trials=(str(changed),)))
    assert all(each is not None for each in taken(facts, screener)), "what did not change was not taken over"


def test_at_another_instant_all_is_judged_again(crowd: Path, facts: Path, tmp_path: Path) -> None:
    later = "2027-05-01T00:00:00Z"
    assert taken(facts, Screener(Setup(as_of=later), catalog())) == [None] * len(
        list((facts / PATIENT_FILES).iterdir())
    )
    options = ("--as-of", later)
    assert rows(facts, tmp_path / "facts", *options) == rows(crowd, tmp_path / "resources", *options)


@pytest.mark.parametrize("harm", ["gone", "cut", "of fewer", "of others"])
def test_decisions_that_are_not_of_these_patients_are_not_taken_over(
    crowd: Path, facts: Path, tmp_path: Path, harm: str
) -> None:
    harmed = tmp_path / "harmed"
    shutil.copytree(facts, harmed)
    files = list((harmed / DECIDED_FILES).iterdir())
    first, last = min(files), max(files)
    if harm == "gone":
        first.unlink()
    elif harm == "cut":
        first.write_bytes(first.read_bytes()[:-100])
    else:
        from adapter.population.decisions import between, joined, read, write  # noqa: PLC0415 (numpy, an extra)

        kept = read(last)
        rotated = (between(kept, 1, len(kept)), between(kept, 0, 1))
        write(between(kept, 0, len(kept) - 1) if harm == "of fewer" else joined(rotated), last)
    assert rows(harmed, tmp_path / "facts") == rows(crowd, tmp_path / "resources")
