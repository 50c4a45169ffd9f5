"""What ``serve`` acknowledges reaches the FHIR server, or is only rehearsed, or lies in a folder, as it is set."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from service.served import served
from store.couriers import CANDIDATE, SAMPLES
from store.picky_server import PickyServer

from adapter.errors import AdapterError
from adapter.service.settings import Settings
from adapter.verbs.serving import _courier

BODY = (SAMPLES / f"{CANDIDATE}.json").read_bytes()


@pytest.fixture
def picky() -> PickyServer:
    return PickyServer()


def post(url: str) -> None:
    answer = requests.post(f"{url}/fhir", data=BODY, headers={"Content-Type": "application/fhir+json"}, timeout=30)
    assert answer.status_code == 200


def until(done: Callable[[], bool]) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it does not come to that")


def figures(url: str) -> dict[str, float]:
    lines = requests.get(f"{url}/metrics", timeout=30).text.splitlines()
    found = [each.rpartition(" ") for each in lines if each.startswith("trial_adapter_deliver")]
    return {name: float(value) for name, _, value in found}


def test_it_is_delivered_and_counted(tmp_path: Path, picky: PickyServer) -> None:
    with picky, served(tmp_path, target=picky.url) as service:
        post(service.url)
        until(lambda: figures(service.url).get('trial_adapter_delivery_events{event="delivered"}') == 1)
        assert len(picky.by_identifier("ResearchSubject")) == 5
        assert figures(service.url)["trial_adapter_deliveries_dead"] == 0
        assert service.stop() == 0


def test_what_is_dead_is_counted_and_told_at_the_start(tmp_path: Path, picky: PickyServer) -> None:
    picky.lists("Patient")
    with picky, served(tmp_path, target=picky.url) as service:
        post(service.url)
        until(lambda: figures(service.url)["trial_adapter_deliveries_dead"] == 1)
        assert figures(service.url)['trial_adapter_deliveries{state="pending"}'] == 0
        assert "the target does not take ResearchSubject (type-not-supported)" in service.log.read_text()


def test_a_rehearsal_is_performed_by_the_next_start(tmp_path: Path, picky: PickyServer) -> None:
    with picky:
        with served(tmp_path, target=picky.url, target_dry_run=True) as service:
            post(service.url)
            until(lambda: figures(service.url)['trial_adapter_deliveries{state="rehearsed"}'] == 1)
            assert picky.held == {}
            assert service.stop() == 0
        with served(tmp_path, target=picky.url) as service:
            until(lambda: len(picky.by_identifier("ResearchSubject")) == 5)


def test_a_folder_takes_what_the_server_does_not(tmp_path: Path, picky: PickyServer) -> None:
    picky.lists("Patient")
    folder = tmp_path / "aside"
    given = {"target_fallback": "file", "target_folder": folder}
    with picky, served(tmp_path, target=picky.url, **given) as service:
        post(service.url)
        until(lambda: folder.is_dir() and any(folder.glob("*.json")))
    (file,) = folder.glob("*.json")
    assert len(json.loads(file.read_bytes())["entry"]) == 15


def test_a_file_without_a_folder_is_refused_at_the_start() -> None:
    settings = Settings(target="http://127.0.0.1:1/fhir", target_fallback="file")  # type: ignore[arg-type]  # pydantic's
    with pytest.raises(AdapterError, match="target_folder"):
        _courier(None, settings)  # type: ignore[arg-type]  # it is not reached
