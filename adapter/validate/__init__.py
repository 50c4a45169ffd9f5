"""Whether bytes are FHIR, told offline: JSON, structure, types, codes, references and HL7's invariants."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from adapter.errors import Issue, Severity
from adapter.fhir.definitions import Placed, check_placed, definitions, resources
from adapter.fhir.versions import FhirVersion
from adapter.fhir.wire import ANSWERS

# Importing the rule modules is what enters their rules in the table.
from adapter.validate import rules_bundle, rules_clinical, rules_types  # noqa: F401
from adapter.validate.invariants import check_invariants
from adapter.validate.report import MAX_ISSUES, Report, issue_type, limited, operation_outcome
from adapter.validate.sniff import Sniffed, sniff
from adapter.validate.text import Read, read
from adapter.validate.typed import check_types

__all__ = ["MAX_ISSUES", "Report", "issue_type", "operation_outcome", "validate", "validate_lines"]

_SNIFFED_LINES = 200


def validate(data: bytes, version: FhirVersion | None = None) -> Report:
    """Check one document; without ``version`` it is read as what it looks like, and an issue says which.

    >>> report = validate(b'{"resourceType": "Patient", "birthdate": "1950"}', FhirVersion.R4)
    >>> [str(issue) for issue in report.issues]
    ['Patient: error: an element FHIR R4 does not define on Patient; perhaps birthDate is meant [unknown-element]']
    """
    found = read(data)
    sniffed = _sniff([found]) if version is None else None
    chosen = sniffed.version if sniffed is not None else version or FhirVersion.R4
    told = [] if sniffed is None or not _is_resource(found.value) else [sniffed.issue]
    seen = _Seen()
    issues = limited(itertools.chain(told, found.issues, _check(found, chosen, seen)))
    return Report(issues, chosen, seen.resources)


def validate_lines(lines: bytes | Iterable[bytes], version: FhirVersion | None = None) -> Report:
    """Check ``.ndjson``, one resource a line, given whole or as an open file; every issue names its line.

    The version is told by the first 200 lines, and holds for all.
    """
    numbered = enumerate(lines.splitlines() if isinstance(lines, bytes) else lines, 1)
    every = ((number, read(line.rstrip(b"\r\n"))) for number, line in numbered if line.strip())
    head = list(itertools.islice(every, _SNIFFED_LINES))
    sniffed = _sniff([found for _, found in head]) if version is None else None
    chosen = sniffed.version if sniffed is not None else version or FhirVersion.R4
    seen = _Seen()
    # What is said of a line's text is said of its line 1, which is the file's line of that number.
    issues = limited(
        replace(issue, line=number)
        for number, found in itertools.chain(head, every)
        for issue in itertools.chain(found.issues, _check(found, chosen, seen))
    )
    told = () if sniffed is None or not seen.resources else (sniffed.issue,)
    return Report((*told, *issues), chosen, seen.resources)


@dataclass(slots=True)
class _Seen:
    """What was met on the way: resources, without Bundles and contained ones."""

    resources: int = 0


def _sniff(some: Sequence[Read]) -> Sniffed:
    """Tell the version by its signs; where there are none, R5 is chosen only when it fits better."""
    sniffed = sniff([found.value for found in some])
    if sniffed.is_sure:
        return sniffed
    as_r4, as_r5 = (
        sum(issue.severity is Severity.ERROR for found in some for issue in _check(found, version, _Seen()))
        for version in (FhirVersion.R4, FhirVersion.R5)
    )
    if as_r4 <= as_r5:
        return sniffed
    said = "read as FHIR R5, as which it has fewer errors; nothing else here tells R4 from R5"
    return Sniffed(FhirVersion.R5, Issue(Severity.INFORMATION, "version-inferred", said))


def _is_resource(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)


def _check(found: Read, version: FhirVersion, seen: _Seen) -> Iterator[Issue]:
    """Give the issues of one JSON text that was read."""
    tree = found.value
    if tree is None and found.issues:
        return
    if not _is_resource(tree):
        said = (
            "this is JSON, but no FHIR resource: it has no resourceType; send a Bundle, or a resource about a patient"
        )
        yield Issue(Severity.ERROR, "not-fhir", said)
    elif tree["resourceType"] == "Bundle" and str(tree.get("type")) in ANSWERS:
        said = (
            "this Bundle is somebody's answer to a request; send the transaction, batch, collection, searchset, "
            "document, message or history that holds the resources"
        )
        yield Issue(Severity.ERROR, "response-bundle", said, "Bundle.type")
    else:
        for placed in resources(tree, definitions(version)):
            seen.resources += not (placed.is_contained or placed.type == "Bundle")
            yield from _check_one(placed, version)


def _check_one(placed: Placed, version: FhirVersion) -> Iterator[Issue]:
    """Check one resource step by step; a later step is silent where an earlier one has spoken."""
    said = list(check_placed(placed, version))
    yield from said
    yield from check_types(placed, version, said)
    yield from check_invariants(placed, definitions(version))
