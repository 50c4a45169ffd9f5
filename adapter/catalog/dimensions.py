"""What kind of quantity a UCUM unit measures, as far as a mapping must know it: factors are not looked at.

Only what is listed is known; a unit of any other symbol has no dimension here and is not checked.
Tests compare with a full UCUM library.
"""

import re
from functools import cache

Dimension = tuple[tuple[str, int], ...]
"""Base kinds with their exponents: a volume is a length three times."""

_NONE: Dimension = ()
_LENGTH, _MASS, _TIME, _AMOUNT = (("L", 1),), (("M", 1),), (("T", 1),), (("N", 1),)
_VOLUME, _CATALYTIC, _ARBITRARY = (("L", 3),), (("N", 1), ("T", -1)), (("arbitrary", 1),)
_ENERGY = (("L", 2), ("M", 1), ("T", -2))
_PRESSURE = (("L", -1), ("M", 1), ("T", -2))

_TEMPERATURE = (("temperature", 1),)


def _table(*rows: tuple[str, Dimension]) -> dict[str, Dimension]:
    return {symbol: dimension for symbols, dimension in rows for symbol in symbols.split()}


_METRIC = _table(
    ("m", _LENGTH),
    ("g t", _MASS),
    ("s", _TIME),
    ("K Cel", _TEMPERATURE),
    ("mol eq osm", _AMOUNT),
    ("L l", _VOLUME),
    ("U kat", _CATALYTIC),
    ("[IU] [iU]", _ARBITRARY),
    ("J cal", _ENERGY),
    ("Pa bar m[Hg]", _PRESSURE),
    ("Hz", (("T", -1),)),
)
"""Symbols that take a prefix."""
_OTHER = _table(
    ("min h d wk mo a", _TIME),
    ("[in_i] [ft_i]", _LENGTH),
    ("[lb_av] [oz_av]", _MASS),
    ("[degF]", _TEMPERATURE),
    ("[arb'U] [CFU]", _ARBITRARY),
    ("% [ppth] [ppm] [pH] 10* 10^", _NONE),
)
_PREFIXES = frozenset(("Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f", "a"))
_TERM = re.compile(r"(?P<symbol>10[*^]|(?:\[[^\]]*\]|[A-Za-z%'_])+|\d+)?(?P<exponent>[+-]?\d+)?")
_NOTE = re.compile(r"\{[^{}]*\}")
"""An annotation, which changes nothing, and alone is 1."""


@cache
def dimension_of(unit: str) -> Dimension | None:
    """Give the dimension of a UCUM unit; None for one that is not known here.

    >>> dimension_of("mmol/L") == dimension_of("nmol/mL")
    True
    """
    total: dict[str, int] = {}
    sign = 1
    bare = re.sub(rf"(?<=[^./]){_NOTE.pattern}", "", unit)
    bare = _NOTE.sub("1", bare)
    for position, term in enumerate(re.split(r"([./])", bare)):
        if term in (".", "/"):
            sign = 1 if term == "." else -1
            continue
        if term == "" and position == 0 and unit.startswith("/"):
            continue
        kinds = _of_term(term)
        if kinds is None:
            return None
        for kind, power in kinds:
            total[kind] = total.get(kind, 0) + sign * power
    return tuple(sorted((kind, power) for kind, power in total.items() if power))


def _of_term(term: str) -> Dimension | None:
    found = _TERM.fullmatch(term)
    if found is None or not term:
        return None
    symbol, exponent = found["symbol"], int(found["exponent"] or 1)
    if symbol is None:
        return None
    if symbol.isdigit():
        return _NONE
    base = _OTHER.get(symbol) if symbol in _OTHER else _METRIC.get(symbol)
    if base is None:
        base = next((_METRIC[symbol[n:]] for n in (1, 2) if symbol[:n] in _PREFIXES and symbol[n:] in _METRIC), None)
    return None if base is None else tuple((kind, power * exponent) for kind, power in base)
