"""What is written of each patient: one sink for each format, the same for a small run and for a part of a large one."""

import csv
import io
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any, ClassVar, Protocol

from adapter.eligibility.decide import Screening, favour
from adapter.eligibility.truth import Truth
from adapter.errors import AdapterError, Category
from adapter.population.screened import Screener
from adapter.rendering.findings import FindingLines
from adapter.screen import PatientScreening

if TYPE_CHECKING:
    import pyarrow.parquet


class Sink(Protocol):
    """Writes one format."""

    file: ClassVar[str]
    """Under what name; of a folder that holds a file for each part, the folder."""
    is_folder: ClassVar[bool]
    appears: ClassVar[bool]
    """Whether it is a result; what is not is only what results are made of."""
    head: ClassVar[bytes]
    """What stands before everything else, once."""

    def __init__(self, screener: Screener) -> None: ...

    def write(self, patient: PatientScreening, stream: IO[bytes]) -> None:
        """Write one patient."""

    def end(self, stream: IO[bytes]) -> None:
        """Write what was held back."""


class FindingSink:
    """NDJSON: a line for each patient, trial and atom, and one for each patient and trial."""

    file: ClassVar[str] = "findings.ndjson"
    is_folder: ClassVar[bool] = False
    appears: ClassVar[bool] = True
    head: ClassVar[bytes] = b""

    def __init__(self, screener: Screener) -> None:
        self._lines = FindingLines(screener.versions())

    def write(self, patient: PatientScreening, stream: IO[bytes]) -> None:
        """Write one patient."""
        for screening in patient.screenings:
            stream.writelines(self._lines.lines(patient.patient, screening))

    def end(self, stream: IO[bytes]) -> None:
        """Nothing was held back."""


class BundleSink:
    """NDJSON: one transaction Bundle of ResearchSubjects for each patient."""

    file: ClassVar[str] = "bundles.ndjson"
    is_folder: ClassVar[bool] = False
    appears: ClassVar[bool] = True
    head: ClassVar[bytes] = b""

    def __init__(self, screener: Screener) -> None:
        self._writer = screener.result_writer()
        self._as_of = screener.as_of

    def bundle(self, patient: PatientScreening) -> bytes:
        """Give one patient's Bundle."""
        return self._writer.bundle(patient.patient, patient.facts.person.source, patient.screenings, self._as_of)

    def write(self, patient: PatientScreening, stream: IO[bytes]) -> None:
        """Write one patient."""
        stream.write(self.bundle(patient) + b"\n")

    def end(self, stream: IO[bytes]) -> None:
        """Nothing was held back."""


class VerdictSink:
    """CSV: a row for each patient and trial, with how many criteria speak for, against, and are open."""

    file: ClassVar[str] = "verdicts.csv"
    is_folder: ClassVar[bool] = False
    appears: ClassVar[bool] = True
    head: ClassVar[bytes] = b"patient,trial,verdict,reason,in_favour,against,open\r\n"

    def __init__(self, _: Screener) -> None:
        self._text = io.StringIO(newline="")
        self._rows = csv.writer(self._text)

    def write(self, patient: PatientScreening, stream: IO[bytes]) -> None:
        """Write one patient."""
        for each in patient.screenings:
            reason = "DECEASED" if each.deceased else ""
            self._rows.writerow((patient.patient, each.trial.key, each.verdict.value, reason, *counts(each)))
        stream.write(self._text.getvalue().encode())
        self._text.seek(0)
        self._text.truncate()

    def end(self, stream: IO[bytes]) -> None:
        """Nothing was held back."""


def counts(screening: Screening) -> tuple[int, int, int]:
    """Count the criteria that speak for the patient, against, and neither yet."""
    favours = [favour(*each) for each in zip(screening.trial.criteria, screening.criteria, strict=True)]
    return favours.count(Truth.MET), favours.count(Truth.NOT_MET), favours.count(Truth.UNKNOWN)


_ROWS = 100_000
"""How many rows are held before they are written."""


class _ParquetSink:
    """A file of columns for each part."""

    file: ClassVar[str]
    is_folder: ClassVar[bool] = True
    appears: ClassVar[bool] = True
    head: ClassVar[bytes] = b""

    def __init__(self, _: Screener) -> None:
        self._arrow, self._parquet = _pyarrow()
        self._schema = self._columns()
        self._held: dict[str, list[Any]] = {name: [] for name in self._schema.names}
        self._count = 0
        self._open: pyarrow.parquet.ParquetWriter | None = None

    def _columns(self) -> Any:  # noqa: ANN401 (pyarrow has no types)
        raise NotImplementedError

    def _rows(self, patient: PatientScreening) -> Iterable[tuple[Any, ...]]:
        raise NotImplementedError

    def write(self, patient: PatientScreening, stream: IO[bytes]) -> None:
        """Write one patient."""
        columns = list(self._held.values())
        for row in self._rows(patient):
            for column, value in zip(columns, row, strict=True):
                column.append(value)
            self._count += 1
        if self._count >= _ROWS:
            self._flush(stream)

    def end(self, stream: IO[bytes]) -> None:
        """Write the rows that were held back, and the end of the file."""
        self._flush(stream)
        if self._open is not None:
            self._open.close()
        self._open = None

    def _flush(self, stream: IO[bytes]) -> None:
        if self._open is None:
            self._open = self._parquet.ParquetWriter(stream, self._schema, compression="zstd")
        self._open.write_table(self._arrow.table(self._held, schema=self._schema))
        for column in self._held.values():
            column.clear()
        self._count = 0


