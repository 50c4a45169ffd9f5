"""The verb ``outbox``: what waits to be delivered or was given up, and what to do about it; no patient value."""

import argparse
import datetime
import os
import sys
from pathlib import Path

from adapter.errors import AdapterError, Category
from adapter.store.chain import AuditRow
from adapter.store.ledger import Store
from adapter.store.rows import Outbox, Shown

_DONE = 0
_MOST = 20
DATABASE = "TRIAL_ADAPTER_SERVE_DATABASE"
"""Names the database where ``--database`` does not."""
_USUAL = "trial-adapter.db"
"""Where ``serve`` keeps it when nobody says otherwise."""


def run(options: argparse.Namespace) -> int:
    """Do ``options.action``: list, show, replay or drop; raises AdapterError."""
    url = getattr(options, "database", None) or os.environ.get(DATABASE)
    if not url and Path(_USUAL).is_file():
        url = f"sqlite:///{_USUAL}"
    if not url:
        said = f"name the database by --database or {DATABASE}, as for serve"
        raise AdapterError.of(Category.NOT_FOUND, "store-address", said)
    store = Store.open(url, lambda: datetime.datetime.now(datetime.UTC))
    try:
        rows = Outbox(store)
        match options.action:
            case "list":
                _list(rows)
            case "show":
                _show(rows, options.id)
            case "replay":
                _replay(store, rows, None if options.all_dead else options.id)
            case _:
                _drop(store, rows, options.id)
    finally:
        store.close()
    return _DONE


def _list(rows: Outbox) -> None:
    counts = {each.state: each for each in rows.counts()}
    for state in ("pending", "sending", "dead", "delivered", "dropped"):
        found = counts.get(state)
        since = f", oldest {_moment(found.oldest)}" if found else ""
        _say(f"{state}: {found.count if found else 0}{since}")
    for state in ("dead", "pending"):
        for each in rows.listed(state, _MOST):
            _say(f"{state} {each.id}: {_why(each)}")


def _show(rows: Outbox, id_: int) -> None:
    found = rows.show(id_)
    if found is None:
        raise _unknown(id_)
    _say(f"{found.id}: {found.state}, {_why(found)}")
    _say(f"received {_moment(found.created)}")
    if found.state == "pending":
        _say(f"next attempt {_moment(found.next_at)}")
    if found.note:
        _say(f"ended: {found.note}")
    for type_, each in found.names:
        _say(f"{type_}/{each}")


def _replay(store: Store, rows: Outbox, id_: int | None) -> None:
    count = rows.replay(id_, _row(store, "replay", id_))
    if id_ is not None and count == 0:
        raise _refused(rows, id_, "only a dead delivery can be replayed")
    _say(f"{count} to be delivered again")


def _drop(store: Store, rows: Outbox, id_: int) -> None:
    if rows.drop(id_, _row(store, "drop", id_)) == 0:
        raise _refused(rows, id_, "only a dead or waiting delivery can be dropped")
    _say(f"{id_} dropped; what it held of the patient is gone")


def _row(store: Store, action: str, id_: int | None) -> AuditRow:
    return AuditRow(store.now(), "operator", f"outbox-{action}", "done", "", {} if id_ is None else {"row": id_})


def _refused(rows: Outbox, id_: int, said: str) -> AdapterError:
    found = rows.show(id_)
    if found is None:
        return _unknown(id_)
    return AdapterError.of(Category.CONFLICT, "outbox-state", f"{id_} is {found.state}: {said}")


def _unknown(id_: int) -> AdapterError:
    return AdapterError.of(Category.NOT_FOUND, "outbox-unknown", f"there is no delivery {id_}; see outbox list")


def _why(row: Shown) -> str:
    attempts = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"
    return f"{attempts}, {row.last_error}" if row.last_error else attempts


def _moment(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
