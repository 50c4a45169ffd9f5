"""What was measured, as values for JSON and as a table for people."""

import os
import statistics
from collections.abc import Iterator

import msgspec

from peers.agreement import Agreement
from peers.engines import OURS

MB = 1_000_000


class Round(msgspec.Struct, frozen=True):
    """One engine's turn over all patients."""

    seconds: tuple[float, ...]
    cpu: float


class Measured(msgspec.Struct, frozen=True):
    """One engine on one workload."""

    name: str
    title: str
    is_peer: bool
    versions: dict[str, str]
    start_up_s: float
    """From the start of the process to its first question, compiled CQL and patients read."""
    peak_mb: float | None
    rounds: tuple[Round, ...]
    agreement: Agreement | None


class Ran(msgspec.Struct, frozen=True):
    """One workload."""

    name: str
    title: str
    defines: int
    measured: tuple[Measured, ...]
    skipped: dict[str, str]


class Report(msgspec.Struct, frozen=True):
    """Everything of one run."""

    machine: str
    patients: str
    as_of: str
    sizes: tuple[int, ...]
    rounds: int
    load: str
    ran: tuple[Ran, ...]


def load() -> str:
    """Give the load of the last five and fifteen minutes: above one for this run, others were at work too."""
    _, five, fifteen = os.getloadavg()
    return f"{five:.1f}, {fifteen:.1f}"


def markdown(report: Report) -> str:
    """Give the tables of a run."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    sizes = report.sizes
    yield f"Machine: {report.machine}. Load over the last 5 and 15 minutes: {report.load}."
    yield (
        f"Patients: {len(sizes)} ({report.patients}), {sum(sizes) / MB:.1f} MB, "
        f"median {statistics.median(sizes) / MB:.2f} MB; as of {report.as_of}. "
        f"One round that compares, then {report.rounds} measured, in turns; medians."
    )
    for ran in report.ran:
        yield ""
        yield f"### {ran.name}: {ran.title} ({ran.defines} defines a patient)"
        yield ""
        yield (
            "| engine | patients/s | ours is faster by (lowest to highest round) | by processor time | answers as ours "
            "| counts | start-up s | peak MB |"
        )
        yield "|---|---|---|---|---|---|---|---|"
        ours = next(each for each in ran.measured if each.name == OURS)
        for each in ran.measured:
            yield _row(each, ours)
        for each in ran.measured:
            if each.agreement is not None and not each.agreement.counts:
                yield from _differing(each.title, each.agreement)
        for name, reason in ran.skipped.items():
            yield f"\nNot run: {name}: {reason}."
        yield ""
        told = (
            f"{each.title}: {', '.join(f'{name} {number}' for name, number in each.versions.items())}"
            for each in ran.measured
        )
        yield f"Versions. {'; '.join(told)}."


def _row(each: Measured, ours: Measured) -> str:
    if not each.rounds:
        return (
            f"| {each.title} | not timed | | | {_same(each.agreement)} | no | {each.start_up_s:.1f} | {_peak(each)} |"
        )
    totals, base = _totals(each), _totals(ours)
    speed = f"{len(each.rounds[0].seconds) / statistics.median(totals):.1f}"
    ratios = [total / our for total, our in zip(totals, base, strict=True)]
    faster = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    cpu = statistics.median(mine.cpu / our.cpu for mine, our in zip(each.rounds, ours.rounds, strict=True))
    counts = "" if each.agreement is None else "yes"
    cells = (each.title, speed, faster, f"{cpu:.2f}", _same(each.agreement), counts)
    return f"| {' | '.join(cells)} | {each.start_up_s:.1f} | {_peak(each)} |"


def _same(agreed: Agreement | None) -> str:
    if agreed is None:
        return ""
    explained = f", {agreed.explained} explained" if agreed.explained else ""
    return f"{agreed.same} of {agreed.asked} ({agreed.decided} decided){explained}"


def _peak(measured: Measured) -> str:
    return "" if measured.peak_mb is None else f"{measured.peak_mb:.0f}"


def _totals(measured: Measured) -> list[float]:
    return [sum(each.seconds) for each in measured.rounds]


def _differing(title: str, agreed: Agreement) -> Iterator[str]:
    count = agreed.asked - agreed.same - agreed.explained
    people = agreed.patients - agreed.same_patients
    yield f"\n{title}: {count} answers differ, of {people} of {agreed.patients} patients."
    yield f"Ours > theirs: {_most(agreed.kinds)}. By define: {_most(agreed.by_define)}."


def _most(counts: dict[str, int]) -> str:
    """Give the six most frequent."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name}: {number}" for name, number in ordered[:6])
