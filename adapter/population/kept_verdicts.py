"""Verdicts of kept facts, from what was decided when they were kept: only questions that are new are judged.

A decision is taken over where nothing that it depends on has changed (``decisions.key_of``): the question, the instant,
the mappings, the adapter.  Facts are read only where a criterion is new, and then judged as ever.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from adapter.eligibility.decide import screen
from adapter.eligibility.kinds.human import SameAs
from adapter.eligibility.trial import Trial
from adapter.population.decisions import Bytes, Decided, keys_of, packed, read
from adapter.population.kept_facts import DECIDED_FILES, names_of, read_patients
from adapter.population.screened import Screener
from adapter.population.verdicts import table


def verdict_rows(patients: Path, screener: Screener) -> tuple[bytes, int] | None:
    """Give the rows of ``verdicts.csv`` for one file of kept patients, and how many patients it has.

    None where nothing was decided that can be taken over: another instant, another version, other patients, no such
    file.  Raises AdapterError where the kept facts cannot be read.
    """
    path = patients.parent.parent / DECIDED_FILES / patients.name
    if not path.is_file():
        return None
    version = screener.versions()
    decided = read(path, keys_of(screener.trials, screener.as_of, version["mappings"], version["adapter"]))
    if not decided.atoms or decided.patients != names_of(patients):
        return None
    new = tuple(found for trial in screener.trials if (found := _only_new(trial, decided)) is not None)
    if new:
        decided = _with_answers(decided, new, patients, screener)
    return table((trial, decided) for trial in screener.trials), len(decided)


def _only_new(trial: Trial, decided: Decided) -> Trial | None:
    """Give a trial of the criteria that must be judged, and those that they refer to; None where there is none."""
    names = {each.id for each in trial.criteria if any(atom.id not in decided.atoms for atom in each.atoms)}
    if not names:
        return None
    by_name = {each.id: each for each in trial.criteria}
    waiting = list(names)
    while waiting:
        for atom in by_name[waiting.pop()].atoms:
            if isinstance(atom.kind, SameAs) and atom.kind.criterion not in names:
                names.add(atom.kind.criterion)
                waiting.append(atom.kind.criterion)
    criteria = tuple(each for each in trial.criteria if each.id in names)
    return msgspec.structs.replace(trial, criteria=criteria, contradictions=())


def _with_answers(decided: Decided, new: Sequence[Trial], patients: Path, screener: Screener) -> Decided:
    """Judge what is new of every patient, and give the columns with it."""
    lasts = screener.catalog.attestation_lasts
    answers: dict[str, bytearray] = {}
    for _, facts in read_patients(patients):
        for screening in screen(tuple(new), facts, screener.as_of, screener.catalog.rules, attestation_lasts=lasts):
            for name, finding in screening.by_atom.items():
                answers.setdefault(name, bytearray()).append(packed(finding.judgement))
    made: dict[str, Bytes] = {name: np.frombuffer(bytes(column), np.uint8) for name, column in answers.items()}
    return msgspec.structs.replace(decided, atoms={**decided.atoms, **made})
