"""Every computable atom is seen met, not met and unknown, in a sample or in a row of the tables that expects it."""

from cases import cases, catalog
from golden.samples import sample_files, screened_sample

from adapter.eligibility.truth import Truth

NEVER: dict[tuple[str, str], str] = {}
"""Answers that an atom cannot give, with the reason."""


def _seen() -> set[tuple[str, str]]:
    """Give (atom, truth) as the goldens hold it for the samples, and as rows of the tables expect it."""
    seen = set()
    for path in sample_files():
        for patient in screened_sample(path)[0]:
            for screening in patient.screenings:
                seen.update((finding.atom, finding.truth.word) for finding in screening.findings)
    for _, case in cases():
        seen.update((atom, said.partition(" ")[0]) for atom, said in case["expect"].items())
    return seen


def test_every_computable_atom_is_seen_met_not_met_and_unknown() -> None:
    computable = [
        atom.id
        for trial in catalog().trials
        for criterion in trial.criteria
        for atom in criterion.atoms
        if atom.grade == "A"
    ]
    wanted = {(atom, truth.word) for atom in computable for truth in Truth}
    missing = sorted(f"{atom} {truth}" for atom, truth in wanted - _seen() - NEVER.keys())
    assert not missing
