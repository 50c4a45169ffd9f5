"""Daily dose per body weight from structured dosages, now and over a window."""

from decimal import Decimal

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Exposure, Medication, Result
from adapter.eligibility.finding import Evidence, Judgement, unknown
from adapter.eligibility.kinds.medication import Stay, shown, stay
from adapter.eligibility.kinds.selection import Answered, evidence_of, newest
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Bounds, Limits, Period


class DailyDosePerWeight(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="daily-dose"):
    """All products of a class together, units a day and kg, lie within the limits now; with ``stable`` all the time."""

    input: str
    """What is computed, by its name among the inputs."""
    medication: tuple[str, ...]
    weight: str
    weight_window: Period
    limits: Limits
    unit: str
    stable: Period | None = None
    """The dose must have been inside the limits, without a larger change, for this long."""
    largest_change: Decimal = Decimal(0)
    """With ``stable``: share of the first value."""
    weight_roles: tuple[str, ...] = ()
    label: str = "daily dose"

    def reads(self) -> frozenset[str]:
        """Give the value sets of the drug and the input of the weight."""
        return frozenset((*self.medication, self.weight))

    def judge(self, case: Case) -> Judgement:
        """Any part that cannot be computed makes the whole unknown."""
        records = {id(each): each for name in self.medication for each in case.facts.medications.get(name, ())}
        opens = case.as_of.day if self.stable is None else case.since(self.stable)
        counting: list[tuple[Medication, Stay]] = []
        unclear = Reason.DOSE if self.stable is None else Reason.MEDS
        for record in records.values():
            days = stay(record, case)
            if record.exposure is Exposure.NOT_TAKEN or days is None:
                continue
            crosses = days.first <= opens < days.sure_first or days.sure_first > case.as_of.day
            if record.exposure is Exposure.UNCLEAR or not record.dated or crosses:
                return unknown(unclear, f"{record.label}: when it is taken is unclear", (shown(record),))
            if days.perhaps >= opens > days.last:
                return unknown(unclear, f"{record.label}: until when is not recorded", (shown(record),))
            if days.last >= opens:
                counting.append((record, days))
        evidence = tuple(shown(record, record.dose.sent if record.dose else None) for record, _ in counting)
        if not any(days.last >= case.as_of.day for _, days in counting):
            return unknown(Reason.NODATA, f"no {self.label} on record", evidence)
        totals = self._totals(counting, case, opens)
        if isinstance(totals, Reason):
            return unknown(totals, f"{self.label}: {totals.meaning}", evidence, self._window)
        weights = self._weights(case)
        if isinstance(weights, Judgement):
            return weights
        kilograms, weight_evidence = weights
        answers = {self._answer([total / each for total in totals]) for each in kilograms}
        if len(answers) > 1:
            return unknown(Reason.CONFLICT, "two body weights on one day", (*evidence, *weight_evidence), self._window)
        return self._said(answers.pop(), totals[-1] / kilograms[0], (*evidence, *weight_evidence))

    @property
    def _window(self) -> str | None:
        return self.stable.text if self.stable else None

    def _weights(self, case: Case) -> tuple[list[Decimal], tuple[Evidence, ...]] | Judgement:
        """Give the body weights of the latest day."""
        results = [each for each in case.facts.results.get(self.weight, ()) if each.role in self.weight_roles]
        choice = newest(results, case, self.weight_window, _exact)
        shown_weight = tuple(evidence_of(each) for each in choice.deciding)
        if choice.truth is not Truth.MET:
            reason = choice.reason or Reason.NODATA
            return unknown(reason, f"body weight: {reason.meaning}", shown_weight, self.weight_window.text)
        known = [each.bounds.low for each in choice.deciding if each.problem is None and each.bounds is not None]
        return sorted({each for each in known if each is not None}), shown_weight

    def _totals(self, counting: list[tuple[Medication, Stay]], case: Case, opens: int) -> list[Decimal] | Reason:
        """Give the units a day at every point of the window where something changes."""
        changes = {day for _, days in counting for day in (days.sure_first, days.last + 1)}
        totals = []
        for day in sorted({opens, case.as_of.day} | changes):
            if not opens <= day <= case.as_of.day:
                continue
            covering = [record for record, days in counting if days.sure_first <= day <= days.last]
            if not covering:
                return Reason.MEDS
            total = _total(covering)
            if isinstance(total, Reason):
                return total
            totals.append(total)
        return totals

    def _answer(self, doses: list[Decimal]) -> Truth:
        within = all(self.limits.hold(Bounds.exactly(dose)) is Truth.MET for dose in doses)
        steady = all(abs(dose - doses[0]) <= abs(doses[0]) * self.largest_change for dose in doses)
        return Truth.MET if within and (self.stable is None or steady) else Truth.NOT_MET

    def _said(self, truth: Truth, dose: Decimal, evidence: tuple[Evidence, ...]) -> Judgement:
        said = f"{self.label} {dose:.4g} {self.unit}"
        if self.stable is None:
            limits = self.limits.phrase(self.unit, truth, Bounds.exactly(dose))
            return Judgement(truth, None, f"{said} is {limits}", evidence)
        how = "stable" if truth is Truth.MET else "not stable"
        return Judgement(truth, None, f"{said}, {how} over the last {self.stable}", evidence, self._window)


def _exact(result: Result) -> Answered:
    exact = result.bounds is not None and result.bounds.low is not None and result.bounds.low == result.bounds.high
    return (Truth.MET, None) if exact else (Truth.UNKNOWN, result.problem or Reason.COMPARATOR)


def _total(covering: list[Medication]) -> Decimal | Reason:
    """Add the units a day of different products; a statement and an order of one product count once.

    Two statements, or two orders, of one product may be two injections or one written twice; a statement and an
    order under different codes may be one product: what cannot be told is CONFLICT.
    """
    by_exposure: dict[Exposure, list[Medication]] = {}
    for record in covering:
        if record.dose is None or record.dose.units is None:
            return Reason.DOSE
        same = by_exposure.setdefault(record.exposure, [])
        if any(_is_same(record, each) for each in same):
            return Reason.CONFLICT
        same.append(record)
    stated, ordered = by_exposure.get(Exposure.TAKEN, []), by_exposure.get(Exposure.ORDERED, [])
    if stated and ordered:
        pairs = [(one, other) for one in stated for other in ordered if _is_same(one, other)]
        alike = all(one.dose == other.dose for one, other in pairs)
        if not alike or len(pairs) < min(len(stated), len(ordered)):
            return Reason.CONFLICT
        return _sum(stated if len(stated) >= len(ordered) else ordered)
    return _sum(stated or ordered)


def _is_same(one: Medication, other: Medication) -> bool:
    return bool(set(one.codes).intersection(other.codes))


def _sum(records: list[Medication]) -> Decimal:
    return sum((each.dose.units for each in records if each.dose and each.dose.units is not None), Decimal(0))
