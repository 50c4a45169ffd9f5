"""What one piece of the record says about a sentence, and how several pieces are weighed together."""

from collections.abc import Sequence

import msgspec

from adapter.eligibility.finding import Evidence
from adapter.eligibility.kinds.selection import most_telling
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """Yes, no, or unknown with a reason; silence is no Outcome at all."""

    truth: Truth
    reason: Reason | None
    message: str
    evidence: tuple[Evidence, ...] = ()
    speaks_for_it: bool = True
    """False where the record only denies a part: then a list known to be empty still answers."""

    @classmethod
    def yes(cls, message: str, *evidence: Evidence) -> "Outcome":
        """The record shows it."""
        return cls(Truth.MET, None, message, evidence)

    @classmethod
    def no(cls, message: str, *evidence: Evidence) -> "Outcome":
        """The record rules it out."""
        return cls(Truth.NOT_MET, None, message, evidence)

    @classmethod
    def open(cls, reason: Reason, message: str, *evidence: Evidence) -> "Outcome":
        """The record speaks of it but does not settle it."""
        return cls(Truth.UNKNOWN, reason, message, evidence)


def weigh_together(outcomes: Sequence[Outcome | None]) -> Outcome | None:
    """Fold what several records say: one yes settles it, then one open question leaves it open, then a no.

    Silence alone stays silence.  The evidence is that of the records which carry the answer.
    """
    spoken = [each for each in outcomes if each is not None]
    if len(spoken) <= 1:
        return spoken[0] if spoken else None
    for truth in (Truth.MET, Truth.UNKNOWN, Truth.NOT_MET):
        same = [each for each in spoken if each.truth is truth]
        if not same:
            continue
        if truth is Truth.UNKNOWN:
            reason = most_telling(each.reason for each in same if each.reason is not None)
            same = [each for each in same if each.reason is reason]
        same.sort(key=_order)
        evidence = tuple({item: None for each in same for item in each.evidence})
        speaks = any(each.speaks_for_it for each in spoken if each.truth is truth)
        return Outcome(truth, same[0].reason, same[0].message, evidence, speaks)
    raise AssertionError("every outcome has one of three truths")


def _order(outcome: Outcome) -> tuple[str, str]:
    first = outcome.evidence[0] if outcome.evidence else None
    return (first.source.reference if first else "", outcome.message)
