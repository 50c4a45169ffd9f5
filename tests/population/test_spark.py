"""Spark hands out the same pieces to the same functions: whatever is read, and however, it answers the same."""

import itertools
import json
import sys
from pathlib import Path

import pytest
from cases import catalog
from hypothesis import given
from hypothesis import strategies as st
from population.clusters import asked, by_spark, why_not, write_damaged
from population.crowds import screened, write_crowd
from population.exported import AS_OF

from adapter import __version__, cli
from adapter.catalog.load import shipped
from adapter.errors import AdapterError, Category
from adapter.population.parts import Part
from adapter.population.screened import Screener, Setup
from adapter.population.spark_definitions import definitions, versions
from adapter.population.spark_frames import grouped
from adapter.population.spark_job import Job, discreet, screener_of

pytestmark = pytest.mark.xdist_group("spark")
TEXTS = ("findings.ndjson", "bundles.ndjson", "verdicts.csv", "set-aside.ndjson")
COLUMNS = ("findings.parquet", "verdicts.parquet")
POPULATIONS = ("crowd", "damaged")
WAYS = ("named", "fetched")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Screen each population here, by Spark, and by Spark that also reads and writes all files."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("spark")
    write_crowd(folder / "crowd", times=1)
    write_damaged(folder / "damaged")
    wanted = []
    for name in POPULATIONS:
        assert screened(folder / name, folder / f"{name}-local", "--processes", "1")[0] == 3
        wanted.append(asked(str(folder / name), str(folder / f"{name}-named")))
        wanted.append(asked((folder / name).as_uri(), (folder / f"{name}-fetched").as_uri()))
    wanted.append(asked(str(folder / "facts"), str(folder / "facts-named"), ("findings",)))
    kept = screened(folder / "crowd", folder / "kept", "--processes", "1", "--keep-facts", str(folder / "facts"))
    assert kept[0] == 3, kept
    begun = folder / "begun" / ".screening"
    begun.mkdir(parents=True)
    (begun / "run.json").write_text("{}")
    refused = [
        asked((folder / "nowhere").as_uri(), str(folder / "missing")),
        asked("nosuch://bucket/patients", str(folder / "failed")),
        asked(str(folder / "crowd"), str(folder / "begun")),
    ]
    codes, said = by_spark([*wanted, *refused])
    assert codes == [3] * (len(wanted) - 1) + [0, 2, 1, 1], said
    (folder / "said.json").write_text(json.dumps(said))
    return folder


def lines_of(path: Path) -> list[bytes]:
    """Give the lines of a result, of one file or of many, without where the population lay."""
    files = sorted(path.glob("part-*")) if path.is_dir() else [path]
    data = b"".join(each.read_bytes() for each in files)
    root = path.parent.parent
    for prefix in (f"file:{root}/", f"{root}/"):
        data = data.replace(prefix.encode(), b"")
    return data.splitlines(keepends=True)


