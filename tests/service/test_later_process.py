"""What was accepted to be answered later is answered, although the process was killed meanwhile."""

import json
import sqlite3
import time
from pathlib import Path

import httpx
from service.conftest import FHIR, sample
from service.served import served

GOOD = json.loads(sample("shape-transaction"))
_MESSAGES = 12


def message(number: int) -> bytes:
    return json.dumps(GOOD | {"identifier": {"system": "urn:engine", "value": str(number)}}).encode()


def post(url: str, number: int) -> httpx.Response:
    return httpx.post(f"{url}/fhir", content=message(number), headers=FHIR | {"Prefer": "respond-async"}, timeout=30)


def test_a_killed_process_loses_no_message_and_does_none_twice(tmp_path: Path) -> None:
    with served(tmp_path) as first:
        accepted = [post(first.url, number) for number in range(_MESSAGES)]
        first.process.kill()
        first.process.wait(10)
    assert [each.status_code for each in accepted] == [202] * _MESSAGES
    ids = [each.headers["content-location"].rpartition("/")[2] for each in accepted]
    with served(tmp_path) as second:
        for id_ in ids:
            for _ in range(600):
                answer = httpx.get(f"{second.url}/fhir/async/{id_}", timeout=30)
                if answer.status_code == 200:
                    break
                assert answer.status_code == 202
                time.sleep(0.1)
            assert answer.json()["entry"][0]["response"]["status"] == "200 OK"
        again = [post(second.url, number).headers["content-location"].rpartition("/")[2] for number in range(_MESSAGES)]
        assert again == ids
        sync = httpx.post(f"{second.url}/fhir", content=message(0), headers=FHIR, timeout=30)
        assert sync.headers["x-idempotent-replay"] == "true"
        assert second.stop() == 0
    with sqlite3.connect(tmp_path / "store.db") as database:
        assert database.execute("SELECT count(*) FROM outbox").fetchone() == (_MESSAGES,)
        assert database.execute("SELECT count(*) FROM later WHERE state = 'done' AND body IS NULL").fetchone() == (12,)
        assert database.execute("SELECT count(*) FROM receipt WHERE status = 200").fetchone() == (_MESSAGES,)
    database.close()
