"""A bundle as a dictionary, screened by the shipped trials and mappings."""

import json
from typing import Any

import msgspec
from cases import catalog

from adapter.eligibility.finding import Finding
from adapter.fhir.dates import parse_as_of
from adapter.screen import screen_bundle


class Answered(msgspec.Struct):
    """One patient's findings by atom and verdicts by trial."""

    findings: dict[str, Finding]
    verdicts: dict[str, str]
    criteria: dict[str, str]
    """Truth of each criterion's sentence."""


def screened(bundle: dict[str, Any], as_of: str) -> Answered:
    """Screen the one patient of a bundle."""
    (patient,) = screen_bundle(json.dumps(bundle).encode(), catalog(), parse_as_of(as_of)).patients
    found = Answered({}, {}, {})
    for screening in patient.screenings:
        found.findings.update({finding.atom: finding for finding in screening.findings})
        found.verdicts[screening.trial.key] = screening.verdict.value
        for criterion, truth in zip(screening.trial.criteria, screening.criteria, strict=True):
            found.criteria[criterion.id] = truth.word
    return found
