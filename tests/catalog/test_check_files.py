"""``trial-adapter check`` of whole files and folders: what cannot be read hides nothing else."""

import re
import shutil
from pathlib import Path

import pytest

from adapter import cli
from adapter.catalog.checks import check
from adapter.catalog.load import load_catalog, read_catalog, shipped
from adapter.errors import AdapterError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("trials", "mappings"):
        shutil.copytree(shipped(name), tmp_path / name)
    return tmp_path


def codes(folder: Path) -> list[tuple[str, str]]:
    sources, catalog = read_catalog([folder / "trials"], [folder / "mappings"])
    return sorted((issue.code, Path(issue.file or "").name) for issue in check(sources, catalog))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_problems_are_written_one_a_line_and_the_exit_code_is_one(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(copy / "trials/NCT02302599.yaml", "input: bmi,", "input: bmj,")
    edit(copy / "mappings/inputs/laboratory.yaml", '"62388-4"', '"4548-4"')
    arguments = ["check", "--trials", str(copy / "trials"), "--mappings", str(copy / "mappings")]
    assert cli.main(arguments) == cli.FAILED
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r".*/laboratory\.yaml:\d+: inputs\.hba1c\.codes\.\S+: error: .* \[rejected-code\]", lines[0])
    assert re.fullmatch(
        r".*/NCT02302599\.yaml:\d+: criteria\[2\]\.atoms\[0\]\.judge\.input: error: "
        r"no mapping defines the input bmj: did you mean bmi\? \[unknown-input\]",
        lines[1],
    )
    assert said.out == "2 problems\n"


def test_a_trial_that_is_not_yaml_hides_nothing_in_a_mapping(copy: Path) -> None:
    edit(copy / "trials/CFMSC.yaml", "key: CFMSC", "key: [CFMSC")
    edit(copy / "mappings/value-sets/diabetes.yaml", '"73211009"', '"73211019"')
    assert codes(copy) == [("code-form", "diabetes.yaml"), ("not-yaml", "CFMSC.yaml")]


def test_a_mapping_that_is_not_yaml_hides_nothing_in_a_trial_and_blames_nothing_that_may_stand_in_it(
    copy: Path,
) -> None:
    edit(copy / "mappings/inputs/laboratory.yaml", "inputs:", "inputs: [")
    edit(copy / "trials/BMMSC.yaml", "at_least: 18, at_most: 75", "at_least: 75, at_most: 18")
    edit(copy / "mappings/value-sets/diabetes.yaml", '"73211009"', '"73211019"')
    assert codes(copy) == [
        ("code-form", "diabetes.yaml"),
        ("empty-limits", "BMMSC.yaml"),
        ("not-yaml", "laboratory.yaml"),
    ]


def test_a_broken_entry_hides_no_other_entry_of_its_file(copy: Path) -> None:
    edit(copy / "mappings/inputs/laboratory.yaml", "    title: creatinine\n", "    title: [creatinine]\n")
    edit(copy / "mappings/inputs/laboratory.yaml", '"62388-4"', '"4548-4"')
    assert codes(copy) == [("rejected-code", "laboratory.yaml"), ("schema", "laboratory.yaml")]


def test_a_broken_atom_hides_no_other_atom_and_no_sentence_of_its_trial(copy: Path) -> None:
    edit(copy / "trials/BMMSC.yaml", "{kind: age, limits: {at_least: 18, at_most: 75}}", "{kind: age}")
    edit(copy / "trials/BMMSC.yaml", "    Negative pregnancy test;\n", "    Negative pregnancy test; Lives near;\n")
    edit(copy / "trials/BMMSC.yaml", "any: [{condition: [severe_lung]}]", "any: [{condition: [severe_long]}]")
    assert codes(copy) == [
        ("missing-key", "BMMSC.yaml"),
        ("source-left", "BMMSC.yaml"),
        ("unknown-value-set", "BMMSC.yaml"),
    ]


