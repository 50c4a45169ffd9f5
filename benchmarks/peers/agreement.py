"""Whether two engines say the same: define by define, patient by patient."""

from collections import Counter
from collections.abc import Sequence

import msgspec
from oracle.comparison import Compared
from oracle.differences import known

from peers.answering import Answer, Truth


class Agreement(msgspec.Struct, frozen=True):
    """How one engine's answers lie beside ours."""

    asked: int
    same: int
    decided: int
    """Of what is the same, how many are met or not met: agreeing on silence alone proves little."""
    explained: int
    """Differences that ``tests/oracle/differences.yaml`` explains."""
    patients: int
    same_patients: int
    kinds: dict[str, int]
    """By ``ours > theirs``, the unexplained differences."""
    by_define: dict[str, int]
    first: tuple[str, ...]

    @property
    def counts(self) -> bool:
        """Whether the engine's speed may be compared: it says what we say, or the difference stands explained."""
        return self.same + self.explained == self.asked and self.decided > 0


def compare(
    cases: Sequence[str], defines: Sequence[str], ours: Sequence[Answer], theirs: Sequence[Answer]
) -> Agreement:
    """Compare every define of every patient; a define without an answer is a difference."""
    explanations = known()
    same = decided = explained = same_patients = 0
    kinds: Counter[str] = Counter()
    by_define: Counter[str] = Counter()
    first = []
    for case, our, their in zip(cases, ours, theirs, strict=True):
        differing = 0
        for define in defines:
            mine, other = _word(our.get(define, "no such atom")), _word(their.get(define, "no such define"))
            if mine == other:
                same += 1
                decided += mine in {"met", "not-met"}
                continue
            if any(each.explains(Compared(case, "", define, "atom", mine, other)) for each in explanations):
                explained += 1
                continue
            differing += 1
            kinds[f"{mine} > {other}"] += 1
            by_define[define] += 1
            first.append(f"{define}: we say {mine}, it says {other}; {case}")
        same_patients += not differing
    return Agreement(
        len(cases) * len(defines),
        same,
        decided,
        explained,
        len(cases),
        same_patients,
        dict(kinds),
        dict(by_define),
        tuple(first[:20]),
    )


def _word(truth: Truth) -> str:
    if isinstance(truth, str):
        return f"error: {truth}"
    return "unknown" if truth is None else "met" if truth else "not-met"
