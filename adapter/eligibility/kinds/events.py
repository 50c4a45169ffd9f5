"""How often something happened: distinct dated events of several kinds."""

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Condition, Verification
from adapter.eligibility.finding import Judgement, unknown
from adapter.eligibility.kinds.condition import Phase, phase, shown
from adapter.eligibility.kinds.record import silent
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Period


class Events(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="events"):
    """At least so many distinct events: of different kinds, or of one kind far enough apart."""

    certain: dict[str, tuple[str, ...]]
    """Value sets whose dated conditions are events, by kind of event."""
    at_least: int
    apart_days: int
    """Two of one kind count twice when more than so many days lie between them."""
    possible: tuple[str, ...] = ()
    """Value sets that leave it open (DATE) when they are on record."""
    empty_list_within: Period | None = None
    subject: str = ""

    def reads(self) -> frozenset[str]:
        """Give the value sets it looks at, and the list that may be known to be empty."""
        return frozenset((*self.possible, "problem-list")).union(*self.certain.values())

    def judge(self, case: Case) -> Judgement:
        """Count what is dated to the day; fewer events never mean no."""
        dated: dict[str, set[int]] = {}
        seen: dict[int, Condition] = {}
        vague = False
        for kind, names in self.certain.items():
            for record in self._standing(names, case):
                seen[id(record)] = record
                onset = record.onset or record.asserted
                first, last = case.as_of.days(onset)
                certain = record.verification in (Verification.CONFIRMED, Verification.ABSENT)
                proven = any(each.value_set in names and each.doubt is None for each in record.memberships)
                if (
                    onset is None
                    or first != last
                    or not certain
                    or not proven
                    or phase(record, case.as_of) is Phase.UNCLEAR
                ):
                    vague = True
                    continue
                dated.setdefault(kind, set()).add(first)
        for record in self._standing(self.possible, case):
            seen[id(record)] = record
            vague = True
        evidence = tuple(sorted({shown(each) for each in seen.values()}, key=lambda item: (item.on or "", item.sent)))
        count = sum(self._distinct(days) for days in dated.values())
        if count >= self.at_least:
            return Judgement(Truth.MET, None, f"{count} distinct events of {self.subject} are dated", evidence)
        if seen:
            more = ", others may have happened" if vague else ""
            said = f"{count} of {self.at_least} dated events of {self.subject}{more}"
            return unknown(Reason.DATE, said, evidence)
        return silent(case, Reason.NOEVIDENCE, self.subject, "problem-list", self.empty_list_within)

    @staticmethod
    def _standing(names: tuple[str, ...], case: Case) -> list[Condition]:
        records = [each for name in names for each in case.facts.conditions.get(name, ())]
        return [
            each
            for each in records
            if each.verification is not Verification.REFUTED and phase(each, case.as_of) is not Phase.HIDDEN
        ]

    def _distinct(self, days: set[int]) -> int:
        count, last = 0, None
        for day in sorted(days):
            if last is None or day - last > self.apart_days:
                count, last = count + 1, day
        return count
