"""A FHIR server that keeps what is put, as the far end of ``serve``."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hospital:
    """What was written to it."""

    def __init__(self) -> None:
        self.kept: dict[str, list[dict[str, Any]]] = {}
        self.lock = threading.Lock()
        self.url = ""

    def put(self, path: str, resource: dict[str, Any]) -> tuple[int, int]:
        with self.lock:
            versions = self.kept.setdefault(path, [])
            versions.append(resource)
            return (201 if len(versions) == 1 else 200), len(versions)


@contextmanager
def hospital() -> Iterator[Hospital]:
    kept = Hospital()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.removeprefix("/fhir/")
            if path == "metadata":
                interactions = [{"code": "transaction"}]
                rest = [{"mode": "server", "interaction": interactions, "resource": []}]
                self._say(200, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": rest})
            elif path in kept.kept:
                versions = kept.kept[path]
                self._say(200, versions[-1], len(versions))
            else:
                self._say(404, {"resourceType": "OperationOutcome", "issue": []})

        def do_PUT(self) -> None:
            status, version = kept.put(self.path.removeprefix("/fhir/"), self._body())
            self._say(status, self._sent, version)

        def do_POST(self) -> None:
            entries = []
            for each in self._body()["entry"]:
                status, version = kept.put(each["request"]["url"], each["resource"])
                response = {"status": str(status), "etag": f'W/"{version}"', "location": each["request"]["url"]}
                entries.append({"response": response})
            self._say(200, {"resourceType": "Bundle", "type": "transaction-response", "entry": entries})

        def _body(self) -> dict[str, Any]:
            self._sent: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            return self._sent

        def _say(self, status: int, body: dict[str, Any], version: int | None = None) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(data)))
            if version is not None:
                self.send_header("ETag", f'W/"{version}"')
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the signature is Python's)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_address[1]}/fhir"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
