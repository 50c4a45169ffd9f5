"""Codes that cannot be codes: of another form than their system's, or with a check digit that does not fit."""

import re

_FORMS = {
    "icd10cm": r"[A-Z][0-9][0-9A-Z](\.?[0-9A-Z]{1,4})?",
    "icd10": r"[A-Z][0-9][0-9A-Z](\.?[0-9A-Z]{1,3})?",
    "atc": r"[A-Z]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?",
    "rxnorm": r"[1-9][0-9]{0,7}",
    "cpt": r"[0-9]{4}[0-9A-Z]",
    "icd10pcs": r"[0-9A-HJ-NP-Z]{7}",
    "loinc": r"(LA|LP|LG)?[0-9]{1,7}-[0-9]",
    "snomed": r"[1-9][0-9]{5,17}",
}
_RANGED = ("icd10cm", "icd10", "atc")
_STEPS = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)
"""Verhoeff's permutations."""


def fault_of(system: str, code: str) -> str | None:
    """Say why a code, or a range of them, cannot be one of its system; None where it can.

    >>> fault_of("loinc", "4548-5")
    'has a check digit that does not fit: a digit is wrong'
    """
    form = _FORMS.get(system)
    if form is None:
        return None
    if system in _RANGED and "-" in code:
        low, _, high = code.partition("-")
        if not re.fullmatch(form, low) or not re.fullmatch(form, high):
            return f"is not a range of two codes of {system}"
        same = low[: len(high)].replace(".", "") < high.replace(".", "")
        return None if same and len(low) == len(high) else "is not a range from a lower to a higher code of one length"
    if not re.fullmatch(form, code):
        return f"does not have the form of a code of {system}"
    fits = {"loinc": _fits_luhn, "snomed": _fits_verhoeff}.get(system)
    return None if fits is None or fits(code) else "has a check digit that does not fit: a digit is wrong"


def _fits_luhn(code: str) -> bool:
    """LOINC's check digit: modulo 10, every second digit doubled. Answers (LA) and parts (LP) have another one."""
    digits, _, check = code.partition("-")
    if not digits.isdigit():
        return True
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 (the sum of its two digits)
    return (10 - total % 10) % 10 == int(check)


def _fits_verhoeff(code: str) -> bool:
    """SNOMED CT's check digit: Verhoeff's dihedral sum of all digits is 0."""
    total = 0
    for position, digit in enumerate(reversed(code)):
        total = _times(total, _STEPS[position % 8][int(digit)])
    return total == 0


def _times(one: int, other: int) -> int:
    """Multiply in the dihedral group of the pentagon."""
    if one < 5:  # noqa: PLR2004 (a rotation)
        return (one + other) % 5 + (0 if other < 5 else 5)  # noqa: PLR2004 (the same)
    return (one - other) % 5 + (5 if other < 5 else 0)  # noqa: PLR2004 (the same)
