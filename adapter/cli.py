"""The command ``trial-adapter``: one function per verb; data on stdout, everything else on stderr."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adapter import __version__

if TYPE_CHECKING:
    from adapter.catalog.catalog import Catalog
    from adapter.errors import Issue

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (has no public name)

DONE, FAILED, USAGE, SET_ASIDE = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 done, 1 failed, 2 usage, 3 done with something set aside."""
    options = parser().parse_args(arguments)
    from adapter.errors import AdapterError, Category  # noqa: PLC0415 (--help loads nothing)

    try:
        code: int = options.run(options)
    except AdapterError as error:
        report(error.issues)
        return USAGE if error.category is Category.NOT_FOUND else FAILED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return code


def report(issues: Sequence["Issue"]) -> None:
    """Write issues to stderr, one line each."""
    for issue in issues:
        sys.stderr.write(f"{issue}\n")


def parser() -> argparse.ArgumentParser:
    """Give the command's verbs and options."""
    command = argparse.ArgumentParser(
        prog="trial-adapter",
        description="Screens FHIR patient bundles against clinical trials: what is met, not met, unknown, and why.",
    )
    command.add_argument("--version", action="version", version=f"trial-adapter {__version__}")
    verbs = command.add_subparsers(required=True, metavar="VERB")
    for add in (_add_check, _add_validate, _add_screen, _add_export, _add_fetch, _add_serve, _add_outbox):
        add(verbs)
    return command


def _add_check(verbs: "Verbs") -> None:
    check = verbs.add_parser("check", help="load trials and mappings together and report every problem, located")
    _definitions(check)
    check.set_defaults(run=_check)


def _add_validate(verbs: "Verbs") -> None:
    validate = verbs.add_parser(
        "validate", help="validate bundles offline, and say what stands in the way of screening"
    )
    validate.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files (.json, .ndjson, .gz) or folders")
    validate.add_argument(
        "--format", choices=("text", "json"), default="text", help="json: an OperationOutcome per document"
    )
    validate.add_argument("--fhir-version", choices=("R4", "R5"), help="default: told by the shape of the document")
    _definitions(validate)
    validate.set_defaults(run=_validate)


def _add_screen(verbs: "Verbs") -> None:
    screen = verbs.add_parser("screen", help="screen patients against trials")
    screen.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files (.json, .ndjson, .gz) or folders")
    screen.add_argument("--trial", action="append", default=[], metavar="KEY", help="only this trial; may be repeated")
    screen.add_argument(
        "--as-of", metavar="INSTANT", help="the instant of the question, 2026-11-01T00:00:00Z; default: now"
    )
    screen.add_argument("--format", choices=("table", "bundle", "findings"), default="table")
    screen.add_argument(
        "--fhir-version", choices=("R4", "R5"), default="R4", help="of the results; any version is read"
    )
    screen.add_argument("--engine", choices=("local",), default="local", help="where it runs: this machine")
    screen.add_argument("--out", type=Path, metavar="DIR", help="write files here instead of stdout")
    screen.add_argument("--base", default="https://trials.example.org/fhir", help="canonical base of what is written")
    screen.add_argument("--conditional", action="store_true", help="conditional operations instead of ids set by us")
    screen.add_argument(
        "--secret-file", type=Path, metavar="FILE", help="a site's secret, mixed into the ids of results"
    )
    _definitions(screen)
    screen.set_defaults(run=_screen)


def _add_export(verbs: "Verbs") -> None:
    export = verbs.add_parser("export", help="write the trials as FHIR resources: to files, to a server, as pages")
    export.add_argument("--out", type=Path, metavar="DIR", help="a file for each resource, a bundle for each trial")
    export.add_argument("--server", metavar="URL", help="base of the FHIR server to write the trials to")
    export.add_argument("--html", type=Path, metavar="DIR", help="a page for people for each trial")
    export.add_argument("--fhir-version", choices=("R4", "R5"), default="R4", help="of what is written")
    export.add_argument("--trial", action="append", default=[], metavar="KEY", help="only this trial; may be repeated")
    export.add_argument("--package", action="store_true", help="with --out: all resources as a FHIR package too")
    export.add_argument("--conditional", action="store_true", help="conditional operations instead of ids set by us")
    export.add_argument("--dry-run", action="store_true", help="with --server: say what would change, write nothing")
    export.add_argument("--base", default="https://trials.example.org/fhir", help="canonical base of what is written")
    export.add_argument("--publisher", default="fhir-trial-adapter", metavar="NAME", help="who publishes it")
    export.add_argument("--elm", type=Path, metavar="DIR", help="compiled CQL, one file for each library, to put in")
    _definitions(export)
    export.set_defaults(run=_export)


