"""Nothing that is written to stderr or raised quotes what a patient's record holds."""

import json
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading.chart import AS_OF, a1c, answered, bundle, coded, insulin, patient, type_2

from adapter import cli
from adapter.errors import AdapterError

MARK = "Zq7canary"


def _marked(name: str, **more: object) -> dict[str, Any]:
    """Give a resource in which every value that is the patient's carries the mark."""
    makers = {
        "Patient": lambda: patient(
            f"{MARK}-id",
            birthDate=f"{MARK}-birth",
            name=[{"family": MARK}],
            identifier=[{"system": "urn:mrn", "value": MARK}],
        ),
        "Observation": lambda: a1c(f"{MARK}-id", 8.4, f"{MARK}-date", f"Patient/{MARK}-id", valueString=MARK),
        "Condition": lambda: type_2(MARK, code={"coding": [{"code": MARK, "display": MARK}], "text": MARK}),
        "MedicationRequest": lambda: insulin(MARK, medicationReference={"reference": f"Medication/{MARK}"}),
        "Encounter": lambda: {"resourceType": "Encounter", "id": MARK, "reasonCode": [coded(MARK, MARK)]},
    }
    return {**makers[name](), **more}


DOCUMENTS: dict[str, object] = {
    "wrong types": bundle(
        _marked("Patient", gender={MARK: MARK}, deceasedDateTime=MARK),
        _marked("Observation", status={MARK: MARK}, code=MARK, subject=MARK),
        _marked("Condition", clinicalStatus=MARK, onsetDateTime=[MARK], **{MARK: MARK}),
        _marked("MedicationRequest", doNotPerform=MARK, dosageInstruction={MARK: [MARK]}),
        _marked("Encounter", period=MARK, **{"class": MARK}),
    ),
    "strangers": bundle(_marked("Patient"), _marked("Condition"), _marked("Observation", subject={"reference": MARK})),
    "two versions": bundle(_marked("Patient"), _marked("Patient", birthDate="x"), _marked("Observation")),
    "no type": {MARK: MARK},
    "an unknown type": {"resourceType": MARK, MARK: MARK},
    "an unknown bundle type": {**bundle(_marked("Patient")), "type": MARK},
    "entries that are no list": {"resourceType": "Bundle", "type": "batch", "entry": {MARK: MARK}},
    "no patient": bundle(_marked("Observation")),
    "a list": [_marked("Patient")],
    "a text": MARK,
    "requests": {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"request": {"method": "DELETE", "url": f"Patient?identifier={MARK}"}},
            {"request": {"method": MARK, "url": {MARK: MARK}}, "fullUrl": [MARK]},
            {"resource": {"resourceType": MARK}},
            {"resource": MARK},
            {"resource": _marked("Patient")},
        ],
    },
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("cut", [None, -5])
def test_no_line_of_stderr_quotes_a_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, cut: int | None
) -> None:
    text = json.dumps(DOCUMENTS[name])[:cut]
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "b.ndjson").write_text(f"{text}\n{json.dumps(_marked('Patient'))}\n")
    cli.main(["screen", str(tmp_path), "--as-of", AS_OF, "--format", "findings", "--out", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert said.err
    assert MARK not in said.err + said.out


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_exception_quotes_a_value_nor_drags_one_along(name: str) -> None:
    said = ""
    try:
        found = answered(json.dumps(DOCUMENTS[name]).encode())
        said = "".join(map(str, found.issues))
    except AdapterError as error:
        said = "".join(traceback.format_exception(error))
    assert said
    assert MARK not in said


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(MARK) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([MARK, "code", "value"]), inner, max_size=2)
    ),
    max_leaves=6,
)
_NAMES = ["status", "code", "subject", "valueQuantity", "effectiveDateTime", "component", "meta", "id", "identifier"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=5))
def test_whatever_stands_in_an_observation_no_issue_quotes_it(more: dict[str, object]) -> None:
    found = answered(bundle(patient(), {**_marked("Observation"), **more}))
    assert not [issue for issue in found.issues if MARK in str(issue)]
