"""The verb ``quarantine``: what was set aside instead of refused, and what to do about it; content only on demand."""

import argparse
import datetime
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from adapter.catalog.catalog import Catalog
from adapter.errors import AdapterError, Category
from adapter.service.settings import Settings, read_settings
from adapter.store.chain import AuditRow
from adapter.store.quarantine import Bounds, Held, Quarantine
from adapter.store.sealing import Sealer
from adapter.verbs.opened import open_store

if TYPE_CHECKING:
    from adapter.store.ledger import Store

_DONE, _FAILED = 0, 1
_MOST = 100


def run(options: argparse.Namespace, catalog: Catalog | None) -> int:
    """Do ``options.action``: list, show, release or drop; raises AdapterError."""
    given = {name: value for name in ("database",) if (value := getattr(options, name)) is not None}
    settings = read_settings(**given)
    store = open_store(options)
    try:
        rows = Quarantine(store, Sealer.of(settings.storage_key_file), Bounds())
        match options.action:
            case "list":
                _list(rows)
            case "show":
                _show(store, rows, options.id, options.content)
            case "release":
                assert catalog is not None  # noqa: S101 (the command has read it for this action)
                return _release(settings, catalog, store, rows, options.id)
            case _:
                _drop(store, rows, options.id)
    finally:
        store.close()
    return _DONE


def _list(rows: Quarantine) -> None:
    count = rows.count()
    _say(f"{count} set aside")
    for each in rows.listed(_MOST):
        _say(_line(each))
    if count > _MOST:
        _say(f"and {count - _MOST} more")


def _show(store: "Store", rows: Quarantine, id_: int, content: Path | None) -> None:
    found = _found(rows, id_)
    if content is not None:
        from adapter.service.quarantine import sent_of  # noqa: PLC0415 (it loads the service)

        data = rows.content(id_)
        if data is None:
            raise _unknown(id_)
        _write(content, sent_of(data).data)
        store.record(_row(store, "quarantine-content", id_))
    _say(_line(found))
    _say(f"request {found.request_id}, {found.size} bytes")
    for code, expression, line in found.issues:
        place = ": ".join(each for each in (f"line {line}" if line else "", expression) if each)
        _say(f"{code}{f' at {place}' if place else ''}")


def _write(path: Path, data: bytes) -> None:
    """Write what a patient's record may be where nobody else can read it, and never over another file."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        raise AdapterError.of(Category.NOT_FOUND, "content-file", "the file is there, or its folder is not") from None
    with os.fdopen(file, "wb") as stream:
        stream.write(data)


def _release(settings: Settings, catalog: Catalog, store: "Store", rows: Quarantine, id_: int) -> int:
    """Do the message as if it had come now; it stays set aside where it is refused again."""
    from adapter.service.releasing import released  # noqa: PLC0415 (it loads the service)

    found = _found(rows, id_)
    data = rows.content(id_)
    if data is None:
        raise _unknown(id_)
    came = released(settings, catalog, store, found, data)
    if came.issues:
        for code, expression, _ in came.issues:
            _say(f"{id_} is refused again: {code}{f' at {expression}' if expression else ''}")
        return _FAILED
    rows.remove(id_, _row(store, "quarantine-release", id_))
    _say(f"{id_} done" if came.status == 200 else f"{id_} queued; serve answers it later")  # noqa: PLR2004 (HTTP's)
    return _DONE


def _drop(store: "Store", rows: Quarantine, id_: int) -> None:
    if not rows.remove(id_, _row(store, "quarantine-drop", id_)):
        raise _unknown(id_)
    _say(f"{id_} dropped; what it held is gone")


def _found(rows: Quarantine, id_: int) -> Held:
    found = rows.find(id_)
    if found is None:
        raise _unknown(id_)
    return found


def _row(store: "Store", action: str, id_: int) -> AuditRow:
    return AuditRow(store.now(), "operator", action, "done", "", {"quarantine": id_})


def _unknown(id_: int) -> AdapterError:
    said = f"there is no message {id_} set aside; see quarantine list"
    return AdapterError.of(Category.NOT_FOUND, "quarantine-unknown", said)


def _line(held: Held) -> str:
    at = held.received.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    codes = ", ".join(dict.fromkeys(code for code, _, _ in held.issues))
    return f"{held.id}: {at}, {held.client}, {held.action}, {held.status} {codes}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
