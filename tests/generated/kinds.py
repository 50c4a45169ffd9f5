"""Judge blocks drawn at random: every kind of criterion, with bounds, windows, value sets and clauses of every sort.

What a trial asks for it must not refuse (``check`` refuses such a trial): every input and every group of value sets
that share codes is drawn for one side only.
"""

import copy
import re
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from random import Random
from typing import Any, TypeVar

from generated.pools import Block, Measured, Pools

from adapter.catalog.prepare import POLICY
from adapter.eligibility.kinds.condition import ConditionClause
from adapter.eligibility.kinds.medication import MedicationClause
from adapter.eligibility.kinds.record import EncounterClause, ProcedureClause

T = TypeVar("T")
_THREE = Context(prec=3, rounding=ROUND_HALF_EVEN)
_FOUR = Context(prec=4, rounding=ROUND_HALF_EVEN)
_LOW, _HIGH = ("at_least", "more_than"), ("at_most", "less_than")
_WINDOWS = ("P7D", "P14D", "P4W", "P28D", "P30D", "P1M", "P12W", "P3M", "P90D", "P6M", "P12M", "P1Y", "P18M", "P5Y")
_GIVES = ("VERIFY", "HUMAN", "SEVERITY", "NOEVIDENCE", "CONFLICT")
_PERIOD = re.compile(r"P(?=\d)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?")


class NothingLeftError(Exception):
    """Everything a kind could speak of is taken by the other side."""


