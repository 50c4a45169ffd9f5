"""A trial that we do not ship, written by docs/trials.md and docs/mappings.md alone: checked, then screened."""

import json
from pathlib import Path
from typing import Any

import cases
import pytest

from adapter import cli
from adapter.catalog.catalog import Catalog
from adapter.catalog.load import load_catalog, shipped
from adapter.eligibility.decide import Verdict
from adapter.fhir.dates import parse_as_of
from adapter.screen import screen_bundle

HERE = Path(__file__).parent
TRIALS = [shipped("trials"), HERE / "sixth_trial.yaml"]
MAPPINGS = [shipped("mappings"), HERE / "sixth_mappings"]

FITTING: dict[str, Any] = {
    "patient": {"born": "1966-05-04", "sex": "female"},
    "conditions": [{"code": "icd10cm E11.22", "onset": "2019-03-01"}],
    "drugs": [{"code": "atc A10BA02", "since": "2026-01-10"}],
    "labs": [
        {"code": "loinc 98979-8", "value": "41 mL/min/{1.73_m2}", "date": "2026-10-12"},
        {"code": "loinc 4548-4", "value": "8.2 %", "date": "2026-10-12"},
    ],
    "lists": [{"of": "problem", "date": "2026-10-12"}],
}


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Catalog:
    made = load_catalog(TRIALS, MAPPINGS)
    monkeypatch.setattr(cases, "catalog", lambda: made)
    return made


def answers(**changed: object) -> dict[str, str]:
    found = cases.findings({**FITTING, **changed})
    said = {}
    for atom, finding in found.items():
        if atom.startswith("DKD01"):
            reason = finding.judgement.reason
            said[atom.removeprefix("DKD01-")] = finding.judgement.truth.word + (f" {reason.value}" if reason else "")
    return said


def test_check_accepts_it_beside_the_shipped_files(capsys: pytest.CaptureFixture[str]) -> None:
    places = [part for path in TRIALS for part in ("--trials", str(path))]
    places += [part for path in MAPPINGS for part in ("--mappings", str(path))]
    assert cli.main(["check", *places]) == cli.DONE
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out == "6 trials, 71 criteria, 188 atoms (105 A, 64 B, 19 C), 42 inputs, no problem\n"


@pytest.mark.usefixtures("catalog")
def test_a_fitting_patient_meets_what_a_record_can_answer() -> None:
    assert answers() == {
        "I1a": "met",
        "I1b": "met",
        "I1c": "met",
        "I2a": "met",
        "I2b": "unknown NOEVIDENCE",
        "I3a": "met",
        "I3b": "met",
        "I4a": "unknown HUMAN",
        "E1a": "not-met",
        "E2a": "not-met",
        "E2b": "unknown NOEVIDENCE",
        "E3a": "unknown HUMAN",
    }


def lab(code: str, value: str, date: str = "2026-10-12") -> dict[str, str]:
    return {"code": f"loinc {code}", "value": value, "date": date}


@pytest.mark.parametrize(
    ("changed", "atom", "said"),
    [
        ({"labs": [lab("98979-8", "61 mL/min/{1.73_m2}")]}, "I3a", "not-met"),
        ({"labs": [lab("62238-1", "60 'mL/min/1.73 m²'")]}, "I3a", "met"),
        ({"labs": [lab("48643-1", "41 mL/min/{1.73_m2}")]}, "I3a", "unknown NODATA"),
        ({"labs": [lab("98979-8", "41 mL/min")]}, "I3a", "unknown UNIT"),
        ({"labs": [lab("98979-8", "41 mL/min/{1.73_m2}", "2026-05-01")]}, "I3a", "unknown STALE"),
        ({"labs": [lab("98979-8", "410 mL/min/{1.73_m2}")]}, "I3a", "unknown IMPLAUSIBLE"),
        ({"labs": [lab("59261-8", "91 mmol/mol")]}, "I3b", "not-met"),
        ({"labs": [lab("59261-8", "90 mmol/mol")]}, "I3b", "met"),
        ({"conditions": [{"code": "icd10cm Q61.2"}]}, "E2a", "met"),
        ({"conditions": [{"code": "icd10cm Q61.9"}]}, "E2a", "unknown VERIFY"),
        ({"procedures": [{"code": "snomed 265764009", "date": "2026-10-01"}]}, "E2b", "met"),
        ({"procedures": [{"code": "snomed 265764009", "date": "2026-01-01"}]}, "E2b", "unknown NOEVIDENCE"),
        ({"drugs": [{"code": "atc A10BK03", "since": "2026-01-10"}]}, "I2b", "met"),
        ({"drugs": [{"code": "rxnorm 6809", "since": "2026-10-01"}]}, "I2a", "unknown NOEVIDENCE"),
        ({"patient": {"born": "1940-01-01"}}, "I1a", "not-met"),
        ({"conditions": [{"code": "icd10cm E11.22", "onset": "2026-03-01"}], "drugs": []}, "I1c", "not-met"),
    ],
    ids=lambda each: str(each)[:60],
)
@pytest.mark.usefixtures("catalog")
def test_its_own_input_value_sets_and_policy_decide(changed: dict[str, Any], atom: str, said: str) -> None:
    assert answers(**changed)[atom] == said


def test_a_verdict_comes_out_beside_those_of_the_shipped_trials(catalog: Catalog) -> None:
    data = json.dumps(cases.bundle_of(FITTING)).encode()
    (patient,) = screen_bundle(data, catalog, parse_as_of(cases.AS_OF)).patients
    verdicts = {each.trial.key: each.verdict for each in patient.screenings}
    assert len(verdicts) == 6
    assert verdicts["DKD01"] is Verdict.POTENTIAL_CANDIDATE
