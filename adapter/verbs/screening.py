"""The verb ``screen``: files of patients in, findings, results or a table out; what cannot be read is set aside.

A little is screened at once, in this process; a population in parts, by all cores, and can be gone on with after it was
ended (docs/population.md).  Both read, screen and write by the same functions.
"""

import argparse
import datetime
import gc
import hashlib
from pathlib import Path

import msgspec

from adapter import __version__
from adapter.catalog.catalog import Catalog
from adapter.eligibility.values import AsOf
from adapter.errors import AdapterError, Category
from adapter.fhir.dates import parse_as_of
from adapter.outputs import tidy_when_terminated
from adapter.population.at_once import FOR_PEOPLE, AtOnce
from adapter.population.listing import WORK, Listing, listing
from adapter.population.local import Local, Machine
from adapter.population.run import ABOUT, About
from adapter.population.screened import Screener, Setup
from adapter.verbs.cluster import check_engine, screen_on_cluster
from adapter.verbs.population import asks_for_products, check_kept, screen_with_products
from adapter.verbs.trials import chosen

DONE, SET_ASIDE = 0, 3
_SMALL_BYTES = 32 << 20
"""So much is screened before processes are worth starting, and its remarks are worth reading one by one."""


def run(options: argparse.Namespace, catalog: Catalog) -> int:
    """Screen every patient of the paths; raises AdapterError when nothing could be begun."""
    has_products = asks_for_products(options)
    formats = _formats(options) if options.format or not has_products else ()
    chosen(catalog, options.trial)
    check_engine(options, formats, has_products=has_products)
    if options.engine == "spark":
        check_kept([each for each in options.paths if isinstance(each, Path)], catalog)
        setup = _setup(options, formats)
        with tidy_when_terminated():
            count = screen_on_cluster(options, setup, catalog, _about(setup, catalog, options.export_base))
        return SET_ASIDE if count else DONE
    check_kept(options.paths, catalog)
    setup = _setup(options, formats)
    found = listing(options.paths)
    gc.freeze()
    with tidy_when_terminated():
        count = _screen(options, formats, setup, found, catalog)
    return SET_ASIDE if count else DONE


def _screen(
    options: argparse.Namespace, formats: tuple[str, ...], setup: Setup, found: Listing, catalog: Catalog
) -> int:
    """Screen in the way that fits; gives how much was set aside."""
    if asks_for_products(options):
        return screen_with_products(options, setup, found, catalog, _about(setup, catalog, options.export_base))
    is_small = found.unpacked <= _SMALL_BYTES and options.processes is None and not options.resume
    if is_small or any(each in FOR_PEOPLE for each in formats):
        at_once = AtOnce(found, Screener(setup, catalog), options.export_base)
        if options.out is not None:
            at_once.to_folder(options.out, formats)
        else:
            at_once.to_stdout()
        return at_once.set_aside
    machine = Machine(options.processes or 0, options.work, options.quiet, options.resume)
    local = Local(found, setup, catalog, machine, options.export_base)
    if options.out is None:
        return local.to_stdout()
    return local.to_folder(options.out, _about(setup, catalog, options.export_base))


def _formats(options: argparse.Namespace) -> tuple[str, ...]:
    """Give the formats asked for; raises AdapterError for what does not go together."""
    formats = tuple(dict.fromkeys(options.format or ("table",)))
    has_out = options.out is not None
    if not has_out:  # on standard output a patient's Bundle is a line, however many there are
        formats = tuple("bundles" if each == "bundle" else each for each in formats)
    problem = None
    if not has_out and (len(formats) > 1 or "parquet" in formats):
        problem = "parquet, and more than one format, need --out"
    elif not has_out and options.resume:
        problem = "--resume needs --out: what was written to standard output is gone"
    elif options.resume and any(each in FOR_PEOPLE for each in formats):
        problem = "--resume does not go with the formats table and bundle; bundles writes the same into one file"
    elif options.processes is not None and options.processes < 1:
        problem = "--processes must be 1 or more"
    if problem is not None:
        raise AdapterError.of(Category.NOT_FOUND, "usage", problem)
    return formats


def _setup(options: argparse.Namespace, formats: tuple[str, ...]) -> Setup:
    return Setup(
        as_of=_as_of(options),
        trials=tuple(str(each) for each in options.trials),
        mappings=tuple(str(each) for each in options.mappings),
        site=str(options.site) if options.site is not None else None,
        keys=tuple(options.trial),
        formats=tuple(each for each in formats if each not in FOR_PEOPLE),
        fhir_version=options.fhir_version,
        base=options.base,
        secret=_secret(options.secret_file),
        conditional=options.conditional,
    )


def _as_of(options: argparse.Namespace) -> str:
    """Give the instant of the question: as asked for, as the run that is resumed was begun with, or now."""
    text: str | None = options.as_of
    if text is None and options.resume:
        text = _begun_with(options.out)
    if text is None:
        return AsOf.at(datetime.datetime.now(datetime.UTC).replace(microsecond=0)).text
    try:
        return parse_as_of(text).text
    except ValueError as error:
        raise AdapterError.of(Category.NOT_FOUND, "as-of", f"--as-of: {error}") from None


def _begun_with(out: Path) -> str | None:
    """Give the instant of a run that is not finished; None where there is none to go on with."""
    try:
        about = msgspec.json.decode((out / WORK / ABOUT).read_bytes(), type=dict[str, object])
    except (OSError, msgspec.MsgspecError):
        return None
    return str(about["as_of"]) if "as_of" in about else None


def _secret(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        said = "the file of --secret-file cannot be read"
        raise AdapterError.of(Category.NOT_FOUND, "secret-file", said) from None


def _about(setup: Setup, catalog: Catalog, export_base: str | None) -> About:
    """Give what two runs must share for their results to be the same; the secret only as a digest."""
    secret = hashlib.sha256(b"run " + setup.secret.encode()).hexdigest()[:16] if setup.secret else None
    return {
        "adapter": __version__,
        "mappings": catalog.mappings.version,
        "trials": {trial.key: trial.version for trial in catalog.only(setup.keys)},
        "site": _digest(Path(setup.site)) if setup.site is not None else None,
        "as_of": setup.as_of,
        "formats": list(setup.formats),
        "fhir_version": setup.fhir_version,
        "base": setup.base,
        "conditional": setup.conditional,
        "secret": secret,
        "export_base": export_base,
    }


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for each in sorted(folder.rglob("*")):
        if each.is_file():
            digest.update(each.relative_to(folder).as_posix().encode() + b"\0" + each.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
