"""The verb ``serve``: opens the store, starts what delivers from it, listens, and stops without losing a message."""

import argparse
import contextlib
import datetime
import gc
import signal
import ssl
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from adapter.catalog.catalog import Catalog
from adapter.errors import AdapterError, Category
from adapter.service.settings import UNPROTECTED, Settings, read_settings

if TYPE_CHECKING:
    import socket

    from adapter.store.ledger import Store
    from adapter.store.outbox import Courier

_DONE = 0


def run(options: argparse.Namespace, catalog: Catalog) -> int:
    """Serve until told to stop; raises AdapterError when a setting or the store is in the way."""
    given = {name: getattr(options, name, None) for name in ("host", "port", "database", "target")}
    said = {"target_conditional": "conditional", "target_dry_run": "dry_run_delivery", "target_fallback": "fallback"}
    given |= {name: getattr(options, option, None) or None for name, option in said.items()}
    settings = read_settings(**{name: value for name, value in given.items() if value is not None})
    if settings.workers > 1:
        return _several(settings, catalog)
    with _opened(settings) as store, _delivering(store, settings):
        _listen(settings, catalog, store)
    return _DONE


def _several(settings: Settings, catalog: Catalog) -> int:
    """Serve from several processes on one port; one more delivers, so that it takes no time from those who answer."""
    import adapter.service.app  # noqa: F401, PLC0415 (loaded once, before the process is copied)
    from adapter.verbs.watching import bound, watch  # noqa: PLC0415 (needed here only)

    def answer() -> int:
        with _opened(settings) as store:
            _listen(settings, catalog, store, port)
        return _DONE

    def deliver() -> int:
        with _stopped_by_signals(), _opened(settings) as store, _delivering(store, settings):
            signal.pause()
        return _DONE

    with _opened(settings):
        pass  # made and migrated once, before several want to
    port = bound(settings.host, settings.port, min(2048, settings.max_connections))
    _say(settings)
    gc.collect()
    gc.freeze()
    works = [answer] * settings.workers
    return watch([*works, deliver], settings.stop_seconds)


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator["Store"]:
    from adapter.store.ledger import Store  # noqa: PLC0415 (a wrong setting is told before the database is loaded)
    from adapter.store.sealing import Sealer  # noqa: PLC0415 (the same)
    from adapter.verbs.opened import keyed  # noqa: PLC0415 (the same)

    sealer = Sealer.of(settings.storage_key_file)
    store = Store.open(settings.database.get_secret_value(), _now)
    store.sealer = sealer
    try:
        keyed(store, settings.audit_key_file)
        yield store
    finally:
        store.close()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _listen(settings: Settings, catalog: Catalog, store: "Store", port: "socket.socket | None" = None) -> None:
    import uvicorn  # noqa: PLC0415 (the server is needed here only)

    from adapter.service.app import create_app, make_service  # noqa: PLC0415 (the same)
    from adapter.service.jobs import working  # noqa: PLC0415 (the same)
    from adapter.service.protocol import Patience, connecting, descriptors  # noqa: PLC0415 (the same)

    held = descriptors(settings.max_connections)
    patience = Patience(settings.max_header_bytes, settings.header_seconds, settings.header_seconds, held)
    service = make_service(settings, catalog, store, _now)
    app = create_app(settings, catalog, store, _now, service=service)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        lifespan="off",
        http=connecting(patience),  # type: ignore[arg-type]  # uvicorn calls it and asks no more of it
        ws="none",
        backlog=min(2048, patience.connections),
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.stop_seconds,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=str(settings.tls_client_ca) if settings.tls_client_ca else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if settings.tls_client_ca else ssl.CERT_NONE,
    )
    if port is None:
        _say(settings)
    gc.collect()
    gc.freeze()  # the catalog lives as long as the process: it need not be looked through again
    server = uvicorn.Server(config)
    with _stopped_by_signals(), working(service, settings.later_days, settings.stop_seconds):
        try:
            server.run(sockets=None if port is None else [port])
        except SystemExit:
            raise AdapterError.of(Category.UNAVAILABLE, "listen", "the port cannot be listened on") from None
        finally:
            service.recorder.close()


class _Stopped(BaseException):
    """Told to stop."""


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGINT end the work here, and what stands after it be done.

    Uvicorn catches them, finishes its requests, and sends them again to the handlers that were there before; Python's
    own would end the process on the spot, with the outbox and the database still open.
    """

    def stop(_number: int, _frame: object) -> None:
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except _Stopped:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(settings: Settings) -> None:
    """Tell the person who starts it what it will and will not do."""
    scheme = "https" if settings.tls_certificate else "http"
    sys.stderr.write(f"listening on {scheme}://{settings.host}:{settings.port}/fhir\n")
    if settings.tokens_file is None:
        sys.stderr.write("no tokens_file is set: whoever reaches the port may do everything\n")
    if settings.site_secret_file is None:
        sys.stderr.write("no site_secret_file is set: ids of results could be guessed from a patient's id\n")
    if settings.audit_key_file is None:
        sys.stderr.write("no audit_key_file is set: who may write the database could forge the audit\n")
    if settings.storage == "kept" and settings.storage_key_file is None:
        sys.stderr.write("no storage_key_file is set: what is kept of patients is not encrypted by us\n")
    if settings.target is None:
        sys.stderr.write("no target is set: results are kept, and delivered once there is one\n")
    elif settings.target_dry_run:
        sys.stderr.write("target_dry_run is set: deliveries are rehearsed, and nothing is written to the target\n")
    if settings.allow_unprotected == UNPROTECTED:
        sys.stderr.write("allow_unprotected is set: patient data may be sent in the open\n")
    sys.stderr.flush()


@contextlib.contextmanager
def _delivering(store: "Store", settings: Settings) -> Iterator[None]:
    """Run what delivers results, and what takes away what is old, and let them finish what they have begun."""
    from adapter.store.sweeping import Kept, Sweeper  # noqa: PLC0415 (it loads the database)

    kept = Kept(datetime.timedelta(days=settings.receipt_days), datetime.timedelta(days=settings.delivered_days))
    works = [Sweeper(store, kept).run]
    if settings.target is not None:
        works.append(_courier(store, settings).run)
    stop = threading.Event()
    threads = [threading.Thread(target=each, args=(stop,)) for each in works]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        stop.set()
        for each in threads:
            each.join(settings.stop_seconds)


def _courier(store: "Store", settings: Settings) -> "Courier":
    from adapter.store.outbox import Courier, Manner  # noqa: PLC0415 (it loads an HTTP client)

    if settings.target_fallback == "file" and settings.target_folder is None:
        said = "target_fallback is file: name the folder by target_folder"
        raise AdapterError.of(Category.NOT_FOUND, "setting", said)
    manner = Manner(
        settings.target_conditional, settings.target_fallback, settings.target_folder, settings.target_dry_run
    )
    target = str(settings.target).rstrip("/")
    return Courier(store, target, workers=settings.target_workers, manner=manner, tell=_tell)


def _tell(said: str) -> None:
    sys.stderr.write(f"{said}\n")
    sys.stderr.flush()
