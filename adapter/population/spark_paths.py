"""Places that only Spark reaches (``s3a://``, ``hdfs://``, ``abfss://``, ``gs://``): what lies there, sorted out.

Names and sizes are listed by Spark; of files of lines the beginning is fetched, to tell what they hold.  Both are laid
out on this machine as files of the same size with nothing behind their beginning, so that ``listing`` sorts them out by
the same rules as files that lie here.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.inputs import KINDS
from adapter.population.listing import Export, File, Listing, listing

_HEAD_BYTES = 1 << 20
_MANIFEST_BYTES = 64 << 20
_GLOB = re.compile(r"([{}\[\]*?\\])")


class Place(NamedTuple):
    """A file that Spark lists."""

    path: str
    name: str
    """As rows that are read from it name it."""
    size: int
    modified: int
    """In microseconds."""


def spark_listing(spark: Any, paths: list[str]) -> tuple[Listing, dict[str, Place]]:  # noqa: ANN401 (pyspark has no types)
    """List what is to be read; also gives, by path, what Spark says of each file."""
    with tempfile.TemporaryDirectory(prefix="screening-") as folder:
        roots: list[Path] = []
        laid: dict[str, Place] = {}
        names: dict[str, str] = {}
        for path in paths:
            found = list(_found(spark, path))
            made = {str(_laid(Path(folder), each)): each for each in found}
            laid.update(made)
            top = _local(Path(folder), path)
            if not top.is_dir():
                roots.extend(map(Path, made))
            else:
                roots.append(top)
                names[str(top)] = path
        for local, place in laid.items():
            if ".ndjson" in place.path.lower():
                _fill(spark, Path(local), place, _HEAD_BYTES)
        beside = {str(Path(local).parent) for local, place in laid.items() if ".ndjson" in place.path.lower()}
        for local, place in laid.items():
            is_manifest = place.path.lower().endswith(".json") and place.size <= _MANIFEST_BYTES
            if is_manifest and str(Path(local).parent) in beside:
                _fill(spark, Path(local), place, place.size)
        return _named(listing(roots), laid, names), {each.path: each for each in laid.values()}


def _found(spark: Any, path: str) -> Iterator[Place]:  # noqa: ANN401 (the same)
    from pyspark.errors import AnalysisException  # noqa: PLC0415 (an extra)

    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    try:
        frame = files.load(path)
    except AnalysisException:
        raise _nothing(path, "not-found", "Spark finds no such file or folder") from None
    rows = frame.selectExpr("path", "_metadata.file_path", "length", "unix_micros(modificationTime)").collect()
    given = [Place(*row) for row in rows]
    known = {each.name for each in given}
    names = (each.replace(":///", ":/", 1) for each in frame.inputFiles())  # as rows write it where there is no host
    # What is empty is listed, and passed over: an export that lost a file must not look like one that never had it.
    given.extend(Place(unquote(name), name, 0, 0) for name in names if name not in known)
    given.sort()
    alone = len(given) == 1 and urlsplit(given[0].path).path == urlsplit(path).path
    found = [each for each in given if alone or each.path.lower().endswith(KINDS)]
    if not found:
        raise _nothing(path, "empty-folder", f"no {', '.join(KINDS)} file in this folder")
    yield from found


def _nothing(path: str, code: str, said: str) -> AdapterError:
    return AdapterError(Category.NOT_FOUND, [Issue(Severity.ERROR, code, said, file=path)])


def _local(folder: Path, path: str) -> Path:
    """Give where a file is laid out, under its own name; its folder stands for the same folder of every path."""
    parts = urlsplit(path, allow_fragments=False)
    inside = [each for each in path.split("://", 1)[-1].removeprefix(parts.netloc).split("/") if each]
    return folder.joinpath(f"{parts.scheme}_{parts.netloc}", *inside)


def _laid(folder: Path, place: Place) -> Path:
    local = _local(folder, place.path)
    local.parent.mkdir(parents=True, exist_ok=True)
    with local.open("wb") as stream:
        stream.truncate(place.size)
    os.utime(local, ns=(0, place.modified * 1000))
    return local


def _fill(spark: Any, local: Path, place: Place, most: int) -> None:  # noqa: ANN401 (the same)
    """Fetch the beginning of a file."""
    where = spark._jvm.org.apache.hadoop.fs.Path(place.path)  # noqa: SLF001 (the way to Hadoop)
    stream = where.getFileSystem(spark._jsc.hadoopConfiguration()).open(where)  # noqa: SLF001 (the same)
    try:
        head = bytes(stream.readNBytes(min(most, place.size)))
    finally:
        with suppress(Exception):  # it was only read
            stream.close()
    with local.open("r+b") as file:
        file.write(head)
    os.utime(local, ns=(0, place.modified * 1000))


def _named(found: Listing, laid: dict[str, Place], names: dict[str, str]) -> Listing:
    """Give a listing with the names that Spark knows."""

    def file(each: File) -> File:
        return msgspec.structs.replace(each, path=laid[each.path].path)

    def export(each: Export) -> Export:
        first = laid[each.files[0].path].path if each.files else ""
        root = names.get(each.root, first.rsplit("/", 1)[0])
        manifest = each.manifest
        if manifest is not None:
            manifest = msgspec.structs.replace(manifest, path=laid[manifest.path].path)
        return Export(root, tuple(map(file, each.files)), manifest)

    return Listing(tuple(map(file, found.files)), tuple(map(export, found.exports)))


def escaped(path: str) -> str:
    """Give a name that Spark takes as it stands, where it would read a pattern."""
    return _GLOB.sub(r"\\\1", path)
