"""FHIR dates, dateTimes and instants as moments of their own precision (http://hl7.org/fhir/R4/datatypes.html#dateTime)."""

import calendar
import datetime
import functools
import re

from adapter.eligibility.values import AsOf, Moment

_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2}))?", re.ASCII)
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?", re.ASCII)
_DAY_LENGTH = 10
_LONGEST = 48
_EARLIEST = datetime.date(1850, 1, 1).toordinal()


def parse_moment(text: str) -> Moment | None:
    """Read a date or dateTime of any precision; None when it is not one.

    A time without a zone, which FHIR forbids and senders send, keeps its calendar day and gives no instant.  No
    patient's record reaches back before 1850: senders write 0001-01-01 or 1753-01-01 for a date they do not have.
    """
    if len(text) > _LONGEST:
        return None
    moment = _parse(text)
    return moment if moment is not None and moment.last >= _EARLIEST else None


@functools.lru_cache(maxsize=65536)
def _parse(text: str) -> Moment | None:
    try:
        if len(text) == _DAY_LENGTH and text[4] == text[7] == "-":
            day = datetime.date.fromisoformat(text).toordinal()
            return Moment(text, day, day)
        if _DATE_TIME.fullmatch(text):
            read = datetime.datetime.fromisoformat(text)
            day = read.date().toordinal()
            return Moment(text, day, day, None if read.tzinfo is None else read.timestamp())
        partial = _PARTIAL.fullmatch(text)
        if partial is None:
            return None
        year = int(partial[1])
        first_month = last_month = int(partial[2]) if partial[2] else 0
        if not partial[2]:
            first_month, last_month = 1, 12
        last_day = calendar.monthrange(year, last_month)[1]
        first = datetime.date(year, first_month, 1).toordinal()
        return Moment(text, first, datetime.date(year, last_month, last_day).toordinal())
    except (ValueError, OverflowError):
        return None


def parse_as_of(text: str) -> AsOf:
    """Read the instant a question is asked for; raises ValueError without a full date, a time and a zone."""
    if not _DATE_TIME.fullmatch(text):
        raise ValueError("give an instant with its zone, such as 2026-11-01T00:00:00Z")
    return AsOf.at(datetime.datetime.fromisoformat(text))
