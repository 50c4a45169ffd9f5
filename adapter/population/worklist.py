"""The coordinators' worklist: who may be a candidate, what is missing, what changes when, what is new."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.eligibility.case import Case
from adapter.eligibility.decide import Screening, Verdict
from adapter.eligibility.trial import Trial
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import AsOf
from adapter.population.coming import Calendar, Change
from adapter.population.decisions import Decided, reason_at, reasons_of, truths_of
from adapter.population.needs import Need, Needs, needs_of
from adapter.population.verdicts import ORDER, fold
from adapter.screen import PatientScreening

Mark = Literal["new", "changed", "lost", ""]
_LISTED = (Verdict.ELIGIBLE, Verdict.CANDIDATE, Verdict.POTENTIAL_CANDIDATE)
_MOST_FOR_DATES = 12
"""Who lacks more than this is far from being a candidate, whatever the calendar says."""
_MOST_FLIPS = 6
_NOT_SEEN = "is not among the patients that were screened"


class Row(msgspec.Struct, frozen=True):
    """One patient and one trial."""

    trial: str
    patient: str
    mark: Mark
    """Against the list before: ``new``, ``changed`` or ``lost``; nothing where all is as it was."""
    verdict: str
    missing: int
    """How many things are to be got before nothing but reviewers' answers is open."""
    order: tuple[str, ...]
    """Each with what to do about it; what helps in most trials first."""
    ask: tuple[str, ...]
    """Atoms that a reviewer must answer."""
    change: str
    """When the verdict changes by itself."""
    because: tuple[str, ...]
    """What made it new, changed or lost."""


class Before:
    """The list as it was: verdicts and truths of the last run, by patient."""

    def __init__(self, decided: Decided, trials: Sequence[Trial]) -> None:
        self._decided = decided
        self._place = {patient: place for place, patient in enumerate(decided.patients)}
        known = [trial for trial in trials if all(a.id in decided.atoms for c in trial.criteria for a in c.atoms)]
        self._verdicts = {trial.key: fold(trial, decided).verdicts for trial in known}

    def verdict(self, patient: str, trial: str) -> Verdict | None:
        """Give the verdict of last time; None where there was none."""
        place, verdicts = self._place.get(patient), self._verdicts.get(trial)
        return None if place is None or verdicts is None else ORDER[verdicts[place]]

    def flips(self, patient: str, screening: Screening) -> Iterator[str]:
        """Say which atoms are otherwise than they were, and on what they rest now."""
        place = self._place.get(patient)
        if place is None:
            return
        for finding in screening.findings:
            column = self._decided.atoms.get(finding.atom)
            if column is None:
                continue
            one = column[place : place + 1]
            was = Truth(int(truths_of(one)[0]))
            if was is not finding.truth:
                reason = reason_at(int(reasons_of(one)[0]))
                why = f" ({reason.value})" if reason is not None else ""
                yield f"{finding.atom} was {was.word}{why}, is {finding.truth.word}: {finding.judgement.message}"

    def gone(self, seen: frozenset[str]) -> Iterator[tuple[str, str]]:
        """Give patient and trial of those who were on the list and were not screened this time."""
        for patient, place in self._place.items():
            if patient not in seen:
                for trial, verdicts in self._verdicts.items():
                    if ORDER[verdicts[place]] in _LISTED:
                        yield patient, trial


class Lister:
    """Makes the rows of patients; made once in each process."""

    def __init__(
        self, catalog: Catalog, trials: Sequence[Trial], as_of: AsOf, before: Before | None, horizon_days: int = 365
    ) -> None:
        self._catalog = catalog
        self._as_of = as_of
        self._before = before
        self._titles = {name: each.title for name, each in catalog.mappings.inputs.items()} | {
            name: each.title for name, each in catalog.mappings.value_sets.items()
        }
        self._calendars = {
            trial.key: Calendar(trial, catalog.rules, catalog.attestation_lasts, horizon_days) for trial in trials
        }

    def rows(self, patient: PatientScreening) -> Iterator[Row]:
        """Give a row for each trial the patient may be a candidate of, or no longer is."""
        listed = [each for each in patient.screenings if each.verdict in _LISTED]
        if listed:
            case = Case(patient.facts, self._as_of, self._catalog.rules)
            for screening, needs in zip(listed, needs_of(listed, case), strict=True):
                yield self._row(patient, screening, needs)
        if self._before is not None:
            for screening in patient.screenings:
                was = self._before.verdict(patient.patient, screening.trial.key)
                if screening.verdict not in _LISTED and was in _LISTED:
                    because = self._because(patient.patient, screening)
                    yield _lost(patient.patient, screening.trial.key, screening.verdict.value, because)

    def _row(self, patient: PatientScreening, screening: Screening, needs: Needs) -> Row:
        trial = screening.trial.key
        change = None
        if len(needs.order) <= _MOST_FOR_DATES:
            change = self._calendars[trial].next_change(patient.facts, screening, self._as_of)
        mark: Mark = ""
        because: tuple[str, ...] = ()
        if self._before is not None:
            was = self._before.verdict(patient.patient, trial)
            mark = "new" if was not in _LISTED else "changed" if was is not screening.verdict else ""
            because = self._because(patient.patient, screening)
            if because and not mark:
                mark = "changed"
        return Row(
            trial,
            patient.patient,
            mark,
            screening.verdict.value,
            len(needs.order),
            tuple(map(self._said, needs.order)),
            needs.ask,
            _coming(change),
            because,
        )

    def _said(self, need: Need) -> str:
        names = " or ".join(self._titles.get(name, name.replace("-", " ")) for name in need.names)
        shared = f" (helps in {need.trials} trials)" if need.trials > 1 else ""
        return f"{names}: {need.reason.action}{shared}"

    def _because(self, patient: str, screening: Screening) -> tuple[str, ...]:
        if self._before is None:
            return ()
        flips = list(self._before.flips(patient, screening))
        more = len(flips) - _MOST_FLIPS
        return (*flips[:_MOST_FLIPS], *([f"and {more} more"] if more > 0 else []))


def _coming(change: Change | None) -> str:
    if change is None:
        return ""
    return f"{change.on}: {change.verdict.value} ({', '.join(change.atoms[:_MOST_FLIPS])})"


def _lost(patient: str, trial: str, verdict: str, because: tuple[str, ...]) -> Row:
    return Row(trial, patient, "lost", verdict, 0, (), (), "", because)


def gone(before: Before, seen: frozenset[str]) -> list[Row]:
    """Give the rows of those who were on the list and were not screened this time."""
    return [_lost(patient, trial, "", (_NOT_SEEN,)) for patient, trial in before.gone(seen)]


_MARKS: dict[Mark, int] = {"new": 0, "changed": 1, "": 2, "lost": 3}
_BY_VERDICT = {verdict.value: -number for number, verdict in enumerate(ORDER)}


def rank(row: Row) -> tuple[str, bool, int, int, int, int, str]:
    """Give a row's place: by trial, how little is missing, then what is new; the lost stand last."""
    return (
        row.trial,
        row.mark == "lost",
        row.missing,
        _BY_VERDICT.get(row.verdict, 0),
        len(row.ask),
        _MARKS[row.mark],
        row.patient,
    )


def ordered(rows: Iterable[Row]) -> list[Row]:
    """Put rows in the order of work."""
    return sorted(rows, key=rank)
