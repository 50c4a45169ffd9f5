"""What a trial says of a whole patient: ``tests/verdicts``, from bytes to the verdict and each criterion's truth.

A file names patients (``patients``) and reviewers' sheets (``sheets``: atoms ``affirmed`` and ``denied``).  A case
takes a patient by ``like``, adds records in the shorthand of ``cases.py``, drops some by code (``drop``), takes sheets
by ``reviewed`` without the atoms of ``unanswered``, and adds answers of its own (``affirmed``, ``denied``).  It says
the ``verdict`` per trial, the truth of ``criteria``, whether the patient is ``dead``, or which verdict is ``never``
given.
"""

import copy
import functools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cases import AS_OF, bundle_of, catalog

from adapter.eligibility.decide import Screening
from adapter.fhir.dates import parse_as_of
from adapter.screen import screen_bundle

VERDICTS = Path(__file__).parent / "verdicts"
ANSWERED_ON = "2026-10-20"
_SECTIONS = ("labs", "conditions", "drugs", "procedures", "allergies", "lists", "encounters", "answers", "resources")


def _cases() -> list[Any]:
    found = []
    for path in sorted(VERDICTS.glob("*.yaml")):
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
        for number, case in enumerate(table["cases"], 1):
            name = f"{path.stem}-{number}: {case['why']}"
            found.append(pytest.param(_written_out(case, table), id=name))
    return found


def _written_out(case: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """Give the case with the records of its patient and the answers of its reviewers."""
    whole = copy.deepcopy(table.get("patients", {}).get(case.get("like"), {}))
    for key in ("why", "as_of", "verdict", "criteria", "dead", "never"):
        if key in case:
            whole[key] = case[key]
    whole["patient"] = {**whole.get("patient", {}), **case.get("patient", {})}
    for section in _SECTIONS:
        dropped = case.get("drop", {}).get(section, ())
        kept = [each for each in whole.get(section, ()) if each.get("code") not in dropped]
        whole[section] = kept + list(case.get(section, ()))
    answered = [(table["sheets"][name], case.get("unanswered", ())) for name in case.get("reviewed", ())]
    for sheet, unanswered in [*answered, (case, ())]:
        for key, says in (("affirmed", True), ("denied", False)):
            for atom in sheet.get(key, ()):
                if atom not in unanswered:
                    whole["answers"].append({"atom": atom, "yes": says, "date": ANSWERED_ON})
    return whole


@functools.cache
def _screenings(bundle: str, as_of: str) -> dict[str, Screening]:
    answered = screen_bundle(bundle.encode(), catalog(), parse_as_of(as_of))
    (patient,) = answered.patients
    return {screening.trial.key: screening for screening in patient.screenings}


@pytest.mark.parametrize("case", _cases())
def test_the_trial_decides_as_the_table_says(case: dict[str, Any]) -> None:
    screenings = _screenings(json.dumps(bundle_of(case)), case.get("as_of", AS_OF))
    expected, seen = {}, {}
    for key, verdict in case.get("verdict", {}).items():
        expected[key], seen[key] = verdict, screenings[key].verdict.value
    for key, verdict in case.get("never", {}).items():
        assert screenings[key].verdict.value != verdict
    if "dead" in case:
        for key, screening in screenings.items():
            expected[f"{key} dead"], seen[f"{key} dead"] = case["dead"], screening.deceased
    for name, truth in case.get("criteria", {}).items():
        screening = screenings[name.rpartition("-")[0]]
        names = [each.id for each in screening.trial.criteria]
        expected[name], seen[name] = truth, screening.criteria[names.index(name)].word
    assert expected or "never" in case, "a case must expect something"
    assert seen == expected


def test_no_case_names_an_atom_or_a_code_that_is_not_there() -> None:
    atoms = {atom.id for trial in catalog().trials for each in trial.criteria for atom in each.atoms}
    for path in VERDICTS.glob("*.yaml"):
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
        for source in [*table.get("sheets", {}).values(), *table["cases"]]:
            named = {*source.get("affirmed", ()), *source.get("denied", ()), *source.get("unanswered", ())}
            assert named <= atoms, f"{path.stem}: {sorted(named - atoms)}"
        for case in table["cases"]:
            patient = table.get("patients", {}).get(case.get("like"), {})
            for section, codes in case.get("drop", {}).items():
                assert set(codes) <= {each.get("code") for each in patient.get(section, ())}, case["why"]