def test_broken_files_of_every_kind_are_all_said_at_once(copy: Path) -> None:
    (copy / "trials/latin.yaml").write_bytes("key: Käse".encode("latin-1"))
    (copy / "trials/empty.yaml").write_text("# nothing\n", encoding="utf-8")
    (copy / "trials/folder.yaml").mkdir()
    edit(copy / "mappings/vocabulary.yaml", "vocabulary:", "<<: {a: b}\nvocabulary:")
    sources, catalog = read_catalog([copy / "trials", copy / "none"], [copy / "mappings"])
    assert catalog is None
    assert sorted(issue.code for issue in check(sources, catalog)) == [
        "empty-file",
        "merge-key",
        "not-found",
        "not-utf-8",
        "unreadable-file",
    ]


def test_a_copy_of_a_trial_is_one_problem(copy: Path) -> None:
    shutil.copy(copy / "trials/CFMSC.yaml", copy / "trials/another.yaml")
    assert codes(copy) == [("duplicate-id", "another.yaml")]


def test_a_second_vocabulary_and_none_are_problems(copy: Path, tmp_path: Path) -> None:
    shutil.copy(copy / "mappings/vocabulary.yaml", copy / "mappings/words.yaml")
    assert codes(copy) == [("duplicate-key", "words.yaml")]
    for name in ("vocabulary.yaml", "words.yaml"):
        (tmp_path / "mappings" / name).unlink()
    sources, catalog = read_catalog([copy / "trials"], [copy / "mappings"])
    assert catalog is None
    assert "missing-vocabulary" in {issue.code for issue in check(sources, catalog)}


def test_a_folder_without_files_is_a_problem(tmp_path: Path) -> None:
    sources, catalog = read_catalog([tmp_path])
    assert catalog is None
    assert [issue.code for issue in check(sources, catalog)] == ["empty-folder"]


def test_the_policy_that_the_adapter_reads_must_be_there(copy: Path) -> None:
    edit(copy / "mappings/policy.yaml", "  fresh.attestation:", "  # fresh.attestation:")
    edit(copy / "mappings/inputs/record.yaml", "freshness: $fresh.attestation", "freshness: P30D")
    assert codes(copy) == [("missing-policy", "")]


def test_a_key_with_other_signs_than_letters_and_digits_is_a_problem(copy: Path) -> None:
    path = copy / "trials/BMMSC.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("BMMSC", "BM-MSC"), encoding="utf-8")
    assert codes(copy) == [("trial-key", "BMMSC.yaml")]


def test_limits_of_an_input_without_a_measure_are_a_problem(copy: Path) -> None:
    edit(
        copy / "trials/NCT02302599.yaml",
        'judge: {kind: quantity, input: creatinine, limits: {more_than: 175}, unit: "umol/L"}',
        'judge: {kind: quantity, input: occupation, limits: {more_than: 175}, unit: "umol/L"}',
    )
    assert codes(copy) == [("no-measure", "NCT02302599.yaml")]


def test_a_number_that_the_schema_lets_pass_and_the_type_does_not_is_said(copy: Path) -> None:
    edit(copy / "mappings/inputs/vitals-and-scores.yaml", "      adult_age: $adult\n", "      adult_age: 17.5\n")
    found = codes(copy)
    assert ("shape", "vitals-and-scores.yaml") in found


def test_own_trials_with_the_shipped_mappings_are_not_asked_to_use_every_row(tmp_path: Path) -> None:
    shutil.copy(shipped("trials") / "BMMSC.yaml", tmp_path)
    sources, catalog = read_catalog([tmp_path])
    assert catalog is not None
    assert check(sources, catalog) == []


def test_what_check_finds_beyond_names_and_shapes_does_not_stop_a_screening(copy: Path) -> None:
    edit(copy / "mappings/policy.yaml", "  adult: {", "  never.used: {value: 1, basis: ours, means: x}\n  adult: {")
    assert len(load_catalog([copy / "trials"], [copy / "mappings"]).trials) == 5


def test_an_unknown_name_stops_a_screening(copy: Path) -> None:
    edit(copy / "trials/BMMSC.yaml", "any: [{condition: [severe_lung]}]", "any: [{condition: [severe_long]}]")
    with pytest.raises(AdapterError, match="unknown-value-set"):
        load_catalog([copy / "trials"], [copy / "mappings"])
