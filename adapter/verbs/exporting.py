"""The verb ``export``: trials as FHIR resources, to files, to a server, and as pages for people."""

import argparse
import gc
import hashlib
import re
import sys
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from adapter.catalog.catalog import Catalog
from adapter.cql import trial_library
from adapter.delivery.identity import key_of
from adapter.eligibility.trial import Trial
from adapter.emission import package
from adapter.emission.bundle import conditional_transaction, transaction
from adapter.emission.emit import emit_trial
from adapter.emission.files import Resource, file_name, pretty
from adapter.emission.names import Naming, trial_id
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir.versions import FhirVersion
from adapter.outputs import Folder, standard_output, tidy_when_terminated
from adapter.verbs.compiled import read_elm
from adapter.verbs.trials import chosen

DONE = 0
_BUNDLES, _CQL = "bundles", "cql"
_OURS = re.compile(
    rf"[A-Z][A-Za-z]+-[A-Za-z0-9.-]{{1,64}}\.json|{_BUNDLES}/[^/]+\.json|{_CQL}/[A-Za-z0-9]+\.cql|{re.escape(package.FILE_NAME)}",
    re.ASCII,
)
"""Files that an export writes, by their path inside the folder."""
_NO_BASE = re.compile(r"[\s|#?\"<>\\^`{}]")
_MOST_LEFT = 20
"""How many files of an earlier export are named on stderr."""


def run(options: argparse.Namespace, catalog: Catalog) -> int:
    """Export the trials asked for; raises AdapterError when nothing could be begun or something cannot be written."""
    _check_usage(options)
    trials = chosen(catalog, options.trial)
    naming = Naming(FhirVersion(options.fhir_version), _base(options.base), _publisher(options.publisher))
    compiled = read_elm(options.elm, trials, catalog, naming.version) if options.elm is not None else None
    files = _Files(Folder.open(options.out), naming, options) if options.out is not None else None
    pages = Folder.open(options.html).path if options.html is not None else None
    if compiled is None and (files is not None or options.server is not None):
        said = "without --elm the libraries hold CQL and no compiled ELM: an engine translates it when it loads them"
        _report(Issue(Severity.INFORMATION, "no-elm", said))
    gc.freeze()
    kept: dict[str, tuple[Resource, ...]] = {}
    with tidy_when_terminated():
        if files is not None or options.server is not None:
            for trial in trials:
                resources = emit_trial(catalog, trial.key, naming, elm=compiled)
                if files is not None:
                    files.add(trial.key, resources)
                if options.server is not None:
                    kept[trial.key] = resources
        if files is not None:
            _say(files.finish(is_whole=not options.trial))
        if pages is not None:
            _say(f"{_counted(_write_pages(pages, catalog, trials, naming.version), 'page')}\n")
        return _to_server(options, kept) if options.server is not None else DONE


