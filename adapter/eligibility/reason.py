"""Why something is unknown: a closed list, each with what it means and what a person can do."""

import enum
from typing import Self


class Reason(enum.Enum):
    """The reason a finding is unknown; ``meaning`` says what was seen, ``action`` what would settle it."""

    meaning: str
    action: str

    __hash__ = object.__hash__  # a member is one object; Enum's own hash runs Python code on every look-up

    NODATA = ("NODATA", "nothing on record for this input", "order or send the result")
    STALE = ("STALE", "a value exists but is older than the window", "repeat the measurement")
    STATUS = (
        "STATUS",
        "only registered, preliminary, cancelled, unknown or entered-in-error resources",
        "wait for or ask the laboratory for the final result",
    )
    UNIT = (
        "UNIT",
        "unit or value missing, not readable, or not convertible to the canonical unit",
        "send the number with its UCUM unit, or add the printed unit to the mapping",
    )
    IMPLAUSIBLE = ("IMPLAUSIBLE", "value outside the plausible range of the stated unit", "check value and unit")
    CONFLICT = (
        "CONFLICT",
        "usable values of the same day, or records, contradict each other",
        "decide which record is right and correct the other",
    )
    COMPARATOR = (
        "COMPARATOR",
        "a comparator (<, <=, >, >=) leaves both sides possible",
        "ask the laboratory for the measured value",
    )
    DATE = (
        "DATE",
        "date missing, partial, unreadable or in the future, so that both sides are possible",
        "complete the date",
    )
    ULN = ("ULN", "no usable upper reference limit", "send referenceRange.high, or configure the laboratory's limits")
    FASTING = ("FASTING", "fasting state not shown", "send a fasting code or the fasting status")
    ONE_VALUE = ("ONE-VALUE", "a sustained state needs at least two values", "find or order a second value")
    VERIFY = (
        "VERIFY",
        "not confirmed, a code that does not prove it, or a rival diagnosis",
        "confirm or refute the diagnosis",
    )
    NOEVIDENCE = (
        "NOEVIDENCE",
        "no record that decides it, and no explicit negative",
        "ask the patient or record an explicit negative",
    )
    MEDS = (
        "MEDS",
        "no dated medication history for the window, or status unclear",
        "reconcile the medication list with dates",
    )
    DOSE = ("DOSE", "dosage not structured enough to compute", "record dose, unit and frequency")
    SEVERITY = ("SEVERITY", "the record does not show the severity the text asks for", "grade the disease")
    TEXT = ("TEXT", "only in narrative", "code the answer")
    HUMAN = ("HUMAN", "needs a reviewer", "answer the reviewer's question")
    CONFIG = ("CONFIG", "site or protocol configuration missing", "complete the site's settings")
    CONTRADICTION = ("CONTRADICTION", "the trial text contradicts itself", "ask the trial team how to read it")
    SEX = ("SEX", "sex needed and unknown or contradictory", "complete or correct the patient's sex")
    ABSENT_REASON = (
        "ABSENT-REASON",
        "a data-absent reason, or nothing, instead of a value",
        "repeat the measurement",
    )

    def __new__(cls, code: str, meaning: str, action: str) -> Self:
        """Let the code be the value, and keep the words beside it."""
        member = object.__new__(cls)
        member._value_ = code
        member.meaning = meaning
        member.action = action
        return member
