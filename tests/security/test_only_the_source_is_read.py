"""What a notification names is read from the configured server, under its base, and from nowhere else (S5, S6)."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from security.guarded import install
from security.test_no_url_is_followed import Trap, urls
from service.conftest import FHIR
from service.served import served

from adapter.service.outcomes import Refusal
from adapter.service.settings import Source
from adapter.service.sources import Sources

TOKEN = "for-the-source-only"  # noqa: S105 (of this test)


class Hospital:
    """A subscription server that writes down what it is asked, and sends everybody elsewhere."""

    def __init__(self, elsewhere: int) -> None:
        self.asked: list[tuple[str, str | None]] = []
        own = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                own.asked.append((self.path, self.headers["Authorization"]))
                kind, _, id_ = self.path.removeprefix("/fhir/").partition("/")
                if id_ == "redirected":
                    self.send_response(302)
                    self.send_header("Location", f"http://127.0.0.1:{elsewhere}/fhir/Patient/1")
                    self.end_headers()
                    return
                told: dict[str, Any] = {"resourceType": kind, "id": id_}
                told["subject"] = {"reference": f"http://127.0.0.1:{elsewhere}/fhir/Patient/1"}
                told["photo"] = [{"url": f"http://127.0.0.1:{elsewhere}/photo"}]
                body = json.dumps(told).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/fhir+json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Link", f'<http://127.0.0.1:{elsewhere}/next>; rel="next"')
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the signature is Python's)
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self.server.server_address[1])


@contextmanager
def hospital(elsewhere: int) -> Iterator[Hospital]:
    made = Hospital(elsewhere)
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


def names(port: int, other: int) -> list[str]:
    """Give references that look like the source's, or that lead out of it once they are put together."""
    base = f"http://127.0.0.1:{port}/fhir"
    return [
        *urls(other),
        f"http://127.0.0.1:{port}/admin/Patient/1",
        f"{base}x/Patient/1",
        f"{base}/../admin/Patient/1",
        f"{base}/Patient/../../admin",
        f"{base}/Patient/1?_format=xml",
        f"{base}/Patient/1#x",
        f"{base}/Patient/1/_history/../../../admin",
        f"{base}/Patient/%2e%2e%2fadmin",
        f"{base}@127.0.0.1:{other}/fhir/Patient/1",
        f"http://127.0.0.1:{port}@127.0.0.1:{other}/fhir/Patient/1",
        f"http://127.0.0.1:{port}.example.org/fhir/Patient/1",
        f"https://127.0.0.1:{port}/fhir/Patient/1",
        f"HTTP://127.0.0.1:{port}/fhir/Patient/1",
        f"{base}//Patient/1",
        f"{base}/\r\nHost: x/Patient/1",
        "Patient/..",
        "Patient/.",
        "Patient/1/$everything",
        "/Patient/1",
        "../Patient/1",
        "Patient/1\r\nX: y",
        "Patient/" + "1" * 65,
    ]


def notice(number: int, reference: str, subscription: str) -> dict[str, Any]:
    event = {"eventNumber": str(number), "focus": {"reference": reference}}
    status = {"resourceType": "SubscriptionStatus", "type": "event-notification", "notificationEvent": [event]}
    status |= {"status": "active", "subscription": {"reference": subscription}, "eventsSinceSubscriptionStart": number}
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.close()


def test_a_process_reads_the_source_and_no_other(tmp_path: Path, trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = install(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("TOKEN_OF_SOURCE", TOKEN)
    with hospital(trap.port) as source:
        base = f"http://127.0.0.1:{source.port}/fhir"
        sources = json.dumps([{"base": base, "token_variable": "TOKEN_OF_SOURCE"}])
        with served(tmp_path, sources=sources) as running, httpx.Client(base_url=running.url) as client:
            every = [*names(source.port, trap.port), f"{base}/Observation/good", f"{base}/Observation/redirected"]
            for number, name in enumerate(every, 1):
                for subscription in ("Subscription/s", f"http://127.0.0.1:{trap.port}/fhir/Subscription/s"):
                    answer = client.post("/fhir", json=notice(number, name, subscription), headers=FHIR)
                    assert answer.status_code < 500, (name, answer.text)
            for _ in range(200):
                if any(path.endswith("/redirected") for path, _ in source.asked):
                    break
                time.sleep(0.05)
            time.sleep(0.5)
        assert ("/fhir/Observation/good", f"Bearer {TOKEN}") in source.asked, "what may be read is read"
        odd = [path for path, _ in source.asked if not re.fullmatch(r"/fhir/[A-Za-z]+/[A-Za-z0-9.-]{1,64}", path)]
        assert odd == []
        assert [path for path, _ in source.asked if ".." in path] == []
        told = [line for line in seen.read_text().splitlines() if line.startswith(("socket.connect", "socket.getaddr"))]
        assert [line for line in told if f"{source.port}" not in line] == []
    assert trap.visits == 0


BASE = "https://ehr.example.org/fhir"
_PARTS = st.sampled_from(
    (
        BASE,
        *("https://", "http://", "ehr.example.org", "evil.example", ":443", "[::1]", "@", "?", "#", "%2f", "\\"),
        *("/", "//", ":", "..", ".", "\r\n", "\0", " ", "\u3002"),
        *("Patient", "Observation/2", "Patient/", "1", "_history", "/fhir"),
    )
)


@given(st.lists(_PARTS, min_size=1, max_size=8).map("".join), st.lists(_PARTS, max_size=5).map("".join))
def test_whatever_a_reference_is_what_is_asked_is_a_type_and_an_id_of_the_source(reference: str, about: str) -> None:
    made = Sources((Source(base=BASE),), {})
    try:
        base, paths = made.follow("anyone", "", about, [reference])
    except Refusal:
        return
    assert base == BASE
    assert [each for each in paths if not re.fullmatch(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}", each)] == []
    assert [each for each in paths if each.rpartition("/")[2] in (".", "..")] == []
