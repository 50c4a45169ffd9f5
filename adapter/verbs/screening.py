"""The verb ``screen``: files of patients in, findings, results or a table out; what cannot be read is set aside."""

import argparse
import datetime
import gc
import hashlib
import io
import itertools
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from adapter import __version__, inputs
from adapter.catalog.catalog import Catalog
from adapter.eligibility.trial import Trial
from adapter.eligibility.values import AsOf
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir.dates import parse_as_of
from adapter.fhir.subject import Publisher, ResultWriter
from adapter.fhir.versions import FhirVersion
from adapter.inputs import Named
from adapter.outputs import Folder, standard_output, tidy_when_terminated
from adapter.rendering.findings import FindingLines
from adapter.screen import PatientScreening, screen_bundle
from adapter.verbs.trials import chosen

DONE, SET_ASIDE = 0, 3
_MOST_ISSUES = 100
"""How many remarks on one document are written to stderr."""
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}", re.ASCII)


class Screened(msgspec.Struct, frozen=True):
    """One patient of one file."""

    file: str
    patient: PatientScreening


def run(options: argparse.Namespace, catalog: Catalog) -> int:
    """Screen every patient of the paths; raises AdapterError when nothing could be begun."""
    trials = chosen(catalog, options.trial)
    as_of = _as_of(options.as_of)
    files = inputs.find(options.paths)
    out = Folder.open(options.out) if options.out is not None else None
    gc.freeze()
    reader = _Reader(files, catalog, trials, as_of)
    with tidy_when_terminated():
        _write(options, out, reader, catalog, as_of)
    return SET_ASIDE if reader.set_aside else DONE


def _write(
    options: argparse.Namespace,
    out: Folder | None,
    reader: "_Reader",
    catalog: Catalog,
    as_of: AsOf,
) -> None:
    match options.format:
        case "findings":
            lines = FindingLines({"adapter": __version__, "mappings": catalog.mappings.version})
            _write_lines(out, "findings.ndjson", _finding_lines(reader.screened(), lines))
        case "bundle":
            _write_bundles(out, reader.screened(), _writer(options, catalog), as_of)
        case _:
            _write_table(out, reader.screened())


class _Reader:
    """Screens file by file, so that one that cannot be read costs no other."""

    def __init__(self, files: list[Path], catalog: Catalog, trials: tuple[Trial, ...], as_of: AsOf) -> None:
        self._files = files
        self._catalog = catalog
        self._trials = trials
        self._as_of = as_of
        self.set_aside = 0

    def screened(self) -> Iterator[Screened]:
        """Give every patient; what was noticed while reading goes to stderr."""
        for path in self._files:
            try:
                for document in inputs.documents(path):
                    for patient in self._answered(document):
                        yield Screened(document.file, patient)
            except AdapterError as error:
                self.set_aside += 1
                _report(issue.located(file=path.as_posix()) for issue in error.issues)

    def _answered(self, document: Named) -> tuple[PatientScreening, ...]:
        try:
            answered = screen_bundle(document.data, self._catalog, self._as_of, self._trials)
        except AdapterError as error:
            self.set_aside += 1
            _report((*document.issues, *map(document.placed, error.issues)))
        except Exception as error:  # noqa: BLE001 (a defect of ours costs no other patient the answer)
            self.set_aside += 1
            said = f"this could not be screened, through a defect of the adapter ({type(error).__name__})"
            _report([document.placed(Issue(Severity.ERROR, "defect", said))])
        else:
            _report((*document.issues, *map(document.placed, answered.issues)))
            return answered.patients
        return ()


def _report(issues: Iterable[Issue]) -> None:
    """Write one line each, so many of a document and no more."""
    left_out = 0
    for number, issue in enumerate(issues, 1):
        if number > _MOST_ISSUES:
            left_out += 1
        else:
            sys.stderr.write(f"{issue}\n")
    if left_out:
        sys.stderr.write(f"{left_out} more remarks on this document are not shown; trial-adapter validate counts all\n")


def _as_of(text: str | None) -> AsOf:
    if text is None:
        return AsOf.at(datetime.datetime.now(datetime.UTC).replace(microsecond=0))
    try:
        return parse_as_of(text)
    except ValueError as error:
        raise AdapterError.of(Category.NOT_FOUND, "as-of", f"--as-of: {error}") from None


def _write_lines(out: Folder | None, name: str, lines: Iterable[bytes]) -> None:
    if out is None:
        with standard_output() as stream:
            stream.buffer.writelines(lines)
    else:
        out.fill(name, lambda stream: stream.writelines(lines))


def _finding_lines(screened: Iterable[Screened], lines: FindingLines) -> Iterator[bytes]:
    for each in screened:
        for screening in each.patient.screenings:
            yield from lines.lines(each.patient.patient, screening)


def _writer(options: argparse.Namespace, catalog: Catalog) -> ResultWriter:
    secret = ""
    if options.secret_file is not None:
        try:
            secret = options.secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            said = "the file of --secret-file cannot be read"
            raise AdapterError.of(Category.NOT_FOUND, "secret-file", said) from None
    software = f"fhir-trial-adapter/{__version__} mappings/{catalog.mappings.version}"
    publisher = Publisher(software, options.base.rstrip("/"), secret, conditional=options.conditional)
    return ResultWriter(FhirVersion(options.fhir_version), publisher, catalog.requirements())


def _write_bundles(out: Folder | None, screened: Iterable[Screened], writer: ResultWriter, as_of: AsOf) -> None:
    made = (
        (
            each.patient.patient,
            writer.bundle(each.patient.patient, each.patient.facts.person.source, each.patient.screenings, as_of),
        )
        for each in screened
    )
    if out is None:
        with standard_output() as stream:
            stream.buffer.writelines(data + b"\n" for _, data in made)
        return
    taken: set[str] = set()
    for patient, data in made:
        name = _free_name(patient, taken)
        pretty = msgspec.json.format(data, indent=2)
        out.write(f"{name}.json", pretty + b"\n")


def _free_name(patient: str, taken: set[str]) -> str:
    """Give a file name of this run alone, also where case makes no difference."""
    stem = patient if _FILE_NAME.fullmatch(patient) else hashlib.sha256(patient.encode()).hexdigest()[:32]
    names = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
    name = next(each for each in names if each.casefold() not in taken)
    taken.add(name.casefold())
    return name


def _write_table(out: Folder | None, screened: Iterable[Screened]) -> None:
    from adapter.rendering.table import print_table  # noqa: PLC0415 (rich is needed for tables only)

    rows = [(each.file, each.patient.patient, screening) for each in screened for screening in each.patient.screenings]
    if out is None:
        with standard_output() as terminal:
            print_table(rows, terminal)
        return

    text = io.StringIO()
    print_table(rows, text)
    out.write("table.txt", text.getvalue().encode())
