"""A token that holds for one call is known again by every process on the database, until it would have expired."""

import datetime
import threading

from sqlalchemy import func, select
from store.couriers import BOTH
from store.kept import now

from adapter.store.ledger import Store
from adapter.store.seen import SeenTokens
from adapter.store.tables import seen_token

DATABASES = BOTH
SOON = datetime.timedelta(minutes=5)


def test_it_is_new_once_whoever_asks(store: Store, url: str) -> None:
    other = Store.open(url, now)
    here, there = SeenTokens(store), SeenTokens(other)
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda each=each: answers.append(each.is_new("https://a", "j", now() + SOON)))
        for each in (here, there) * 8
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert answers.count(True) == 1


def test_issuers_do_not_share_their_ids(store: Store) -> None:
    seen = SeenTokens(store)
    assert [seen.is_new(*each, now() + SOON) for each in (("a", "b|c"), ("a|b", "c"), ("a", "b"))] == [True] * 3
    assert not seen.is_new("a", "b", now() + SOON)


def test_what_has_expired_is_not_kept_for_ever(store: Store) -> None:
    SeenTokens(store).is_new("a", "old", now() - SOON)
    SeenTokens(store).is_new("a", "new", now() + SOON)
    with store.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(seen_token)).scalar() == 1
