"""The table people read: per patient and trial the verdict, what is against, what is missing, what to judge."""

import shutil
from collections.abc import Iterable
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapter.eligibility.decide import Screening, Verdict, favour
from adapter.eligibility.trial import Atom, Criterion
from adapter.eligibility.truth import Truth

_COLOURS = {"eligible": "bold green", "candidate": "green", "potential-candidate": "yellow", "ineligible": "red"}
_SHOWN = 4
_WIDE = 160
_COLUMNS = {"Patient": 3, "Trial": 2, "Verdict": 3, "Against": 7, "Missing, would decide": 7, "For a person": 3}


def print_table(rows: Iterable[tuple[str, str, Screening]], stream: IO[str]) -> None:
    """Print one row per file, patient and trial, and below what the trials' own texts want said."""
    width = shutil.get_terminal_size((_WIDE, 40)).columns if stream.isatty() else _WIDE
    console = Console(file=stream, width=width, highlight=False, soft_wrap=False)
    table = Table(expand=True, show_lines=True)
    for name, ratio in _COLUMNS.items():
        table.add_column(name, ratio=ratio, overflow="fold")
    before = None
    remarks: dict[str, None] = {}
    for file, patient, screening in rows:
        name = patient if (file, patient) != before else ""
        before = (file, patient)
        verdict = screening.verdict.value
        table.add_row(
            Text(name),
            screening.trial.key,
            Text(verdict, style=_COLOURS[verdict]),
            Text("\n".join(_cut(against(screening)))),
            Text("\n".join(_cut(missing(screening)))),
            Text(for_a_person(screening)),
        )
        remarks.update(dict.fromkeys(_remarks(screening)))
    console.print(table)
    for remark in remarks:
        console.print(Text(remark))


def against(screening: Screening) -> list[str]:
    """Say what stands against the patient: each decided criterion with the sentence of the atom that decided it."""
    said = ["the patient is deceased"] if screening.deceased else []
    for criterion, truth in zip(screening.trial.criteria, screening.criteria, strict=True):
        if favour(criterion, truth) is not Truth.NOT_MET:
            continue
        want = Truth.NOT_MET if criterion.type == "inclusion" else Truth.MET
        judgements = [screening.by_atom[atom.id].judgement for atom in criterion.atoms]
        telling = [each.message for each in judgements if each.truth is want]
        decided = telling or [each.message for each in judgements if each.truth is not Truth.UNKNOWN]
        said.append(f"{_number(criterion)}: {'; '.join(decided)}")
    return said


def missing(screening: Screening) -> list[str]:
    """Say which data would decide, computable atoms first; nothing once something stands against the patient."""
    if screening.verdict is Verdict.INELIGIBLE:
        return []
    said: dict[str, None] = {}
    for grade in ("A", "B"):
        for criterion, atom in _open(screening):
            judgement = screening.by_atom[atom.id].judgement
            if atom.grade == grade and judgement.reason is not None and judgement.reason.value != "HUMAN":
                said[f"{_number(criterion)}: {judgement.message} [{judgement.reason.value}]"] = None
    return list(said)


def for_a_person(screening: Screening) -> str:
    """Say how many questions only a reviewer can answer, and whether the trial's text contradicts itself here."""
    if screening.verdict is Verdict.INELIGIBLE:
        return "CONTRADICTION" if screening.contradictions else ""
    questions = sum(1 for _, atom in _open(screening) if atom.grade != "A" and atom.ask)
    said = [f"{questions} question{'s' if questions != 1 else ''}"] if questions else []
    if screening.contradictions:
        said.append("CONTRADICTION")
    return "\n".join(said)


def _remarks(screening: Screening) -> list[str]:
    key = screening.trial.key
    said = [f"CONTRADICTION in {key}: {each.text}" for each in screening.contradictions]
    return said + [f"Notice on {key}: {each}" for each in screening.trial.notices]


def _number(criterion: Criterion) -> str:
    return criterion.id.rsplit("-", 1)[-1]


def _open(screening: Screening) -> list[tuple[Criterion, Atom]]:
    found: list[tuple[Criterion, Atom]] = []
    for criterion, truth in zip(screening.trial.criteria, screening.criteria, strict=True):
        if truth is Truth.UNKNOWN:
            open_atoms = (atom for atom in criterion.atoms if screening.by_atom[atom.id].truth is Truth.UNKNOWN)
            found.extend((criterion, atom) for atom in open_atoms)
    return found


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _SHOWN + 1 else [*lines[:_SHOWN], f"+ {len(lines) - _SHOWN} more"]
