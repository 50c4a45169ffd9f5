"""A small FHIR server in memory, R4 or R5, on a free port of this machine; it does what a test tells it to."""

import json
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
Reply = tuple[int, dict[str, str], Json | bytes | None]


def outcome(text: str, *, code: str = "invalid", expression: str | None = None) -> Json:
    issue: Json = {"severity": "error", "code": code, "diagnostics": text}
    if expression:
        issue["expression"] = [expression]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


class FakeServer:
    """Holds resources with versions; ``before`` may answer in the server's place, ``after`` may change an answer."""

    def __init__(self) -> None:
        self.held: dict[str, Json] = {}
        self.versions: dict[str, int] = {}
        self.requests: list[tuple[str, str, Json | None, dict[str, str]]] = []
        self.fhir_version = "4.0.1"
        self.transactions = True
        self.batches = True
        self.gives_ids = False
        self.types: list[Json] = []
        self.before: Callable[[str, str, Json | None, dict[str, str]], Reply | None] = lambda *_: None
        self.after: Callable[[Json], Json] = lambda resource: resource
        self.lose_answers = 0
        """So many answers to writes are cut off after the work is done."""
        self._lock = threading.RLock()
        self._given = 0

    def __enter__(self) -> Self:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _handle(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                body = json.loads(raw, parse_float=Decimal) if raw.startswith(b"{") else None
                headers = {key.lower(): value for key, value in self.headers.items()}
                form = None if body is not None or not raw else {k: v[0] for k, v in parse_qs(raw.decode()).items()}
                reply = fake.answer(self.command, self.path, body if body is not None else form, headers)
                if reply is None:
                    self.close_connection = True
                    self.connection.close()
                    return
                status, extra, said = reply
                content = said if isinstance(said, bytes) else b"" if said is None else _encoded(said)
                self.send_response(status)
                for key, value in extra.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = _handle  # noqa: N815 (the names of the standard library)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/fhir"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def writes(self) -> list[Json]:
        """Every single write that was asked for, also those inside of transactions, as requests."""
        asked = []
        for method, path, body, _ in self.requests:
            if body is not None and body.get("resourceType") == "Bundle":
                asked += [each["request"] for each in body["entry"] if each["request"]["method"] != "GET"]
            elif method != "GET":
                asked.append({"method": method, "url": path})
        return asked

    def answer(self, method: str, path: str, body: Json | None, headers: dict[str, str]) -> Reply | None:
        with self._lock:
            path = path.removeprefix("/fhir").removeprefix("/")
            self.requests.append((method, path, body, headers))
            decided = self.before(method, path, body, headers)
            if decided is not None:
                return decided if decided[0] else None
            kept = dict(self.held), dict(self.versions)
            reply = self._done(method, path, body, headers)
            if body is not None and body.get("type") == "transaction" and reply[0] >= 400:
                self.held, self.versions = kept
            is_write = method != "GET" and (body or {}).get("type") != "batch"
            if is_write and self.lose_answers:
                self.lose_answers -= 1
                return None
            return reply

    def _done(self, method: str, path: str, body: Json | None, headers: dict[str, str]) -> Reply:
        if path == "metadata":
            return 200, {}, self._capability()
        if method == "GET":
            return self._read(path)
        assert body is not None
        if not path:
            return self._bundle(body)
        return self._put(method, path, body, headers.get("if-match"), headers.get("if-none-exist"))

    def _capability(self) -> Json:
        interactions = [{"code": "transaction"}] * self.transactions + [{"code": "batch"}] * self.batches
        rest = {"mode": "server", "interaction": interactions, "resource": self.types}
        return {"resourceType": "CapabilityStatement", "fhirVersion": self.fhir_version, "rest": [rest]}

    def _read(self, path: str) -> Reply:
        parts = urlsplit(path)
        if parts.query:
            key, _, value = parts.query.partition("=")
            found = [each for each in self._of(parts.path) if self._matches(each, key, unquote(value))]
            entries = [{"resource": self.after(each)} for each in found]
            return 200, {}, {"resourceType": "Bundle", "type": "searchset", "entry": entries}
        if path not in self.held:
            return 404, {}, outcome("not known", code="not-found")
        return 200, {}, self.after(self.held[path])

    def _of(self, resource_type: str) -> list[Json]:
        return [each for name, each in self.held.items() if name.startswith(f"{resource_type}/")]

    def _matches(self, resource: Json, key: str, value: str) -> bool:
        if key == "url":
            return resource.get("url") == value
        listed = resource.get("identifier", [])
        identifiers = listed if isinstance(listed, list) else [listed]
        return value.replace("\\", "") in {f"{each['system']}|{each['value']}" for each in identifiers}

    def _bundle(self, body: Json) -> Reply:
        if body["type"] == "transaction" and not self.transactions:
            return 405, {}, outcome("no transactions", code="not-supported")
        if body["type"] == "batch" and not self.batches:
            return 400, {}, outcome("no batch", code="not-supported")
        local: dict[str, str] = {}
        for each in body["entry"]:
            if each.get("fullUrl", "").startswith("urn:uuid:"):
                local[each["fullUrl"]] = self._target(each["request"])[0]
        answered = []
        for each in body["entry"]:
            request, resource = each["request"], each.get("resource")
            if request["method"] == "GET":
                status, _, said = self._read(request["url"])
            else:
                text = _encoded(resource).decode()
                for urn, target in local.items():
                    text = text.replace(urn, target)
                resource = json.loads(text, parse_float=Decimal)
                target = local.get(each.get("fullUrl", ""))
                status, _, said = self._write(request, resource, target)
            if body["type"] == "transaction" and status >= 400:
                return status, {}, said
            found = {"resource": said} if status < 300 else {}
            name = f"{said['resourceType']}/{said.get('id')}/_history/1" if isinstance(said, dict) else ""
            answered.append({**found, "response": {"status": str(status), "location": f"{self.url}/{name}"}})
        return 200, {}, {"resourceType": "Bundle", "type": f"{body['type']}-response", "entry": answered}

    def _put(self, method: str, path: str, body: Json, if_match: str | None, if_none_exist: str | None) -> Reply:
        request = {"method": method, "url": path}
        request |= {"ifMatch": if_match} if if_match else {}
        request |= {"ifNoneExist": if_none_exist} if if_none_exist else {}
        return self._write(request, body, None)

    def _target(self, request: Json) -> tuple[str, int]:
        parts = urlsplit(request["url"])
        query = request.get("ifNoneExist") or parts.query
        if not query:
            return request["url"], 1
        key, _, value = query.partition("=")
        found = [each for each in self._of(parts.path) if self._matches(each, key, unquote(value))]
        if found:
            return f"{parts.path}/{found[0]['id']}", len(found)
        self._given += 1
        return f"{parts.path}/given-{self._given}", 0

    def _write(self, request: Json, resource: Json, target: str | None) -> Reply:
        name, matches = self._target(request)
        name = target or name
        if matches > 1:
            return 412, {}, outcome("several match", code="multiple-matches")
        if request.get("ifNoneExist") and name in self.held:
            return 200, {}, self.held[name]
        version = self.versions.get(name, 0)
        if request.get("ifMatch") and request["ifMatch"] != f'W/"{version}"':
            return 412, {}, outcome("another version", code="conflict")
        if self.gives_ids and "given-" not in name and name not in self.held:
            return 405, {}, outcome("ids are given here", code="not-supported")
        self.versions[name] = version + 1
        kept = {**resource, "id": name.partition("/")[2]}
        kept["meta"] = {
            **resource.get("meta", {}),
            "versionId": str(version + 1),
            "lastUpdated": "2026-01-01T00:00:00Z",
        }
        self.held[name] = kept
        return (200 if version else 201), {"Location": f"{self.url}/{name}/_history/{version + 1}"}, kept


def _encoded(said: object) -> bytes:
    def exact(value: object) -> float:
        assert isinstance(value, Decimal)
        return float(value)

    return json.dumps(said, default=exact).encode()
