"""A server with a Bulk Data export, on a free port of this machine; it does what a test tells it to."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Reply = tuple[int, dict[str, str], bytes]


class BulkServer:
    """Answers a kick-off, some polls, a manifest and its files; ``script`` may answer a path first, once for each."""

    def __init__(self, files: dict[str, list[dict[str, Any]]], polls: int = 2) -> None:
        self.files = files
        self.polls = polls
        self.needs_token = True
        self.token = "fetch-token-1"  # noqa: S105 (of a test)
        self.gzip = True
        self.other: str | None = None
        """Where the files lie, if not here."""
        self.script: dict[str, list[Reply]] = {}
        self.seen: list[tuple[str, str, str | None, dict[str, str]]] = []
        """Method, path, Authorization and headers of each request."""
        self.cut: set[str] = set()
        """Files whose first answer ends in the middle."""
        self._polled = 0

    def __enter__(self) -> Self:
        here = self

        class Handler(BaseHTTPRequestHandler):
            def _handle(self) -> None:
                headers = {key.lower(): value for key, value in self.headers.items()}
                here.seen.append((self.command, self.path, headers.get("authorization"), headers))
                status, extra, body = here.answer(self.command, self.path, headers)
                self.send_response(status)
                for key, value in extra.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                name = self.path.rpartition("/")[2]
                if name in here.cut:
                    here.cut.discard(name)
                    self.wfile.write(body[: len(body) // 2])
                    self.close_connection = True
                    return
                self.wfile.write(body)

            do_GET = do_DELETE = _handle  # noqa: N815 (the names of the standard library)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.origin = f"http://127.0.0.1:{self._http.server_port}"
        self.url = f"{self.origin}/fhir"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, method: str, path: str, headers: dict[str, str]) -> Reply:
        plain = path.partition("?")[0]
        if self.script.get(plain):
            return self.script[plain].pop(0)
        if plain.startswith("/files/"):
            return self._file(plain.rpartition("/")[2], headers)
        if headers.get("authorization") != f"Bearer {self.token}":
            return 401, {}, b""
        if plain.endswith("/$export"):
            return 202, {"Content-Location": f"{self.url}/jobs/1"}, b""
        if method == "DELETE":
            return 202, {}, b""
        self._polled += 1
        if self._polled <= self.polls:
            return 202, {"X-Progress": f"{self._polled} of {self.polls}", "Retry-After": "7"}, b""
        return 200, {"Content-Type": "application/json"}, json.dumps(self.manifest()).encode()

    def manifest(self) -> dict[str, Any]:
        base = self.other or self.origin
        output = [
            {"type": name.partition("-")[0], "url": f"{base}/files/{name}", "count": len(lines)}
            for name, lines in self.files.items()
        ]
        return {
            "transactionTime": "2026-11-01T00:00:00Z",
            "request": f"{self.url}/Patient/$export",
            "requiresAccessToken": self.needs_token,
            "output": output,
            "error": [],
        }

    def _file(self, name: str, headers: dict[str, str]) -> Reply:
        if self.needs_token and headers.get("authorization") != f"Bearer {self.token}":
            return 401, {}, b""
        data = b"".join(json.dumps(each).encode() + b"\n" for each in self.files[name])
        if self.gzip:
            return 200, {"Content-Encoding": "gzip"}, gzip.compress(data)
        return 200, {}, data
