"""What validation found, and the same as a FHIR OperationOutcome."""

from dataclasses import dataclass
from typing import Any

from adapter.errors import Issue, Severity
from adapter.fhir.versions import FhirVersion
from adapter.validate.invariants import IS_INVARIANT

ISSUE_SYSTEM = "https://fhir-trial-adapter.org/fhir/CodeSystem/issues"
"""The system of our own issue codes and, beside them, of HL7's invariant keys."""

ISSUE_TYPES = {
    "bad-format": "value",
    "byte-order-mark": "structure",
    "duplicate-name": "structure",
    "empty": "structure",
    "issues-left-out": "incomplete",
    "missing-element": "required",
    "no-such-day": "value",
    "not-a-character": "structure",
    "not-a-code": "code-invalid",
    "not-a-number": "structure",
    "not-accepted": "structure",
    "not-fhir": "structure",
    "not-json": "structure",
    "not-utf-8": "structure",
    "out-of-range": "value",
    "r4b-only": "informational",
    "reference-dangling": "not-found",
    "reference-target": "value",
    "response-bundle": "not-supported",
    "several-choices": "structure",
    "stray-null": "structure",
    "time-zone-missing": "value",
    "too-deep": "too-long",
    "too-large": "too-long",
    "too-many": "structure",
    "trailing-text": "structure",
    "truncated": "incomplete",
    "unknown-element": "structure",
    "unknown-resource-type": "not-supported",
    "version-assumed": "informational",
    "version-inferred": "informational",
    "wrong-type": "structure",
}
"""The FHIR issue type of each of our codes; only those that R4 and R5 both have."""

_BY_SEVERITY = {
    Severity.FATAL: "processing",
    Severity.ERROR: "processing",
    Severity.WARNING: "processing",
    Severity.INFORMATION: "informational",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one document."""

    issues: tuple[Issue, ...]
    version: FhirVersion
    """The version it was read as: the one asked for, or the one it looks like."""
    resource_count: int
    """Resources seen: the entries of Bundles, and resources that stand alone; contained ones belong to theirs."""

    @property
    def is_valid(self) -> bool:
        """Whether nothing is wrong with it; warnings and remarks do not count."""
        return not any(issue.severity in (Severity.FATAL, Severity.ERROR) for issue in self.issues)


def issue_type(issue: Issue) -> str:
    """Give the code of FHIR's issue-type value set for an issue."""
    if IS_INVARIANT.fullmatch(issue.code):
        return "invariant"
    return ISSUE_TYPES.get(issue.code) or _BY_SEVERITY[issue.severity]


def operation_outcome(report: Report) -> dict[str, Any]:
    """Give the report as an OperationOutcome, valid in R4 and R5 alike."""
    issues = [_outcome_issue(issue) for issue in report.issues]
    if not issues:
        issues = [{"severity": "information", "code": "informational", "details": {"text": "No problems found."}}]
    return {"resourceType": "OperationOutcome", "issue": issues}


def _outcome_issue(issue: Issue) -> dict[str, Any]:
    made: dict[str, Any] = {
        "severity": issue.severity.value,
        "code": issue_type(issue),
        "details": {"coding": [{"system": ISSUE_SYSTEM, "code": issue.code}], "text": issue.message},
    }
    if issue.line is not None:
        made["diagnostics"] = f"line {issue.line}"
    if issue.expression:
        made["expression"] = [issue.expression]
    return made
