"""Generated trials are what they are made for: valid, the same on every run, and of every kind, bound and nesting."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import cases
import pytest
from generated.trials import DEPTH, generate, generated_trial
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter import cli
from adapter.catalog.catalog import Catalog
from adapter.catalog.checks_references import parts
from adapter.catalog.load import load_catalog
from adapter.eligibility import trial as core
from adapter.eligibility.kinds import Kind
from adapter.eligibility.values import Limits

COUNT = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("generated")
    generate(made, COUNT, 11, cases.catalog())
    return made


@pytest.fixture(scope="module")
def generated(folder: Path) -> Catalog:
    return load_catalog([folder])


def test_check_finds_no_problem_in_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--trials", str(folder)]) == cli.DONE
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(f"{COUNT} trials, ")
    assert said.out.endswith(", no problem\n")


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = generate(tmp_path, 3, 11, cases.catalog())
    assert [each.read_bytes() for each in again] == [(folder / each.name).read_bytes() for each in again]
    other = generate(tmp_path / "other", 1, 12, cases.catalog())
    assert other[0].read_bytes() != again[0].read_bytes()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**64))
def test_any_seed_gives_a_trial_that_loads(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    file = tmp_path_factory.mktemp("one") / "trial.yaml"
    random = Random(seed)  # noqa: S311 (the same trial when the example is run again)
    file.write_text(generated_trial(random, cases.catalog(), criteria=2), encoding="utf-8")
    (trial,) = load_catalog([file]).trials
    assert len(trial.criteria) == 2


def atoms(catalog: Catalog) -> list[Any]:
    return [atom for trial in catalog.trials for criterion in trial.criteria for atom in criterion.atoms]


def test_every_kind_and_clause_is_among_them(generated: Catalog) -> None:
    found = Counter(type(part) for atom in atoms(generated) for part, _ in parts(atom.kind, ()))
    shipped = {type(part) for atom in atoms(cases.catalog()) for part, _ in parts(atom.kind, ())}
    assert set(Kind.__args__) | shipped <= set(found)
    assert min(found[each] for each in Kind.__args__) >= COUNT // 4


def test_every_bound_alone_and_with_each_other_is_among_them(generated: Catalog) -> None:
    found = set()
    for atom in atoms(generated):
        for part, _ in parts(atom.kind, ()):
            if isinstance(part, Limits):
                found.add(tuple(name for name in part.__struct_fields__ if getattr(part, name) is not None))
    low, high = ("at_least", "more_than"), ("at_most", "less_than")
    assert {(each,) for each in (*low, *high)} | {(one, other) for one in low for other in high} <= found


def test_every_state_and_reason_of_a_clause_is_among_them(generated: Catalog) -> None:
    used: dict[tuple[str, str], set[object]] = {}
    for atom in atoms(generated):
        for part, _ in parts(atom.kind, ()):
            for name in (
                "state",
                "taken",
                "end_counts",
                "grey",
                "confirmed",
                "required",
                "systemic",
                "at_eye",
                "older",
            ):
                if hasattr(part, name):
                    used.setdefault((type(part).__name__, name), set()).add(str(getattr(part, name)))
    assert {key for key, values in used.items() if len(values) < 2} <= {("ProcedureClause", "at_eye")}
    assert len(used["ConditionClause", "state"]) == 4
    assert len(used["MedicationClause", "taken"]) == 4


def shape(logic: core.Logic) -> tuple[int, set[str]]:
    match logic:
        case core.AtomIs():
            return 0, set()
        case core.Premise(of):
            return 0, {of}
        case core.Not(of):
            depth, words = shape(of)
            return depth + 1, words | {"not"}
        case core.All(of) | core.Any(of):
            inside = [shape(each) for each in of]
            words = set().union(*(each for _, each in inside), {type(logic).__name__})
            return 1 + max(depth for depth, _ in inside), words


def test_every_nesting_to_the_named_depth_is_among_them(generated: Catalog) -> None:
    shapes = [shape(criterion.logic) for trial in generated.trials for criterion in trial.criteria]
    assert {depth for depth, _ in shapes} >= set(range(DEPTH + 1))
    assert set().union(*(words for _, words in shapes)) == {"All", "Any", "not", "male", "childbearing_potential"}
