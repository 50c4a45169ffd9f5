"""Compiled CQL that is given as files: ELM from the official translator, held against the library it was made from."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.cql import CqlLibrary, trial_library
from adapter.eligibility.trial import Trial
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir.versions import FhirVersion

_MODELS = {FhirVersion.R4: "4.0.1", FhirVersion.R5: "5.0.0"}
"""The version of the FHIR model that CQL for each FHIR version uses."""


class _Identifier(msgspec.Struct, frozen=True):
    id: str
    version: str | None = None


class _Using(msgspec.Struct, frozen=True, rename="camel"):
    local_identifier: str
    version: str | None = None


class _Usings(msgspec.Struct, frozen=True, rename={"models": "def"}):
    models: tuple[_Using, ...] = ()


class _Library(msgspec.Struct, frozen=True):
    identifier: _Identifier
    usings: _Usings = _Usings()
    annotation: Any = None


class _Elm(msgspec.Struct, frozen=True):
    library: _Library


def read_elm(folder: Path, trials: Iterable[Trial], catalog: Catalog, version: FhirVersion) -> dict[str, bytes]:
    """Read ``<library name>.json`` for every library of the trials; gives the files' bytes by library name.

    Raises AdapterError that lists every file that is missing or was not made from the CQL we write now.
    """
    if not folder.is_dir():
        issue = Issue(Severity.ERROR, "not-found", "--elm: there is no such folder", file=folder.as_posix())
        raise AdapterError(Category.NOT_FOUND, [issue])
    found: dict[str, bytes] = {}
    issues: list[Issue] = []
    for trial in trials:
        for library in _with_includes(trial_library(trial, catalog, version)):
            if library.name not in found:
                found[library.name] = _read(folder / f"{library.name}.json", library, version, issues)
    if issues:
        raise AdapterError(Category.MALFORMED, issues)
    return found


def _with_includes(library: CqlLibrary) -> Iterator[CqlLibrary]:
    yield library
    for each in library.includes:
        yield from _with_includes(each)


def _read(path: Path, library: CqlLibrary, version: FhirVersion, issues: list[Issue]) -> bytes:
    try:
        data = path.read_bytes()
        elm = msgspec.json.decode(data, type=_Elm).library
    except OSError as error:
        _complain(issues, path, "elm-missing", f"the ELM of {library.name} cannot be read: {error.strerror}")
        return b""
    except (msgspec.DecodeError, UnicodeDecodeError):
        _complain(issues, path, "elm-unreadable", "this is not ELM as JSON: a library with an identifier")
        return b""
    stated = (elm.identifier.id, elm.identifier.version)
    if stated != (library.name, library.version):
        said = f"this is the ELM of {stated[0]} {stated[1]}, not of {library.name} {library.version}: compile it again"
        _complain(issues, path, "elm-other", said)
    models = {each.version for each in elm.usings.models if each.local_identifier == "FHIR"}
    if models - {_MODELS[version]}:
        said = f"this was compiled for FHIR {', '.join(map(str, models))}, not {_MODELS[version]}: compile it again"
        _complain(issues, path, "elm-other", said)
    if _has_errors(elm.annotation):
        _complain(issues, path, "elm-errors", "the translator reported errors in this library: it must not be used")
    return data


def _has_errors(annotations: object) -> bool:
    """Whether the translator noted an error: it writes ELM all the same, with nulls where it did not understand."""
    found = annotations if isinstance(annotations, list) else []
    return any(isinstance(each, dict) and each.get("errorSeverity") == "error" for each in found)


def _complain(issues: list[Issue], path: Path, code: str, said: str) -> None:
    issues.append(Issue(Severity.ERROR, code, said, file=path.as_posix()))
