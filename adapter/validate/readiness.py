"""Readiness for screening: what the mappings cannot use of a document, in the words of what would help.

It asks the very code that screens, so that it never promises what a screening does not keep. No value is repeated.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from adapter.eligibility.facts import Facts, Result, Sex, Source
from adapter.eligibility.reason import Reason
from adapter.errors import AdapterError, Issue, Severity
from adapter.fhir import resources as fhir
from adapter.fhir.record import OUR_TAG, Lookup, PatientRecord, sort_by_patient
from adapter.fhir.wire import Document, Entered, read
from adapter.inputs import is_bundle
from adapter.mapping.codes import CodeIndex
from adapter.mapping.extract import Extractor, Mappings
from adapter.mapping.observations import source_of
from adapter.validate.coverage import Coverage
from adapter.validate.remark import Remark, counted

_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\](?:\.resource)?")
_MOST_UNITS = 6
_VOID = "entered-in-error"
"""The status of what never was; there is nothing to mend."""
_Located = TypeVar("_Located", Issue, Remark)
_is_json = msgspec.json.Decoder(msgspec.Raw).decode

PROBLEMS = {
    Reason.UNIT: "unit-unusable",
    Reason.IMPLAUSIBLE: "value-implausible",
    Reason.COMPARATOR: "comparator-unusable",
    Reason.ABSENT_REASON: "value-absent",
    Reason.TEXT: "answer-in-words",
    Reason.CONFLICT: "answer-contradictory",
    Reason.FASTING: "fasting-not-shown",
}
"""Why a result cannot be used, to our issue code."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What stands in the way of screening one document."""

    issues: tuple[Issue, ...] = ()
    """About the document: whose data it is, what it leaves out."""
    remarks: tuple[Remark, ...] = ()
    """About codes, values, units and dates, counted and ranked."""


class Reader:
    """Reads documents as a screening does; made once for a catalog."""

    def __init__(self, mappings: Mappings, index: CodeIndex, extractor: Extractor) -> None:
        self._inputs = mappings.inputs
        self._coverage = Coverage(mappings, index)
        self._extractor = extractor

    def read(self, data: bytes, said: Collection[Issue] = ()) -> Readiness:
        """Read one document; what validation has ``said`` of it is not said again."""
        try:
            document = read(data)
        except AdapterError as error:
            return Readiness(_softened(error.issues, said))
        records = sort_by_patient(document)
        issues = _softened(document.issues, said)
        if not records:
            told = "no Patient is in the document, so that nobody can be screened by it; send the Patient with the data"
            issues = (*issues, Issue(Severity.INFORMATION, "no-patient", told))
        return Readiness(issues, tuple(counted(self._remarks(document, records))))

    def read_lines(self, lines: Iterable[bytes], said: Collection[Issue] = ()) -> list[Readiness]:
        """Read ``.ndjson``: Bundles are documents of their own, single resources make one together."""
        found: list[Readiness] = []
        loose: list[tuple[int, bytes]] = []
        for number, line in enumerate(lines, 1):
            if _reads(line) and is_bundle(line):
                here = [issue for issue in said if issue.line == number]
                one = self.read(line, here)
                issues = tuple(replace(issue, line=number) for issue in one.issues)
                found.append(Readiness(issues, tuple(replace(remark, line=number) for remark in one.remarks)))
            elif _reads(line):
                loose.append((number, line))
        if loose:
            entries = b",".join(b'{"resource":%b}' % line for _, line in loose)
            one = self.read(b'{"resourceType":"Bundle","type":"collection","entry":[%b]}' % entries)
            issues = tuple(_on_line(issue, loose) for issue in one.issues)
            found.append(Readiness(issues, tuple(_on_line(remark, loose) for remark in one.remarks)))
        return found

    def _remarks(self, document: Document, records: list[PatientRecord]) -> Iterator[Remark]:
        places = {source_of(entered).reference: entered.expression for entered in reversed(document.entries)}
        answered: set[str] = set()
        for record in records or [_anybody(document)]:
            facts = self._extractor.facts(record)
            if records:
                yield from _of_person(facts, record.patient.expression)
            yield from self._of_results(facts, places)
            yield from _of_dates(facts, places)
            answered.update(
                places.get(each.source.reference, "") for some in facts.attestations.values() for each in some
            )
        for entered in document.entries:
            if entered.method != "DELETE" and not _is_ours(entered.resource):
                yield from self._coverage.remarks(entered, answered)

    def _of_results(self, facts: Facts, places: dict[str, str]) -> Iterator[Remark]:
        every = list(itertools.chain.from_iterable(facts.results.values()))
        useful = {result.source for result in every if result.problem is None}
        for result in every:
            place = places.get(result.source.reference)
            # A panel has its values in its components, and none of its own is missed.
            is_panel = result.problem is Reason.ABSENT_REASON and result.source in useful
            # What is only shown to a reviewer has no unit to be read in.
            mapped = self._inputs[result.input]
            is_shown_only = not mapped.measures and mapped.answers is None
            if result.problem is not None and result.problem in PROBLEMS and not is_panel and not is_shown_only:
                yield Remark(PROBLEMS[result.problem], self._why(result, result.problem), place)
            if not result.usable_status and result.status != _VOID:
                said = f"{result.label}: {Reason.STATUS.meaning}; {Reason.STATUS.action}"
                yield Remark("status-unusable", said, place)
            if result.when is None:
                said = f"{result.label} without a date that can be read; send effectiveDateTime or effectivePeriod.end"
                yield Remark("undated", said, place)
            elif result.from_issued:
                said = f"{result.label} dated by issued alone; send effectiveDateTime, the time it is true of"
                yield Remark("dated-by-issued", said, place)

    def _why(self, result: Result, problem: Reason) -> str:
        if problem is Reason.TEXT:
            return f"{result.label}: answered in words, or by a code no mapping lists; code the answer, or map its code"
        said = f"{result.label}: {problem.meaning}; {problem.action}"
        mapped = self._inputs[result.input]
        measures = [each for each in mapped.measures if result.role in each.roles]
        units = list(dict.fromkeys(unit for measure in measures for unit in measure.ucum))
        # A qualitative input may refuse a number for more than its unit, so the units would mislead.
        if problem is not Reason.UNIT or not units or mapped.answers is not None:
            return said
        more = "" if len(units) <= _MOST_UNITS else f" and {len(units) - _MOST_UNITS} more"
        return f"{said}; it is read in {', '.join(units[:_MOST_UNITS])}{more}"


