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
from adapter.eligibility.values import Bounds, Limits, Period, rounded


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

    def judge(self, case: Case) -> Judgement:
        """Any part that cannot be computed makes the whole unknown."""
        records = {id(each): each for name in self.medication for each in case.facts.medications.get(name, ())}
        counting: list[tuple[Medication, Stay]] = []
        opens = case.as_of.day if self.stable is None else case.since(self.stable)
        for record in records.values():
            if record.exposure is Exposure.NOT_TAKEN:
                continue
            days = stay(record, case)
            if days is None:
                continue
            unclear = record.exposure is Exposure.UNCLEAR or not record.dated
            if unclear or days.first != days.sure_first:
                return unknown(Reason.DOSE, f"{record.label}: when it is taken is unclear", (shown(record),))
            if days.perhaps >= opens > days.last:
                return unknown(Reason.DOSE, f"{record.label}: until when is not recorded", (shown(record),))
            if days.last >= opens:
                counting.append((record, days))
        evidence = tuple(shown(record, record.dose.sent if record.dose else None) for record, _ in counting)
        now = [(record, days) for record, days in counting if days.last >= case.as_of.day]
        if not now:
            return unknown(Reason.NODATA, f"no {self.label} on record", evidence)
        weight = self._weight(case)
        if isinstance(weight, Judgement):
            return weight
        kilograms, weight_evidence = weight
        return self._compare(counting, kilograms, (*evidence, weight_evidence), case, opens)

    def _weight(self, case: Case) -> tuple[Decimal, Evidence] | Judgement:
        results = [each for each in case.facts.results.get(self.weight, ()) if each.role in self.weight_roles]
        choice = newest(results, case, self.weight_window, _exact)
        shown_weight = tuple(evidence_of(each) for each in choice.deciding)
        if choice.truth is not Truth.MET:
            reason = choice.reason or Reason.NODATA
            return unknown(reason, f"body weight: {reason.meaning}", shown_weight, self.weight_window.text)
        known = [each for each in choice.deciding if each.problem is None]
        numbers = {each.bounds.low for each in known if each.bounds is not None and each.bounds.low is not None}
        if len(numbers) != 1:
            return unknown(Reason.CONFLICT, "two body weights on one day", shown_weight)
        return numbers.pop(), shown_weight[0]

    def _compare(
        self,
        counting: list[tuple[Medication, Stay]],
        kilograms: Decimal,
        evidence: tuple[Evidence, ...],
        case: Case,
        opens: int,
    ) -> Judgement:
        points = sorted({opens, case.as_of.day} | {d for _, s in counting for d in (s.first, s.last + 1)})
        window = self.stable.text if self.stable else None
        doses: list[Decimal] = []
        for day in points:
            if not opens <= day <= case.as_of.day:
                continue
            covering = [record for record, days in counting if days.first <= day <= days.last]
            total = _total(covering)
            if isinstance(total, Reason):
                return unknown(total, f"{self.label}: {total.meaning}", evidence, window)
            if not covering:
                return unknown(Reason.MEDS, f"{self.label}: not recorded for the whole window", evidence, window)
            doses.append(total / kilograms)
        truths = {self.limits.hold(Bounds.exactly(dose)) for dose in doses}
        steady = all(abs(dose - doses[0]) <= abs(doses[0]) * self.largest_change for dose in doses)
        holds = truths == {Truth.MET} and (self.stable is None or steady)
        truth = Truth.MET if holds else Truth.NOT_MET
        said = f"{self.label} {rounded(doses[-1])} {self.unit}"
        if self.stable is None:
            return Judgement(
                truth, None, f"{said} is {self.limits.phrase(self.unit, truth, Bounds.exactly(doses[-1]))}", evidence
            )
        how = "stable" if holds else "not stable"
        return Judgement(truth, None, f"{said}, {how} over the last {self.stable}", evidence, window)


def _exact(result: Result) -> Answered:
    exact = result.bounds is not None and result.bounds.low is not None and result.bounds.low == result.bounds.high
    return (Truth.MET, None) if exact else (Truth.UNKNOWN, result.problem or Reason.COMPARATOR)


def _total(covering: list[Medication]) -> Decimal | Reason:
    """Add the units a day of different products; a statement and an order of one product count once."""
    by_product: dict[tuple[str, ...], set[Decimal]] = {}
    for record in covering:
        if record.dose is None or record.dose.units is None:
            return Reason.DOSE
        by_product.setdefault(tuple(sorted(record.codes)), set()).add(record.dose.units)
    if any(len(doses) > 1 for doses in by_product.values()):
        return Reason.CONFLICT
    return sum((dose for doses in by_product.values() for dose in doses), Decimal(0))
