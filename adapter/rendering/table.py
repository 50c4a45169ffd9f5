"""The table people read: per patient and trial the verdict, what is against, what is missing, what to judge."""

import shutil
from collections.abc import Iterable
from pathlib import PurePath
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapter.eligibility.decide import Screening, Verdict, favour
from adapter.eligibility.trial import Atom, Criterion
from adapter.eligibility.truth import Truth
from adapter.errors import one_line

_COLOURS = {"eligible": "bold green", "candidate": "green", "potential-candidate": "yellow", "ineligible": "red"}
_SHOWN = 4
_WIDE = 160
_LONGEST = len("potential-candidate")
_COLUMNS = {"Against": 4, "Missing, would decide": 4, "For a person": 2}

Row = tuple[str, str, Screening]
"""File, patient, screening."""


def print_table(rows: Iterable[Row], stream: IO[str]) -> None:
    """Print what was found of each patient and trial, then every verdict on one line a patient, then remarks."""
    width = shutil.get_terminal_size((_WIDE, 40)).columns if stream.isatty() else _WIDE
    console = Console(file=stream, width=width, highlight=False, soft_wrap=False)
    details = Table(expand=True, show_lines=True)
    details.add_column("Patient", ratio=2, overflow="fold")
    details.add_column("Trial", no_wrap=True)
    details.add_column("Verdict", min_width=_LONGEST, no_wrap=True)
    for name, ratio in _COLUMNS.items():
        details.add_column(name, ratio=ratio, overflow="fold")
    verdicts: dict[tuple[str, str, int], dict[str, str]] = {}
    remarks: dict[str, None] = {}
    number = 0
    for file, patient, screening in rows:
        key = screening.trial.key
        if (file, patient, number) not in verdicts or key in verdicts[file, patient, number]:
            number += 1
            verdicts[file, patient, number] = {}
        first = not verdicts[file, patient, number]
        verdict = screening.verdict.value
        verdicts[file, patient, number][key] = verdict
        details.add_row(
            Text(f"{one_line(patient)}\n{one_line(PurePath(file).name)}" if first else ""),
            key,
            Text(verdict, style=_COLOURS[verdict]),
            Text("\n".join(_cut(against(screening)))),
            Text("\n".join(_cut(missing(screening)))),
            Text(for_a_person(screening)),
        )
        remarks.update(dict.fromkeys(_remarks(screening)))
    console.print(details)
    console.print(_summary(verdicts))
    for remark in remarks:
        console.print(Text(remark))


def _summary(verdicts: dict[tuple[str, str, int], dict[str, str]]) -> Table:
    """Make the table of all verdicts, one line a patient."""
    summary = Table(title="Verdicts", title_justify="left")
    trials = list(dict.fromkeys(key for each in verdicts.values() for key in each))
    summary.add_column("Patient", overflow="fold")
    for key in trials:
        summary.add_column(key, min_width=_LONGEST, no_wrap=True)
    for (_, patient, _), by_trial in verdicts.items():
        cells = [by_trial.get(key, "") for key in trials]
        summary.add_row(Text(one_line(patient)), *(Text(each, style=_COLOURS.get(each, "")) for each in cells))
    return summary


def against(screening: Screening) -> list[str]:
    """Say what stands against the patient: each decided criterion with the sentences of the atoms that decided it."""
    said = ["the patient is deceased"] if screening.deceased else []
    for criterion, truth in zip(screening.trial.criteria, screening.criteria, strict=True):
        if favour(criterion, truth) is not Truth.NOT_MET:
            continue
        wanted = {atom: Truth.NOT_MET if good else Truth.MET for atom, good in criterion.signs.items()}
        judgements = {atom.id: screening.by_atom[atom.id].judgement for atom in criterion.atoms}
        telling = [each.message for atom, each in judgements.items() if each.truth is wanted.get(atom)]
        said.append(f"{_number(criterion)}: {'; '.join(dict.fromkeys(telling))}")
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
    """Say how many questions only a reviewer can answer, who answered, and whether the text contradicts itself."""
    said = []
    if screening.verdict is not Verdict.INELIGIBLE:
        questions = sum(1 for _, atom in _open(screening) if atom.grade != "A" and atom.ask)
        answered = sum(1 for finding in screening.findings if finding.judgement.attested)
        said.extend([f"{questions} question{'s' if questions != 1 else ''}"] if questions else [])
        said.extend([f"{answered} answered by a reviewer"] if answered else [])
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
