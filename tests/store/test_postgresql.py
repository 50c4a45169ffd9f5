"""Two replicas on one PostgreSQL database: a server of this machine is started where Debian's is installed."""

import threading

import pytest
from delivery.delivery_server import FakeServer
from store.kept import SUBJECT, delivery, now, put_in, received, reply, row
from store.postgres import Postgres

from adapter.store.ledger import KeyReused, Replayed, Store, verify_audit
from adapter.store.outbox import Courier
from adapter.store.rows import Outbox

pytestmark = pytest.mark.xdist_group("postgresql")


def test_two_replicas_share_one_database(postgres: Postgres, fhir: FakeServer) -> None:
    with postgres.database() as url:
        share(url, fhir)


def share(postgresql: str, fhir: FakeServer) -> None:
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
