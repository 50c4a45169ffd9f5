"""What is written for a server without ResearchSubject is what HL7 defines, in R4 and in R5."""

import pytest
from conformance.packages import RELEASES, checker
from store.couriers import CANDIDATE, INELIGIBLE, POTENTIAL, result

from adapter.fhir.versions import FhirVersion
from adapter.store.instead import observation_of, task_of
from adapter.store.standing import groups


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("sample", [CANDIDATE, INELIGIBLE, POTENTIAL])
def test_an_observation_and_a_task_in_a_subjects_place_are_valid(release: str, sample: str) -> None:
    (group,) = groups(result(sample).resources)
    for make in (observation_of, task_of):
        made = make(group, FhirVersion(release))
        assert made is not None
        report = checker(release).check(made)
        assert report.errors == []
