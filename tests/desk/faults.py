"""What stands between a client and the service, and does to its requests what networks and proxies do."""

import contextlib
import http.client
import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Self

LOSE = "lose"
"""Let the service answer, and the answer be lost."""
DROP = "drop"
"""Close the connection before anything has reached the service."""


class Proxy(http.server.ThreadingHTTPServer):
    """Forwards to ``port``; ``faults`` are taken one a request, first come first: a status, LOSE or DROP."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.port = port
        self.faults: list[int | str] = []
        self.retry_after = "0"
        self.seen: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/fhir"

    @classmethod
    @contextlib.contextmanager
    def before(cls, port: int) -> Iterator[Self]:
        proxy = cls(port)
        thread = threading.Thread(target=proxy.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
            proxy.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Proxy

    def do_POST(self) -> None:
        self._forward("POST", self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        self._forward("GET", None)

    def _forward(self, method: str, body: bytes | None) -> None:
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        fault = self.server.faults.pop(0) if self.server.faults else None
        self.close_connection = True
        if isinstance(fault, int):
            self.send_response(fault)
            self.send_header("Retry-After", self.server.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == DROP:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        onward = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        onward.request(method, self.path, body, dict(self.headers))
        answer = onward.getresponse()
        said = answer.read()
        onward.close()
        if fault == LOSE:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Say nothing."""