class _Files:
    """The resources of trials as files of one folder, and the CQL of their libraries as text beside them."""

    def __init__(self, folder: Folder, naming: Naming, options: argparse.Namespace) -> None:
        self._folder = folder
        self._naming = naming
        self._is_conditional: bool = options.conditional
        self._has_package: bool = options.package
        self._written: dict[str, package.Indexed] = {}
        self._names: dict[str, str] = {}
        self._lines: list[str] = []

    def add(self, key: str, resources: Sequence[Resource]) -> None:
        """Write the resources of one trial, and the transaction of all of them."""
        self._lines.append(f"{key}: {_counted(len(resources), 'resource')}\n")
        for each in resources:
            name, data = file_name(each), pretty(each)
            before = self._written.get(name)
            if before is None:
                self._written[name] = package.indexed(name, each, data)
                self._folder.write(name, data)
                self._refuse_namesake(name, key)
            elif before.digest != hashlib.sha256(data).digest():
                raise _namesake(name, key)
            if before is None and each["resourceType"] == "Library":
                self._folder.write(f"{_CQL}/{each['name']}.cql", b64decode(each["content"][0]["data"]))
        self._folder.write(f"{_BUNDLES}/{trial_id(key)}.json", pretty(self._transaction(resources)))

    def _transaction(self, resources: Sequence[Resource]) -> Resource:
        base = self._naming.base
        if self._is_conditional:
            return conditional_transaction(resources, base, lambda each: key_of(each).query())
        return transaction(resources, base)

    def _refuse_namesake(self, name: str, key: str) -> None:
        """Two names that differ in case only are one file on many machines."""
        if self._names.setdefault(name.casefold(), name) != name:
            raise _namesake(name, key)

    def finish(self, *, is_whole: bool) -> str:
        """Write the package, name what an earlier export left, and give the summary."""
        if self._has_package:
            files = self._written.values()
            read = self._folder.path
            self._folder.fill(
                package.FILE_NAME,
                lambda stream: package.write_package(
                    stream, self._naming, files, lambda name: (read / name).read_bytes()
                ),
            )
        if is_whole:
            self._name_left_over()
        names, changed = len(self._folder.names), self._folder.changed
        counted = (_counted(len(self._lines), "trial"), _counted(len(self._written), "resource"))
        total = (
            f"total: {', '.join(counted)}; {_counted(names, 'file')}, {changed} written, {names - changed} unchanged\n"
        )
        return "".join((*self._lines, total))

    def _name_left_over(self) -> None:
        found = (each for pattern in ("*", f"{_BUNDLES}/*", f"{_CQL}/*") for each in self._folder.path.glob(pattern))
        names = sorted(each.relative_to(self._folder.path).as_posix() for each in found if each.is_file())
        left = [each for each in names if each not in self._folder.names and _OURS.fullmatch(each)]
        for name in left[:_MOST_LEFT]:
            said = "an earlier export wrote this file, and this one does not: remove it if nothing needs it"
            _report(Issue(Severity.WARNING, "left-over", said, file=(self._folder.path / name).as_posix()))
        if len(left) > _MOST_LEFT:
            said = f"{len(left) - _MOST_LEFT} more files of an earlier export are not named"
            _report(Issue(Severity.WARNING, "left-over", said, file=self._folder.path.as_posix()))


def _check_usage(options: argparse.Namespace) -> None:
    """Refuse options that ask for nothing, or need another one."""
    if options.out is None and options.server is None and options.html is None:
        raise _usage("say where to: --out DIR, --server URL or --html DIR")
    for name, needed in (("package", ("out",)), ("dry_run", ("server",)), ("conditional", ("out", "server"))):
        if getattr(options, name) and all(getattr(options, each) is None for each in needed):
            wanted = " or ".join(f"--{each}" for each in needed)
            raise _usage(f"--{name.replace('_', '-')} has no effect without {wanted}")


def _usage(said: str) -> AdapterError:
    return AdapterError.of(Category.NOT_FOUND, "usage", said)


def _base(text: str) -> str:
    """Give the canonical base without a slash at its end; a canonical URL has no query, fragment or version bar."""
    base = text.rstrip("/")
    try:
        parts = urlsplit(base)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or parts.username is not None or _NO_BASE.search(base):
        raise _usage("--base: an absolute http or https URL without ?, # or |, such as https://trials.example.org/fhir")
    return base


def _publisher(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise _usage("--publisher: a name of one line")
    return text.strip()


def _write_pages(folder: Path, catalog: Catalog, trials: Sequence[Trial], version: FhirVersion) -> int:
    from adapter.rendering.pages import write_pages  # noqa: PLC0415 (needed for pages only)

    libraries = {trial.key: trial_library(trial, catalog, version) for trial in trials}
    cql = {key: library.define_texts for key, library in libraries.items()}
    unsaid = {key: library.unsaid for key, library in libraries.items()}
    return len(write_pages(folder, catalog, trials, cql, unsaid))


def _to_server(options: argparse.Namespace, trials: Mapping[str, tuple[Resource, ...]]) -> int:
    from adapter.delivery.export import run_server_export  # noqa: PLC0415 (requests is needed for servers only)

    return run_server_export(
        trials,
        url=options.server,
        version=FhirVersion(options.fhir_version),
        conditional=options.conditional,
        dry_run=options.dry_run,
        err=sys.stderr,
        out=sys.stdout,
    )


def _namesake(name: str, key: str) -> AdapterError:
    said = f"{key} would write {name} over another trial's file of that name: give one of the trials another key"
    return AdapterError.of(Category.CONFLICT, "same-name", said)


def _say(text: str) -> None:
    with standard_output() as stream:
        stream.write(text)


def _report(issue: Issue) -> None:
    sys.stderr.write(f"{issue}\n")


def _counted(number: int, one: str) -> str:
    return f"{number} {one if number == 1 else one + 's'}"
