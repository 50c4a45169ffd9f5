"""The same store on PostgreSQL: a server of this machine is started where Debian's is installed."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery.delivery_server import FakeServer
from store.kept import SUBJECT, delivery, now, put_in, received, reply, row

from adapter.store.ledger import KeyReused, Replayed, Store, verify_audit
from adapter.store.outbox import Courier
from adapter.store.rows import Outbox

pytest.importorskip("psycopg", reason="psycopg is not installed")
FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
BIN = FOUND[-1].parent if FOUND else None


def _as_postgres() -> dict[str, str]:
    """PostgreSQL refuses to run as root; Debian's package brings a user for it."""
    return {"user": "postgres"} if os.geteuid() == 0 else {}


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    if BIN is None:
        pytest.skip("no PostgreSQL server in /usr/lib/postgresql; Debian: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    started = _as_postgres()
    init = [str(BIN / "initdb"), "-D", str(data), "-U", "adapter", "--auth=trust", "--no-sync"]
    subprocess.run(init, check=True, capture_output=True, cwd=folder, **started)
    options = f"-p {port} -k {folder} -h 127.0.0.1"
    control = [str(BIN / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
    subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd=folder, **started)
    yield f"postgresql+psycopg://adapter@127.0.0.1:{port}/postgres"
    subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder, **started)
    shutil.rmtree(folder)


def test_two_replicas_share_one_database(postgresql: str, fhir: FakeServer) -> None:
    opened: list[Store] = []
    threads = [threading.Thread(target=lambda: opened.append(Store.open(postgresql, now))) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    one, two = opened
    first = received("k")
    assert one.claim(first, 1) is None
    threading.Timer(0.3, lambda: one.commit(first, reply("k"), row("k"), [delivery("candidate")])).start()
    assert two.claim(received("k"), 5) == Replayed(reply("k"))
    assert two.claim(received("k", "other"), 5) == KeyReused()

    def work(store: Store, worker: int) -> None:
        for number in range(20):
            # Every key comes to both replicas.
            mine = received(f"{worker}-{number}")
            if store.claim(mine, 10) is None:
                store.commit(mine, reply("x"), row("x"), [delivery("candidate", lane=f"{worker}-{number}")])

    threads = [threading.Thread(target=work, args=(each, worker)) for worker in range(4) for each in (one, two)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert verify_audit(one) is None
    assert sum(each.count for each in Outbox(two).counts()) == 81
    put_in(two, delivery("eligible", 2))
    couriers = [Courier(each, fhir.url) for each in (one, two)]
    while any(each.deliver_one() for each in couriers):
        pass
    assert [(each.state, each.count) for each in Outbox(one).counts()] == [("delivered", 82)]
    assert fhir.held[f"ResearchSubject/{SUBJECT}"]["status"] == "eligible"
    assert one.healthy()
    one.close()
    two.close()
    again = Store.open(postgresql, now)
    assert again.claim(received("k"), 1) == Replayed(reply("k"))
    again.close()
