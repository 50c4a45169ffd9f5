"""The table people read: per patient and trial the verdict, what is against, what is missing, what to judge."""

import shutil
from collections.abc import Iterable
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapter.eligibility.decide import Screening, favour
from adapter.eligibility.trial import Atom, Criterion
from adapter.eligibility.truth import Truth

_COLOURS = {"eligible": "bold green", "candidate": "green", "potential-candidate": "yellow", "ineligible": "red"}
_SHOWN = 4
_WIDE = 160


def print_table(rows: Iterable[tuple[str, str, Screening]], titles: dict[str, str], stream: IO[str]) -> None:
    """Print one row per patient and trial; ``titles`` gives the words for an input."""
    width = shutil.get_terminal_size((_WIDE, 40)).columns if stream.isatty() else _WIDE
    console = Console(file=stream, width=width, highlight=False, soft_wrap=False)
    table = Table(expand=True, show_lines=True)
    for name, ratio in (
        ("Patient", 3),
        ("Trial", 2),
        ("Verdict", 3),
        ("Against", 8),
        ("Missing, would decide", 6),
        ("For a person", 3),
    ):
        table.add_column(name, ratio=ratio, overflow="fold")
    before = None
    for file, patient, screening in rows:
        name = patient if (file, patient) != before else ""
        before = (file, patient)
        verdict = screening.verdict.value
        table.add_row(
            Text(name),
            screening.trial.key,
            Text(verdict, style=_COLOURS[verdict]),
            Text("\n".join(_cut(against(screening)))),
            Text("\n".join(_cut(missing(screening, titles)))),
            Text(for_a_person(screening)),
        )
    console.print(table)


def against(screening: Screening) -> list[str]:
    """Say what stands against the patient: each decided criterion with the sentence of the atom that decided it."""
    said = ["the patient is deceased"] if screening.deceased else []
    for criterion, truth in zip(screening.trial.criteria, screening.criteria, strict=True):
        if favour(criterion, truth) is not Truth.NOT_MET:
            continue
        number = criterion.id.rsplit("-", 1)[-1]
        want = Truth.NOT_MET if criterion.type == "inclusion" else Truth.MET
        telling = [screening.by_atom[atom.id] for atom in criterion.atoms]
        decided = [each.judgement.message for each in telling if each.truth is want] or [
            each.judgement.message for each in telling if each.truth is not Truth.UNKNOWN
        ]
        said.append(f"{number}: {decided[0] if decided else criterion.text}")
    return said


def missing(screening: Screening, titles: dict[str, str]) -> list[str]:
    """Say which data would decide: open computable atoms of open criteria, by the words of their inputs."""
    said: dict[str, None] = {}
    for criterion, atom in _open(screening):
        if atom.grade == "C":
            continue
        judgement = screening.by_atom[atom.id].judgement
        if judgement.reason is None or judgement.reason.value == "HUMAN":
            continue
        words = [titles[name] for name in atom.inputs if name in titles and name != "attestation"]
        number = criterion.id.rsplit("-", 1)[-1]
        what = words[0] if words else atom.text
        said[f"{number} {what}: {judgement.reason.value}"] = None
    return list(said)


def for_a_person(screening: Screening) -> str:
    """Say how many questions only a reviewer can answer, and what the trial's text leaves open."""
    questions = sum(1 for _, atom in _open(screening) if atom.grade != "A" and atom.ask)
    said = [f"{questions} question{'s' if questions != 1 else ''}"] if questions else []
    said.extend(f"CONTRADICTION: {each.text}" for each in screening.contradictions)
    said.extend(f"Notice: {each}" for each in screening.trial.notices)
    return "\n".join(said)


def _open(screening: Screening) -> list[tuple[Criterion, Atom]]:
    found: list[tuple[Criterion, Atom]] = []
    for criterion, truth in zip(screening.trial.criteria, screening.criteria, strict=True):
        if truth is Truth.UNKNOWN:
            found.extend(
                (criterion, atom) for atom in criterion.atoms if screening.by_atom[atom.id].truth is Truth.UNKNOWN
            )
    return found


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _SHOWN + 1 else [*lines[:_SHOWN], f"+ {len(lines) - _SHOWN} more"]
