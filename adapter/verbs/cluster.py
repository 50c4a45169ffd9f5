"""The verb ``screen`` with ``--engine spark``: what goes with it, and what does not."""

import argparse

from adapter.catalog.catalog import Catalog
from adapter.errors import AdapterError, Category
from adapter.population.at_once import FOR_PEOPLE
from adapter.population.run import About
from adapter.population.screened import Setup


def check_engine(options: argparse.Namespace, formats: tuple[str, ...], *, has_products: bool) -> None:
    """See that the options go with the engine; raises AdapterError."""
    problem = None
    if options.engine == "spark":
        problem = _misfit(options, formats, has_products=has_products)
    elif any(isinstance(each, str) for each in (*options.paths, options.out)):
        problem = "a path with a scheme is read and written by Spark only: give --engine spark"
    elif options.master is not None:
        problem = "--master goes with --engine spark"
    if problem is not None:
        raise AdapterError.of(Category.NOT_FOUND, "usage", problem)


def _misfit(options: argparse.Namespace, formats: tuple[str, ...], *, has_products: bool) -> str | None:
    if options.out is None:
        return "--engine spark needs --out: results are written where they are made"
    if not formats or any(each in FOR_PEOPLE for each in formats):
        return "--engine spark writes --format findings, bundles, verdicts and parquet"
    if has_products:
        return "--engine spark writes results only: make a report, a worklist or facts on one machine"
    if options.resume or options.processes is not None or options.work is not None:
        return "--resume, --processes and --work do not go with --engine spark, which sees to it itself"
    return None


def screen_on_cluster(options: argparse.Namespace, setup: Setup, catalog: Catalog, about: About) -> int:
    """Screen by a cluster; gives how much was set aside."""
    from adapter.population.spark import Spark  # noqa: PLC0415 (an extra)

    engine = Spark(options.master, options.quiet)
    return engine.screen(options.paths, options.out, setup, catalog, about, options.export_base)
