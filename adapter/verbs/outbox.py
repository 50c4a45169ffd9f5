"""The verb ``outbox``: what waits to be delivered or was given up, and what to do about it; no patient value."""

import argparse
import datetime
import json
import os
import sys

from adapter.errors import AdapterError, Category
from adapter.store.chain import AuditRow
from adapter.store.ledger import Store
from adapter.store.rows import Outbox, Shown
from adapter.verbs.opened import open_store

_DONE = 0
_MOST = 20
_EVERY = 1_000_000
_STATES = ("pending", "sending", "dead", "rehearsed", "delivered", "dropped")
TARGET = "TRIAL_ADAPTER_SERVE_TARGET"
"""Names the FHIR server where ``--target`` does not."""


def run(options: argparse.Namespace) -> int:
    """Do ``options.action``: list, show, replay, drop or adopt; raises AdapterError."""
    store = open_store(options)
    try:
        rows = Outbox(store)
        match options.action:
            case "list" if getattr(options, "json", False):
                _list_for_programs(rows, only_dead=options.dead)
            case "list":
                _list(rows, only_dead=getattr(options, "dead", False))
            case "show":
                _show(rows, options.id, for_programs=getattr(options, "json", False))
            case "adopt":
                _adopt(store, options)
            case "replay":
                _replay(store, rows, None if options.all_dead else options.id)
            case _:
                _drop(store, rows, options.id)
    finally:
        store.close()
    return _DONE


def _list(rows: Outbox, *, only_dead: bool) -> None:
    counts = {each.state: each for each in rows.counts()}
    for state in ("dead",) if only_dead else _STATES:
        found = counts.get(state)
        since = f", oldest {_moment(found.oldest)}" if found else ""
        _say(f"{state}: {found.count if found else 0}{since}")
    for state in ("dead",) if only_dead else ("dead", "pending", "rehearsed"):
        for each in rows.listed(state, _EVERY if only_dead else _MOST):
            _say(f"{state} {each.id}: {_why(each)}")


def _list_for_programs(rows: Outbox, *, only_dead: bool) -> None:
    """Say a line for each state, then one for each delivery that has not ended well."""
    counts = {each.state: each for each in rows.counts()}
    for state in ("dead",) if only_dead else _STATES:
        found = counts.get(state)
        oldest = _moment(found.oldest) if found else None
        _say_json({"state": state, "count": found.count if found else 0, "oldest": oldest})
    for state in ("dead",) if only_dead else ("dead", "pending", "rehearsed"):
        for each in rows.listed(state, _EVERY):
            _say_json(_told(each))


def _show(rows: Outbox, id_: int, *, for_programs: bool) -> None:
    found = rows.show(id_)
    if found is None:
        raise _unknown(id_)
    if for_programs:
        _say_json(_told(found))
        return
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


def _adopt(store: Store, options: argparse.Namespace) -> None:
    from adapter.delivery.settings import server_settings  # noqa: PLC0415 (only this asks a server)
    from adapter.store.adopting import adopt  # noqa: PLC0415 (the same)
    from adapter.store.transport import FhirTransport, NoAnswer  # noqa: PLC0415 (the same)
    from adapter.store.verdict import Refused  # noqa: PLC0415 (the same)

    target = options.target or os.environ.get(TARGET)
    if not target:
        raise AdapterError.of(Category.NOT_FOUND, "target", f"name the FHIR server by --target or {TARGET}")
    server = FhirTransport(server_settings(target, os.environ))
    try:
        found = adopt(store, server, missing=options.missing)
    except (Refused, NoAnswer) as refused:
        said = f"the FHIR server does not say what it holds ({refused.code}); what was adopted until then stays so"
        raise AdapterError.of(Category.UNAVAILABLE, "target", said) from None
    finally:
        server.close()
    _say(f"{found.known} known as ours, {found.adopted} adopted, {found.of_people} left to people")
    _say(f"{found.gone} not there any more, {found.forgotten} of them written anew by their next evaluation")


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


def _told(row: Shown) -> dict[str, object]:
    return {
        "id": row.id,
        "state": row.state,
        "attempts": row.attempts,
        "received": _moment(row.created),
        "next": _moment(row.next_at) if row.state == "pending" else None,
        "error": row.last_error,
        "note": row.note,
        "resources": [f"{type_}/{each}" for type_, each in row.names],
    }


def _say_json(told: dict[str, object]) -> None:
    _say(json.dumps(told))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
