"""A range of classification codes as one regular expression, meaning what the mappings mean by ``a-b``."""

_FIRST, _LAST = "0", "Z"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CATEGORY = 3
"""An ICD-10 code may have its dot after so many characters."""


def range_pattern(low: str, high: str) -> str:
    """Give the regular expression that the whole of a code must match to lie between two roots, dotted or not.

    A code lies in the range when, cut to the length of the roots, it is neither before ``low`` nor behind ``high``.

    >>> range_pattern("K743", "K746")
    'K74[.]?[3-6].*'
    >>> range_pattern("C81", "C96")
    'C(8[1-9A-Z]|9[0-6]).*'
    """
    length = max(len(low), len(high))
    return f"{_between(low.ljust(length, _FIRST), high.ljust(length, _LAST), 0)}.*"


def _between(low: str, high: str, place: int) -> str:
    if not low:
        return ""
    dot = "[.]?" if place == _CATEGORY else ""
    if low[0] == high[0]:
        return dot + low[0] + _between(low[1:], high[1:], place + 1)
    first, last = low[1:], high[1:]
    begin, end = _ALPHABET.index(low[0]), _ALPHABET.index(high[0])
    ways = []
    if first.strip(_FIRST):
        ways.append(low[0] + _between(first, _LAST * len(first), place + 1))
        begin += 1
    closing = ""
    if last.strip(_LAST):
        closing = high[0] + _between(_FIRST * len(last), last, place + 1)
        end -= 1
    if begin <= end:
        ways.append(_one_of(_ALPHABET[begin : end + 1]) + _between(_FIRST * len(first), _LAST * len(first), place + 1))
    if closing:
        ways.append(closing)
    return dot + (ways[0] if len(ways) == 1 else f"({'|'.join(ways)})")


def _one_of(letters: str) -> str:
    """Write consecutive letters of the alphabet as a class."""
    runs = ["".join(each for each in letters if each.isdigit()), "".join(each for each in letters if each.isalpha())]
    written = "".join(run if len(run) < 3 else f"{run[0]}-{run[-1]}" for run in runs)  # noqa: PLR2004 (as short)
    return written if len(letters) == 1 else f"[{written}]"
