"""Verdicts alone, for many trials: each question is answered once a patient, trials are folded for many at once.

A trial's findings, one by one for each patient, are what takes the time where there are hundreds of trials; who asks
for verdicts alone asks for none.  ``tests/population/test_weighing.py`` holds that both ways say the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO

import numpy as np

from adapter.eligibility.case import Case, nothing_on_record
from adapter.eligibility.decide import screen
from adapter.eligibility.facts import Facts
from adapter.eligibility.finding import Judgement
from adapter.eligibility.kinds import Judged, judge, reads
from adapter.eligibility.kinds.human import SameAs
from adapter.eligibility.trial import Criterion, Trial
from adapter.eligibility.truth import Truth
from adapter.fhir.record import PatientRecord
from adapter.population.decisions import PERSON, Bytes, Decided, packed, person_row, truth_in, truths_of
from adapter.population.screened import Outcome, Screener
from adapter.population.sinks import VerdictSink
from adapter.population.verdicts import holds, table
from adapter.screen import DocumentScreening, PatientScreening, answer_bundle

_ROWS = 500_000
"""How many rows of the table are held before they are written."""


class Weighed(PatientScreening, frozen=True, kw_only=True):
    """One patient's answers to every question of the trials; what each trial makes of them follows later."""

    row: bytes
    """A byte for each question."""
    person: bytes
    judged: tuple[Judgement, ...]
    """What is on record and was judged, and what follows from it for "as another criterion"."""

    def judgements(self) -> Iterable[Judgement]:
        """Give every judgement that rests on anything."""
        return self.judged


def can_weigh(trials: Sequence[Trial]) -> bool:
    """Whether verdicts of these trials follow from truths: of "as another criterion" no reason is made here.

    Nor is it followed further than to that criterion.
    """
    for trial in trials:
        same = {atom.id for each in trial.criteria for atom in each.atoms if isinstance(atom.kind, SameAs)}
        if any(not same.isdisjoint(each.includes) for each in trial.contradictions):
            return False
        if any(not same.isdisjoint(atom.id for atom in each.atoms) for each in _referred(trial)):
            return False
    return True


def _referred(trial: Trial) -> list[Criterion]:
    """Give the criteria as which others are decided."""
    kinds = [atom.kind for criterion in trial.criteria for atom in criterion.atoms]
    names = {kind.criterion for kind in kinds if isinstance(kind, SameAs)}
    return [criterion for criterion in trial.criteria if criterion.id in names]


