"""What validation found, and the same as a FHIR OperationOutcome."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adapter.errors import Issue, Severity
from adapter.fhir.versions import FhirVersion
from adapter.validate.invariants import IS_INVARIANT

ISSUE_SYSTEM = "https://fhir-trial-adapter.org/fhir/CodeSystem/issues"
"""The system of our own issue codes and, beside them, of HL7's invariant keys."""

FILE_EXTENSION = "http://hl7.org/fhir/StructureDefinition/operationoutcome-file"
"""HL7's extension for the file an outcome is about."""

ISSUE_TYPES = {
    "answer-contradictory": "conflict",
    "answer-in-words": "value",
    "bad-format": "value",
    "birth-date-missing": "incomplete",
    "bundle-entry": "structure",
    "bundle-type": "value",
    "byte-order-mark": "structure",
    "code-refused": "value",
    "code-unmapped": "code-invalid",
    "code-without-system": "incomplete",
    "comparator-unusable": "value",
    "conditional-change": "not-supported",
    "dated-by-issued": "incomplete",
    "duplicate-name": "structure",
    "empty": "structure",
    "empty-folder": "not-found",
    "fasting-not-shown": "incomplete",
    "issues-left-out": "incomplete",
    "missing-element": "required",
    "nested-bundle": "not-supported",
    "no-patient": "incomplete",
    "no-subject": "incomplete",
    "no-such-day": "value",
    "not-a-character": "structure",
    "not-a-code": "code-invalid",
    "not-a-number": "structure",
    "not-accepted": "structure",
    "not-fhir": "structure",
    "not-found": "not-found",
    "not-gzip": "structure",
    "not-json": "structure",
    "not-patient-data": "not-supported",
    "not-understood": "not-supported",
    "not-utf-8": "structure",
    "out-of-range": "value",
    "partial-searchset": "incomplete",
    "patch": "not-supported",
    "patient-inactive": "informational",
    "patient-replaced": "informational",
    "r4b-only": "informational",
    "reference-dangling": "not-found",
    "reference-target": "value",
    "repeated-key": "structure",
    "response-bundle": "not-supported",
    "same-id": "conflict",
    "several-choices": "structure",
    "sex-unclear": "incomplete",
    "status-unusable": "value",
    "stranger": "incomplete",
    "stray-null": "structure",
    "system-unmapped": "code-invalid",
    "time-zone-missing": "value",
    "too-deep": "too-long",
    "too-large": "too-long",
    "too-many": "structure",
    "trailing-text": "structure",
    "truncated": "incomplete",
    "two-versions": "conflict",
    "uncoded": "incomplete",
    "undated": "incomplete",
    "unit-unusable": "value",
    "unknown-drug": "not-found",
    "unknown-element": "structure",
    "unknown-resource-type": "not-supported",
    "unreadable": "structure",
    "unreadable-file": "exception",
    "value-absent": "incomplete",
    "value-implausible": "value",
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


MAX_ISSUES = 1000
"""Where a report stops listing issues of one severity: a document this broken has one cause, and the first show it."""


def limited(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """Give each issue once, and no more than ``MAX_ISSUES`` of a severity; many warnings never hide an error."""
    kept: dict[Issue, None] = {}
    count = dict.fromkeys(Severity, 0)
    for issue in issues:
        if issue not in kept:
            count[issue.severity] += 1
            if count[issue.severity] <= MAX_ISSUES:
                kept[issue] = None
    said = "{} more of severity {} are not listed; mend the ones above first"
    left_out = [
        Issue(severity, "issues-left-out", said.format(each - MAX_ISSUES, severity.value))
        for severity, each in count.items()
        if each > MAX_ISSUES
    ]
    return (*kept, *left_out)


def issue_type(issue: Issue) -> str:
    """Give the code of FHIR's issue-type value set for an issue."""
    if IS_INVARIANT.fullmatch(issue.code):
        return "invariant"
    return ISSUE_TYPES.get(issue.code) or _BY_SEVERITY[issue.severity]


def operation_outcome(report: Report, file: str | None = None) -> dict[str, Any]:
    """Give the report as an OperationOutcome, valid in R4 and R5 alike; ``file`` names what it is about."""
    issues = [_outcome_issue(issue) for issue in report.issues]
    if not issues:
        issues = [{"severity": "information", "code": "informational", "details": {"text": "No problems found."}}]
    about = {} if file is None else {"extension": [{"url": FILE_EXTENSION, "valueString": file}]}
    return {"resourceType": "OperationOutcome", **about, "issue": issues}


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
