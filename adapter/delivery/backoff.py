"""How long to wait before a server is asked again."""

import datetime
import random
from email.utils import parsedate_to_datetime

import msgspec

_DRAW = random.SystemRandom()


class Patience(msgspec.Struct, frozen=True):
    """How often and how long a busy or silent server is waited for."""

    attempts: int = 6
    first_s: float = 1
    longest_s: float = 30
    longest_asked_s: float = 120
    """A server that asks for a longer wait than this is reported instead of waited for."""

    def wait_s(self, attempt: int, asked_s: float | None = None) -> float:
        """Give the wait after the ``attempt``-th failure, counted from 1; raises nothing.

        Full jitter: twenty exporters that failed together must not come back together.  What the server asked for
        is never undercut.
        """
        ceiling = min(self.longest_s, self.first_s * 2 ** (attempt - 1))
        if asked_s is None:
            return _DRAW.uniform(0, ceiling)
        return asked_s + _DRAW.uniform(0, min(ceiling, self.first_s))


def retry_after_s(header: str | None, now: datetime.datetime) -> float | None:
    """Give the seconds that a Retry-After header asks for, written as seconds or as an HTTP date; None if unreadable.

    >>> retry_after_s("120", datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    120.0
    >>> retry_after_s("Thu, 01 Jan 2026 00:00:30 GMT", datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    30.0
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0, (moment - now).total_seconds())