class Weigher(Screener):
    """Answers every question of the trials once for each patient."""

    def __init__(self, screener: Screener) -> None:
        super().__init__(screener.setup, screener.catalog)
        self.places: dict[int, int] = {}
        """By identity of the question, which the catalog gives all trials alike: its place in a row."""
        self._silent = bytearray()
        """The row of a patient of whom nothing is on record."""
        self._asked: dict[frozenset[str] | None, list[tuple[int, Judged]]] = {}
        """Questions with their places, by what they read."""
        atoms = [atom for trial in self.trials for criterion in trial.criteria for atom in criterion.atoms]
        self._atoms = frozenset(atom.id for atom in atoms)
        for atom in atoms:
            kind = atom.kind
            if not isinstance(kind, SameAs) and id(kind) not in self.places:
                self._asked.setdefault(reads(kind), []).append((len(self._silent), kind))
                self.places[id(kind)] = len(self._silent)
                self._silent.append(packed(judge(kind, nothing_on_record())))
        self._referred = [
            (criterion, {atom.id: self.places[id(atom.kind)] for atom in criterion.atoms})
            for trial in self.trials
            for criterion in _referred(trial)
        ]

    def _answered(self, data: bytes) -> DocumentScreening:
        return answer_bundle(data, self._record, thorough=self.setup.thorough)

    def _record(self, record: PatientRecord) -> PatientScreening:
        return self._weighed(record.id, self.catalog.extractor.facts(record), record)

    def judge(self, patient: str, facts: Facts) -> Outcome:
        """Answer for a patient on facts that were kept."""
        return Outcome((self._weighed(patient, facts, None),))

    def _weighed(self, patient: str, facts: Facts, record: PatientRecord | None) -> PatientScreening:
        catalog = self.catalog
        if not self._atoms.isdisjoint(facts.attestations):  # an answer of a reviewer is to an atom, not to a question
            lasts = catalog.attestation_lasts
            screenings = screen(self.trials, facts, self.as_of, catalog.rules, attestation_lasts=lasts)
            return PatientScreening(patient, facts, screenings, record)
        case = Case(facts, self.as_of, catalog.rules)
        on_record = case.names
        row = self._silent.copy()
        judged: dict[int, Judgement] = {}
        for names, questions in self._asked.items():
            if names is not None and names.isdisjoint(on_record):
                continue
            for place, kind in questions:
                judged[place] = judgement = kind.judge(case)
                row[place] = packed(judgement)
        rests = (*judged.values(), *self._same_as(judged, row, case))
        return Weighed(patient, facts, (), record, row=bytes(row), person=person_row(case), judged=rests)

    def _same_as(self, judged: Mapping[int, Judgement], row: bytearray, case: Case) -> Iterator[Judgement]:
        """Give what "as another criterion" shows of atoms that are open where the criterion is not."""
        for criterion, places in self._referred:
            found = [judged[place] for place in places.values() if place in judged]
            evidence = tuple(item for each in found if each.truth is Truth.UNKNOWN for item in each.evidence)
            if evidence:
                truths = {name: truth_in(row[place]) for name, place in places.items()}
                yield Judgement(criterion.logic.holds(truths, case), None, f"as {criterion.id}", evidence)


class WeighedVerdicts(VerdictSink):
    """CSV: the same rows in the same order, folded for many patients at once."""

    def __init__(self, weigher: Weigher) -> None:
        super().__init__(weigher)
        self._trials = weigher.trials
        self._places = weigher.places
        self._most = max(1, _ROWS // max(1, len(self._trials)))
        self._patients: list[str] = []
        self._answers, self._persons = bytearray(), bytearray()

    def write(self, patient: PatientScreening, stream: IO[bytes]) -> None:
        """Hold one patient, or write who was screened trial by trial."""
        if isinstance(patient, Weighed):
            self._patients.append(patient.patient)
            self._answers += patient.row
            self._persons += patient.person
            if len(self._patients) >= self._most:
                self.end(stream)
            return
        self.end(stream)
        super().write(patient, stream)

    def end(self, stream: IO[bytes]) -> None:
        """Write the rows of all who are held."""
        count = len(self._patients)
        if not count:
            return
        answers = np.frombuffer(bytes(self._answers), np.uint8).reshape(count, -1)
        columns = np.ascontiguousarray(answers.T)
        persons = np.frombuffer(bytes(self._persons), np.uint8).reshape(count, len(PERSON))
        person = {name: np.ascontiguousarray(persons[:, place]) for place, name in enumerate(PERSON)}
        patients = tuple(self._patients)
        self._patients, self._answers, self._persons = [], bytearray(), bytearray()
        trials = ((trial, self._decided(trial, columns, person, patients)) for trial in self._trials)
        stream.write(table(trials))

    def _decided(self, trial: Trial, columns: Bytes, person: dict[str, Bytes], patients: tuple[str, ...]) -> Decided:
        """Give one trial's columns; "as another criterion" is what that one, which stands before it, comes to."""
        atoms: dict[str, Bytes] = {}
        decided = Decided(patients, person, atoms, {}, {})
        logic = {each.id: each.logic for each in trial.criteria}
        for criterion in trial.criteria:
            for atom in criterion.atoms:
                if isinstance(atom.kind, SameAs):
                    truths = {name: truths_of(column) for name, column in atoms.items()}
                    atoms[atom.id] = holds(logic[atom.kind.criterion], truths, decided)
                else:
                    atoms[atom.id] = columns[self._places[id(atom.kind)]]
        return decided
