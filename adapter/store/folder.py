"""A file for each delivery that the server does not take: whole or not there, and on disk before it counts as done."""

import hashlib
import os
from pathlib import Path

from adapter.delivery.json_answer import written
from adapter.outputs import unwritable
from adapter.store.standing import Resource, name_of

_PRIVATE = 0o600


def put_aside(folder: Path, number: int, resources: list[Resource]) -> str:
    """Write a delivery's resources as a transaction, and give the file's name; raises AdapterError.

    The name has the delivery's number and a digest of its content: twice is once, and after a restored database, which
    counts anew, no file takes another's place.
    """
    entries = [
        {"fullUrl": f"urn:uuid:{each['id']}", "resource": each, "request": {"method": "PUT", "url": name_of(each)}}
        for each in resources
    ]
    data = written({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    name = f"{number:010}-{hashlib.sha256(data).hexdigest()[:16]}.json"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, part = folder / name, folder / f".{name}.{os.getpid()}.part"
        if not path.exists():
            _write(part, data)
            part.replace(path)
        _keep(folder)
    except OSError as error:
        raise unwritable(error, folder) from None
    return name


def _write(part: Path, data: bytes) -> None:
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _keep(folder: Path) -> None:
    """Bring the names in a folder to the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
