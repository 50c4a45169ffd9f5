"""The verb ``screen``: files of patients in, findings, results or a table out; what cannot be read is set aside."""

import argparse
import datetime
import gc
import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from adapter import __version__, inputs
from adapter.catalog.catalog import Catalog
from adapter.eligibility.trial import Trial
from adapter.eligibility.values import AsOf
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir.dates import parse_as_of
from adapter.fhir.subject import Publisher, ResultWriter
from adapter.fhir.versions import FhirVersion
from adapter.rendering.findings import FindingLines
from adapter.screen import PatientScreening, screen_bundle

DONE, SET_ASIDE = 0, 3
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}", re.ASCII)


class Screened(msgspec.Struct, frozen=True):
    """One patient of one file."""

    file: str
    patient: PatientScreening


def run(options: argparse.Namespace, catalog: Catalog) -> int:
    """Screen every patient of the paths; raises AdapterError when nothing could be begun."""
    trials = _chosen(catalog, options.trial)
    as_of = _as_of(options.as_of)
    files = inputs.find(options.paths)
    out = _folder(options.out) if options.out is not None else None
    gc.freeze()
    reader = _Reader(files, catalog, trials, as_of)
    match options.format:
        case "findings":
            lines = FindingLines({"adapter": __version__, "mappings": catalog.mappings.version})
            _write_lines(out, "findings.ndjson", _finding_lines(reader.screened(), lines))
        case "bundle":
            _write_bundles(out, reader.screened(), _writer(options, catalog, trials), as_of)
        case _:
            _write_table(out, reader.screened())
    return SET_ASIDE if reader.set_aside else DONE


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
            documents = inputs.documents(path)
            while True:
                try:
                    document = next(documents, None)
                    if document is None:
                        break
                    answered = screen_bundle(document.data, self._catalog, self._as_of, self._trials)
                except AdapterError as error:
                    self.set_aside += 1
                    line = document.line if document is not None else None
                    _report(issue.located(file=path.as_posix(), line=line) for issue in error.issues)
                    if document is None:
                        break
                    continue
                _report((*document.issues, *map(document.placed, answered.issues)))
                self.set_aside += len(document.issues)
                for patient in answered.patients:
                    yield Screened(document.file, patient)


def _report(issues: Iterable[Issue]) -> None:
    for issue in issues:
        sys.stderr.write(f"{issue}\n")


def _chosen(catalog: Catalog, keys: list[str]) -> tuple[Trial, ...]:
    try:
        return catalog.only(tuple(keys))
    except KeyError as missing:
        known = ", ".join(trial.key for trial in catalog.trials)
        said = f"no trial has the key {missing.args[0]}; there are {known}"
        raise AdapterError.of(Category.NOT_FOUND, "unknown-trial", said) from None


def _as_of(text: str | None) -> AsOf:
    if text is None:
        return AsOf.at(datetime.datetime.now(datetime.UTC).replace(microsecond=0))
    try:
        return parse_as_of(text)
    except ValueError as error:
        raise AdapterError.of(Category.NOT_FOUND, "as-of", f"--as-of: {error}") from None


def _folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".part"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder


def _unwritable(path: Path, error: OSError) -> AdapterError:
    issue = Issue(Severity.ERROR, "unwritable", f"cannot be written: {error.strerror}", file=path.as_posix())
    return AdapterError(Category.UNAVAILABLE, [issue])


def _whole(path: Path, fill: Callable[[IO[bytes]], None]) -> None:
    """Write a file whole or not at all: under another name first, renamed when it is complete."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            fill(stream)
        part.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        with suppress(OSError):
            part.unlink()


def _write_lines(out: Path | None, name: str, lines: Iterable[bytes]) -> None:
    if out is None:
        stream = sys.stdout.buffer
        for line in lines:
            stream.write(line)
        stream.flush()
    else:
        _whole(out / name, lambda stream: stream.writelines(lines))


def _finding_lines(screened: Iterable[Screened], lines: FindingLines) -> Iterator[bytes]:
    for each in screened:
        for screening in each.patient.screenings:
            yield from lines.lines(each.patient.patient, screening)


def _writer(options: argparse.Namespace, catalog: Catalog, trials: tuple[Trial, ...]) -> ResultWriter:
    secret = ""
    if options.secret_file is not None:
        try:
            secret = options.secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            said = "the file of --secret-file cannot be read"
            raise AdapterError.of(Category.NOT_FOUND, "secret-file", said) from None
    software = f"fhir-trial-adapter/{__version__} mappings/{catalog.mappings.version}"
    publisher = Publisher(software, options.base.rstrip("/"), secret, conditional=options.conditional)
    return ResultWriter(FhirVersion(options.fhir_version), publisher, catalog.requirements(), trials)


def _write_bundles(out: Path | None, screened: Iterable[Screened], writer: ResultWriter, as_of: AsOf) -> None:
    taken: dict[str, int] = {}
    for each in screened:
        patient = each.patient
        data = writer.bundle(patient.patient, patient.facts.person.source, patient.screenings, as_of)
        if out is None:
            sys.stdout.buffer.write(data + b"\n")
            continue
        stem = patient.patient
        if not _FILE_NAME.fullmatch(stem):
            stem = hashlib.sha256(stem.encode()).hexdigest()[:32]
        taken[stem] = taken.get(stem, 0) + 1
        name = stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"
        pretty = msgspec.json.format(data, indent=2)
        _whole(out / f"{name}.json", lambda stream, pretty=pretty: stream.write(pretty + b"\n"))  # type: ignore[misc]  # bound per turn
    sys.stdout.buffer.flush()


def _write_table(out: Path | None, screened: Iterable[Screened]) -> None:
    from adapter.rendering.table import print_table  # noqa: PLC0415 (rich is needed for tables only)

    rows = [(each.file, each.patient.patient, screening) for each in screened for screening in each.patient.screenings]
    if out is None:
        print_table(rows, sys.stdout)
        return

    def fill(stream: IO[bytes]) -> None:
        import io  # noqa: PLC0415 (the same)

        with io.TextIOWrapper(stream, encoding="utf-8", write_through=True) as text:
            print_table(rows, text)
            text.detach()

    _whole(out / "table.txt", fill)
