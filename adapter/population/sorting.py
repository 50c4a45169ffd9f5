"""Exports sorted to patients: what has to be done before the first of their patients can be screened."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from adapter.errors import Issue
from adapter.outputs import unwritable
from adapter.population.export import FACING, keep_shared, survey
from adapter.population.listing import Listing
from adapter.population.partition import Sorted
from adapter.population.parts import Unit, buckets, units

Sort = Callable[[list[Unit], str], Iterable[Sorted]]
"""Sorts the pieces of an export into a folder, one after the other or all at once."""


def export_folder(folder: Path, export: int) -> Path:
    """Give where an export of a run is sorted to."""
    return folder / f"export-{export}"


def is_sorted(found: Listing, folder: Path) -> bool:
    """Whether all exports of a run have been sorted already."""
    return all((export_folder(folder, place) / FACING).is_file() for place in range(len(found.exports)))


def sort_exports(found: Listing, folder: Path, base: str | None, sort: Sort) -> Iterator[tuple[list[Issue], int]]:
    """Sort every export; gives of each what was lost or belongs to nobody, and how much of it is set aside.

    ``base`` is the server that made the exports, where their references name several.
    """
    for place, export in enumerate(found.exports):
        where = export_folder(folder, place)
        where.mkdir(exist_ok=True)
        sorted_ = list(sort(list(units(export)), str(where)))
        facing, issues, count = survey(export, sorted_, str(where), base)
        try:
            keep_shared(str(where), sorted_, buckets(export))
            (where / FACING).write_bytes(msgspec.json.encode(facing))
        except OSError as error:
            raise unwritable(error, folder) from None
        yield issues, count
