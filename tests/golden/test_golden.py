"""What screening says of every sample, held by files that a person can read.

``pytest tests/golden --rewrite-goldens`` writes them anew; read the difference before committing it.
"""

import json
from pathlib import Path

import pytest
from cases import catalog
from golden.samples import AS_OF, claim, sample_files, screened_sample

from adapter.eligibility.decide import Screening
from adapter.fhir.dates import parse_as_of
from adapter.fhir.subject import Publisher, ResultWriter
from adapter.fhir.versions import FhirVersion

HERE = Path(__file__).parent
WHOLE = [path for path in sample_files() if path.stem.startswith(("BMMSC-ineligible", "NCT01157403-eligible"))]
WHOLE += [path for path in sample_files() if "contradiction" in path.name]
"""Samples whose results are kept whole, in both FHIR versions: excluded, attested, contradicted."""


def _name(path: Path) -> str:
    return path.name.split(".")[0]


def _text(path: Path) -> str:
    """Write what was noticed, the verdicts and the findings, one a line."""
    patients, issues = screened_sample(path)
    lines = [f"{issue.severity.value} {issue.code} {issue.expression or ''}".rstrip() for issue in issues]
    for patient in patients:
        lines.append(f"patient {patient.patient}")
        for screening in patient.screenings:
            lines.extend(_lines(screening))
    return "\n".join(lines) + "\n"


def _lines(screening: Screening) -> list[str]:
    why = " DECEASED" if screening.deceased else ""
    why += " CONTRADICTION" if screening.contradictions else ""
    lines = [f"  {screening.trial.key} {screening.verdict.value}{why}"]
    for finding in screening.findings:
        reason = finding.judgement.reason
        lines.append(f"    {finding.atom} {finding.truth.word}{' ' + reason.value if reason else ''}")
    return lines


def _results(path: Path, version: FhirVersion) -> str:
    """Write the result Bundle of the own trial, by a software without versions, so that no mapping edit shows."""
    (patient,), _ = screened_sample(path)
    own = claim(path)
    screenings = [each for each in patient.screenings if own and each.trial.key == own[0]]
    writer = ResultWriter(version, Publisher("fhir-trial-adapter/golden"), catalog().requirements())
    data = writer.bundle(patient.patient, patient.facts.person.source, screenings, parse_as_of(AS_OF))
    return json.dumps(json.loads(data), indent=1, ensure_ascii=False) + "\n"


def _compare(golden: Path, now: str, *, rewrite: bool) -> None:
    if rewrite:
        golden.write_text(now, encoding="utf-8")
        return
    assert golden.is_file(), "no golden file: run pytest tests/golden --rewrite-goldens"
    assert now.splitlines() == golden.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", sample_files(), ids=_name)
def test_every_atom_and_verdict_of_a_sample_is_as_before(path: Path, request: pytest.FixtureRequest) -> None:
    _compare(HERE / f"{_name(path)}.txt", _text(path), rewrite=request.config.getoption("--rewrite-goldens"))


@pytest.mark.parametrize("version", list(FhirVersion), ids=lambda version: version.value)
@pytest.mark.parametrize("path", WHOLE, ids=_name)
def test_the_resources_written_for_a_sample_are_as_before(
    path: Path, version: FhirVersion, request: pytest.FixtureRequest
) -> None:
    golden = HERE / f"{_name(path)}.{version.value}.json"
    _compare(golden, _results(path, version), rewrite=request.config.getoption("--rewrite-goldens"))


def test_no_golden_file_is_left_of_a_sample_that_is_gone(request: pytest.FixtureRequest) -> None:
    expected = {f"{_name(path)}.txt" for path in sample_files()}
    expected |= {f"{_name(path)}.{version.value}.json" for path in WHOLE for version in FhirVersion}
    found = {path.name for path in HERE.iterdir() if path.suffix in (".txt", ".json")}
    if request.config.getoption("--rewrite-goldens"):
        for name in found - expected:
            (HERE / name).unlink()
        return
    assert found == expected
