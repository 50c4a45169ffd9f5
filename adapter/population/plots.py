"""Plots of counts as SVG inside a page: drawn with classes of its stylesheet, and each beside a table that says it."""

from collections.abc import Sequence
from decimal import Decimal

from adapter.eligibility.values import plain
from adapter.population.disclosure import Count
from adapter.population.what_if import Curve
from adapter.rendering.markup import Html, element, joined

_WIDE, _HIGH, _LEFT, _BELOW, _ABOVE = 640, 200, 56, 34, 10
_BAR, _ROW = 22, 34


def drawn(number: Count) -> int:
    """Give how long a count is drawn: one that is hidden is drawn as nothing."""
    return number or 0


def funnel(steps: Sequence[tuple[str, Count, Count]], name: str) -> Html:
    """Draw each step as a bar: solid what is sure, pale what is possible."""
    most = max((drawn(possibly) for _, _, possibly in steps), default=0) or 1
    room, parts = 400, []
    for place, (step, surely, possibly) in enumerate(steps):
        top = place * _ROW + 4
        parts += [
            element("text", step, x="0", y=str(top + 16), class_="label"),
            _bar(170, top, room * drawn(possibly) / most, "possibly"),
            _bar(170, top, room * drawn(surely) / most, "surely"),
        ]
    return _svg(name, 580, len(steps) * _ROW + 4, parts, "funnel")


def shares(met: Count, not_met: Count, unknown: Count, *, speaks_for: bool) -> Html:
    """Draw how met, not met and unknown share a bar."""
    total = sum(map(drawn, (met, not_met, unknown))) or 1
    against, favour = ("not-met", "met") if speaks_for else ("met", "not-met")
    numbers = {"met": drawn(met), "not-met": drawn(not_met)}
    left, parts = 0.0, []
    for kind, number in (("favour", numbers[favour]), ("unknown", drawn(unknown)), ("against", numbers[against])):
        width = 100 * number / total
        parts.append(element("rect", x=_number(left), y="0", width=_number(width), height="10", class_=kind))
        left += width
    said = f"{favour.replace('-', ' ')} in favour, then unknown, then against"
    return element(
        "svg", *parts, viewBox="0 0 100 10", preserveAspectRatio="none", class_="bar", role="img", aria_label=said
    )


def curve(drawn_curve: Curve, name: str) -> Html:
    """Draw how many candidates there would be at each limit: a band from surely to possibly."""
    points = drawn_curve.points
    low, high = points[0].limit, points[-1].limit
    most = max((drawn(each.possibly) for each in points), default=0) or 1

    def across(limit: Decimal) -> float:
        return _LEFT + float((limit - low) / ((high - low) or 1)) * (_WIDE - _LEFT - 10)

    def up(number: Count) -> float:
        return _ABOVE + (1 - drawn(number) / most) * (_HIGH - _ABOVE - _BELOW)

    upper = [(across(each.limit), up(each.possibly)) for each in points]
    lower = [(across(each.limit), up(each.surely)) for each in points]
    base = str(_HIGH - _BELOW)
    parts = [
        element("polygon", points=_path([*upper, *reversed(lower)]), class_="band"),
        element("polyline", points=_path(upper), class_="possibly-line"),
        element("polyline", points=_path(lower), class_="surely-line"),
        element("line", x1=str(_LEFT), x2=str(_WIDE - 10), y1=base, y2=base, class_="axis"),
    ]
    printed = _number(across(drawn_curve.limit))
    parts += [
        element("line", x1=printed, x2=printed, y1=str(_ABOVE), y2=base, class_="printed"),
        element("text", str(most), x=str(_LEFT - 6), y=str(_ABOVE + 8), class_="tick end"),
        element("text", "0", x=str(_LEFT - 6), y=base, class_="tick end"),
    ]
    ticks = {low, high, drawn_curve.limit}
    for each in sorted(ticks):
        where = "start" if each == low else "end" if each == high else "middle"
        words = plain(each) + (f" {drawn_curve.unit}" if each == high else "")
        parts.append(element("text", words, x=_number(across(each)), y=str(_HIGH - 14), class_=f"tick {where}"))
    return _svg(name, _WIDE, _HIGH, parts, "curve")


def _bar(left: int, top: int, width: float, kind: str) -> Html:
    return element("rect", x=str(left), y=str(top), width=_number(width), height=str(_BAR), class_=kind)


def _svg(name: str, wide: int, high: int, parts: Sequence[Html], kind: str) -> Html:
    return element("svg", *parts, viewBox=f"0 0 {wide} {high}", role="img", aria_label=name, class_=f"plot {kind}")


def _path(points: Sequence[tuple[float, float]]) -> Html:
    return joined(*(f"{_number(x)},{_number(y)}" for x, y in points), by=" ")


def _number(value: float) -> str:
    return f"{value:.1f}"
