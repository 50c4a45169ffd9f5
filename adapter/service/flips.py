"""What a message changed: which atom says otherwise than at the last evaluation, and on which resource that rests."""

from collections.abc import Mapping

import msgspec

from adapter.eligibility.decide import Screening, Verdict
from adapter.eligibility.finding import Finding
from adapter.eligibility.truth import Truth
from adapter.errors import Issue, Severity
from adapter.store.known_patient import Told

_LOST = {Verdict.ELIGIBLE.value: ", no longer eligible", Verdict.CANDIDATE.value: ", no longer a candidate"}
_MOST = 3
"""How many resources one change names."""


class Flips(msgspec.Struct):
    """What changed of one patient, for who sent the message and for the audit."""

    of: str = ""
    """Which patient of the message it is, where there are several."""
    issues: list[Issue] = []
    codes: list[str] = []
    """Without anything of the patient: ``CFMSC-I1 unknown met``."""

    def add(self, was: Told | None, screening: Screening, arrived: Mapping[str, str]) -> None:
        """Add what one trial says otherwise than before; ``arrived`` gives the place of what came with the message."""
        if was is None:
            return
        key = screening.trial.key
        if was.trial_version == screening.trial.version:
            for finding in screening.findings:
                old, new = was.truths.get(finding.atom, Truth.UNKNOWN.word), finding.truth.word
                if old != new:
                    self._flipped(key, finding, old, arrived)
        verdict = screening.verdict.value
        if was.verdict != verdict:
            more = "" if verdict == Verdict.ELIGIBLE.value else _LOST.get(was.verdict, "")
            said = f"{self.of}{key}: the verdict was {was.verdict} and is {verdict}{more}"
            self.issues.append(Issue(Severity.INFORMATION, "verdict-changed", said))
            self.codes.append(f"{key} {was.verdict} {verdict}")

    def _flipped(self, key: str, finding: Finding, old: str, arrived: Mapping[str, str]) -> None:
        references = _rests_on(finding, arrived)
        rest = f", resting on {', '.join(references)}" if references else ""
        said = f"{self.of}{key}: {finding.atom} was {old} and is {finding.truth.word}{rest}"
        place = next((arrived[each] for each in references if each in arrived), None)
        self.issues.append(Issue(Severity.INFORMATION, "atom-changed", said, place))
        self.codes.append(f"{finding.atom} {old} {finding.truth.word}")


def told_of(screening: Screening) -> Told:
    """Give what is remembered of an evaluation."""
    decided = (each for each in screening.findings if each.truth is not Truth.UNKNOWN)
    return Told(screening.trial.version, screening.verdict.value, {each.atom: each.truth.word for each in decided})


def _rests_on(finding: Finding, arrived: Mapping[str, str]) -> list[str]:
    """Give the resources that a finding rests on: those that came now, else the others."""
    references = list(dict.fromkeys(each.source.reference for each in finding.judgement.evidence))
    new = [each for each in references if each in arrived]
    return (new or references)[:_MOST]
