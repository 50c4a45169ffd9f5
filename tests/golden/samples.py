"""The sample bundles, read and screened as ``make demo`` does."""

import re
from pathlib import Path

from cases import catalog

from adapter import inputs
from adapter.errors import Issue
from adapter.fhir.dates import parse_as_of
from adapter.inputs import Named
from adapter.screen import PatientScreening, screen_bundle

FOLDER = Path(__file__).parents[2] / "sample_bundles"
AS_OF = "2026-11-01T00:00:00Z"
_CLAIM = re.compile(r"(?P<trial>[A-Z0-9]+)-(?P<verdict>eligible|candidate|potential-candidate|ineligible)-")


def sample_files() -> list[Path]:
    return inputs.find([FOLDER])


def screened_documents(documents: list[Named]) -> tuple[list[PatientScreening], list[Issue]]:
    """Screen documents; an unreadable one raises, because no sample is to be set aside."""
    patients: list[PatientScreening] = []
    issues: list[Issue] = []
    for document in documents:
        answered = screen_bundle(document.data, catalog(), parse_as_of(AS_OF))
        patients.extend(answered.patients)
        issues.extend((*document.issues, *map(document.placed, answered.issues)))
    return patients, issues


def screened_sample(path: Path) -> tuple[list[PatientScreening], list[Issue]]:
    return screened_documents(list(inputs.documents(path)))


def claim(path: Path) -> tuple[str, str] | None:
    """Give the trial and the verdict a file's name claims, where it claims one."""
    found = _CLAIM.match(path.name)
    return (found["trial"], found["verdict"]) if found else None
