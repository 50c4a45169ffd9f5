"""All exported resources as one FHIR NPM package: what a server or a guide's tool loads in one step.

Layout by https://hl7.org/fhir/packages.html: ``package/package.json``, ``package/.index.json`` and one file for each
resource.  It holds conformance resources and no ImplementationGuide, which the specification calls ``Conformance``.
The archive has no clock and no owner in it: the same resources give the same bytes.
"""

import gzip
import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterable
from typing import IO
from urllib.parse import urlsplit

import msgspec

from adapter import __version__
from adapter.emission.files import Resource, pretty
from adapter.emission.names import Naming

FILE_NAME = "package.tgz"
_INDEX_VERSION = 2
_INDEXED = ("url", "version", "kind", "type", "supplements", "content")
"""What the index repeats of a resource, where it is a plain string."""
_CORES = {True: ("hl7.fhir.r4.core", "4.0.1"), False: ("hl7.fhir.r5.core", "5.0.0")}
_FILE_MODE = 0o644


class Indexed(msgspec.Struct, frozen=True):
    """One file of the package: its row of the index, and what its bytes come to."""

    filename: str
    row: dict[str, str]
    digest: bytes


def indexed(filename: str, resource: Resource, data: bytes) -> Indexed:
    """Take down what the index says of a file, so that the resource itself need not be kept."""
    row = {"filename": filename, "resourceType": resource["resourceType"], "id": resource["id"]}
    row.update({key: resource[key] for key in _INDEXED if isinstance(resource.get(key), str)})
    return Indexed(filename, row, hashlib.sha256(data).digest())


def package_name(naming: Naming) -> str:
    """Give the name of the package: the canonical base read from its end, then the FHIR version.

    >>> from adapter.fhir.versions import FhirVersion
    >>> package_name(Naming(FhirVersion.R4, "https://trials.example.org/fhir"))
    'org.example.trials.fhir.r4'
    """
    where = urlsplit(naming.base)
    host = (where.hostname or "").split(".")
    parts = [*reversed(host), *([f"port-{where.port}"] if where.port else []), *where.path.split("/")]
    namespaces = [_namespace(part) for part in parts if part]
    return ".".join((*namespaces, "r4" if naming.is_r4 else "r5"))


def _namespace(part: str) -> str:
    """Write a part of a URL as the specification wants a namespace: a small letter, then letters, digits, dashes."""
    kept = re.sub(r"[^a-z0-9-]+", "-", part.lower()).strip("-")
    return kept if kept[:1].isalpha() else f"n{kept}"


def package_version(files: Iterable[Indexed]) -> str:
    """Give the version: the adapter's, then a label of the content, so that other content is another version."""
    content = hashlib.sha256()
    for each in sorted(files, key=lambda one: one.filename):
        content.update(each.filename.encode() + b"\0" + each.digest)
    return f"{__version__}-c{content.hexdigest()[:12]}"


def manifest(naming: Naming, files: Iterable[Indexed]) -> dict[str, object]:
    """Give the content of ``package.json``."""
    core, version = _CORES[naming.is_r4]
    return {
        "name": package_name(naming),
        "version": package_version(files),
        "title": "Clinical trials with computable eligibility",
        "description": f"Clinical trials and their eligibility criteria as FHIR {naming.version.value} definitions.",
        "author": naming.publisher,
        "canonical": naming.base,
        "url": naming.base,
        "type": "Conformance",
        "fhirVersions": [version],
        "dependencies": {core: version},
    }


def index(files: Iterable[Indexed]) -> dict[str, object]:
    """Give the content of ``.index.json``: a row for each file, by name."""
    rows = [each.row for each in sorted(files, key=lambda one: one.filename)]
    return {"index-version": _INDEX_VERSION, "files": rows}


def write_package(stream: IO[bytes], naming: Naming, files: Iterable[Indexed], read: Callable[[str], bytes]) -> None:
    """Write the archive; ``read`` gives the bytes of a file by name, so that one at a time is in memory."""
    ordered = sorted(files, key=lambda one: one.filename)
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        _add(archive, "package.json", pretty(manifest(naming, ordered)))
        _add(archive, ".index.json", pretty(index(ordered)))
        for each in ordered:
            _add(archive, each.filename, read(each.filename))


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    about = tarfile.TarInfo(f"package/{name}")  # mtime, uid and gid are 0, owner and group empty
    about.size = len(data)
    about.mode = _FILE_MODE
    archive.addfile(about, io.BytesIO(data))
