"""One patient at one instant: the facts and what follows from them for every criterion alike."""

import datetime
from collections.abc import Callable, Hashable
from typing import TypeVar

import msgspec

from adapter.eligibility.facts import Condition, Facts, Person, Procedure, Sex, Source, Verification
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import AsOf, Moment, Period, completed_years

T = TypeVar("T")


class ChildbearingRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who can become pregnant, as the mappings define it; the ages are policy, not physiology."""

    fertile_to: int
    """Up to this age a woman can, unless a record ends it."""
    ended_from: int
    """From this age on she cannot; between the two it is unknown."""
    ended_by: tuple[str, ...]
    """Value sets of conditions or procedures that end it."""


class Rules(msgspec.Struct, frozen=True):
    """Derivations that premises of the logic need; they come from the mappings."""

    childbearing: ChildbearingRule


def nothing_on_record() -> "Case":
    """Make the case of which nothing is known: what it is answered, everyone is whose record is silent."""
    nobody = Person("", Source(""), None, Sex.UNKNOWN, "")
    facts = Facts(nobody, {}, {}, {}, {}, {}, [], [], [], [], {})
    return Case(facts, AsOf.at(datetime.datetime.fromtimestamp(0, datetime.UTC)), Rules(ChildbearingRule(0, 0, ())))


class Case:
    """A patient's facts and the instant of the question; what is computed once is kept for all trials."""

    __slots__ = ("_ages", "_fertile", "_kept", "_named", "_names", "as_of", "facts", "rules")

    def __init__(self, facts: Facts, as_of: AsOf, rules: Rules) -> None:
        self.facts = facts
        self.as_of = as_of
        self.rules = rules
        self._kept: dict[int, object] = {}
        self._named: dict[Hashable, object] = {}
        self._ages: dict[int, tuple[int, int] | None] = {}
        self._fertile: Truth | None = None
        self._names: frozenset[str] | None = None

    def once(self, question: object, answer: Callable[["Case"], T]) -> T:
        """Answer a question of this case once, however many atoms ask.

        Told apart by identity, which is fast: the catalog gives equal questions of all trials one object.
        """
        key = id(question)
        if key not in self._kept:
            self._kept[key] = answer(self)
        return self._kept[key]  # type: ignore[return-value]  # a question has answers of one type

    def keep(self, name: Hashable, find: Callable[[], T]) -> T:
        """Find something of this case once, by a name; ``name`` says what is found, so it has one type."""
        if name not in self._named:
            self._named[name] = find()
        return self._named[name]  # type: ignore[return-value]  # see above

    @property
    def names(self) -> frozenset[str]:
        """Every name under which anything is on record."""
        if self._names is None:
            self._names = self.facts.names()
        return self._names

    def since(self, period: Period) -> int:
        """Give the first day of the window that ends with the question."""
        return self.as_of.since(period)

    def age(self, day: int | None = None) -> tuple[int, int] | None:
        """Give the lowest and highest completed years the patient can have on ``day``; None where nothing is known."""
        on = self.as_of.day if day is None else day
        if on not in self._ages:
            self._ages[on] = self._age(on)
        return self._ages[on]

    def _age(self, on: int) -> tuple[int, int] | None:
        birth = self.facts.person.birth
        if birth is None or birth.first > self.as_of.day:
            return None
        return completed_years(min(birth.last, on), on), completed_years(birth.first, on)

    @property
    def sex(self) -> Sex:
        """The patient's sex, as far as the record is clear."""
        return self.facts.person.sex

    @property
    def deceased(self) -> bool:
        """Whether the patient is dead at the instant of the question; a partial date counts once it has begun."""
        person = self.facts.person
        if person.died is None:
            return person.deceased
        first, _ = self.as_of.days(person.died)
        if person.died.instant is not None:
            return person.died.instant <= self.as_of.instant
        return first <= self.as_of.day

    def childbearing(self) -> Truth:
        """Whether the patient can become pregnant; an unclear sex is treated as yes, which asks for a test."""
        if self._fertile is None:
            self._fertile = self._childbearing()
        return self._fertile

    def _childbearing(self) -> Truth:
        rule = self.rules.childbearing
        if self.sex is Sex.MALE:
            return Truth.NOT_MET
        if self.fertility_ended_by() is not None:
            return Truth.NOT_MET
        age = self.age()
        if self.sex is Sex.UNKNOWN:
            return Truth.MET
        if age is None:
            return Truth.UNKNOWN
        low, high = age
        if high <= rule.fertile_to:
            return Truth.MET
        return Truth.NOT_MET if low >= rule.ended_from else Truth.UNKNOWN

    def fertility_ended_by(self) -> Condition | Procedure | None:
        """Give the record that proves the end of childbearing potential, where there is one."""
        for name in self.rules.childbearing.ended_by:
            records = self.facts.conditions.get(name, ())
            denied = {code for each in records if each.verification is Verification.REFUTED for code in each.codes}
            for condition in records:
                if denied.intersection(condition.codes):
                    continue
                sure = condition.verification in (Verification.CONFIRMED, Verification.ABSENT)
                proves = any(m.value_set == name and m.doubt is None for m in condition.memberships)
                begun = self._begun(condition.onset or condition.asserted or condition.recorded)
                if sure and proves and begun and not condition.unreadable:
                    return condition
            for procedure in self.facts.procedures.get(name, ()):
                if procedure.done is Truth.MET and self._begun(procedure.when):
                    return procedure
        return None

    def _begun(self, moment: Moment | None) -> bool:
        return moment is None or self.as_of.has_begun(moment) is Truth.MET
