"""The store that the verbs work on: the one of ``serve``, with the key of its audit chain."""

import argparse
import datetime
import os
import tomllib
from pathlib import Path

from adapter.errors import AdapterError, Category
from adapter.store.chain import AuditRow, is_keyed
from adapter.store.chain_key import read_chain_keys, use
from adapter.store.ledger import Store
from adapter.store.sealing import Sealer

_PREFIX = "TRIAL_ADAPTER_SERVE_"
_USUAL = "trial-adapter.db"
"""Where ``serve`` keeps it when nobody says otherwise."""


def open_store(options: argparse.Namespace) -> Store:
    """Open the store that ``serve`` has; raises AdapterError where none is named or there."""
    url = getattr(options, "database", None) or _setting("database")
    if not url and Path(_USUAL).is_file():
        url = f"sqlite:///{_USUAL}"
    if not url:
        said = f"name the database by --database or {_PREFIX}DATABASE, as for serve"
        raise AdapterError.of(Category.NOT_FOUND, "store-address", said)
    file = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else None
    if file is not None and not Path(file).is_file():
        # Else one that is lost, or misspelt, would be made anew and found to be in order.
        raise AdapterError.of(Category.NOT_FOUND, "store-address", "there is no database at this place; serve makes it")
    key = _setting("audit_key_file")
    keys = read_chain_keys(Path(key)) if key else None
    store = Store.open(url, lambda: datetime.datetime.now(datetime.UTC))
    sealing = _setting("storage_key_file")
    try:
        store.sealer = Sealer.of(Path(sealing) if sealing else None)
    except AdapterError:
        store.close()
        raise
    if keys is not None:
        use(store.engine, keys)
    return store


def site_secret() -> str:
    """Give the site's secret, as ``serve`` mixes it into ids and lanes; raises AdapterError."""
    file = _setting("site_secret_file")
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        said = "the file that the setting site_secret_file names cannot be read"
        raise AdapterError.of(Category.NOT_FOUND, "setting", said) from None


def keyed(store: Store, path: Path | None) -> None:
    """Write the audit with the site's key from now on; raises AdapterError where it has another already."""
    if path is not None:
        use(store.engine, read_chain_keys(path))
    if not is_keyed(store.engine) and path is not None:
        # At once, so that from here on a chain without the key is a forged one.
        store.record(AuditRow(store.now(), "operator", "audit-key", "done", "", {}))


def _setting(name: str) -> str | None:
    """Give a setting of ``serve``: the environment's, else that of its file."""
    own = os.environ.get(f"{_PREFIX}{name.upper()}")
    file = os.environ.get(f"{_PREFIX}FILE")
    if own or not file:
        return own
    try:
        told = tomllib.loads(Path(file).read_text(encoding="utf-8")).get(name)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        said = f"the file that {_PREFIX}FILE names cannot be read"
        raise AdapterError.of(Category.NOT_FOUND, "settings-file", said) from None
    return told if isinstance(told, str) else None
