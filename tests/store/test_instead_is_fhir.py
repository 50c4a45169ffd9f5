"""What stands in a subject's place is valid in R4 and R5, the same twice, and read back as data by nobody."""

import json
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as model_r5
from fhir.resources.R4B import get_fhir_model_class as model_r4b
from store.couriers import CANDIDATE, INELIGIBLE, POTENTIAL, result

from adapter.fhir.record import OUR_TAG
from adapter.fhir.versions import FhirVersion
from adapter.store.instead import observation_of, task_of
from adapter.store.standing import Group, groups

MAKES = pytest.mark.parametrize("make", [observation_of, task_of])


def group_of(sample: str, number: int = 1) -> Group:
    (group,) = groups(result(sample, number).resources)
    return group


@MAKES
@pytest.mark.parametrize("sample", [CANDIDATE, INELIGIBLE, POTENTIAL])
@pytest.mark.parametrize("version", list(FhirVersion))
def test_it_is_valid_in_both_versions(make: Any, sample: str, version: FhirVersion) -> None:  # noqa: ANN401
    made = make(group_of(sample), version)
    model = model_r4b if version is FhirVersion.R4 else model_r5
    model(made["resourceType"]).model_validate_json(json.dumps(made))
    assert made["meta"]["tag"][0]["system"] == OUR_TAG
    system = "http://terminology.hl7.org" if version is FhirVersion.R5 else "http://hl7.org/fhir"
    assert system in json.dumps(made.get("valueCodeableConcept") or made["businessStatus"])


@MAKES
def test_it_is_the_same_twice_and_keeps_its_id_from_one_evaluation_to_the_next(make: Any) -> None:  # noqa: ANN401
    first, again, next_ = (make(group_of(CANDIDATE, number), FhirVersion.R4) for number in (1, 1, 2))
    assert first == again
    assert first["id"] == next_["id"]
    assert first["identifier"] == next_["identifier"]


def test_it_keeps_its_id_where_nothing_could_be_evaluated() -> None:
    group = group_of(CANDIDATE)
    told = observation_of(group, FhirVersion.R4)
    untold = observation_of(Group(None, group.others), FhirVersion.R4)
    assert told is not None
    assert untold is not None
    assert told["id"] == untold["id"]
    assert untold["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    assert task_of(Group(None, group.others), FhirVersion.R4) is None