class FindingColumns(_ParquetSink):
    """Parquet: a row for each patient, trial and atom."""

    file: ClassVar[str] = "findings.parquet"

    def _columns(self) -> Any:  # noqa: ANN401 (the same)
        arrow = self._arrow
        word = arrow.dictionary(arrow.int32(), arrow.string())
        names = ("reference", "sent", "on", "compared", "conversion", "note")
        evidence = arrow.list_(arrow.struct([(name, arrow.string()) for name in names]))
        return arrow.schema(
            [
                ("patient", arrow.string()),
                ("trial", word),
                ("criterion", word),
                ("truth", word),
                ("reason", word),
                ("message", arrow.string()),
                ("applicable", arrow.bool_()),
                ("attested", arrow.bool_()),
                ("window", arrow.string()),
                ("evidence", evidence),
            ]
        )

    def _rows(self, patient: PatientScreening) -> Iterable[tuple[Any, ...]]:
        for screening in patient.screenings:
            for finding in screening.findings:
                said = finding.judgement
                yield (
                    patient.patient,
                    screening.trial.key,
                    finding.atom,
                    said.truth.word,
                    said.reason.value if said.reason is not None else None,
                    said.message,
                    said.applicable,
                    said.attested,
                    said.window,
                    [
                        {
                            "reference": each.source.versioned,
                            "sent": each.sent,
                            "on": each.on,
                            "compared": each.compared,
                            "conversion": each.conversion,
                            "note": each.note,
                        }
                        for each in said.evidence
                    ],
                )


class VerdictColumns(_ParquetSink):
    """Parquet: a row for each patient and trial."""

    file: ClassVar[str] = "verdicts.parquet"

    def __init__(self, screener: Screener) -> None:
        super().__init__(screener)
        self._versions = screener.versions()

    def _columns(self) -> Any:  # noqa: ANN401 (the same)
        arrow = self._arrow
        word = arrow.dictionary(arrow.int32(), arrow.string())
        texts = [(name, word) for name in ("trial", "verdict", "reason")]
        numbers = [(name, arrow.int32()) for name in ("in_favour", "against", "open")]
        versions = [(f"{name}_version", word) for name in ("trial", "adapter", "mappings")]
        contradictions = ("contradictions", arrow.list_(arrow.string()))
        return arrow.schema([("patient", arrow.string()), *texts, *numbers, contradictions, *versions])

    def _rows(self, patient: PatientScreening) -> Iterable[tuple[Any, ...]]:
        for each in patient.screenings:
            yield (
                patient.patient,
                each.trial.key,
                each.verdict.value,
                "DECEASED" if each.deceased else None,
                *counts(each),
                [said.text for said in each.contradictions],
                each.trial.version,
                self._versions["adapter"],
                self._versions["mappings"],
            )


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as arrow  # noqa: PLC0415 (an extra, and a quarter of a second)
        import pyarrow.parquet as columns  # noqa: PLC0415 (the same)
    except ImportError:
        said = 'Parquet needs pyarrow: pip install "fhir-trial-adapter[population]"'
        raise AdapterError.of(Category.NOT_FOUND, "pyarrow-missing", said) from None
    return arrow, columns


SINKS: dict[str, tuple[type[Sink], ...]] = {
    "findings": (FindingSink,),
    "bundles": (BundleSink,),
    "verdicts": (VerdictSink,),
    "parquet": (FindingColumns, VerdictColumns),
}
"""By format: what it writes."""


def sinks_of(formats: Iterable[str], screener: Screener) -> list[Sink]:
    """Make the sinks of some formats; raises AdapterError where one needs a package that is not installed."""
    return [kind(screener) for name in dict.fromkeys(formats) for kind in _kinds(name)]


def _kinds(name: str) -> tuple[type[Sink], ...]:
    if name in SINKS:
        return SINKS[name]
    try:
        from adapter.population.keeping import KEPT  # noqa: PLC0415 (numpy, an extra)
    except ImportError:
        said = 'what is kept and counted needs numpy and pyarrow: pip install "fhir-trial-adapter[population]"'
        raise AdapterError.of(Category.NOT_FOUND, "population-missing", said) from None
    return KEPT[name]