class Kinds:
    """Draws judge blocks for the atoms of one trial."""

    def __init__(self, random: Random, pools: Pools, key: str) -> None:
        self._random = random
        self._pools = pools
        self._key = key
        self._sides: dict[str, bool] = {}
        self._asks = True
        self.draws: dict[str, Callable[[], Block]] = {
            "age": self._age,
            "quantity": self._quantity,
            "sustained": self._sustained,
            "result-is": self._result_is,
            "duration": self._duration,
            "record": self._record,
            "events": self._events,
            "ask": self._ask,
            "other-study": lambda: {**self._varied("other-study"), "this": key},
        }
        """By kind; every other one is a block of a real trial with other windows."""

    def drawn(self, kind: str, *, asks: bool) -> Block:
        """Draw a block of a kind; ``asks`` says whether its being true speaks for the patient."""
        self._asks = asks
        draw = self.draws.get(kind)
        return {"kind": kind, **(draw() if draw is not None else self._varied(kind))}

    def period(self) -> str:
        """Draw a length of time."""
        return self._random.choice(_WINDOWS) if self._maybe(0.7) else f"P{self._random.randint(1, 400)}D"

    def _maybe(self, chance: float = 0.5) -> bool:
        return self._random.random() < chance

    def _some(self, of: Sequence[T], most: int) -> list[T]:
        return self._random.sample(of, min(len(of), self._random.randint(1, most)))

    def _free(self, topics: Sequence[tuple[str, T]]) -> list[T]:
        """Give what is not taken by the other side; raises where nothing is left."""
        left = [each for topic, each in topics if self._sides.get(topic, self._asks) is self._asks]
        if not left:
            raise NothingLeftError
        return left

    def _take(self, topic: str) -> None:
        self._sides[topic] = self._asks

    def _input(self) -> Measured:
        chosen = self._random.choice(self._free([(each.name, each) for each in self._pools.measured]))
        self._take(chosen.name)
        return chosen

    def _sets(self, clause: type, most: int = 3) -> list[str]:
        names = self._pools.sets[clause]
        chosen = self._some(self._free([(self._pools.cluster[name], name) for name in names]), most)
        for name in chosen:
            self._take(self._pools.cluster[name])
        return chosen

    def _limits(self, low: Decimal, high: Decimal, *, whole: bool = False) -> Block:
        """Draw one limit or two that lie strictly inside a range and leave room between them."""
        inside = sorted({self._between(low, high, whole=whole) for _ in range(6)})
        if len(inside) > 1 and self._maybe():
            return {self._random.choice(_LOW): inside[0], self._random.choice(_HIGH): inside[-1]}
        return {self._random.choice((*_LOW, *_HIGH)): self._random.choice(inside)}

    def _between(self, low: Decimal, high: Decimal, *, whole: bool) -> Decimal:
        while True:
            found = low + (high - low) * self._random.randint(1, 999) / 1000
            found = found.to_integral_value() if whole else _THREE.plus(found)
            if low < found < high:
                return found + Decimal("0.00") if not whole and self._maybe(0.1) else found

    def _equivalent(self, limits: Block, unit: str, other: str, of: Measured) -> Block:
        """Give the same limits in another unit, as the plausible ranges of both say how they convert."""
        (a, b), (c, d) = of.plausible[unit], of.plausible[other]
        return {name: _FOUR.plus(c + (end - a) * (d - c) / (b - a)) for name, end in limits.items()}

    def _age(self) -> Block:
        if self._sides.get("age", self._asks) is not self._asks:
            raise NothingLeftError
        self._take("age")
        return {"limits": self._limits(Decimal(10), Decimal(90), whole=True)}

    def _printed(self, of: Measured) -> Block:
        """Draw limits in a unit that can be printed, with those of the units that are compared as reported."""
        unit = self._random.choice(list(of.plausible))
        low, high = of.plausible[unit]
        made: Block = {"limits": self._limits(low, high, whole=of.measure.score), "unit": unit}
        others = [each for each in of.kept if each != unit]
        if others and self._maybe(0.8):
            made["equivalent"] = {each: self._equivalent(made["limits"], unit, each, of) for each in others}
        return made

    def _quantity(self) -> Block:
        chosen = self._input()
        if not chosen.measure.score and self._maybe(0.2):
            limits = self._limits(Decimal("0.1"), Decimal(5))
            made: Block = {"input": chosen.name, "limits": limits, "times_uln": True}
        else:
            made = {"input": chosen.name, **self._printed(chosen)}
        if self._maybe(0.4):
            made["window"] = self.period()
        if self._maybe(0.15):
            made["only"] = self._random.choice(("male", "female"))
        return made

    def _sustained(self) -> Block:
        chosen = self._input()
        apart = self._random.choice((14, 28, 56, 84))
        months = self._random.randint(4, 12)
        return {
            "input": chosen.name,
            **self._printed(chosen),
            "apart": apart,
            "reach": f"P{months}M",
            "refuted_in": f"P{self._random.randint(1, months - 1)}M",
            **({"window": self.period()} if self._maybe(0.3) else {}),
        }

    def _result_is(self) -> Block:
        made: Block = {"input": self._random.choice(self._pools.qualitative)}
        made["answer"] = self._random.choice(("positive", "negative"))
        if self._maybe():
            made["window"] = self.period()
        if self._maybe():
            made["or_condition"] = self._some(self._pools.sets[ConditionClause], 2)
        return made

    def _duration(self) -> Block:
        made: Block = {"condition": self._some(self._pools.sets[ConditionClause], 2), "earlier": {}}
        made[self._random.choice(("more_than", "at_most", "less_than"))] = self.period()
        earlier = made["earlier"]
        if self._maybe(0.7):
            earlier["conditions"] = self._some(self._pools.sets[ConditionClause], 2)
        if self._maybe():
            earlier["medications"] = self._some(self._pools.sets[MedicationClause], 2)
        if self._maybe():
            of = self._random.choice(self._pools.measured)
            earlier["values"] = [{"value": of.name, "limits": self._by_unit(of)}]
        return made

    def _by_unit(self, of: Measured) -> Block:
        unit, *others = of.compared
        low, high = of.plausible[unit]
        limits = self._limits(low, high, whole=of.measure.score)
        return {unit: limits, **{each: self._equivalent(limits, unit, each, of) for each in others}}

    def _record(self) -> Block:
        made: Block = {"any": [self._clause(2) for _ in range(self._random.choice((1, 1, 1, 2, 3)))]}
        if self._maybe(0.6):
            made["empty_list"] = self._random.choice(("problem-list", "medication-list"))
            made["empty_list_within"] = self.period()
        if self._maybe(0.15):
            made["silence"] = self._random.choice(("NODATA", "MEDS", "NOEVIDENCE"))
        return {**made, "subject": "what is looked for"}

    def _clause(self, depth: int) -> Block:
        draws: list[Callable[[], Block]] = [self._condition] * 4 + [self._medication] * 2
        draws += [self._procedure, self._encounter, self._value]
        if depth and self._maybe(0.2):
            made: Block = {"all": [self._clause(depth - 1) for _ in range(self._random.randint(2, 3))]}
            if self._maybe(0.3):
                made["partial"] = "HUMAN"
        else:
            made = self._random.choice(draws)()
        if self._maybe(0.15):
            made["gives"] = self._random.choice(_GIVES)
        return made

    def _condition(self) -> Block:
        names = self._sets(ConditionClause)
        state = self._random.choice(("active", "active", "ever", "within", "suspected"))
        made: Block = {"condition": names, **({} if state == "active" else {"state": state})}
        if state == "within":
            made["within"] = f"P{self._random.randint(1, 24)}M"
            if self._maybe(0.3):
                made["grey"] = f"P{self._random.randint(3, 10)}Y"
            if self._maybe(0.4):
                made["end_counts"] = True
        if state == "active" and self._maybe(0.2):
            made[self._random.choice(("dated_in", "no_longer_than"))] = self.period()
        if state == "active" and self._maybe(0.15):
            made["ended"] = self._random.choice((None, "VERIFY", "DATE"))
        for name in ("confirmed", "required"):
            if state != "suspected" and self._maybe(0.15):
                made[name] = True
        refutable = [each for each in names if each in self._pools.refutable]
        if refutable and self._maybe(0.6):
            made["refuted"] = refutable
        others = [each for each in self._pools.sets[ConditionClause] if each not in names]
        if self._maybe(0.15):
            made["rivals"] = self._some(others, 2)
        if self._maybe(0.15):
            made["doubtful"] = {each: self._random.choice(_GIVES) for each in self._some(others, 2)}
        return made

    def _medication(self) -> Block:
        made: Block = {"medication": self._sets(MedicationClause)}
        taken = self._random.choice(("now", "now", "within", "throughout", "continuously"))
        if taken != "now":
            made |= {"taken": taken, "period": self.period()}
        if taken == "throughout" and self._maybe():
            made["gap_days"] = self._random.choice((7, 14, 30))
        if self._maybe(0.2):
            made["systemic"] = True
        if self._maybe(0.15):
            made["ended"] = "MEDS"
        return made

    def _procedure(self) -> Block:
        made: Block = {"procedure": self._sets(ProcedureClause, 2)}
        if self._maybe(0.6):
            made |= {"within": self.period(), **({"older": "NOEVIDENCE"} if self._maybe() else {})}
        return made

    def _encounter(self) -> Block:
        return {"encounter": self._sets(EncounterClause, 2), "within": self.period()}

    def _value(self) -> Block:
        of = self._random.choice(self._pools.measured)
        made: Block = {"value": of.name, "limits": self._by_unit(of), "days": self._random.choice((1, 1, 2, 3))}
        if self._maybe():
            made["within"] = self.period()
        if self._maybe(0.3):
            made["short"] = self._random.choice(("HUMAN", "VERIFY"))
        return made

    def _events(self) -> Block:
        names = self._random.sample(self._pools.sets[ConditionClause], 4)
        made: Block = {"certain": {"first": names[:2], "second": names[2:3]}}
        made |= {"at_least": self._random.randint(1, 3), "apart_days": self._random.choice((0, 28, 90))}
        if self._maybe():
            made["possible"] = names[3:]
        if self._maybe():
            made["empty_list_within"] = self.period()
        return {**made, "subject": "an event"}

    def _ask(self) -> Block:
        made: Block = {}
        if self._maybe():
            made = {"shows": self._some(self._pools.shown, 2), "window": self.period()}
            made |= {"missing": "NODATA"} if self._maybe() else {}
        if self._maybe(0.2):
            made["conditions"] = self._some(self._pools.sets[ConditionClause], 2)
        return made

    def _varied(self, kind: str) -> Block:
        """Take a block of a real trial and draw other windows for it."""
        block = copy.deepcopy(self._random.choice(self._pools.blocks[kind]))
        return {key: self._windows(value) for key, value in block.items() if key != "kind"}

    def _windows(self, node: Any) -> Any:  # noqa: ANN401 (any part of a block)
        if isinstance(node, dict):
            return {key: self._windows(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self._windows(each) for each in node]
        if isinstance(node, str):
            name = POLICY.fullmatch(node)
            stands_for = self._pools.catalog.mappings.policy[name[1]].value if name is not None else node
            is_period = isinstance(stands_for, str) and _PERIOD.fullmatch(stands_for) is not None
            return self.period() if is_period and self._maybe() else node
        return node
