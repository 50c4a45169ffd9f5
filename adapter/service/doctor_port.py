"""Can the port be listened on, or do we listen on it already."""

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator

from adapter.service.doctor import Checked, fault, ok, warning
from adapter.service.settings import Settings

_CHECK = "port"


def check_port(settings: Settings) -> Iterator[Checked]:
    """Bind it for a moment; where it is taken, ask by whom."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        yield fault(_CHECK, "the setting host names no address of this machine", "set host, such as 127.0.0.1")
        return
    try:
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(place)
            tried.listen(1)
    except PermissionError:
        todo = "ports below 1024 are for root: choose another, or let a proxy or the service manager hold it"
        yield fault(_CHECK, f"the port {settings.port} must not be listened on by this user", todo)
        return
    except OSError:
        yield _taken(settings)
        return
    yield ok(_CHECK, f"the port {settings.port} is free")


def _taken(settings: Settings) -> Checked:
    """Say whether it is this service that holds the port."""
    if _is_ours(settings):
        return ok(_CHECK, f"the service is running on port {settings.port}")
    todo = "stop what holds it, or set another port; host must be an address of this machine"
    if settings.tls_client_ca is not None:
        return warning(_CHECK, f"the port {settings.port} is taken, perhaps by this service", todo)
    return fault(_CHECK, f"the port {settings.port} cannot be listened on: it is taken", todo)


def _is_ours(settings: Settings) -> bool:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "") else settings.host  # noqa: S104 (compared, not bound)
    connection: http.client.HTTPConnection
    if settings.tls_certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Our own machine and our own port: whose certificate it is says nothing here.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, settings.port, timeout=3, context=context)
    else:
        connection = http.client.HTTPConnection(host, settings.port, timeout=3)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            return answer.status == http.HTTPStatus.OK and answer.read(64) == b"ok\n"
        except (OSError, http.client.HTTPException):
            return False
