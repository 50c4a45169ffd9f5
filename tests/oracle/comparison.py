"""Atom by atom, criterion by criterion: what the CQL says beside what our judge says."""

import functools
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from oracle.engine import Answer, Failed, Question, Value, compile_library, evaluate

from adapter.catalog.catalog import Catalog
from adapter.cql import CqlLibrary, trial_library
from adapter.eligibility.case import Case
from adapter.eligibility.decide import Screening, favour
from adapter.eligibility.kinds.human import Ask, Consent, SameAs
from adapter.eligibility.trial import Trial
from adapter.eligibility.truth import Truth, all_of, any_of
from adapter.emission.names import IS_ELIGIBLE, MEETS_EXCLUSION, MEETS_INCLUSION
from adapter.fhir.dates import parse_as_of
from adapter.fhir.versions import FhirVersion
from adapter.screen import PatientScreening, screen_bundle

_AT_A_TIME = 400
"""Starting Node is paid for each, and memory holds them all."""
_TRUTHS = {True: Truth.MET, False: Truth.NOT_MET, None: Truth.UNKNOWN}


class Compared(msgspec.Struct, frozen=True):
    """One define for one patient: what we say and what the CQL says."""

    case: str
    trial: str
    define: str
    what: str
    """``atom``, ``unsaid`` (an atom that CQL does not say), ``criterion`` or ``decision``."""
    ours: str
    cql: str

    @property
    def differs(self) -> bool:
        """Whether the two disagree."""
        return self.ours != self.cql


class Oracle(msgspec.Struct, frozen=True):
    """The trials' CQL, compiled and ready to be asked."""

    catalog: Catalog
    trials: tuple[Trial, ...]
    libraries: dict[str, CqlLibrary]
    """By the trial's key."""
    elm: Path

    @classmethod
    def of(
        cls, catalog: Catalog, trials: tuple[Trial, ...], elm: Path, version: FhirVersion = FhirVersion.R4
    ) -> "Oracle":
        """Compile the CQL of the trials into the folder ``elm``; raises NotCompiledError."""
        libraries = {trial.key: trial_library(trial, catalog, version) for trial in trials}
        texts: dict[str, str] = {}
        for library in libraries.values():
            texts.update(_texts(library))
        compile_library(texts, elm)
        return cls(catalog, trials, libraries, elm)

    def compare(self, questions: Iterable[Question], as_of: str) -> Iterator[Compared]:
        """Ask both sides about every patient and trial, some patients at a time."""
        remaining = iter(questions)
        while some := list(itertools.islice(remaining, _AT_A_TIME)):
            yield from self._compare(some, as_of)

    def _compare(self, questions: list[Question], as_of: str) -> Iterator[Compared]:
        asked = {question.case: question for question in questions}
        trials = {self.libraries[trial.key].name: trial for trial in self.trials}
        screened = functools.cache(lambda case: self._screened(asked[case], as_of))
        for answer in evaluate(self.elm, tuple(trials), as_of, asked.values()):
            trial = trials[answer.library]
            patient, instant = screened(answer.case)
            screening = next(each for each in patient.screenings if each.trial.key == trial.key)
            case = Case(patient.facts, parse_as_of(instant), self.catalog.rules)
            yield from _compared(answer, screening, case, self.libraries[trial.key].unsaid)

    def _screened(self, question: Question, as_of: str) -> tuple[PatientScreening, str]:
        instant = question.as_of or as_of
        data = json.dumps(question.bundle, default=_number).encode()
        (patient,) = screen_bundle(data, self.catalog, parse_as_of(instant), self.trials).patients
        return patient, instant


def _number(value: object) -> Any:  # noqa: ANN401 (what json writes as a number)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _texts(library: CqlLibrary) -> dict[str, str]:
    found = {library.name: library.text}
    for each in library.includes:
        found.update(_texts(each))
    return found


def _compared(answer: Answer, screening: Screening, case: Case, unsaid: Mapping[str, str]) -> Iterator[Compared]:
    """Compare the atoms with our findings, and what is folded from them with our trees over the CQL's own atoms.

    So a tree is checked whatever its atoms say, and where all atoms agree the decision is the judge's own.
    """
    trial = screening.trial

    def one(define: str, what: str, ours: Truth) -> Compared:
        value = answer.results.get(define, Failed("there is no such define"))
        return Compared(answer.case, trial.key, define, what, ours.word, _word(value))

    truths: dict[str, Truth] = {}
    whole: dict[str, Truth] = {}
    for criterion in trial.criteria:
        for atom in criterion.atoms:
            ours = screening.by_atom[atom.id].truth
            if isinstance(atom.kind, SameAs):
                ours = whole[atom.kind.criterion]
            if atom.id in unsaid:
                # A person's question is settled by a reviewer's answer; what the record may decide stays null.
                is_asked = isinstance(atom.kind, Ask | Consent)
                yield one(atom.id, "unsaid", ours if is_asked else Truth.UNKNOWN)
            else:
                yield one(atom.id, "atom", ours)
            truths[atom.id] = _truth(answer.results.get(atom.id))
        folded = criterion.logic.holds(truths, case)
        yield one(criterion.id, "criterion", folded)
        whole[criterion.id] = _truth(answer.results.get(criterion.id))
    includes = [whole[each.id] for each in trial.criteria if each.type == "inclusion"]
    excludes = [whole[each.id] for each in trial.criteria if each.type == "exclusion"]
    yield one(MEETS_INCLUSION, "decision", all_of(includes))
    yield one(MEETS_EXCLUSION, "decision", any_of(excludes))
    unclear = case.facts.person.death_unclear
    alive = Truth.NOT_MET if screening.deceased else Truth.UNKNOWN if unclear else Truth.MET
    clear = Truth.UNKNOWN if screening.contradictions else Truth.MET
    favours = (favour(each, whole[each.id]) for each in trial.criteria)
    yield one(IS_ELIGIBLE, "decision", all_of([alive, clear, *favours]))


def _truth(value: Value) -> Truth:
    return Truth.UNKNOWN if isinstance(value, Failed) else _TRUTHS[value]


def _word(value: Value) -> str:
    return f"error: {value.error}" if isinstance(value, Failed) else _TRUTHS[value].word
