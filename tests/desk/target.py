"""A FHIR server as the doctor asks it, over TLS, with what is the matter with it set by the test."""

import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any, Self

import trustme

TYPES = ("ResearchSubject", "GuidanceResponse", "Provenance")


def capability() -> dict[str, Any]:
    interactions = [{"code": each} for each in ("read", "update", "create")]
    resources = [{"type": each, "interaction": list(interactions), "updateCreate": True} for each in TYPES]
    rest = {"mode": "server", "interaction": [{"code": "transaction"}], "resource": resources}
    return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [rest]}


class Target(http.server.ThreadingHTTPServer):
    """The server; ``written`` holds what it was asked to write."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.capability: Any = capability()
        self.token = "token-of-the-target"  # noqa: S105 (of this test alone)
        self.drift_s = 0.0
        self.metadata_status = 200
        self.write_status = 400
        self.read_status = 404
        self.written: list[Any] = []

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server_address[1]}/r4"

    @classmethod
    @contextlib.contextmanager
    def standing(cls, authority: trustme.CA) -> Iterator[Self]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        target = cls()
        target.socket = context.wrap_socket(target.socket, server_side=True)
        thread = threading.Thread(target=target.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield target
        finally:
            target.shutdown()
            thread.join()
            target.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a connection that the other side closed."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Target

    def do_GET(self) -> None:
        if self.path == "/r4/metadata":
            self._answer(self.server.metadata_status, self.server.capability)
        else:
            self._answer(self.server.read_status if self._may() else 401, {"resourceType": "OperationOutcome"})

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.written.append((self.path, self.headers["If-Match"], json.loads(body)))
        self._answer(self.server.write_status if self._may() else 401, {"resourceType": "OperationOutcome"})

    def _may(self) -> bool:
        return bool(self.headers["Authorization"] == f"Bearer {self.server.token}")

    def _answer(self, status: int, body: object) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response_only(status)
        self.send_header("Date", formatdate(time() + self.server.drift_s, usegmt=True))
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Say nothing."""


def private(path: Path, text: str | bytes) -> Path:
    """Write a file that nobody else reads."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return path
