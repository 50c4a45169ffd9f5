"""R10: told to stop under load, it stops soon, and whatever was acknowledged is kept."""

import time
from pathlib import Path

import pytest
from reliability.engine import Engine
from reliability.running import IS_WHOLE, running

CLIENTS = 8
STOPPED_S = 10


@pytest.mark.parametrize("workers", [1, 2])
def test_every_request_is_answered_or_its_connection_closed(tmp_path: Path, workers: int) -> None:
    with running(tmp_path, workers=workers) as service:
        taken = []
        every: dict[str, str] = {}
        for turn in range(10 if IS_WHOLE else 1):
            engine = Engine(service, CLIENTS, name=f"t{turn}-")
            engine.start()
            while not engine.acknowledged:
                time.sleep(0.02)
            time.sleep(0.3)
            began = time.monotonic()
            assert service.stop() == 0
            taken.append(time.monotonic() - began)
            engine.abandon()
            # An answer that is no acknowledgement tells the engine to come again, and nothing else.
            assert set(engine.statuses) <= {200, 503}
            service.begin()
            assert list(engine.replayed()) == []
            every |= {key: each.digest for key, each in engine.acknowledged.items()}
        assert service.stop() == 0
    assert max(taken) <= STOPPED_S
    print(f"\n{workers} workers: {len(every)} acknowledged, stopped in at most {max(taken):.2f} s")  # noqa: T201 (the figure)


def test_nobody_is_answered_once_the_first_of_several_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as service:
        children = service.children()
        assert len(children) >= 2
        service.kill()
        until = time.monotonic() + 30
        while service.ask("/healthz")[0] and time.monotonic() < until:
            time.sleep(0.05)
        assert service.ask("/healthz")[0] == 0
        service.begin()
        assert set(service.children()).isdisjoint(children)


def test_one_that_cannot_begin_is_not_begun_for_ever(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as service:
        assert service.stop() == 0
        # Another process holds the port: several could not listen either.
        with running(tmp_path, port=service.port, workers=1):
            service.start()
            assert service.process is not None
            assert service.process.wait(30) == 1
