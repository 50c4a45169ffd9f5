"""The sample bundles keep what their names and their README promise."""

import gzip
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cases import catalog
from fhir.resources import get_fhir_model_class as r5_model
from fhir.resources.R4B import get_fhir_model_class as r4_model
from golden.samples import AS_OF, FOLDER, claim, sample_files, screened_documents, screened_sample

from adapter.eligibility.truth import Truth
from adapter.inputs import Named, documents
from adapter.rendering.findings import FindingLines
from adapter.screen import PatientScreening

SHORT = {"potential": "potential-candidate"}
"""Words of the README's table."""

BROKEN = {
    "careless-malformed-entries-in-a-good-bundle.json": "shows that one bad entry costs no other",
}
"""Samples that are no valid FHIR, on purpose."""

CANDIDATES = [path for path in sample_files() if (claim(path) or ("", ""))[1] == "candidate"]

CANNOT_MATTER = {
    "CFMSC-E2d": "without an ulcer an infection of the foot does not exclude",
    "NCT06751199-I4iii-c": "type 1 diabetes with a severe hypoglycaemia has met I4 already",
}
"""Computable atoms that a candidate may leave open."""

ORDERED = {
    "shape-history-a-corrected-and-a-deleted-result.json": "a history stands newest first: its order is its meaning",
}
"""Samples whose entries may not change places."""


def _by_name(path: Path) -> str:
    return path.name


def _verdicts(patient: PatientScreening) -> dict[str, str]:
    return {screening.trial.key: screening.verdict.value for screening in patient.screenings}


@pytest.mark.parametrize("verdict", ["candidate", "ineligible", "potential-candidate"])
@pytest.mark.parametrize("trial", [trial.key for trial in catalog().trials])
def test_each_trial_has_a_sample_of_each_verdict(trial: str, verdict: str) -> None:
    assert [path.name for path in sample_files() if claim(path) == (trial, verdict)]


def test_some_sample_is_eligible() -> None:
    claims = [found for path in sample_files() if (found := claim(path))]
    assert "eligible" in {verdict for _, verdict in claims}


@pytest.mark.parametrize("path", [path for path in sample_files() if claim(path)], ids=_by_name)
def test_screening_says_what_the_file_name_claims(path: Path) -> None:
    (patient,), _ = screened_sample(path)
    trial, verdict = claim(path) or ("", "")
    assert _verdicts(patient)[trial] == verdict


@pytest.mark.parametrize("path", CANDIDATES, ids=_by_name)
def test_a_candidate_has_every_computable_atom_decided_that_can_matter(path: Path) -> None:
    (patient,), _ = screened_sample(path)
    trial, _ = claim(path) or ("", "")
    (screening,) = [each for each in patient.screenings if each.trial.key == trial]
    atoms = [atom for criterion in screening.trial.criteria for atom in criterion.atoms if atom.grade == "A"]
    open_ones = {atom.id for atom in atoms if screening.by_atom[atom.id].truth is Truth.UNKNOWN}
    assert open_ones == {atom for atom in CANNOT_MATTER if atom.startswith(f"{trial}-")}


def _rows() -> list[tuple[str, str, list[str]]]:
    """Read the README's table: file, patient, expected verdicts in the order of its columns."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            rows.append((cells[0].strip("`"), cells[1].strip("`"), [SHORT.get(cell, cell) for cell in cells[3:]]))
    return rows


def test_the_readme_lists_every_sample_with_the_verdicts_screening_gives() -> None:
    said: dict[tuple[str, str], list[list[str]]] = {}
    for file, patient, verdicts in _rows():
        said.setdefault((file, patient), []).append(verdicts)
    found: dict[tuple[str, str], list[list[str]]] = {}
    for path in sample_files():
        for patient in screened_sample(path)[0]:
            found.setdefault((path.name, patient.patient), []).append(list(_verdicts(patient).values()))
    assert said == found


def test_the_columns_of_the_readme_are_the_trials() -> None:
    header = next(
        line for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines() if "| Patient" in line
    )
    assert re.findall(r"\| ([A-Z0-9]+) (?=\|)", header.replace("|", "| |")) == [trial.key for trial in catalog().trials]


def _run(seed: str, *more: str) -> bytes:
    command = [sys.executable, "-m", "adapter", "screen", str(FOLDER), "--as-of", AS_OF, *more]
    done = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
    return done.stdout


@pytest.mark.parametrize(
    "how",
    [("--format", "findings"), ("--format", "bundle"), ("--format", "bundle", "--fhir-version", "R5"), ()],
    ids=["findings", "R4", "R5", "table"],
)
def test_two_runs_over_all_samples_give_the_same_bytes_and_set_nothing_aside(how: tuple[str, ...]) -> None:
    """Another hash seed would show an order that hangs on chance; a sample set aside would be exit code 3."""
    assert _run("1", *how) == _run("2", *how)


def _shuffled(path: Path, chance: random.Random) -> list[Named]:
    found = []
    for document in documents(path):
        data = document.data.removeprefix(b"\xef\xbb\xbf")
        bundle = json.loads(data)
        chance.shuffle(bundle["entry"])
        found.append(Named(document.file, json.dumps(bundle).encode()))
    return found


def _said(patients: list[PatientScreening]) -> list[dict[str, Any]]:
    """Give the finding lines with their evidence sorted, patients in any order."""
    lines = FindingLines({})
    found = []
    for patient in patients:
        for screening in patient.screenings:
            for line in lines.lines(patient.patient, screening):
                said = json.loads(line)
                said.get("evidence", []).sort(key=json.dumps)
                found.append(said)
    return sorted(found, key=lambda said: (said["patient"], json.dumps(said)))


@pytest.mark.parametrize("path", [path for path in sample_files() if path.name not in ORDERED], ids=_by_name)
def test_the_order_of_entries_changes_nothing_but_the_order_of_evidence(path: Path) -> None:
    as_sent, _ = screened_sample(path)
    for seed in range(3):
        shuffled, _ = screened_documents(_shuffled(path, random.Random(seed)))  # noqa: S311 (no secret)
        assert _said(shuffled) == _said(as_sent)


def _resources(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    text = data.decode("utf-8-sig")
    return [json.loads(line) for line in text.splitlines()] if ".ndjson" in path.name else [json.loads(text)]


@pytest.mark.parametrize("path", [path for path in sample_files() if path.name not in BROKEN], ids=_by_name)
def test_a_sample_is_valid_fhir(path: Path) -> None:
    model = r5_model if "r5" in path.name else r4_model
    for resource in _resources(path):
        model(resource["resourceType"]).model_validate(resource)


@pytest.mark.parametrize("name", BROKEN)
def test_a_sample_listed_as_broken_is(name: str) -> None:
    (bundle,) = _resources(FOLDER / name)
    with pytest.raises((ValueError, LookupError)):
        r4_model("Bundle").model_validate(bundle)


@pytest.mark.parametrize("path", sample_files(), ids=_by_name)
def test_a_sample_is_small_enough_to_read(path: Path) -> None:
    assert path.stat().st_size < 60_000


@pytest.mark.parametrize("path", sample_files(), ids=_by_name)
def test_every_patient_is_marked_as_test_data(path: Path) -> None:
    """Nobody may take a sample for a person."""
    tags = []
    for resource in _resources(path):
        inside = [each["resource"] for each in resource.get("entry", ()) if isinstance(each.get("resource"), dict)]
        patients = [each for each in (resource, *inside) if each["resourceType"] == "Patient"]
        tags.extend({tag["code"] for tag in each["meta"]["tag"]} for each in patients)
    assert tags
    assert all("HTEST" in codes for codes in tags)
