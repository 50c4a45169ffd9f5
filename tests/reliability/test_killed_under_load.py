"""R1: killed at random moments, under load, with a target that fails: nothing acknowledged is lost or written twice."""

import os
import random
import signal
import statistics
import time
from contextlib import suppress
from pathlib import Path

import pytest
from reliability.engine import Engine
from reliability.faulty import Faulty, faulty
from reliability.running import IS_WHOLE, Running, running
from sqlalchemy import create_engine

from adapter.store.ledger import Store, verify_audit

CLIENTS = 8
READY_S = 3
FAULTS = 0.15


@pytest.mark.parametrize(("workers", "kills"), [(1, 200), (2, 60)] if IS_WHOLE else [(1, 4), (2, 1)])
def test_what_was_acknowledged_is_there_once(tmp_path: Path, workers: int, kills: int) -> None:
    draw = random.Random(workers)  # noqa: S311 (no secrecy)
    with faulty(7, FAULTS) as target, running(tmp_path, target=target.url, workers=workers) as service:
        engine = Engine(service, CLIENTS, pause_s=0.15)
        engine.start()
        try:
            ready_s = [_killed(service, draw) for _ in range(kills)]
        finally:
            engine.finish()
        target.share = 0
        expected = frozenset().union(*(each.names for each in engine.acknowledged.values()))
        _delivered(target, expected)
        lost = list(engine.replayed())
        assert service.stop() == 0
    versions = [len(each) for name, each in target.kept.items() if name.startswith("ResearchSubject/")]
    print(  # noqa: T201 (the figures of the promise)
        f"\n{workers} workers: {kills} kills, {len(engine.acknowledged)} acknowledged, {len(lost)} lost, "
        f"{sum(map(bool, versions))} subjects, {sum(each - 1 for each in versions)} written twice, "
        f"{engine.broken} broken requests, answers {dict(engine.statuses)}, faults {dict(target.faults)}, "
        f"ready again p50 {statistics.median(ready_s):.2f} s, at most {max(ready_s):.2f} s"
    )
    assert len(engine.acknowledged) > kills
    assert lost == []
    # Neither more nor less than was told, and no result under two names.
    assert set(target.kept) == expected
    assert max(versions) == 1
    assert _integrity(service) == "ok"
    assert _is_unbroken(service)
    if IS_WHOLE:
        assert max(ready_s) <= READY_S


def _killed(service: Running, draw: random.Random) -> float:
    """Kill at any moment, also while it starts; gives how long the next one took to be ready."""
    time.sleep(draw.uniform(0, 1.2))
    if draw.random() < 0.3 and (children := service.children()):
        # One of several: the first process begins another, and the others answer meanwhile.
        with suppress(ProcessLookupError):
            os.kill(draw.choice(children), signal.SIGKILL)
        began = time.monotonic()
        service.wait_ready()
        return time.monotonic() - began
    service.kill()
    if draw.random() < 0.2:
        service.start()
        time.sleep(draw.uniform(0, 1))
        service.kill()
    return service.begin()


def _delivered(target: Faulty, expected: frozenset[str]) -> None:
    """Wait for the outbox to be empty: for everything to be there, and then for anything that is too much."""
    until = time.monotonic() + (1800 if IS_WHOLE else 120)
    while not expected <= set(target.kept) and time.monotonic() < until:
        time.sleep(0.1)
    assert expected <= set(target.kept), f"{len(expected - set(target.kept))} were not delivered"
    time.sleep(1)


def _integrity(service: Running) -> object:
    engine = create_engine(f"sqlite:///{service.database}")
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    engine.dispose()
    return found


def _is_unbroken(service: Running) -> bool:
    store = Store.open(f"sqlite:///{service.database}", lambda: None)  # type: ignore[arg-type,return-value]  # nothing is written
    try:
        return verify_audit(store) is None
    finally:
        store.close()
