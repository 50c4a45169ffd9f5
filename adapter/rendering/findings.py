"""The findings format: one JSON line per patient, trial and atom, and one per patient and trial."""

from collections.abc import Iterator
from typing import Any

import msgspec

from adapter.eligibility.decide import Screening
from adapter.eligibility.finding import Evidence, Finding, Judgement

_encode = msgspec.json.Encoder(decimal_format="number").encode


class FindingLines:
    """Writes the lines of screenings; what is the same for every patient is encoded once."""

    def __init__(self, versions: dict[str, str]) -> None:
        self._versions = versions
        self._kept: dict[str, tuple[Finding, bytes]] = {}
        """By atom, its latest finding without evidence: nearly always the one object that says it of everyone."""

    def lines(self, patient: str, screening: Screening) -> Iterator[bytes]:
        """Give the finding lines of one patient and trial in the trial's order, the verdict line last."""
        key = screening.trial.key
        head = _encode({"patient": patient, "trial": key})[:-1]
        for finding in screening.findings:
            kept = self._kept.get(finding.atom)
            if kept is not None and kept[0] is finding:
                tail = kept[1]
            else:
                tail = _tail(finding.atom, finding.judgement)
                if not finding.judgement.evidence:
                    self._kept[finding.atom] = (finding, tail)
            yield b"%b,%b\n" % (head, tail)
        verdict = {
            "patient": patient,
            "trial": key,
            "verdict": screening.verdict.value,
            "reason": "DECEASED" if screening.deceased else None,
            "contradictions": [each.text for each in screening.contradictions],
            "versions": {"trial": screening.trial.version, **self._versions},
        }
        yield _encode(verdict) + b"\n"


def _tail(atom: str, judgement: Judgement) -> bytes:
    said: dict[str, Any] = {
        "criterion": atom,
        "truth": judgement.truth.word,
        "reason": judgement.reason.value if judgement.reason is not None else None,
        "message": judgement.message,
    }
    if not judgement.applicable:
        said["applicable"] = False
    if judgement.attested:
        said["attested"] = True
    if judgement.window is not None:
        said["window"] = judgement.window
    said["evidence"] = [_evidence(each) for each in judgement.evidence]
    return _encode(said)[1:]


def _evidence(item: Evidence) -> dict[str, str]:
    more = {"on": item.on, "compared": item.compared, "conversion": item.conversion, "note": item.note}
    said = {name: value for name, value in more.items() if value is not None}
    return {"reference": item.source.versioned, "sent": item.sent, **said}