def _add_fetch(verbs: "Verbs") -> None:
    fetch = verbs.add_parser("fetch", help="a FHIR server's Bulk Data export, to a folder that screen reads")
    fetch.add_argument("--server", required=True, metavar="URL", help="base of the FHIR server")
    fetch.add_argument("--out", type=Path, required=True, metavar="DIR", help="an empty folder, or one to go on in")
    fetch.add_argument("--group", metavar="ID", help="the patients of this Group; default: all patients")
    fetch.add_argument(
        "--type", action="append", default=[], metavar="TYPE", help="of resources; default: those that mappings read"
    )
    fetch.add_argument("--since", metavar="INSTANT", help="only what changed since, 2026-11-01T00:00:00Z")
    fetch.add_argument(
        "--also-from", action="append", default=[], metavar="URL", help="files may lie there too; no token goes there"
    )
    fetch.add_argument("--keep", action="store_true", help="leave the export on the server")
    fetch.set_defaults(run=_fetch)


def _add_serve(verbs: "Verbs") -> None:
    serve = verbs.add_parser("serve", help="the HTTP service that integration engines post to")
    serve.add_argument("--host", help="address to listen on; default 127.0.0.1")
    serve.add_argument("--port", type=int, help="default 8080")
    serve.add_argument("--database", metavar="URL", help="sqlite:///FILE or postgresql+psycopg://...")
    serve.add_argument("--target", metavar="URL", help="base of the FHIR server that results are delivered to")
    _definitions(serve)
    serve.set_defaults(run=_serve)


def _add_outbox(verbs: "Verbs") -> None:
    outbox = verbs.add_parser("outbox", help="what waits to be delivered, or was given up")
    outbox.add_argument("action", choices=("list", "show", "replay", "drop"))
    outbox.add_argument("id", type=int, nargs="?", metavar="ID", help="of show, replay and drop")
    outbox.add_argument("--all-dead", action="store_true", help="with replay: all that was given up")
    outbox.add_argument("--database", metavar="URL", help="as for serve")
    outbox.set_defaults(run=_outbox)


def _definitions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trials", action="append", default=[], type=Path, metavar="DIR", help="instead of the shipped trials"
    )
    parser.add_argument(
        "--mappings", action="append", default=[], type=Path, metavar="DIR", help="instead of the shipped mappings"
    )
    parser.add_argument(
        "--site", type=Path, metavar="DIR", help="a site's ConceptMap, ValueSet and settings.yaml files"
    )


def _catalog(options: argparse.Namespace) -> "Catalog":
    from adapter.catalog.load import read_catalog  # noqa: PLC0415 (--help loads nothing)
    from adapter.errors import AdapterError, Category  # noqa: PLC0415 (the same)

    sources, catalog = read_catalog(options.trials, options.mappings, options.site)
    if catalog is None:
        raise AdapterError(Category.MALFORMED, sources.issues)
    report(sources.issues)
    return catalog


def _check(options: argparse.Namespace) -> int:
    from adapter.catalog.checks import check  # noqa: PLC0415 (--help loads nothing)
    from adapter.catalog.load import read_catalog  # noqa: PLC0415 (the same)
    from adapter.errors import Severity  # noqa: PLC0415 (the same)

    sources, catalog = read_catalog(options.trials, options.mappings, options.site)
    issues = check(sources, catalog)
    report(issues)
    problems = sum(issue.severity in (Severity.ERROR, Severity.FATAL) for issue in issues)
    said = _counted(problems, "problem") if problems else "no problem"
    if len(issues) > problems:
        said += f", {_counted(len(issues) - problems, 'warning')}"
    sys.stdout.write(f"{_contents(catalog)}, {said}\n" if catalog is not None else f"{said}\n")
    return FAILED if problems else DONE


def _contents(catalog: "Catalog") -> str:
    criteria = [each for trial in catalog.trials for each in trial.criteria]
    grades = [atom.grade for each in criteria for atom in each.atoms]
    by_grade = ", ".join(f"{grades.count(grade)} {grade}" for grade in ("A", "B", "C"))
    counted = (
        _counted(len(catalog.trials), "trial"),
        _counted(len(criteria), "criterion", "criteria"),
        f"{_counted(len(grades), 'atom')} ({by_grade})",
        _counted(len(catalog.mappings.inputs), "input"),
    )
    return ", ".join(counted)


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _validate(options: argparse.Namespace) -> int:
    from adapter.verbs.validating import run  # noqa: PLC0415 (--help loads nothing)

    return run(options.paths, options.format, options.fhir_version, _catalog(options))


def _screen(options: argparse.Namespace) -> int:
    from adapter.verbs.screening import run  # noqa: PLC0415 (--help loads nothing)

    return run(options, _catalog(options))


def _export(options: argparse.Namespace) -> int:
    from adapter.verbs.exporting import run  # noqa: PLC0415 (--help loads nothing)

    return run(options, _catalog(options))


def _fetch(options: argparse.Namespace) -> int:
    from adapter.verbs.fetching import run  # noqa: PLC0415 (--help loads nothing)

    return run(options)


def _serve(options: argparse.Namespace) -> int:
    from adapter.verbs.serving import run  # noqa: PLC0415 (--help loads nothing)

    return run(options, _catalog(options))


def _outbox(options: argparse.Namespace) -> int:
    from adapter.verbs.outbox import run  # noqa: PLC0415 (--help loads nothing)

    takes_all = options.action == "replay" and options.all_dead
    if options.action != "list" and (options.id is None) is not takes_all:
        sys.stderr.write(f"outbox {options.action}: give one ID; replay takes --all-dead instead\n")
        return USAGE
    return run(options)
