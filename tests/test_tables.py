"""Every row of the tables a clinician can check, from bytes to findings."""

from typing import Any

import pytest
from cases import cases, findings


def expectations(case: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """``expect: {CFMSC-I3b: met, BMMSC-I4a: unknown STALE}`` as atom, truth and reason."""
    found = []
    for atom, said in case["expect"].items():
        truth, _, reason = said.partition(" ")
        found.append((atom, truth, reason or None))
    return found


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in cases()])
def test_the_table_says_what_each_atom_finds(case: dict[str, Any]) -> None:
    found = findings(case)
    seen = {}
    for atom, _, _ in expectations(case):
        judgement = found[atom].judgement
        seen[atom] = (judgement.truth.word, judgement.reason.value if judgement.reason else None)
    assert seen == {atom: (truth, reason) for atom, truth, reason in expectations(case)}
