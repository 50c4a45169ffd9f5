"""A hospital's FHIR server that has bad days: it throttles, fails, and loses answers."""

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_KINDS = ("429", "500", "503", "lost-before", "lost-after")


class Faulty:
    """What was written to it, version by version, and which faults it had."""

    def __init__(self, seed: int, share: float) -> None:
        self.kept: dict[str, list[bytes]] = {}
        self.faults = Counter[str]()
        self.url = ""
        self.share = share
        self._draw = random.Random(seed)  # noqa: S311 (no secrecy)
        self._lock = threading.Lock()

    def fault(self) -> str:
        """Draw what goes wrong with this request; empty where nothing does."""
        with self._lock:
            if self._draw.random() >= self.share:
                return ""
            kind = self._draw.choice(_KINDS)
            self.faults[kind] += 1
            return kind

    def put(self, name: str, resource: dict[str, Any], if_match: str | None) -> tuple[int, int]:
        """Write one; gives status and version."""
        data = json.dumps(resource, sort_keys=True).encode()
        with self._lock:
            versions = self.kept.setdefault(name, [])
            if if_match is not None and if_match != f'W/"{len(versions)}"':
                return 412, len(versions)
            versions.append(data)
            return (201 if len(versions) == 1 else 200), len(versions)

    def held(self, name: str) -> tuple[bytes, int] | None:
        """Read one."""
        with self._lock:
            versions = self.kept.get(name)
            return (versions[-1], len(versions)) if versions else None


@contextmanager
def faulty(seed: int, share: float = 0.0) -> Iterator[Faulty]:
    """Give a server that listens; ``share`` of its answers are faults."""
    server = Faulty(seed, share)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._with_faults(self._read)

        def do_PUT(self) -> None:
            self._with_faults(self._put)

        def do_POST(self) -> None:
            self._with_faults(self._transaction)

        def _with_faults(self, answer: Any) -> None:  # noqa: ANN401 (one of the three)
            length = int(self.headers.get("Content-Length", 0))
            self._sent = json.loads(self.rfile.read(length)) if length else {}
            fault = server.fault()
            if fault.isdigit():
                self._say(int(fault), {"resourceType": "OperationOutcome", "issue": []})
                return
            if fault == "lost-before":
                self.close_connection = True
                return
            status, body, version = answer()
            if fault == "lost-after":
                self.close_connection = True
                return
            self._say(status, body, version)

        def _read(self) -> tuple[int, Any, int | None]:
            name = self.path.removeprefix("/fhir/")
            if name == "metadata":
                return 200, _CAPABLE, None
            held = server.held(name)
            if held is None:
                return 404, {"resourceType": "OperationOutcome", "issue": []}, None
            resource = json.loads(held[0])
            return 200, resource | {"meta": {"versionId": str(held[1])}}, held[1]

        def _put(self) -> tuple[int, Any, int | None]:
            status, version = server.put(self.path.removeprefix("/fhir/"), self._sent, self.headers.get("If-Match"))
            return status, self._sent, version

        def _transaction(self) -> tuple[int, Any, int | None]:
            asked = [(each["request"], each["resource"]) for each in self._sent["entry"]]
            # All or nothing: what would be refused is looked for before anything is written.
            for request, _ in asked:
                held = server.held(request["url"])
                if "ifMatch" in request and request["ifMatch"] != f'W/"{held[1] if held else 0}"':
                    return 412, {"resourceType": "OperationOutcome", "issue": []}, None
            entries = []
            for request, resource in asked:
                status, version = server.put(request["url"], resource, None)
                response = {"status": str(status), "etag": f'W/"{version}"', "location": request["url"]}
                entries.append({"response": response})
            return 200, {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}, None

        def _say(self, status: int, body: Any, version: int | None = None) -> None:  # noqa: ANN401 (JSON)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(data)))
            if status in (429, 503):
                self.send_header("Retry-After", "0")
            if version is not None:
                self.send_header("ETag", f'W/"{version}"')
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the signature is Python's)
            pass

    listening = _Server(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listening.server_address[1]}/fhir"
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (the signature is Python's)
        """Say nothing: whoever is killed leaves connections behind."""


_TYPES = ("Patient", "ResearchStudy", "ResearchSubject", "GuidanceResponse", "Provenance")
_INTERACTIONS = [{"code": each} for each in ("read", "create", "update")]
_CAPABLE = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [
        {
            "mode": "server",
            "interaction": [{"code": "transaction"}],
            "resource": [{"type": each, "interaction": _INTERACTIONS, "updateCreate": True} for each in _TYPES],
        }
    ],
}
