"""What lies between an export and a real server: it passes requests on, notes them, and goes wrong when told to."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

_QUIET_S = 0.2
"""How long nothing must be under way before all is taken to be done: a request may still lie in the kernel."""

Json = dict[str, Any]


class Request(NamedTuple):
    method: str
    path: str
    body: Json | None
    headers: dict[str, str]

    @property
    def writes(self) -> int:
        """How many resources this asks to be written."""
        if self.body is not None and self.body.get("resourceType") == "Bundle":
            return sum(each["request"]["method"] != "GET" for each in self.body["entry"])
        return int(self.method != "GET")

    @property
    def is_transaction(self) -> bool:
        return (self.body or {}).get("type") == "transaction"


class Fault(NamedTuple):
    """What happens to one request: an answer in the server's place, or a cut before or after the server's work."""

    status: int = 0
    retry_after: str | None = None
    location: str | None = None
    body: Json | None = None
    cut: bool = False
    cut_after: bool = False
    delay_after_s: float = 0


Decide = Callable[[Request], Fault | None]


class FaultProxy:
    """A server in front of ``base``; ``decide`` says what goes wrong, ``metadata`` what is said of the server."""

    def __init__(self, base: str) -> None:
        self._base = urlsplit(base)
        self.requests: list[Request] = []
        self._in_flight = 0
        self._counting = threading.Lock()
        self.decide: Decide = lambda _: None
        self.metadata: Callable[[Json], Json] = lambda said: said

    def __enter__(self) -> Self:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def _handle(self) -> None:
                proxy.count(1)
                try:
                    self._pass_on()
                finally:
                    proxy.count(-1)

            def _pass_on(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {key.lower(): value for key, value in self.headers.items()}
                request = Request(self.command, self.path, json.loads(raw) if raw else None, headers)
                proxy.requests.append(request)
                fault = proxy.decide(request)
                if fault is not None and fault.cut:
                    self.close_connection = True
                    return
                if fault is not None and fault.status:
                    named = {"Retry-After": fault.retry_after, "Location": fault.location}
                    said = {key: value for key, value in named.items() if value is not None}
                    self._answer(fault.status, said, json.dumps(fault.body).encode() if fault.body else b"")
                    return
                status, said, answered = proxy.forward(request, raw)
                if fault is not None:
                    time.sleep(fault.delay_after_s)
                    if fault.cut_after:
                        self.close_connection = True
                        return
                self._answer(status, said, answered)

            do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 (the names of the standard library)

            def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                try:
                    self.send_response(status)
                    for key, value in headers.items():
                        self.send_header(key, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # who asked was killed, or is tired of waiting

            def log_message(self, *_: object) -> None:
                """Say nothing; ``requests`` has it all."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}{self._base.path}"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def writes(self) -> int:
        """How many resources were asked to be written."""
        return sum(each.writes for each in self.requests)

    def count(self, step: int) -> None:
        with self._counting:
            self._in_flight += step

    def settle(self) -> None:
        """Wait until the server has answered all it was asked, also for who was killed meanwhile."""
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < _QUIET_S:
            time.sleep(0.01)
            if self._in_flight:
                quiet_since = time.monotonic()

    def forward(self, request: Request, raw: bytes) -> tuple[int, dict[str, str], bytes]:
        kind = http.client.HTTPSConnection if self._base.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._base.netloc, timeout=120)
        passed = {
            key: value for key, value in request.headers.items() if key not in {"host", "connection", "accept-encoding"}
        }
        try:
            connection.request(request.method, request.path, body=raw or None, headers=passed)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        kept = {key: value for key in ("ETag", "Location", "Content-Type") if (value := response.getheader(key))}
        if request.path.endswith("/metadata"):
            content = json.dumps(self.metadata(json.loads(content))).encode()
        return response.status, kept, content
