"""Which result counts: the latest day of usable status decides, whatever its value is worth."""

import functools
from collections.abc import Callable, Iterable, Sequence

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Result
from adapter.eligibility.finding import Evidence
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Period, rounded

Answered = tuple[Truth, Reason | None]
Judge = Callable[[Result], Answered]

MOST_TELLING = (
    Reason.CONFLICT,
    Reason.CONTRADICTION,
    Reason.STALE,
    Reason.SEVERITY,
    Reason.VERIFY,
    Reason.HUMAN,
    Reason.MEDS,
    Reason.DATE,
    Reason.IMPLAUSIBLE,
    Reason.UNIT,
    Reason.ABSENT_REASON,
    Reason.TEXT,
    Reason.ULN,
    Reason.SEX,
    Reason.FASTING,
    Reason.COMPARATOR,
    Reason.DOSE,
    Reason.STATUS,
    Reason.CONFIG,
    Reason.ONE_VALUE,
    Reason.NODATA,
    Reason.NOEVIDENCE,
)
_ZONES_APART = 2
"""Days that the calendars of two time zones can lie apart, at most."""
_RANK = {reason: rank for rank, reason in enumerate(MOST_TELLING)}


def most_telling(reasons: Iterable[Reason]) -> Reason:
    """Give the reason that tells a person most about what to do, of several that hold at once."""
    return min(reasons, key=_RANK.__getitem__)


class Latest(msgspec.Struct, frozen=True, dict=True):
    """The results that decide, whatever is asked of their values: those of the latest day of usable status."""

    results: Sequence[Result]
    spans: Sequence[tuple[int, int]]
    """First and last day each of them can mean, up to the question."""
    ignored: Sequence[Result]
    """Results of no usable status that are as new."""
    day: int = 0
    """The latest day that is sure; 0 where none is."""
    missing: Reason | None = None
    """Why there is none."""

    @functools.cached_property
    def evidence(self) -> tuple[Evidence, ...]:
        """These results and the ignored ones as evidence, in a stable order."""
        shown = [evidence_of(result) for result in self.results]
        shown.extend(evidence_of(result, f"ignored: status {result.status}") for result in self.ignored)
        if len(shown) > 1:
            shown.sort(key=lambda item: (item.on or "", item.source.reference, item.sent))
        return tuple(shown)


class Choice(msgspec.Struct, frozen=True):
    """What the deciding results say together."""

    truth: Truth
    reason: Reason | None
    latest: Latest

    @property
    def deciding(self) -> Sequence[Result]:
        """The results that decide."""
        return self.latest.results


def newest(results: Sequence[Result], case: Case, window: Period | None, judge: Judge) -> Choice:
    """Say what the latest results inside the window say."""
    return asked_of(latest_of(results, case), case, window, judge)


def latest_of(results: Sequence[Result], case: Case) -> Latest:
    """Find the latest results.

    Those of a status that does not count are listed and ignored, those after the question too.  An older value never
    stands in for a newer one that cannot be used.
    """
    if not results:
        return Latest((), (), (), missing=Reason.NODATA)
    as_of = case.as_of
    past: list[tuple[int, int, Result]] = []
    maybe: list[tuple[int, int, Result]] = []
    future = False
    ignored = []
    newest_day = 0
    for result in reversed(results):  # they stand oldest first, so that most can be passed over without a closer look
        if result.usable_status and result.when is not None and result.when.last < newest_day - _ZONES_APART:
            continue
        begun = as_of.has_begun(result.when)
        if not result.usable_status:
            if begun is not Truth.NOT_MET:
                ignored.append(result)
            continue
        if begun is Truth.NOT_MET:
            future = True
            continue
        first, last = as_of.days(result.when)
        (past if begun is Truth.MET else maybe).append((first, min(last, as_of.day), result))
        if begun is Truth.MET and first > newest_day:
            newest_day = first
    for found in (past, maybe, ignored):
        found.reverse()
    if not past and not maybe:
        if ignored:
            return Latest((), (), ignored, missing=Reason.STATUS)
        return Latest(results[:1], (), (), missing=Reason.DATE if future else Reason.NODATA)
    day = max((first for first, _, _ in past), default=0)
    contenders = [entry for entry in (*past, *maybe) if entry[1] >= day]
    newer = [result for result in ignored if as_of.days(result.when)[1] >= day]
    return Latest([each for _, _, each in contenders], [(first, last) for first, last, _ in contenders], newer, day)


def asked_of(latest: Latest, case: Case, window: Period | None, judge: Judge) -> Choice:
    """Say what the latest results say, where they lie inside the window.

    All results of the latest calendar day must agree.  A date too coarse to say which result is the latest leaves the
    answer open unless every candidate agrees.
    """
    group = latest.results
    if latest.missing is not None:
        return Choice(Truth.UNKNOWN, latest.missing, latest)
    opens = case.since(window) if window is not None else 0
    if latest.day < opens:
        is_stale = all(last < opens for _, last in latest.spans)
        return Choice(Truth.UNKNOWN, Reason.STALE if is_stale else Reason.DATE, latest)
    truth, reason = _agreed(group, judge)
    if all(first == last == latest.day for first, last in latest.spans):
        return Choice(truth, reason, latest)
    agree = all(result.problem is None and judge(result)[0] is truth for result in group)
    if not latest.day or truth is Truth.UNKNOWN or not agree:
        return Choice(Truth.UNKNOWN, Reason.DATE, latest)
    return Choice(truth, None, latest)


def _agreed(group: Sequence[Result], judge: Judge) -> Answered:
    """Fold results of one day: unusable ones beside a usable one are ignored, usable ones must agree.

    One that is broken is not ignored: it may be the one that disagrees.
    """
    if len(group) > 1 and any(result.is_broken for result in group):
        return Truth.UNKNOWN, most_telling(result.problem for result in group if result.problem is not None)
    usable = [judge(result) for result in group if result.problem is None]
    if not usable:
        return Truth.UNKNOWN, most_telling(result.problem for result in group if result.problem is not None)
    truths = {truth for truth, _ in usable}
    if len(truths) > 1:
        return Truth.UNKNOWN, Reason.CONFLICT
    truth = truths.pop()
    if truth is not Truth.UNKNOWN:
        return truth, None
    return truth, most_telling(reason for _, reason in usable if reason is not None)


def evidence_of(result: Result, note: str | None = None) -> Evidence:
    """Show one result as it was sent and as it was compared."""
    compared = None
    if result.conversion is not None and result.bounds is not None:
        compared = words_of(result)
    said = [part for part in (note, result.note, "dated by issued" if result.from_issued else None) if part]
    return Evidence(
        result.source,
        f"{result.label} {result.sent}",
        result.when.text if result.when else None,
        compared,
        result.conversion,
        "; ".join(said) or None,
    )


def words_of(result: Result) -> str:
    """Write the compared value with its unit, intervals as comparators."""
    bounds = result.bounds
    if bounds is None:
        return result.sent
    unit = f" {result.unit}" if result.unit else ""
    number = bounds.low if bounds.low is not None else bounds.high
    sign = ""
    if bounds.low != bounds.high:
        below, above = ("<" if bounds.high_open else "<="), (">" if bounds.low_open else ">=")
        sign = below if bounds.low is None else above
    return f"{sign}{rounded(number)}{unit}" if number is not None else result.sent
