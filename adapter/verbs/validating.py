"""The verb ``validate``: files to lines for people, or to an OperationOutcome per file for machines."""

import json
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from adapter.catalog.catalog import Catalog
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir.versions import FhirVersion
from adapter.inputs import find, read_bytes
from adapter.validate import Report, operation_outcome, validate, validate_lines
from adapter.validate.readiness import Reader, Readiness
from adapter.validate.remark import Ranking, Remark

_DONE, _FAILED, _SET_ASIDE = 0, 1, 3
_SHOWN = 25
"""How many remarks of one code people are shown; the machine's format has all."""
_VERSION_TOLD = ("version-inferred", "version-assumed")


@dataclass(slots=True)
class _Total:
    """What the run came to."""

    files: int = 0
    resources: int = 0
    set_aside: int = 0
    severities: Counter[Severity] = field(default_factory=Counter)
    versions: Counter[FhirVersion] = field(default_factory=Counter)

    @property
    def errors(self) -> int:
        return self.severities[Severity.ERROR] + self.severities[Severity.FATAL]


def run(paths: list[Path], form: str, fhir_version: str | None, catalog: Catalog) -> int:
    """Validate every file and say what stands in the way of screening; give the exit code.

    0: no error; 1: errors found, or nothing could be read; 3: no error, but files were set aside as unreadable.
    Raises AdapterError for a path that is not there.
    """
    version = FhirVersion(fhir_version) if fhir_version is not None else None
    reader = Reader(catalog.mappings, catalog.index, catalog.extractor)
    ranking, total = Ranking(), _Total()
    for path in find(paths):
        try:
            data = _read(path)
        except AdapterError as error:
            _set_aside(error, path, form, total)
            continue
        report, ready = _judge(path, data, version, reader)
        total.files += 1
        total.resources += report.resource_count
        total.versions[report.version] += 1
        total.severities.update(issue.severity for issue in report.issues)
        if form == "json":
            _write_outcome(report, ready, path)
        else:
            _write_lines(report, ready, path, ranking)
    if form != "json":
        _write_ranking(ranking.ranked())
    sys.stderr.write(_summary(total))
    if total.errors or not total.files:
        return _FAILED
    return _SET_ASIDE if total.set_aside else _DONE


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        said = f"the file cannot be read: {error.strerror}"
        raise AdapterError.of(Category.NOT_FOUND, "unreadable-file", said) from None


def _judge(path: Path, data: bytes, version: FhirVersion | None, reader: Reader) -> tuple[Report, list[Readiness]]:
    is_lines = ".ndjson" in path.name.lower()
    report = validate_lines(data, version) if is_lines else validate(data, version)
    if not report.resource_count and not report.is_valid:
        return report, []
    if is_lines:
        return report, reader.read_lines(data.splitlines(), report.issues)
    return report, [reader.read(data, report.issues)]


def _set_aside(error: AdapterError, path: Path, form: str, total: _Total) -> None:
    total.set_aside += 1
    issues = tuple(issue.located(file=path.as_posix()) for issue in error.issues)
    for issue in issues:
        sys.stderr.write(f"{issue}\n")
    if form == "json":
        _write_outcome(Report(issues, FhirVersion.R4, 0), [], path)


def _write_outcome(report: Report, ready: list[Readiness], path: Path) -> None:
    """Write one line of NDJSON."""
    remarks = [issue for each in ready for issue in (*each.issues, *(remark.issue() for remark in each.remarks))]
    whole = replace(report, issues=(*report.issues, *remarks))
    sys.stdout.write(json.dumps(operation_outcome(whole, file=path.as_posix()), ensure_ascii=False) + "\n")


def _write_lines(report: Report, ready: list[Readiness], path: Path, ranking: Ranking) -> None:
    """Write a line per issue; which version it was read as matters only where something is wrong."""
    name = path.as_posix()
    is_flagged = any(issue.severity is not Severity.INFORMATION for issue in report.issues)
    told = [issue for issue in report.issues if is_flagged or issue.code not in _VERSION_TOLD]
    told.extend(issue for each in ready for issue in each.issues)
    for issue in told:
        sys.stdout.write(f"{issue.located(file=name)}\n")
    for each in ready:
        ranking.add(each.remarks, name)


def _write_ranking(remarks: list[Remark]) -> None:
    """Write what stands in the way of screening, each once for the whole run, the most frequent first."""
    shown: Counter[str] = Counter()
    for remark in remarks:
        shown[remark.code] += 1
        if shown[remark.code] <= _SHOWN:
            sys.stdout.write(f"{remark.issue()}\n")
    for code, count in shown.items():
        if count > _SHOWN:
            said = f"{count - _SHOWN} more kinds of this remark are not listed; --format json lists all"
            sys.stdout.write(f"{Issue(Severity.INFORMATION, code, said)}\n")


def _summary(total: _Total) -> str:
    read_as = ", ".join(f"{total.versions[each]} as {each.value}" for each in FhirVersion if total.versions[each])
    said = [
        _many(total.files, "file") + (f" read ({read_as})" if read_as else " read"),
        _many(total.resources, "resource"),
        _many(total.errors, "error"),
        _many(total.severities[Severity.WARNING], "warning"),
    ]
    if total.set_aside:
        said.append(f"{total.set_aside} set aside as unreadable")
    return ", ".join(said) + "\n"


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
