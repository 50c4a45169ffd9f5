"""A process that is killed loses nothing it acknowledged, and writes nothing twice."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from sqlalchemy import func, select
from store.kept import now, received, reply

from adapter.store.ledger import Replayed, Store, verify_audit
from adapter.store.tables import outbox, receipt

KILLS = 30 if os.environ.get("RELIABILITY") == "whole" else 8
HERE = Path(__file__).parent


def _run_and_kill(url: str, start: int, after_s: float) -> tuple[list[str], float]:
    """Give what was acknowledged, and how long the child took to be ready."""
    path = os.pathsep.join([str(HERE), str(HERE.parent.parent)])
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, str(HERE / "killed_child.py"), url, str(start)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        ready_s = time.monotonic() - began
        threading.Timer(after_s, os.kill, (child.pid, signal.SIGKILL)).start()
        lines = child.stdout.read().split("\n")
    assert child.returncode == -signal.SIGKILL
    return lines[:-1], ready_s


def test_kills_lose_nothing_acknowledged_and_double_nothing(url: str) -> None:
    draw = random.Random(4)  # noqa: S311 (no secrecy)
    acknowledged: list[str] = []
    slowest_s, reopened_s = 0.0, 0.0
    for kill in range(KILLS):
        # Each child begins two keys before where the last one was, as an engine that sends again what it is unsure of.
        keys, ready_s = _run_and_kill(url, max(0, kill * 1000 - 2), draw.uniform(0.02, 0.3))
        acknowledged += keys
        slowest_s = max(slowest_s, ready_s)
        began = time.monotonic()
        store = Store.open(url, now)
        assert store.healthy()
        reopened_s = max(reopened_s, time.monotonic() - began)
        # What the killed process was evaluating may be evaluated again at once, its lease notwithstanding.
        with store.engine.connect() as connection:
            asked = select(receipt.c.key).where(receipt.c.status.is_(None))
            claimed = [key for (key,) in connection.execute(asked)]
        for key in claimed:
            mine = received(key)
            assert store.claim(mine, 0.5) is None
            store.release(mine)
        store.close()
    assert len(acknowledged) > KILLS
    store = Store.open(url, now)
    for key in set(acknowledged):
        assert store.claim(received(key), 1) == Replayed(reply(key))
    assert verify_audit(store) is None
    with store.engine.connect() as connection:
        answered = connection.execute(select(func.count()).where(receipt.c.status.is_not(None))).scalar_one()
        lanes = connection.execute(select(func.count(), func.count(outbox.c.lane.distinct()))).one()
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    assert answered >= len(set(acknowledged))
    assert tuple(lanes) == (answered, answered)
    store.close()
    assert reopened_s < 3
    print(f"{KILLS} kills, {len(set(acknowledged))} acknowledged, ready {slowest_s:.2f} s, reopened {reopened_s:.3f} s")  # noqa: T201 (the figure of the promise)
