"""One atom's truth, why, and on what evidence."""

import msgspec

from adapter.eligibility.facts import Result, Source
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One record a finding rests on, or looked at and could not use."""

    source: Source
    sent: str
    """What the sender wrote, in words: ``8.1 %``, ``Type 2 diabetes (active, confirmed)``."""
    on: str | None = None
    """The date as sent."""
    compared: str | None = None
    """The value that was compared, where it differs from what was sent."""
    conversion: str | None = None
    note: str | None = None


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """A truth with its reason, the sentence that says it, and its evidence."""

    truth: Truth
    reason: Reason | None
    message: str
    evidence: tuple[Evidence, ...] = ()
    window: str | None = None
    observed: Result | None = None
    """The one result that decided, where a single one did."""
    applicable: bool = True
    attested: bool = False
    """Whether a reviewer's answer decided it."""


class Finding(msgspec.Struct, frozen=True, gc=False):
    """What was found for one atom of one trial."""

    atom: str
    judgement: Judgement

    @property
    def truth(self) -> Truth:
        """Whether the atom's sentence is true of the patient."""
        return self.judgement.truth


def unknown(reason: Reason, message: str, evidence: tuple[Evidence, ...] = (), window: str | None = None) -> Judgement:
    """Say that something is unknown, why, and what was looked at."""
    return Judgement(Truth.UNKNOWN, reason, message, evidence, window)
