"""When a verdict changes by itself: birthdays, windows that run out, dates that are still to come.

Nothing is assumed of new data.  Between two days on which a date of the record enters or leaves a window, or a birthday
falls, every judgement is the same; so the trial is judged again on those days alone.
"""

import datetime
from collections.abc import Iterator

import msgspec

from adapter.eligibility.case import Rules
from adapter.eligibility.decide import Screening, Verdict, screen
from adapter.eligibility.facts import Facts
from adapter.eligibility.trial import Trial
from adapter.eligibility.values import LAST_DAY, AsOf, Moment, Period

_DAY_S = 86400
_SLACK_DAYS = 4
"""A window of months is as long as the calendar makes it; the day it ends is looked for this close to the estimate."""
_MONTH_DAYS, _YEAR_DAYS = 30.4375, 365.25


class Change(msgspec.Struct, frozen=True):
    """On which day a verdict becomes another if nothing else changes, and through which atoms."""

    on: datetime.date
    verdict: Verdict
    atoms: tuple[str, ...]


class Calendar:
    """Finds the next change of verdict of one trial; made once for all patients."""

    def __init__(self, trial: Trial, rules: Rules, attestation_lasts: Period, horizon_days: int = 365) -> None:
        self._trial = trial
        self._rules = rules
        self._lasts = attestation_lasts
        self._horizon = horizon_days
        kinds = [atom.kind for criterion in trial.criteria for atom in criterion.atoms]
        found = {each.text: each for each in _all(kinds, Period)}
        found[attestation_lasts.text] = attestation_lasts
        self._periods = [found[text] for text in sorted(found)]

    def next_change(self, facts: Facts, screening: Screening, as_of: AsOf) -> Change | None:
        """Give the first day within the horizon on which the verdict is another; None where it stays."""
        for day in self.days(facts, as_of):
            moment = later(as_of, day)
            (then,) = screen((self._trial,), facts, moment, self._rules, attestation_lasts=self._lasts)
            if then.verdict is not screening.verdict:
                moved = (name for name, one in then.by_atom.items() if one.truth is not screening.by_atom[name].truth)
                return Change(moment.date, then.verdict, tuple(moved))
        return None

    def days(self, facts: Facts, as_of: AsOf) -> list[int]:
        """Give the days ahead on which anything can be judged otherwise, in order."""
        last = min(as_of.day + self._horizon, LAST_DAY)
        found = {day for day in _birthdays(facts, as_of, last) if as_of.day < day <= last}
        for moment in set(_all(facts, Moment)):
            first_day, last_day = as_of.days(moment)
            for day in {first_day, last_day}:
                # The day itself, and the one after: a time of day may come later than the hour of the question.
                found.update(each for each in (day, day + 1) if as_of.day < each <= last)
                for period in self._periods:
                    leaves = _leaves(day, period, as_of, last)
                    if leaves is not None:
                        # The day before, a duration that long is complete.
                        found.update(each for each in (leaves - 1, leaves) if as_of.day < each <= last)
        return sorted(found)


def later(as_of: AsOf, day: int) -> AsOf:
    """Give the same hour of another day."""
    date = datetime.date.fromordinal(day)
    return AsOf(f"{date}{as_of.text[10:]}", as_of.instant + (day - as_of.day) * _DAY_S, as_of.offset_s, day)


def _leaves(day: int, period: Period, as_of: AsOf, last: int) -> int | None:
    """Give the first day ahead whose window of ``period`` no longer holds ``day``; None where that is not ahead."""
    length = int(period.years * _YEAR_DAYS + period.months * _MONTH_DAYS + period.days)
    estimate = day + length
    if not as_of.day - _SLACK_DAYS <= estimate <= last + _SLACK_DAYS:
        return None
    for each in range(max(estimate - _SLACK_DAYS, as_of.day + 1), min(estimate + _SLACK_DAYS, last + 1) + 1):
        if later(as_of, each).since(period) > day:
            return each if later(as_of, each - 1).since(period) <= day else None
    return None


def _birthdays(facts: Facts, as_of: AsOf, last: int) -> Iterator[int]:
    birth = facts.person.birth
    if birth is None:
        return
    for born in {birth.first, birth.last}:
        date = datetime.date.fromordinal(born)
        for year in range(as_of.date.year, datetime.date.fromordinal(last).year + 1):
            month, day = (date.month, date.day) if (date.month, date.day) != (2, 29) else (3, 1)
            yield datetime.date(year, month, day).toordinal()
            if (date.month, date.day) == (2, 29):  # born on a leap day: the 29th where there is one
                yield datetime.date(year, 2, 28).toordinal() + 1


def _all(node: object, kind: type) -> "Iterator":  # type: ignore[type-arg]  # of ``kind``
    """Give every value of a type inside structures, lists and tables."""
    if isinstance(node, kind):
        yield node
    elif isinstance(node, msgspec.Struct):
        for name in node.__struct_fields__:
            yield from _all(getattr(node, name), kind)
    elif isinstance(node, dict):
        for each in node.values():
            yield from _all(each, kind)
    elif isinstance(node, list | tuple | frozenset | set):
        for each in node:
            yield from _all(each, kind)
