"""The report of a population: counted from columns, told with small cells hidden, as JSON and as a page."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from adapter import __version__
from adapter.catalog.catalog import Catalog
from adapter.eligibility.trial import Trial
from adapter.eligibility.values import AsOf
from adapter.outputs import Folder
from adapter.population.decisions import Decided
from adapter.population.disclosure import Count, Disclosure
from adapter.population.figures import TrialCounts, count, stand
from adapter.population.quality import Hindrance, Tally
from adapter.population.what_if import Curve, Near, curves, near_misses

FORM = 1
"""Of report.json; a change that a reader must know of raises it."""
JSON, PAGE = "report.json", "report.html"


class TrialReport(msgspec.Struct, frozen=True):
    """One trial."""

    counts: TrialCounts
    near: tuple[Near, ...]
    what_if: tuple[Curve, ...]


class Report(msgspec.Struct, frozen=True):
    """What a population amounts to; every count is told as ``smallest_cell`` allows."""

    form: int
    as_of: str
    adapter: str
    mappings: str
    smallest_cell: int
    patients: Count
    set_aside: Count
    trials: tuple[TrialReport, ...]
    hindrances: tuple[Hindrance, ...]


def report(
    decided: Decided,
    trials: Sequence[Trial],
    catalog: Catalog,
    as_of: AsOf,
    tally: Tally,
    disclosure: Disclosure,
    *,
    set_aside: int = 0,
) -> Report:
    """Count everything; ``set_aside`` says how many documents could not be screened."""
    made = []
    for trial in trials:
        found = stand(trial, decided)
        made.append(
            TrialReport(
                count(found, disclosure), tuple(near_misses(found, disclosure)), tuple(curves(found, disclosure))
            )
        )
    return Report(
        FORM,
        as_of.text,
        __version__,
        catalog.mappings.version,
        disclosure.smallest_cell,
        disclosure.count(len(decided)),
        disclosure.count(set_aside),
        tuple(made),
        tally.told(disclosure),
    )


def write_report(said: Report, catalog: Catalog, directory: Path) -> None:
    """Write ``report.json`` and ``report.html``, each whole or not at all; raises AdapterError."""
    from adapter.population.report_page import page  # noqa: PLC0415 (only a report needs its page)

    folder = Folder.open(directory)
    encode = msgspec.json.Encoder(decimal_format="number").encode
    folder.write(JSON, msgspec.json.format(encode(said), indent=1) + b"\n")
    folder.write(PAGE, page(said, catalog).encode())
