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
    for add in (
        _add_check,
        _add_validate,
        _add_screen,
        _add_export,
        _add_fetch,
        _add_serve,
        _add_outbox,
        _add_quarantine,
        _add_forget,
        _add_doctor,
        _add_audit,
    ):
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
    screen.add_argument(
        "paths", nargs="+", type=_place, metavar="PATH", help="files (.json, .ndjson, .gz), folders, Bulk Data exports"
    )
    screen.add_argument("--trial", action="append", default=[], metavar="KEY", help="only this trial; may be repeated")
    screen.add_argument(
        "--as-of", metavar="INSTANT", help="the instant of the question, 2026-11-01T00:00:00Z; default: now"
    )
    formats = ("table", "bundle", "findings", "bundles", "verdicts", "parquet")
    screen.add_argument("--format", action="append", choices=formats, help="default: table; with --out several times")
    screen.add_argument(
        "--fhir-version", choices=("R4", "R5"), default="R4", help="of the results; any version is read"
    )
    screen.add_argument("--report", type=Path, metavar="DIR", help="what the population amounts to: a page, and JSON")
    screen.add_argument("--smallest-cell", type=int, default=5, metavar="N", help="of the report; 1 tells exact counts")
    screen.add_argument("--worklist", type=Path, metavar="FILE", help="for coordinators: a .csv, .xlsx or .html file")
    screen.add_argument("--keep-facts", type=Path, metavar="DIR", help="to screen again without the resources")
    screen.add_argument("--engine", choices=("local", "spark"), default="local", help="this machine, or a cluster")
    screen.add_argument(
        "--master", metavar="URL", help="with --engine spark: local[N], spark://HOST:PORT, yarn, k8s://"
    )
    screen.add_argument("--out", type=_place, metavar="DIR", help="write files here instead of stdout")
    screen.add_argument("--resume", action="store_true", help="go on with a run that was ended; with --out")
    screen.add_argument("--processes", type=int, metavar="N", help="default: one for each core")
    screen.add_argument("--work", type=Path, metavar="DIR", help="where sorted exports lie while it runs")
    screen.add_argument("--quiet", action="store_true", help="no progress on stderr")
    screen.add_argument("--export-base", metavar="URL", help="server that made an export which names several")
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
    serve.add_argument("--conditional", action="store_true", help="the target gives ids itself")
    serve.add_argument("--fallback", choices=("refuse", "observation", "task", "file"), help="of what it does not take")
    serve.add_argument("--dry-run-delivery", action="store_true", help="say what would be delivered, write nothing")
    _definitions(serve)
    serve.set_defaults(run=_serve)


def _add_outbox(verbs: "Verbs") -> None:
    outbox = verbs.add_parser("outbox", help="what waits to be delivered, or was given up")
    outbox.add_argument("action", choices=("list", "show", "replay", "drop", "adopt"))
    outbox.add_argument("id", type=int, nargs="?", metavar="ID", help="of show, replay and drop")
    outbox.add_argument("--all-dead", action="store_true", help="with replay: all that was given up")
    outbox.add_argument("--dead", action="store_true", help="with list: only what was given up, all of it")
    outbox.add_argument("--json", action="store_true", help="with list and show: for programs, one object a line")
    outbox.add_argument("--target", metavar="URL", help="with adopt: the FHIR server, as for serve")
    outbox.add_argument("--missing", action="store_true", help="with adopt: write anew what is not there any more")
    outbox.add_argument("--database", metavar="URL", help="as for serve")
    outbox.set_defaults(run=_outbox)


def _add_quarantine(verbs: "Verbs") -> None:
    quarantine = verbs.add_parser("quarantine", help="what was set aside instead of refused, for engines that queue it")
    quarantine.add_argument("action", choices=("list", "show", "release", "drop"))
    quarantine.add_argument("id", type=int, nargs="?", metavar="ID", help="of show, release and drop")
    quarantine.add_argument("--content", type=Path, metavar="FILE", help="of show: write the message to this new file")
    quarantine.add_argument("--database", metavar="URL", help="as for serve")
    _definitions(quarantine)
    quarantine.set_defaults(run=_quarantine)


def _add_forget(verbs: "Verbs") -> None:
    forget = verbs.add_parser("forget", help="remove all that serve keeps of one patient")
    forget.add_argument("patient", metavar="PATIENT", help="an identifier, SYSTEM|VALUE; or where the Patient stands")
    forget.add_argument("--sender", metavar="CLIENT", help="whose Patient.id it is, where it is no whole address")
    forget.add_argument("--tenant", default="", metavar="NAME", help="whose patient it is, where there are tenants")
    forget.add_argument("--database", metavar="URL", help="as for serve")
    forget.set_defaults(run=_forget)


def _add_doctor(verbs: "Verbs") -> None:
    doctor = verbs.add_parser("doctor", help="is everything as serve needs it, and what to do where it is not")
    doctor.add_argument("--json", action="store_true", help="for programs: one document")
    doctor.add_argument("--offline", action="store_true", help="ask nothing over a network")
    doctor.add_argument("--host", help="as for serve, as the next three are")
    doctor.add_argument("--port", type=int)
    doctor.add_argument("--database", metavar="URL")
    doctor.add_argument("--target", metavar="URL")
    _definitions(doctor)
    doctor.set_defaults(run=_doctor)


def _add_audit(verbs: "Verbs") -> None:
    audit = verbs.add_parser("audit", help="whether the record of every access holds, and what it says as FHIR")
    audit.add_argument("action", choices=("verify", "export"))
    audit.add_argument("--head", metavar="N:DIGEST", help="of verify: an end that was kept elsewhere")
    audit.add_argument("--format", choices=("fhir",), default="fhir", help="of export: AuditEvents, one a line")
    audit.add_argument("--after", type=int, default=0, metavar="N", help="of export: only the rows after this one")
    audit.add_argument("--base", default="https://trials.example.org/fhir", help="canonical base, as for serve")
    audit.add_argument("--database", metavar="URL", help="as for serve")
    audit.set_defaults(run=_audit)


def _place(text: str) -> Path | str:
    """Give a path; what has a scheme is a place that only Spark reaches, and stays as it is."""
    return text if "://" in text else Path(text)


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
    takes_none = takes_all or options.action in {"list", "adopt"}
    if (options.id is None) is not takes_none:
        sys.stderr.write(f"outbox {options.action}: show, replay and drop take one ID, or replay --all-dead\n")
        return USAGE
    return run(options)


def _quarantine(options: argparse.Namespace) -> int:
    from adapter.verbs.quarantine import run  # noqa: PLC0415 (--help loads nothing)

    if (options.action == "list") is not (options.id is None):
        sys.stderr.write(f"quarantine {options.action}: list takes no ID, the others one\n")
        return USAGE
    return run(options, _catalog(options) if options.action == "release" else None)


def _forget(options: argparse.Namespace) -> int:
    from adapter.verbs.forgetting import run  # noqa: PLC0415 (--help loads nothing)

    return run(options)


def _doctor(options: argparse.Namespace) -> int:
    from adapter.verbs.doctoring import run  # noqa: PLC0415 (--help loads nothing)

    return run(options)


def _audit(options: argparse.Namespace) -> int:
    from adapter.verbs.auditing import run  # noqa: PLC0415 (--help loads nothing)

    return run(options)