def rows_of(path: Path) -> list[str]:
    parquet = pytest.importorskip("pyarrow.parquet")
    return sorted(
        json.dumps(row)
        for each in sorted(path.glob("*.parquet"))
        for row in parquet.read_table(each, partitioning=None).to_pylist()
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("file", TEXTS)
def test_the_lines_are_those_of_one_machine_to_the_byte(runs: Path, population: str, way: str, file: str) -> None:
    alone = lines_of(runs / f"{population}-local" / file)
    assert alone
    assert sorted(lines_of(runs / f"{population}-{way}" / file)) == sorted(alone)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("file", COLUMNS)
def test_the_columns_are_those_of_one_machine(runs: Path, population: str, way: str, file: str) -> None:
    alone = rows_of(runs / f"{population}-local" / file)
    assert alone
    assert rows_of(runs / f"{population}-{way}" / file) == alone


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("population", POPULATIONS)
def test_what_a_run_was_and_its_counts_are_the_same(runs: Path, population: str, way: str) -> None:
    alone, here = (json.loads((runs / f"{population}-{each}" / "run.json").read_bytes()) for each in ("local", way))
    assert here == alone
    assert here["patients"] > 0 < here["set_aside"]


def test_results_are_of_many_tasks_and_their_names_keep_the_order_of_files(runs: Path) -> None:
    folder = runs / "crowd-named" / "findings.ndjson"
    names = sorted(each.name for each in folder.iterdir())
    assert len(names) > 3
    bundled = [each for each in names if each.startswith("part-00000001-")]
    alone = lines_of(runs / "crowd-local" / "findings.ndjson")
    ours = [line for name in bundled for line in (folder / name).read_bytes().splitlines(keepends=True)]
    assert ours == alone[: len(ours)]
    assert (runs / "crowd-named" / "verdicts.csv" / "part-00000000-000000000000000.csv").is_file()


def test_kept_facts_answer_as_their_resources_did(runs: Path) -> None:
    alone = lines_of(runs / "crowd-local" / "findings.ndjson")
    assert sorted(lines_of(runs / "facts-named" / "findings.ndjson")) == sorted(alone)


def test_nothing_is_left_but_results(runs: Path) -> None:
    names = {*TEXTS, *COLUMNS, "run.json"}
    for way in WAYS:
        found = {each.name for each in (runs / f"crowd-{way}").iterdir() if not each.name.endswith(".crc")}
        assert found == names


def test_what_is_said_holds_places_and_no_patient(runs: Path) -> None:
    for said in json.loads((runs / "said.json").read_text())[: len(POPULATIONS) * len(WAYS)]:
        text = "\n".join(said)
        assert "documents, lines or files set aside" in said[-1]
        assert not any(each in text for each in ("Patient/", "Traceback", '"valueQuantity"'))


def test_what_cannot_be_done_is_said_in_one_line_and_leaves_nothing(runs: Path) -> None:
    missing, failed, begun = json.loads((runs / "said.json").read_text())[-3:]
    assert (missing[-1].split(": ")[0], missing[-1].rsplit(" ", 1)[1]) == ((runs / "nowhere").as_uri(), "[not-found]")
    assert failed[-1].endswith("[spark-failed]")
    assert begun[-1].endswith("[unfinished-run]")
    assert [list((runs / each).iterdir()) for each in ("missing", "failed")] == [[], []]
    assert (runs / "begun" / ".screening" / "run.json").is_file()


@pytest.mark.parametrize(
    "options",
    [
        ["--engine", "spark", "--format", "findings"],
        ["--engine", "spark", "--out", "x"],
        ["--engine", "spark", "--out", "x", "--format", "table"],
        ["--engine", "spark", "--out", "x", "--format", "findings", "--resume"],
        ["--engine", "spark", "--out", "x", "--format", "findings", "--processes", "2"],
        ["--engine", "spark", "--out", "x", "--format", "findings", "--master", "sc://host"],
        ["--master", "local[2]", "--format", "findings"],
        ["--format", "findings", "--out", "s3a://bucket/x"],
        ["s3a://bucket/patients"],
    ],
)
def test_what_does_not_go_with_the_engine_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    if "sc://host" in options and why_not() is not None:
        pytest.skip(str(why_not()))
    (tmp_path / "a.json").write_text("{}")
    asked_ = ["screen", str(tmp_path / "a.json"), *options]
    asked_ = [str(tmp_path / "out") if each == "x" else each for each in asked_]
    assert cli.main(asked_) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("[usage]")


def test_without_pyspark_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    (tmp_path / "a.json").write_text("{}")
    out = str(tmp_path / "out")
    assert cli.main(["screen", str(tmp_path), "--engine", "spark", "--format", "findings", "--out", out]) == 2
    assert "[spark-missing]" in capsys.readouterr().err


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 40_000_000), st.booleans()), max_size=30), st.integers(1, 20)
)
def test_every_byte_is_handed_out_once_and_in_order(files: list[tuple[int, int, bool]], tasks: int) -> None:
    given_: list[tuple[int, Part]] = []
    for place, (pieces, size, is_cut) in enumerate(files):
        for number in range(pieces if is_cut else 1):
            kind = "range" if is_cut else "file"
            given_.append((place, Part(number, kind, str(place), number * size, (number + 1) * size)))
    groups = grouped(given_, tasks)
    handed = [(place, each.path, each.start, each.end) for group in groups for place, each in group]
    assert all(groups)
    for place, (pieces, size, is_cut) in enumerate(files):
        mine = [(start, end) for number, _, start, end in handed if number == place]
        assert mine[0][0] == 0
        assert mine[-1][1] == size * (pieces if is_cut else 1)
        assert all(one[1] == other[0] for one, other in itertools.pairwise(mine))
    assert [each[0] for each in handed] == sorted(each[0] for each in handed)


def site_of(folder: Path) -> Path:
    folder.mkdir()
    (folder / "notes.txt").write_text("not read, and not sent")
    (folder / "settings.yaml").write_text("{}\n")
    return folder


def test_definitions_travel_as_bytes_and_mean_the_same(tmp_path: Path) -> None:
    trial = min(shipped("trials").glob("*.yaml"))
    setup = Setup(
        AS_OF,
        trials=(str(trial),),
        mappings=(str(shipped("mappings")),),
        site=str(site_of(tmp_path / "site")),
    )
    sent = definitions(setup)
    assert not any(name.endswith(".txt") for name in sent.files)
    there = sent.unpacked(setup, tmp_path / "there")
    here = versions(setup.catalog(), (), __version__)
    assert versions(there.catalog(), (), __version__) == here
    assert len(here) == len(("adapter", "mappings", "one trial"))
    shipped_ones = definitions(Setup(AS_OF)).unpacked(Setup(AS_OF), tmp_path / "shipped")
    assert versions(shipped_ones.catalog(), (), __version__) == versions(catalog(), (), __version__)


def job(**other: str) -> Job:
    setup = Setup(AS_OF)
    same = versions(catalog(), (), __version__)
    return Job("-".join(["test", *other]), setup, definitions(setup), {**same, **other}, None)


def test_a_machine_with_another_version_answers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    assert isinstance(screener_of(job()), Screener)
    with pytest.raises(AdapterError, match="another version of adapter") as refused:
        screener_of(job(adapter="0.0.1"))
    assert refused.value.category is Category.CONFLICT
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_a_task_without_what_a_line_held() -> None:
    with pytest.raises(AdapterError) as error, discreet():
        raise KeyError("Smith")
    assert "Smith" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__
