"""An integration engine: it sends each message until it is acknowledged, and keeps what it was answered."""

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from reliability.running import Running, said

_SAMPLE = Path(__file__).parents[2] / "sample_bundles" / "CFMSC-candidate-every-negative-said.json"
_AGAIN_S = 0.05


def message(number: str) -> bytes:
    """Give a message about a patient of its own."""
    text = _SAMPLE.read_text(encoding="utf-8").replace("cfmsc-candidate", f"patient-{number}")
    return json.dumps(json.loads(re.sub(r"SYN-\d+", f"SYN-{number}", text))).encode()


class Acknowledged:
    """What one acknowledgement said."""

    def __init__(self, body: bytes) -> None:
        self.digest = hashlib.sha256(body).hexdigest()
        self.names = frozenset(_names(json.loads(body)))


class Engine:
    """Clients that send at the same time, each one message after the other."""

    def __init__(self, service: Running, clients: int, pause_s: float = 0, name: str = "m") -> None:
        self.acknowledged: dict[str, Acknowledged] = {}
        self.statuses = Counter[int]()
        self.broken = 0
        """Requests without a whole answer."""
        self._service = service
        self._pause_s = pause_s
        self._no_more = threading.Event()
        self._give_up = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send_all, args=(f"{name}{each}",)) for each in range(clients)]

    def start(self) -> None:
        for each in self._threads:
            each.start()

    def finish(self) -> None:
        """Begin no new message; those that are begun are sent until they are acknowledged."""
        self._no_more.set()
        for each in self._threads:
            each.join()

    def abandon(self) -> None:
        """Send nothing any more, whatever was acknowledged."""
        self._give_up.set()
        self.finish()

    def replayed(self) -> Iterator[str]:
        """Send every acknowledged message once more; give the keys that are not answered word for word as before."""
        connection = self._connection()
        for key, before in sorted(self.acknowledged.items()):
            status, headers, body = said(connection, "/fhir", message(key), _headers(key))
            same = hashlib.sha256(body).hexdigest() == before.digest
            if not (status == 200 and same and headers.get("x-idempotent-replay") == "true"):
                yield key
        connection.close()

    def _send_all(self, client: str) -> None:
        connection = self._connection()
        number = 0
        while not self._no_more.is_set():
            key = f"{client}-{number}"
            number += 1
            body = message(key)
            while not self._give_up.is_set() and not self._send(connection, key, body):
                time.sleep(_AGAIN_S)
            time.sleep(self._pause_s)
        connection.close()

    def _send(self, connection: HTTPConnection, key: str, body: bytes) -> bool:
        try:
            status, _, answer = said(connection, "/fhir", body, _headers(key))
        except (OSError, HTTPException):
            connection.close()
            with self._lock:
                self.broken += 1
            return False
        with self._lock:
            self.statuses[status] += 1
            if status == 200:
                self.acknowledged[key] = Acknowledged(answer)
        return status == 200

    def _connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self._service.port, timeout=30)


def _headers(key: str) -> dict[str, str]:
    return {"Idempotency_Key": key, "Prefer": "return=representation"}


def _names(answer: dict[str, Any]) -> Iterator[str]:
    for entry in answer["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] != "OperationOutcome":
            yield f"{resource['resourceType']}/{resource['id']}"
