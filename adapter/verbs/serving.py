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
    from adapter.store.ledger import Store

_DONE = 0


def run(options: argparse.Namespace, catalog: Catalog) -> int:
    """Serve until told to stop; raises AdapterError when a setting or the store is in the way."""
    given = {name: getattr(options, name, None) for name in ("host", "port", "database", "target")}
    settings = read_settings(**{name: value for name, value in given.items() if value is not None})
    from adapter.store.ledger import Store  # noqa: PLC0415 (a wrong setting is told before the database is loaded)

    store = Store.open(settings.database.get_secret_value(), _now)
    try:
        with _delivering(store, settings):
            _listen(settings, catalog, store)
    finally:
        store.close()
    return _DONE


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _listen(settings: Settings, catalog: Catalog, store: "Store") -> None:
    import uvicorn  # noqa: PLC0415 (the server is needed here only)

    from adapter.service.app import create_app  # noqa: PLC0415 (the same)

    app = create_app(settings, catalog, store, _now)
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
        h11_max_incomplete_event_size=settings.max_header_bytes,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.stop_seconds,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=str(settings.tls_client_ca) if settings.tls_client_ca else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if settings.tls_client_ca else ssl.CERT_NONE,
    )
    _say(settings)
    gc.collect()
    gc.freeze()  # the catalog lives as long as the process: it need not be looked through again
    server = uvicorn.Server(config)
    with _stopped_by_signals():
        try:
            server.run()
        except SystemExit:
            raise AdapterError.of(Category.UNAVAILABLE, "listen", "the port cannot be listened on") from None


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
    if settings.target is None:
        sys.stderr.write("no target is set: results are kept, and delivered once there is one\n")
    if settings.allow_unprotected == UNPROTECTED:
        sys.stderr.write("allow_unprotected is set: patient data may be sent in the open\n")
    sys.stderr.flush()


@contextlib.contextmanager
def _delivering(store: "Store", settings: Settings) -> Iterator[None]:
    """Run what delivers results in its own thread, and let it finish what it has begun."""
    if settings.target is None:
        yield
        return
    from adapter.store.outbox import Courier  # noqa: PLC0415 (it loads an HTTP client)

    courier = Courier(store, str(settings.target).rstrip("/"))
    stop = threading.Event()
    thread = threading.Thread(target=courier.run, args=(stop,), name="courier")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(settings.stop_seconds)
