"""The part of the verb ``screen`` that makes more than results: kept facts, a report, a worklist."""

import argparse
import tempfile
from pathlib import Path

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.errors import AdapterError, Category
from adapter.population.at_once import FOR_PEOPLE
from adapter.population.listing import FACTS, Listing
from adapter.population.local import Local, Machine
from adapter.population.run import About
from adapter.population.screened import Screener, Setup


def asks_for_products(options: argparse.Namespace) -> bool:
    """Whether more than results is asked for; raises AdapterError for what does not go together."""
    asked = (options.keep_facts, options.report, options.worklist)
    if all(each is None for each in asked):
        return False
    problem = None
    if options.format and options.out is None:
        problem = "--format beside --report, --worklist or --keep-facts needs --out"
    elif any(each in FOR_PEOPLE for each in options.format or ()):
        problem = "table and bundle do not go with --report, --worklist or --keep-facts: take verdicts or bundles"
    elif options.smallest_cell < 1:
        problem = "--smallest-cell must be 1 or more"
    elif options.engine != "local":
        problem = "--report, --worklist and --keep-facts are made by the engine local"
    if problem is not None:
        raise AdapterError.of(Category.NOT_FOUND, "usage", problem)
    return True


def check_kept(paths: list[Path], catalog: Catalog) -> None:
    """Refuse kept facts that cannot answer for these mappings; raises AdapterError."""
    kept = [path for path in paths if (path / FACTS).is_file()]
    if kept:
        from adapter.population.kept_facts import read_manifest  # noqa: PLC0415 (an extra of the installation)

        for path in kept:
            read_manifest(path, catalog.mappings.version)


def screen_with_products(
    options: argparse.Namespace, setup: Setup, found: Listing, catalog: Catalog, about: About
) -> int:
    """Screen, and make what is asked for; gives how much was set aside."""
    try:
        from adapter.population.products import Products, companion  # noqa: PLC0415 (numpy, an extra)
    except ImportError:
        said = '--report, --worklist and --keep-facts need: pip install "fhir-trial-adapter[population]"'
        raise AdapterError.of(Category.NOT_FOUND, "population-missing", said) from None

    products = Products(options.keep_facts, options.report, options.worklist, options.smallest_cell)
    products.check()
    before = companion(products.worklist) if products.worklist is not None else None
    setup = msgspec.structs.replace(
        setup,
        formats=(*setup.formats, *products.formats()),
        thorough=products.facts is not None,
        before=str(before) if before is not None and before.is_file() else None,
    )
    machine = Machine(options.processes or 0, options.work, options.quiet, options.resume)
    screener = Screener(setup, catalog)
    local = Local(found, setup, catalog, machine, options.export_base)
    about = {**about, "formats": list(setup.formats)}

    def make(work: Path, set_aside: int) -> None:
        products.make(work, screener, set_aside)

    if options.out is not None:
        return local.to_folder(options.out, about, make)
    with tempfile.TemporaryDirectory(prefix="screening-", dir=options.work) as folder:
        return local.to_folder(Path(folder), about, make)
