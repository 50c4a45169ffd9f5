"""Instants, windows and numbers that may be imprecise, compared only as far as they are known."""

import datetime
import functools
import re
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Self

import msgspec

from adapter.eligibility.truth import Truth

_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_DAY_S = 86400
FIRST_DAY = 1
LAST_DAY = datetime.date.max.toordinal()
_SIX_DIGITS = Context(prec=6)


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When something happened, as precisely as it was recorded.

    A date without a time has no instant: it is the calendar day that was written, wherever that was.
    A year or a month is the span of its days.
    """

    text: str
    first: int
    """Ordinal of the earliest day it can mean (proleptic Gregorian, as ``date.toordinal``)."""
    last: int
    instant: float | None = None
    """Seconds since 1970 UTC, when a time with a zone was given."""


class AsOf(msgspec.Struct, frozen=True):
    """The instant the question is asked for; its zone says what a calendar day is."""

    text: str
    instant: float
    offset_s: int
    day: int

    @classmethod
    def at(cls, moment: datetime.datetime) -> Self:
        """Take a zoned datetime; raises ValueError without a zone."""
        offset = moment.utcoffset()
        if offset is None:
            raise ValueError("as-of needs a time zone, such as 2026-11-01T00:00:00Z")
        text = moment.isoformat().replace("+00:00", "Z")
        return cls(text, moment.timestamp(), int(offset.total_seconds()), moment.date().toordinal())

    @property
    def date(self) -> datetime.date:
        """The calendar day of the question."""
        return datetime.date.fromordinal(self.day)

    def days(self, moment: Moment | None) -> tuple[int, int]:
        """Say on which days ``moment`` can lie, in the zone of the question; undated can be any day."""
        if moment is None:
            return FIRST_DAY, LAST_DAY
        if moment.instant is None:
            return moment.first, moment.last
        day = int((moment.instant + self.offset_s) // _DAY_S) + _EPOCH_DAY
        return day, day

    def has_begun(self, moment: Moment | None) -> Truth:
        """Whether ``moment`` lies on or before the question; a date without a time on that day does."""
        if moment is None:
            return Truth.UNKNOWN
        if moment.instant is not None:
            return Truth.MET if moment.instant <= self.instant else Truth.NOT_MET
        if moment.last <= self.day:
            return Truth.MET
        return Truth.NOT_MET if moment.first > self.day else Truth.UNKNOWN

    def since(self, period: "Period") -> int:
        """Give the first day of the window that reaches back ``period``; that day lies inside."""
        return _back(self.day, period.years, period.months, period.days)


class Period(msgspec.Struct, frozen=True):
    """A calendar length such as ``P90D``, ``P6M`` or ``P5Y``; months clamp to the end of the month."""

    text: str
    years: int = 0
    months: int = 0
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> "Period":
        """Read an ISO 8601 duration of years, months, weeks and days; raises ValueError."""
        match = re.fullmatch(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?", text)
        if not match or text == "P":
            raise ValueError(f"{text!r} is not a length such as P90D, P6M or P5Y")
        years, months, weeks, days = (int(part or 0) for part in match.groups())
        return cls(text, years, months, weeks * 7 + days)

    def __str__(self) -> str:
        parts = ((self.years, "year"), (self.months, "month"), (self.days, "day"))
        return " ".join(f"{n} {word}{'s' if n != 1 else ''}" for n, word in parts if n)


@functools.cache
def _back(day: int, years: int, months: int, days: int) -> int:
    moment = datetime.date.fromordinal(day)
    month_index = moment.year * 12 + moment.month - 1 - years * 12 - months
    year, month = divmod(month_index, 12)
    if year < datetime.MINYEAR:
        return FIRST_DAY
    last = (datetime.date(year + month // 11, (month + 1) % 12 + 1, 1) - datetime.timedelta(days=1)).day
    return max(FIRST_DAY, datetime.date(year, month + 1, min(moment.day, last)).toordinal() - days)


def completed_years(birth: int, day: int) -> int:
    """How old someone born on ordinal ``birth`` is on ordinal ``day``, in completed years.

    Someone born on 29 February has the birthday on 1 March in common years.
    """
    born, on = datetime.date.fromordinal(birth), datetime.date.fromordinal(day)
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


class Bounds(msgspec.Struct, frozen=True, gc=False):
    """A number, or the open or closed interval in which a number lies (``<5`` is everything below 5)."""

    low: Decimal | None
    high: Decimal | None
    low_open: bool = False
    high_open: bool = False

    @classmethod
    def exactly(cls, value: Decimal) -> "Bounds":
        """Give the interval that holds one number."""
        return cls(value, value)

    def map(self, convert: Callable[[Decimal], Decimal]) -> "Bounds":
        """Convert both ends by an increasing function."""
        low = None if self.low is None else convert(self.low)
        high = None if self.high is None else convert(self.high)
        return Bounds(low, high, self.low_open, self.high_open)


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits a trial prints: strict (``more_than``, ``less_than``) or inclusive (``at_least``, ``at_most``)."""

    at_least: Decimal | None = None
    more_than: Decimal | None = None
    at_most: Decimal | None = None
    less_than: Decimal | None = None

    def hold(self, value: Bounds) -> Truth:
        """Whether the whole interval lies inside the limits, wholly outside, or neither for sure.

        >>> Limits(at_least=Decimal(7)).hold(Bounds(None, Decimal(5), high_open=True)).word
        'not-met'
        """
        worst = 2
        low, high = value.low, value.high
        if self.at_least is not None:
            if low is not None and low >= self.at_least:
                pass
            elif high is not None and (high < self.at_least or (high == self.at_least and value.high_open)):
                return Truth.NOT_MET
            else:
                worst = 1
        if self.more_than is not None:
            if low is not None and (low > self.more_than or (low == self.more_than and value.low_open)):
                pass
            elif high is not None and high <= self.more_than:
                return Truth.NOT_MET
            else:
                worst = 1
        if self.at_most is not None:
            if high is not None and high <= self.at_most:
                pass
            elif low is not None and (low > self.at_most or (low == self.at_most and value.low_open)):
                return Truth.NOT_MET
            else:
                worst = 1
        if self.less_than is not None:
            if high is not None and (high < self.less_than or (high == self.less_than and value.high_open)):
                pass
            elif low is not None and low >= self.less_than:
                return Truth.NOT_MET
            else:
                worst = 1
        return Truth.MET if worst == 2 else Truth.UNKNOWN  # noqa: PLR2004 (rank of MET)

    def map(self, convert: Callable[[Decimal], Decimal]) -> "Limits":
        """Convert every limit by an increasing function."""
        ends = (self.at_least, self.more_than, self.at_most, self.less_than)
        return Limits(*(None if end is None else convert(end) for end in ends))

    @property
    def ends(self) -> tuple[Decimal, ...]:
        """Every limit that is set."""
        all_ends = (self.at_least, self.more_than, self.at_most, self.less_than)
        return tuple(end for end in all_ends if end is not None)

    def phrase(self, unit: str, truth: Truth, value: Bounds, printed: "Limits | None" = None) -> str:
        """Say what was found of ``value`` against these limits: ``at least 7.5 %``, or the one limit it breaks.

        ``printed`` gives the same limits as the trial prints them, in ``unit``.

        >>> Limits(at_most=Decimal(75)).phrase("years", Truth.NOT_MET, Bounds.exactly(Decimal(77)))
        'above 75 years'
        """
        shown = printed or self
        words = [
            (shown.at_least, "at least", "below"),
            (shown.more_than, "above", "not above"),
            (shown.at_most, "at most", "above"),
            (shown.less_than, "below", "not below"),
        ]
        said = " and ".join(f"{yes} {plain(end)}" for end, yes, _ in words if end is not None)
        if truth is Truth.NOT_MET:
            alone = (
                Limits(at_least=self.at_least),
                Limits(more_than=self.more_than),
                Limits(at_most=self.at_most),
                Limits(less_than=self.less_than),
            )
            broken = (limit.hold(value) is Truth.NOT_MET for limit in alone)
            ends = ((end, no) for (end, _, no), breaks in zip(words, broken, strict=True) if end is not None and breaks)
            end, no = next(ends, (None, f"not {said}"))
            said = no if end is None else f"{no} {plain(end)}"
        return f"{said} {unit}".rstrip()


def plain(number: Decimal) -> str:
    """Write a number as people do: no exponent, no needless zeros.

    >>> plain(Decimal("1.50E+2"))
    '150'
    """
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(number: Decimal) -> str:
    """Write a converted number with at most six significant digits; comparison never uses this."""
    return plain(number.normalize(_SIX_DIGITS))
