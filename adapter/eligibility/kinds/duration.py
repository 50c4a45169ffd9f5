"""How long a disease has lasted, as an interval between the earliest and the latest it can have begun."""

import datetime

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Condition, Exposure, Result, Verification
from adapter.eligibility.finding import Evidence, Judgement, unknown
from adapter.eligibility.kinds.condition import Phase, phase, shown
from adapter.eligibility.kinds.medication import shown as shown_medication
from adapter.eligibility.kinds.record import ValueClause
from adapter.eligibility.kinds.selection import evidence_of
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth, negation
from adapter.eligibility.values import FIRST_DAY, Moment, Period

_CERTAIN = (Verification.CONFIRMED, Verification.ABSENT)


class Earlier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shows that the disease was there before its stated onset."""

    conditions: tuple[str, ...] = ()
    medications: tuple[str, ...] = ()
    values: tuple[ValueClause, ...] = ()


class Duration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="duration"):
    """A disease has lasted more than, at most, or less than a calendar length."""

    condition: tuple[str, ...]
    earlier: Earlier
    more_than: Period | None = None
    at_most: Period | None = None
    less_than: Period | None = None
    subject: str = "the diagnosis"

    def reads(self) -> frozenset[str]:
        """Give the value sets and the inputs it looks at, those of earlier signs too."""
        earlier = self.earlier
        signs = (*earlier.conditions, *earlier.medications, *(clause.value for clause in earlier.values))
        return frozenset((*self.condition, *signs))

    def judge(self, case: Case) -> Judgement:
        """Compare the interval; what is older than the stated onset can only lengthen it."""
        records = [each for name in self.condition for each in case.facts.conditions.get(name, ())]
        standing = [each for each in records if phase(each, case.as_of) is not Phase.HIDDEN]
        certain = [each for each in standing if each.verification in _CERTAIN]
        if not certain:
            if any(each.verification is Verification.DOUBTFUL for each in standing):
                shown_all = tuple(shown(each) for each in standing)
                return unknown(Reason.VERIFY, f"{self.subject} is not confirmed", shown_all)
            return unknown(Reason.NODATA, f"no record of {self.subject}")
        spans = [_begin(each, case) for each in certain]
        stated = [(first, last) for first, last in spans if first > FIRST_DAY]
        earliest = min((first for first, _ in stated), default=FIRST_DAY)
        latest = min(last for _, last in spans)
        evidence = tuple({shown(each): None for each in certain})
        truth = self._holds(earliest, latest, case)
        changeable = Truth.MET if self.more_than is None else Truth.NOT_MET  # by an earlier sign
        signs = self._signs(case)
        before = min(signs, key=lambda sign: (sign.last, sign.shown.source.reference), default=None)
        if before is not None and before.last < latest and self._is_longer(before.last, before.last, case) is Truth.MET:
            truth = self._lengthened(truth)
            earliest, latest = FIRST_DAY, before.last
            evidence += (before.shown,)
        elif truth is changeable and (perhaps := self._perhaps_longer(signs, case)) is not None:
            said = f"{self.subject} began {_words(earliest, latest)}, and an earlier sign is not dated well enough"
            return unknown(Reason.DATE, said, (*evidence, perhaps.shown))
        since = _words(earliest, latest)
        if truth is Truth.UNKNOWN:
            said = f"{self.subject} began {since}: the record does not date it well enough"
            return unknown(Reason.DATE, said, evidence)
        doubtful = self._doubtful(case)
        if doubtful is not None and (self.more_than is not None) == (truth is Truth.NOT_MET):
            said = f"{self.subject} began {since}, and an earlier record is not confirmed"
            return unknown(Reason.VERIFY, said, (*evidence, doubtful))
        return Judgement(truth, None, f"{self.subject} began {since}, {self._limit(truth)} ago", evidence)

    def _holds(self, earliest: int, latest: int, case: Case) -> Truth:
        longer = self._is_longer(earliest, latest, case)
        return longer if self.more_than is not None else negation(longer)

    def _is_longer(self, earliest: int, latest: int, case: Case) -> Truth:
        """Whether it began before the limit; for ``less_than`` the limit itself is too long."""
        edge = case.since(self._period) + (self.less_than is not None)
        return Truth.MET if latest < edge else Truth.NOT_MET if earliest >= edge else Truth.UNKNOWN

    def _lengthened(self, stated: Truth) -> Truth:
        """Say what an earlier sign beyond the limit makes of the stated beginning: it can only lengthen."""
        if self.more_than is not None:
            return Truth.MET
        return stated if stated is Truth.NOT_MET else Truth.UNKNOWN

    def _doubtful(self, case: Case) -> Evidence | None:
        """Give a record that is not sure and may make it longer than the limit."""
        for name in self.earlier.conditions:
            for each in case.facts.conditions.get(name, ()):
                stands = each.verification is Verification.DOUBTFUL and phase(each, case.as_of) is not Phase.HIDDEN
                if stands and self._may_be_longer(*_begin(each, case), case):
                    return shown(each, "not confirmed")
        for name in self.earlier.medications:
            for drug in case.facts.medications.get(name, ()):
                if drug.exposure is not Exposure.UNCLEAR or drug.start is None:
                    continue
                if self._may_be_longer(*case.as_of.days(drug.start), case):
                    return shown_medication(drug, "not confirmed")
        return None

    def _perhaps_longer(self, signs: "list[_Sign]", case: Case) -> "_Sign | None":
        """Give a sign whose coarse date may lie beyond the limit."""
        return next((sign for sign in signs if self._may_be_longer(sign.first, sign.last, case)), None)

    def _may_be_longer(self, first: int, last: int, case: Case) -> bool:
        """Whether a day of the stated span lies beyond the limit; with no stated beginning only its last day speaks."""
        day = first if first > FIRST_DAY else last
        return self._is_longer(day, day, case) is Truth.MET

    @property
    def _period(self) -> Period:
        period = self.more_than or self.at_most or self.less_than
        if period is None:
            raise ValueError("a duration needs more_than, at_most or less_than")
        return period

    def _limit(self, truth: Truth) -> str:
        yes = truth is Truth.MET
        if self.more_than is not None:
            return f"{'more than' if yes else 'not more than'} {self.more_than}"
        if self.at_most is not None:
            return f"{'at most' if yes else 'more than'} {self.at_most}"
        return f"{'less than' if yes else 'not less than'} {self.less_than}"

    def _signs(self, case: Case) -> "list[_Sign]":
        """Find the other signs of the disease, with the first and the last day on which each can have been seen."""
        signs: list[_Sign] = []
        as_of = case.as_of
        for name in self.earlier.conditions:
            for each in case.facts.conditions.get(name, ()):
                if each.verification in _CERTAIN:
                    begun, recorded = _begin(each, case), _recorded(each, case)
                    first, last = min(begun[0], recorded[0]), min(begun[1], recorded[1])
                    signs.append(_Sign(first, last, shown(each, "earlier sign")))
        for name in self.earlier.medications:
            for drug in case.facts.medications.get(name, ()):
                counts = drug.exposure in (Exposure.TAKEN, Exposure.ORDERED) and drug.start is not None
                if counts and as_of.has_begun(drug.start) is not Truth.NOT_MET:
                    signs.append(_sign(drug.start, shown_medication(drug, "earlier sign"), case))
        for clause in self.earlier.values:
            signs.extend(
                _sign(each.when, evidence_of(each, "earlier sign"), case)
                for each in case.facts.results.get(clause.value, ())
                if each.role in clause.roles and self._is_diagnostic(each, clause, case)
            )
        return signs

    @staticmethod
    def _is_diagnostic(result: Result, clause: ValueClause, case: Case) -> bool:
        limits = clause.limits.get(result.unit or "")
        if not result.usable_status or result.problem is not None or result.bounds is None or limits is None:
            return False
        return case.as_of.has_begun(result.when) is not Truth.NOT_MET and limits.hold(result.bounds) is Truth.MET


class _Sign(msgspec.Struct, frozen=True):
    first: int
    last: int
    shown: Evidence


def _sign(when: Moment | None, evidence: Evidence, case: Case) -> _Sign:
    first, last = case.as_of.days(when)
    return _Sign(first, min(last, case.as_of.day), evidence)


def _recorded(condition: Condition, case: Case) -> tuple[int, int]:
    """Give the first and the last day the record can have been made; today where it does not say."""
    return case.as_of.days(condition.recorded) if condition.recorded else (case.as_of.day, case.as_of.day)


def _begin(condition: Condition, case: Case) -> tuple[int, int]:
    """Give the first and last day the disease is said to have begun; a recorded date is only the latest it can be."""
    onset = condition.onset or condition.asserted
    if onset is None:
        return FIRST_DAY, _recorded(condition, case)[1]
    first, last = case.as_of.days(onset)
    return first, min(last, case.as_of.day)


def _words(earliest: int, latest: int) -> str:
    last = datetime.date.fromordinal(latest).isoformat()
    if earliest == latest:
        return f"on {last}"
    if earliest <= FIRST_DAY:
        return f"on {last} or earlier"
    return f"between {datetime.date.fromordinal(earliest).isoformat()} and {last}"
