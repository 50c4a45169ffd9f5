"""Verdicts folded from answers to questions are those of judging trial by trial, row for row."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import AS_OF, bundle_of, cases, catalog
from msgspec.structs import replace

from adapter.catalog.catalog import Catalog
from adapter.catalog.load import load_catalog, shipped
from adapter.eligibility.kinds.human import SameAs
from adapter.eligibility.trial import Contradiction
from adapter.inputs import Named
from adapter.population.screened import Screener, Setup
from adapter.population.sinks import VerdictSink
from adapter.population.weighing import WeighedVerdicts, Weigher, can_weigh

SAMPLES = Path(__file__).parents[2] / "sample_bundles"


def documents(as_of: str) -> Iterator[bytes]:
    if as_of == AS_OF:
        yield from (path.read_bytes() for path in sorted(SAMPLES.glob("*.json")))
    yield from (json.dumps(bundle_of(case)).encode() for _, case in cases() if str(case.get("as_of", AS_OF)) == as_of)


def tables(as_of: str, book: Catalog, repeats: int = 0) -> tuple[list[str], list[str]]:
    """Give the rows of both ways; so many Observations of each patient, all where it is -1, have a key twice."""
    kind = b'"resourceType": "Observation"'
    twice = kind + b', "status": "final"'
    screener = Screener(Setup(as_of=as_of, formats=("verdicts",)), book)
    weigher = Weigher(screener)
    said = []
    for way, sink in ((screener, VerdictSink(screener)), (weigher, WeighedVerdicts(weigher))):
        stream = io.BytesIO()
        for data in documents(as_of):
            for patient in way.screen(Named("a.json", data.replace(kind, twice, repeats))).patients:
                sink.write(patient, stream)
        sink.end(stream)
        said.append(stream.getvalue().decode().splitlines())
    return said[0], said[1]


@pytest.mark.parametrize("as_of", sorted({str(case.get("as_of", AS_OF)) for _, case in cases()}))
def test_both_ways_write_the_same_table(as_of: str) -> None:
    one_by_one, at_once = tables(as_of, catalog())
    assert one_by_one
    assert at_once == one_by_one


@pytest.mark.parametrize("repeats", [1, 2, -1], ids=["one", "two", "all"])
def test_what_can_be_read_in_two_ways_counts_in_neither(repeats: int) -> None:
    one_by_one, at_once = tables(AS_OF, catalog(), repeats)
    assert one_by_one != tables(AS_OF, catalog())[0], "a key twice must make a difference, or this shows nothing"
    assert at_once == one_by_one


def test_many_trials_with_the_same_questions_each_have_their_own_rows(tmp_path: Path) -> None:
    for source in shipped("trials").glob("*.yaml"):
        text = source.read_text(encoding="utf-8")
        key = next(each.key for each in catalog().trials if f"key: {each.key}" in text)
        for name in (key, f"{key}X"):
            (tmp_path / f"{name}.yaml").write_text(text.replace(key, name), encoding="utf-8")
    one_by_one, at_once = tables(AS_OF, load_catalog([tmp_path]))
    assert at_once == one_by_one


def test_what_rests_on_a_reason_of_another_criterion_is_not_weighed() -> None:
    trials = catalog().trials
    assert can_weigh(trials)
    trial, atom = next(
        (trial, atom)
        for trial in trials
        for criterion in trial.criteria
        for atom in criterion.atoms
        if isinstance(atom.kind, SameAs)
    )
    assert not can_weigh([replace(trial, contradictions=(Contradiction((atom.id,), (), "made up"),))])
