"""Three-valued truth and its algebra (Kleene): written once, and everything else consults it."""

import enum
from collections.abc import Iterable
from typing import NoReturn


class Truth(enum.Enum):
    """What is known of a statement.

    A ``Truth`` refuses to be used as a bool: ``if truth:`` would read UNKNOWN as one of the
    other two, and that is how a patient with no creatinine on file gets screened out.
    """

    NOT_MET = 0
    UNKNOWN = 1
    MET = 2

    __hash__ = object.__hash__  # a member is one object; Enum's own hash runs Python code on every look-up

    def __bool__(self) -> NoReturn:
        raise TypeError("compare a Truth with Truth.MET, Truth.NOT_MET or Truth.UNKNOWN")

    @property
    def word(self) -> str:
        """Give the word people and the findings format use: ``met``, ``not-met`` or ``unknown``."""
        return _WORDS[self._value_]


_WORDS = ("not-met", "unknown", "met")
_BY_VALUE = (Truth.NOT_MET, Truth.UNKNOWN, Truth.MET)


def all_of(truths: Iterable[Truth]) -> Truth:
    """Whether every one of ``truths`` holds; one NOT_MET settles it whatever is missing.

    >>> all_of([Truth.MET, Truth.UNKNOWN]).word
    'unknown'
    >>> all_of([Truth.UNKNOWN, Truth.NOT_MET]).word
    'not-met'
    """
    found = Truth.MET
    for truth in truths:
        if truth is Truth.NOT_MET:
            return truth
        if truth is Truth.UNKNOWN:
            found = truth
    return found


def any_of(truths: Iterable[Truth]) -> Truth:
    """Whether at least one of ``truths`` holds; one MET settles it whatever is missing.

    >>> any_of([Truth.MET, Truth.UNKNOWN]).word
    'met'
    >>> any_of([]).word
    'not-met'
    """
    found = Truth.NOT_MET
    for truth in truths:
        if truth is Truth.MET:
            return truth
        if truth is Truth.UNKNOWN:
            found = truth
    return found


def negation(truth: Truth) -> Truth:
    """Whether ``truth`` fails; what is unknown stays unknown.

    >>> negation(Truth.UNKNOWN).word
    'unknown'
    """
    return _BY_VALUE[2 - truth._value_]