class _Head(msgspec.Struct):
    """Of a line only what names it."""

    type: str = msgspec.field(name="resourceType", default="")


def _on_line(said: _Located, lines: Sequence[tuple[int, bytes]]) -> _Located:
    """Say of a line what is said of the entry it was made."""
    found = _ENTRY.match(said.expression or "")
    if found is None:
        return replace(said, expression=None)
    number, line = lines[int(found[1])]
    rest = (said.expression or "")[found.end() :]
    try:
        name = msgspec.json.decode(line, type=_Head).type
    except msgspec.ValidationError:
        name = ""
    return replace(said, line=number, expression=f"{name}{rest}".lstrip(".") or None)


def _of_person(facts: Facts, place: str) -> Iterator[Remark]:
    person = facts.person
    if person.birth is None:
        said = "a Patient without a birthDate that can be read, whose age is unknown; send at least the year"
        yield Remark("birth-date-missing", said, place)
    if person.sex is Sex.UNKNOWN:
        yield Remark("sex-unclear", f"a Patient of unclear sex: {person.sex_note}; send gender, or correct it", place)


def _of_dates(facts: Facts, places: dict[str, str]) -> Iterator[Remark]:
    undated: dict[Source, str] = {}
    for condition in itertools.chain.from_iterable(facts.conditions.values()):
        if condition.onset is None and condition.asserted is None and condition.recorded is None:
            undated[condition.source] = "Condition without a date; send onset[x] or recordedDate"
    for drug in itertools.chain.from_iterable(facts.medications.values()):
        if not drug.dated:
            undated[drug.source] = "medication record without a date; send authoredOn, effective[x] or whenHandedOver"
    for procedure in itertools.chain.from_iterable(facts.procedures.values()):
        if procedure.when is None:
            undated[procedure.source] = "Procedure without a date; send performed[x] (R5: occurrence[x])"
    for source, said in undated.items():
        yield Remark("undated", f"mapped {said}", places.get(source.reference))


def _anybody(document: Document) -> PatientRecord:
    """Give all data of a document without a Patient as one record, to read values and dates that are nobody's here."""
    medications = Lookup()
    resources: dict[type[fhir.Tagged], list[Entered]] = defaultdict(list)
    for entered in document.entries:
        resources[type(entered.resource)].append(entered)
        if isinstance(entered.resource, fhir.Medication):
            medications.add(entered)
    return PatientRecord("", Entered(fhir.Patient(), None, ""), resources, medications, Lookup())


def _is_ours(resource: fhir.Tagged) -> bool:
    meta = resource.meta if isinstance(resource, fhir.Resource) else None
    return meta is not None and any(tag.system == OUR_TAG for tag in meta.tag)


def _softened(issues: Iterable[Issue], said: Collection[Issue]) -> tuple[Issue, ...]:
    """Give issues as information, without those whose code or place validation has spoken of."""
    codes = {issue.code for issue in said}
    places = [issue.expression for issue in said if issue.severity is Severity.ERROR and issue.expression]
    return tuple(
        replace(issue, severity=Severity.INFORMATION)
        for issue in issues
        if issue.code not in codes and not any(_touches(issue.expression or "", place) for place in places)
    )


def _touches(one: str, other: str) -> bool:
    return one == other or one.startswith((f"{other}.", f"{other}[")) or other.startswith((f"{one}.", f"{one}["))


def _reads(line: bytes) -> bool:
    """Whether a line is JSON; validation has told of one that is not, and the others are read without it."""
    try:
        _is_json(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
