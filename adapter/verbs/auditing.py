"""The verb ``audit``: does the record of what was done hold, and what it says, as FHIR."""

import argparse
import re
import sys

from adapter import __version__
from adapter.errors import AdapterError, Category
from adapter.store.chain import Head, recorded, verified
from adapter.store.ledger import Store
from adapter.verbs.opened import open_store

_DONE, _FAILED = 0, 1
_KEPT = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


def run(options: argparse.Namespace) -> int:
    """Do ``options.action``: verify or export; raises AdapterError."""
    store = open_store(options)
    try:
        return _verify(store, options.head) if options.action == "verify" else _export(store, options)
    finally:
        store.close()


def _verify(store: Store, kept: str | None) -> int:
    """Say whether every row holds, and where the chain ends."""
    found = verified(store.engine, _kept(kept))
    if found.broken is not None:
        sys.stdout.write(f"broken at row {found.broken}: {found.why}\n")
        return _FAILED
    sys.stdout.write(f"holds: {found.head.seq} rows")
    if found.keyless and found.keyless < found.head.seq:
        sys.stdout.write(f", the first {found.keyless} written before there was a key")
    sys.stdout.write(f"\nhead {found.head.seq}:{found.head.digest}\n")
    return _DONE


def _kept(text: str | None) -> Head | None:
    if text is None:
        return None
    found = _KEPT.fullmatch(text)
    if found is None:
        said = "--head is a number and a digest, such as audit verify prints: 17:9f86..."
        raise AdapterError.of(Category.NOT_FOUND, "audit-head", said)
    return Head(int(found[1]), found[2])


def _export(store: Store, options: argparse.Namespace) -> int:
    from adapter.service.audit_events import Recording, audit_events  # noqa: PLC0415 (verify needs none of it)
    from adapter.service.outcomes import encode  # noqa: PLC0415 (the same)

    recording = Recording(options.base.rstrip("/"), f"fhir-trial-adapter/{__version__}")
    write = sys.stdout.buffer.write
    for seq, row in recorded(store.engine, options.after):
        for event in audit_events(seq, row, recording):
            write(encode(event) + b"\n")
    sys.stdout.flush()
    return _DONE
