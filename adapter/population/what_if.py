"""What another limit would change: curves over a limit, and who misses the present one by little.

Only values that one result decided move along a curve; everyone else stays as judged.  Floats are exact enough to
draw a line of counts; no verdict is ever made here.
"""

from collections.abc import Iterator
from decimal import Decimal

import msgspec
import numpy as np

from adapter.eligibility.kinds.quantity import Quantity
from adapter.eligibility.trial import Atom, Criterion
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Limits, plain
from adapter.population.decisions import HIGH_OPEN, LOW_OPEN, Bytes, Numbers
from adapter.population.disclosure import Count, Disclosure
from adapter.population.figures import Stand
from adapter.population.verdicts import Flags, standing

STEPS = 10
"""Points on either side of the printed limit."""
_FINENESS = 40
"""A step is near this fraction of the limit."""
NEAR = (1, 2, 5, 10)
"""Shares of the limit, in percent, within which a value misses it by little."""
ENDS = ("at_least", "more_than", "at_most", "less_than")
_MET, _UNKNOWN, _NOT_MET = (np.uint8(each.value) for each in (Truth.MET, Truth.UNKNOWN, Truth.NOT_MET))


class Point(msgspec.Struct, frozen=True):
    """How many candidates there would be at another limit."""

    limit: Decimal
    surely: Count
    possibly: Count


class Curve(msgspec.Struct, frozen=True):
    """How candidates depend on one limit of one atom."""

    atom: str
    end: str
    """``at_least``, ``more_than``, ``at_most`` or ``less_than``."""
    limit: Decimal
    """As the trial prints it, in ``unit``."""
    unit: str
    movable: Count
    """Of how many patients one measured value decided: who moves along the curve."""
    points: tuple[Point, ...]


class Near(msgspec.Struct, frozen=True):
    """Whom one number alone keeps out, and by how little."""

    atom: str
    end: str
    limit: Decimal
    unit: str
    within: Decimal
    """In ``unit``."""
    patients: Count


def curves(found: Stand, disclosure: Disclosure) -> Iterator[Curve]:
    """Give a curve for each limit of each number that is compared in one unit."""
    for criterion, atom, kind, end, limit in _limits(found):
        no_other_against, no_other_bars = found.none_but(criterion)
        low, high, opens = found.decided.numbers[atom.id]
        is_movable = ~(np.isnan(low) & np.isnan(high))
        points = []
        for value in _grid(limit):
            limits = msgspec.structs.replace(kind.limits, **{end: value})
            column = np.where(is_movable, held(limits, low, high, opens), found.truths[atom.id])
            stands = standing(criterion, {**found.truths, atom.id: column}, found.decided)
            surely = stands.surely & no_other_bars & found.eligible_to_count & no_other_against
            possibly = stands.possibly & no_other_against & found.alive
            points.append(Point(value, disclosure.of(surely), disclosure.of(possibly)))
        yield Curve(atom.id, end, limit, kind.unit, disclosure.of(is_movable), tuple(points))


def near_misses(found: Stand, disclosure: Disclosure) -> Iterator[Near]:
    """Give, for each limit, how many it alone keeps out who miss it by little; nothing where it is nobody."""
    for criterion, atom, kind, end, limit in _limits(found):
        no_other_against, _ = found.none_but(criterion)
        low, high, opens = found.decided.numbers[atom.id]
        against = _MET if not criterion.signs[atom.id] else _NOT_MET
        flipped = np.where(found.truths[atom.id] == against, np.uint8(2) - against, found.truths[atom.id])
        helped = standing(criterion, {**found.truths, atom.id: flipped}, found.decided).possibly
        kept_out = ~found.standings[criterion.id].possibly & helped & no_other_against & found.alive
        alone = held(Limits(**{end: limit}), low, high, opens)
        breaks = alone == (_NOT_MET if criterion.signs[atom.id] else _MET)
        distance = np.abs(np.where(np.isnan(low), high, low) - float(limit))
        for percent in NEAR:
            within = abs(limit) * percent / 100
            number = int(np.count_nonzero(kept_out & breaks & (distance <= float(within))))
            if number:
                yield Near(atom.id, end, limit, kind.unit, Decimal(plain(within)), disclosure.count(number))


def _limits(found: Stand) -> Iterator[tuple[Criterion, Atom, Quantity, str, Decimal]]:
    for criterion in found.trial.criteria:
        for atom in criterion.atoms:
            if atom.id not in found.decided.numbers or not isinstance(atom.kind, Quantity) or atom.kind.times_uln:
                continue
            for end in ENDS:
                limit = getattr(atom.kind.limits, end)
                if limit is not None:
                    yield criterion, atom, atom.kind, end, limit


def _grid(limit: Decimal) -> list[Decimal]:
    """Give round steps around a limit, itself among them.

    >>> [str(each) for each in _grid(Decimal("7.5"))][8:13]
    ['7.1', '7.3', '7.5', '7.7', '7.9']
    """
    size = abs(limit) / _FINENESS or Decimal(1)
    power = Decimal(1).scaleb(size.adjusted())
    step = min((power, 2 * power, 5 * power, 10 * power), key=lambda each: abs(each - size))
    values = (limit + number * step for number in range(-STEPS, STEPS + 1))
    return [each for each in values if each >= 0 or limit < 0]


def held(limits: Limits, low: Numbers, high: Numbers, opens: Bytes) -> Bytes:
    """Say for every interval whether it lies inside the limits: ``Limits.hold`` for columns; NaN is no end."""
    low_open, high_open = (opens & LOW_OPEN) != 0, (opens & HIGH_OPEN) != 0
    found = np.full(len(low), _MET, np.uint8)
    for end in ENDS:
        limit = getattr(limits, end)
        if limit is not None:
            inside, outside = _side(end, float(limit), (low, high, low_open, high_open))
            found = np.minimum(found, np.where(inside, _MET, np.where(outside, _NOT_MET, _UNKNOWN)))
    return found


def _side(
    end: str,
    limit: float,
    interval: tuple[Numbers, Numbers, Flags, Flags],
) -> tuple[Flags, Flags]:
    low, high, low_open, high_open = interval
    match end:
        case "at_least":
            return low >= limit, (high < limit) | ((high == limit) & high_open)
        case "more_than":
            return (low > limit) | ((low == limit) & low_open), high <= limit
        case "at_most":
            return high <= limit, (low > limit) | ((low == limit) & low_open)
        case _:
            return (high < limit) | ((high == limit) & high_open), low >= limit
