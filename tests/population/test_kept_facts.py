"""Facts that were kept answer as the resources did, word for word."""

import json
from pathlib import Path

import pytest
from cases import AS_OF, bundle_of, cases, catalog

from adapter.eligibility.decide import screen
from adapter.errors import AdapterError
from adapter.fhir.dates import parse_as_of
from adapter.population import kept_facts
from adapter.population.kept_facts import FORM, Manifest, pack, read_manifest, read_patients, rows, unpack
from adapter.rendering.findings import FindingLines
from adapter.screen import PatientScreening, screen_bundle

CASES = [case for _, case in cases()]
PARTS = 4


def screened(case: dict[str, object], as_of: str) -> list[PatientScreening]:
    return list(screen_bundle(json.dumps(bundle_of(case)).encode(), catalog(), parse_as_of(as_of)).patients)


@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_found_from_kept_facts_is_what_was_found_from_the_resources(part: int) -> None:
    book, lines = catalog(), FindingLines({"adapter": "1"})
    for case in CASES[part::PARTS]:
        as_of = str(case.get("as_of", AS_OF))
        for patient in screened(case, as_of):
            facts = unpack(pack(patient.facts))
            assert facts == patient.facts
            again = screen(book.trials, facts, parse_as_of(as_of), book.rules, attestation_lasts=book.attestation_lasts)
            for before, after in zip(patient.screenings, again, strict=True):
                assert list(lines.lines("p", before)) == list(lines.lines("p", after))


def test_a_fact_of_two_value_sets_stays_one_fact() -> None:
    shared = 0
    for case in CASES:
        for patient in screened(case, str(case.get("as_of", AS_OF))):
            before = {id(each) for found in patient.facts.conditions.values() for each in found}
            after = {id(each) for found in unpack(pack(patient.facts)).conditions.values() for each in found}
            assert len(after) == len(before)
            shared += sum(map(len, patient.facts.conditions.values())) > len(before)
    assert shared, "no fact of these cases stands in two value sets"


def test_every_fact_has_a_row_and_the_row_names_its_source(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb reads the file as others would")
    patients = [patient for case in CASES[:300] for patient in screened(case, str(case.get("as_of", AS_OF)))]
    kept_facts.write_facts(
        (row for number, each in enumerate(patients) for row in rows(str(number), each.facts)),
        tmp_path / "facts.parquet",
    )
    counted = dict(
        duckdb.sql(f"select kind, count(*) from '{tmp_path / 'facts.parquet'}' group by kind").fetchall()  # noqa: S608 (our own file)
    )
    assert counted["result"] == sum(len(found) for each in patients for found in each.facts.results.values())
    unique = [{id(fact) for found in each.facts.conditions.values() for fact in found} for each in patients]
    assert counted["condition"] == sum(map(len, unique))
    sourceless = f"select count(*) from '{tmp_path / 'facts.parquet'}' where source is null"  # noqa: S608 (the same)
    assert duckdb.sql(sourceless).fetchall() == [(0,)]


def test_the_file_of_patients_gives_them_back_in_order(tmp_path: Path) -> None:
    patients = [patient for case in CASES[:100] for patient in screened(case, str(case.get("as_of", AS_OF)))]
    kept_facts.write_patients(((each.patient, pack(each.facts)) for each in patients), tmp_path / "patients.parquet")
    assert list(read_patients(tmp_path / "patients.parquet")) == [(each.patient, each.facts) for each in patients]


def test_a_damaged_file_is_told_and_not_half_read(tmp_path: Path) -> None:
    (tmp_path / "patients.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(AdapterError) as refused:
        list(read_patients(tmp_path / "patients.parquet"))
    assert refused.value.issues[0].code == "kept-facts"


@pytest.mark.parametrize(
    ("form", "mappings"), [(FORM, "others"), (FORM + 1, "ours")], ids=["other mappings", "another layout"]
)
def test_facts_of_other_mappings_are_refused(form: int, mappings: str, tmp_path: Path) -> None:
    made = Manifest(form, "1", mappings, AS_OF, {})
    import msgspec  # noqa: PLC0415 (only here)

    (tmp_path / "facts.json").write_bytes(msgspec.json.encode(made))
    with pytest.raises(AdapterError) as refused:
        read_manifest(tmp_path, "ours")
    assert refused.value.issues[0].code == "kept-facts"
