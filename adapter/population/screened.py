"""What each process of a run does with a document: screen its patients, and say what could not be screened."""

from pathlib import Path

import msgspec

from adapter import __version__
from adapter.catalog.catalog import Catalog
from adapter.catalog.load import load_catalog
from adapter.eligibility.decide import screen
from adapter.eligibility.facts import Facts
from adapter.errors import AdapterError, Issue, Severity
from adapter.fhir.dates import parse_as_of
from adapter.fhir.subject import Publisher, ResultWriter
from adapter.fhir.versions import FhirVersion
from adapter.inputs import Named
from adapter.screen import DocumentScreening, PatientScreening, screen_bundle


class Setup(msgspec.Struct, frozen=True):
    """Everything a process must know to screen as all others do; plain values, so that it can be sent anywhere."""

    as_of: str
    """The instant of the question, with its zone."""
    trials: tuple[str, ...] = ()
    """Folders in place of the shipped trials."""
    mappings: tuple[str, ...] = ()
    site: str | None = None
    keys: tuple[str, ...] = ()
    """Of the trials to screen against; all of them where none is named."""
    formats: tuple[str, ...] = ("findings",)
    fhir_version: str = "R4"
    """Of the results; any version is read."""
    base: str = "https://trials.example.org/fhir"
    secret: str = ""
    conditional: bool = False
    before: str | None = None
    """The decisions of last time, to say what is new in a worklist."""
    thorough: bool = False
    """Whether what no answer rests on is looked at as closely as what does: it is kept, for other questions."""

    def catalog(self) -> Catalog:
        """Load trials and mappings; raises AdapterError that lists every problem of the files."""
        site = Path(self.site) if self.site is not None else None
        return load_catalog(map(Path, self.trials), map(Path, self.mappings), site)


class Outcome(msgspec.Struct, frozen=True):
    """What one document gave."""

    patients: tuple[PatientScreening, ...] = ()
    issues: tuple[Issue, ...] = ()
    """What was noticed of a document that was screened."""
    set_aside: tuple[Issue, ...] = ()
    """Why it was not screened; nothing where it was."""


class Screener:
    """Screens documents; made once in each process, from nothing but its setup.

    >>> outcome = Screener(Setup(as_of="2026-11-01T00:00:00Z")).screen(Named("a.json", b"nonsense"))
    >>> outcome.patients, outcome.set_aside[0].code
    ((), 'not-json')
    """

    def __init__(self, setup: Setup, catalog: Catalog | None = None) -> None:
        """``catalog`` spares loading it again where this process has it already."""
        self.setup = setup
        self.catalog = catalog if catalog is not None else setup.catalog()
        self.trials = self.catalog.only(setup.keys)
        self.as_of = parse_as_of(setup.as_of)

    def screen(self, document: Named) -> Outcome:
        """Screen every patient of a document; whatever it holds, it costs no other document its answers."""
        try:
            answered = self._answered(document.data)
        except AdapterError as error:
            return Outcome(set_aside=(*document.issues, *map(document.placed, error.issues)))
        except Exception as error:  # noqa: BLE001 (a defect of ours costs no other patient the answer)
            said = f"this could not be screened, through a defect of the adapter ({type(error).__name__})"
            return Outcome(set_aside=(document.placed(Issue(Severity.ERROR, "defect", said)),))
        return Outcome(answered.patients, (*document.issues, *map(document.placed, answered.issues)))

    def _answered(self, data: bytes) -> DocumentScreening:
        return screen_bundle(data, self.catalog, self.as_of, self.trials, thorough=self.setup.thorough)

    def judge(self, patient: str, facts: Facts) -> Outcome:
        """Screen a patient on facts that were kept."""
        catalog = self.catalog
        screenings = screen(self.trials, facts, self.as_of, catalog.rules, attestation_lasts=catalog.attestation_lasts)
        return Outcome((PatientScreening(patient, facts, screenings),))

    def versions(self) -> dict[str, str]:
        """Give the versions that made the answers, but for those of the trials."""
        return {"adapter": __version__, "mappings": self.catalog.mappings.version}

    def result_writer(self) -> ResultWriter:
        """Give the writer of ResearchSubjects that this setup asks for."""
        setup = self.setup
        software = f"fhir-trial-adapter/{__version__} mappings/{self.catalog.mappings.version}"
        publisher = Publisher(software, setup.base.rstrip("/"), setup.secret, conditional=setup.conditional)
        return ResultWriter(FhirVersion(setup.fhir_version), publisher, self.catalog.requirements())
