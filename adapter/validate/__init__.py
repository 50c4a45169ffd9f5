"""Whether bytes are FHIR, told offline: JSON, structure, types, codes, references and HL7's invariants."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from adapter.errors import Issue, Severity
from adapter.fhir.definitions import Placed, check_placed, definitions, resources
from adapter.fhir.versions import FhirVersion
from adapter.fhir.wire import ANSWERS

# Importing the rule modules is what enters their rules in the table.
from adapter.validate import rules_bundle, rules_clinical, rules_types  # noqa: F401
from adapter.validate.invariants import check_invariants
from adapter.validate.report import Report, issue_type, operation_outcome
from adapter.validate.sniff import Sniffed, sniff
from adapter.validate.text import Read, read
from adapter.validate.typed import check_types

__all__ = ["CHECKS", "Check", "Report", "issue_type", "operation_outcome", "validate", "validate_lines"]

Check = Callable[[dict[str, Any], FhirVersion], Iterable[Issue]]
"""A further check on a document that was read: it must bear with any JSON object that has a resourceType."""

CHECKS: tuple[Check, ...] = ()
"""The further checks that run when the caller names none; add here what every validation should say."""

MAX_ISSUES = 1000
"""Where a report stops listing; a document this broken has one cause, and the first lines show it."""

_SNIFFED_LINES = 200


def validate(data: bytes, version: FhirVersion | None = None, *, checks: Sequence[Check] | None = None) -> Report:
    """Check one document; without ``version`` it is read as what it looks like, and an issue says which.

    >>> report = validate(b'{"resourceType": "Patient", "birthdate": "1950"}', FhirVersion.R4)
    >>> [str(issue) for issue in report.issues]
    ['Patient: error: an element FHIR R4 does not define on Patient; perhaps birthDate is meant [unknown-element]']
    """
    found = read(data)
    sniffed = sniff([found.value]) if version is None else None
    chosen = sniffed.version if sniffed is not None else version or FhirVersion.R4
    issues, count = _check(found, chosen, CHECKS if checks is None else checks)
    return _report(itertools.chain(_told(sniffed, found), issues), chosen, count)


def validate_lines(
    lines: bytes | Iterable[bytes], version: FhirVersion | None = None, *, checks: Sequence[Check] | None = None
) -> Report:
    """Check ``.ndjson``, one resource a line, given whole or as an open file; every issue names its line.

    The version is told by the first 200 lines, and holds for all.
    """
    numbered = enumerate(lines.splitlines() if isinstance(lines, bytes) else lines, 1)
    every = ((number, line) for number, line in numbered if line.strip())
    head = [(number, read(line.rstrip(b"\r\n"))) for number, line in itertools.islice(every, _SNIFFED_LINES)]
    rest = ((number, read(line.rstrip(b"\r\n"))) for number, line in every)
    sniffed = sniff([found.value for _, found in head]) if version is None else None
    chosen = sniffed.version if sniffed is not None else version or FhirVersion.R4
    wanted = CHECKS if checks is None else checks
    kept: list[Issue] = []
    total = 0
    for number, found in itertools.chain(head, rest):
        issues, count = _check(found, chosen, wanted)
        total += count
        kept.extend(issue.located(line=number) for issue in issues)
    told = [] if sniffed is None or total == 0 else [sniffed.issue]
    return _report([*told, *kept], chosen, total)


def _told(sniffed: Sniffed | None, found: Read) -> list[Issue]:
    """Say the version only of what is FHIR at all."""
    return [] if sniffed is None or not _is_resource(found.value) else [sniffed.issue]


def _is_resource(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)


def _check(found: Read, version: FhirVersion, checks: Sequence[Check]) -> tuple[Iterable[Issue], int]:
    """Give the issues of one JSON text and how many resources it holds."""
    tree = found.value
    if tree is None and found.issues:
        return found.issues, 0
    if not _is_resource(tree):
        said = "this is JSON, but no FHIR resource: it has no resourceType"
        return (*found.issues, Issue(Severity.ERROR, "not-fhir", said)), 0
    if tree["resourceType"] == "Bundle" and str(tree.get("type")) in ANSWERS:
        said = (
            "this Bundle is somebody's answer to a request; send the transaction, batch, collection, searchset, "
            "document, message or history that holds the resources"
        )
        return (*found.issues, Issue(Severity.ERROR, "response-bundle", said, "Bundle.type")), 0
    placed = list(resources(tree, definitions(version)))
    count = sum(not (each.is_contained or each.type == "Bundle") for each in placed)
    of_each = itertools.chain.from_iterable(_check_one(each, version) for each in placed)
    of_all = itertools.chain.from_iterable(check(tree, version) for check in checks)
    return itertools.chain(found.issues, of_each, of_all), count


def _check_one(placed: Placed, version: FhirVersion) -> Iterator[Issue]:
    """Check one resource step by step; a later step is silent where an earlier one has spoken."""
    said = list(check_placed(placed, version))
    yield from said
    yield from check_types(placed, version, said)
    yield from check_invariants(placed, definitions(version))


def _report(issues: Iterable[Issue], version: FhirVersion, count: int) -> Report:
    unique = list(dict.fromkeys(issues))
    kept = unique[:MAX_ISSUES]
    if len(unique) > len(kept):
        said = f"{len(unique) - len(kept)} more issues are not listed"
        kept.append(Issue(Severity.WARNING, "issues-left-out", said))
    return Report(tuple(kept), version, count)
