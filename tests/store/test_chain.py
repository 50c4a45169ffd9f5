"""Whoever changes the record of what was done is found out, and with a key nobody can make it anew."""

import base64
import hashlib
import secrets
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from store.couriers import BOTH
from store.kept import now, row

from adapter.errors import AdapterError
from adapter.store import chain
from adapter.store.chain import Head, head_of, is_keyed, recorded, verified
from adapter.store.chain_key import ChainKeys, read_chain_keys, use
from adapter.store.ledger import Store
from adapter.store.tables import audit, audit_head

DATABASES = BOTH
TOLD = "at, client, action, outcome, request_id, detail"
KEY, NEXT = ChainKeys((b"k" * 32,)), ChainKeys((b"n" * 32, b"k" * 32))


def write(store: Store, count: int = 5) -> None:
    for number in range(count):
        store.record(row(f"r-{number}"))


def made_anew(store: Store, **changed: Any) -> None:  # noqa: ANN401 (any column)
    """Change a row, and every digest after it, as who knows how we do it would; without the key."""
    with store.engine.begin() as connection:
        rows = [dict(each) for each in connection.execute(select(audit).order_by(audit.c.seq)).mappings()]
        rows[1] |= changed
        previous = chain.BEGINNING
        for each in rows:
            each["previous"] = previous
            previous = each["digest"] = chain._digest(each, None)
        connection.execute(audit.delete())
        connection.execute(insert(audit), rows)
        connection.execute(update(audit_head).values(digest=previous, key_print=None))


@pytest.mark.parametrize("keys", [None, KEY], ids=["without a key", "with a key"])
@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("update audit set client = 'x' where seq = 2", 2),
        ("update audit set at = at + 1 where seq = 1", 1),
        ("update audit set outcome = 'done' where seq = 5", 5),
        ("update audit set detail = '{}' where seq = 3", 3),
        ("update audit set digest = previous where seq = 3", 3),
        ("delete from audit where seq = 1", 1),
        ("delete from audit where seq = 3", 3),
        ("delete from audit where seq = 5", 5),
        ("delete from audit", 1),
        ("update audit set seq = 9 where seq = 5", 5),
        (f"insert into audit select 6, {TOLD}, digest, digest from audit where seq = 5", 6),  # noqa: S608 (the names are above)
        (f"insert into audit select 0, {TOLD}, previous, digest from audit where seq = 1", 1),  # noqa: S608 (the same)
        ("update audit_head set seq = 4", 5),
        ("update audit_head set digest = 'x'", 6),
        ("delete from audit_head", 6),
    ],
)
def test_every_change_is_found_at_its_place(store: Store, keys: ChainKeys | None, change: str, place: int) -> None:
    if keys is not None:
        use(store.engine, keys)
    write(store)
    assert verified(store.engine).broken is None
    with store.engine.begin() as connection:
        connection.execute(text(change))
    found = verified(store.engine)
    assert (found.broken, bool(found.why)) == (place, True)


def test_without_a_key_a_chain_made_anew_holds_and_a_kept_end_gives_it_away(store: Store) -> None:
    write(store)
    kept = head_of(store.engine)
    assert verified(store.engine, kept).broken is None
    write(store, 2)
    assert verified(store.engine, kept).broken is None, "an earlier end is still in the chain"
    made_anew(store, client="someone else")
    assert verified(store.engine).broken is None
    assert verified(store.engine, kept).broken == kept.seq


def test_an_end_cut_off_together_with_the_head_is_seen_by_who_kept_it(store: Store) -> None:
    use(store.engine, KEY)
    write(store)
    kept = head_of(store.engine)
    with store.engine.begin() as connection:
        connection.execute(text("delete from audit where seq > 3"))
        connection.execute(text("update audit_head set seq = 3, digest = (select digest from audit where seq = 3)"))
    assert verified(store.engine).broken is None, "no key helps against this"
    assert verified(store.engine, kept).broken == 4


def test_with_a_key_nobody_without_it_can_make_a_row(store: Store) -> None:
    write(store, 2)
    use(store.engine, KEY)
    assert not is_keyed(store.engine)
    write(store, 3)
    assert is_keyed(store.engine)
    found = verified(store.engine)
    assert (found.broken, found.keyless, found.head.seq) == (None, 2, 5)
    made_anew(store, outcome="refused")
    assert verified(store.engine).why == "no row has the key"


def test_rows_of_before_the_key_are_held_by_the_first_with_it(store: Store) -> None:
    write(store, 3)
    use(store.engine, KEY)
    write(store, 1)
    with store.engine.begin() as connection:
        rows = [dict(each) for each in connection.execute(select(audit).order_by(audit.c.seq)).mappings()]
        rows[0]["client"], previous = "x", chain.BEGINNING
        for each in rows[:3]:
            each["previous"] = previous
            previous = each["digest"] = chain._digest(each, None)
            values = {name: each[name] for name in ("client", "previous", "digest")}
            connection.execute(update(audit).where(audit.c.seq == each["seq"]).values(values))
    assert verified(store.engine).broken == 4


def test_who_has_not_the_key_is_told_so_and_writes_nothing(store: Store, url: str) -> None:
    use(store.engine, KEY)
    write(store, 1)
    other = Store.open(url, now)
    try:
        for keys in (None, ChainKeys((b"x" * 32,))):
            if keys is not None:
                use(other.engine, keys)
            with pytest.raises(AdapterError, match="audit_key_file"):
                other.record(row("r"))
            for ask in (lambda: verified(other.engine), lambda: is_keyed(other.engine)):
                with pytest.raises(AdapterError, match="audit_key_file"):
                    ask()
    finally:
        other.close()
    assert verified(store.engine).head.seq == 1


def test_a_key_is_changed_and_the_old_one_still_verifies(store: Store) -> None:
    use(store.engine, KEY)
    write(store, 2)
    use(store.engine, NEXT)
    write(store, 2)
    assert verified(store.engine).broken is None
    use(store.engine, ChainKeys(NEXT.keys[:1]))
    assert verified(store.engine).broken == 1, "the rows of the old key need it"


def test_rows_are_given_in_order_after_a_place(store: Store) -> None:
    write(store)
    assert [seq for seq, _ in recorded(store.engine)] == [1, 2, 3, 4, 5]
    ((seq, last),) = recorded(store.engine, 4)
    assert (seq, last.request_id, last.detail) == (5, "r-4", {"entries": 1})


def test_an_end_that_is_not_there_yet_is_no_end(store: Store) -> None:
    write(store, 2)
    assert verified(store.engine, Head(9, "0" * 64)).broken == 3


@pytest.mark.parametrize("content", ["", "short", base64.b64encode(b"x" * 31).decode(), "\u00e9" * 44, "!" * 44])
def test_a_file_without_a_key_is_refused_and_never_quoted(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(AdapterError, match="openssl rand") as refused:
        read_chain_keys(path)
    assert not content or content not in str(refused.value)


def test_keys_are_told_apart_without_giving_one_away(tmp_path: Path) -> None:
    made = [secrets.token_bytes(32) for _ in range(2)]
    path = tmp_path / "key"
    path.write_text("\n".join(base64.b64encode(each).decode() for each in made) + "\n")
    keys = read_chain_keys(path)
    assert keys.keys == tuple(made)
    assert len(set(keys.prints)) == 2
    assert hashlib.sha256(made[0]).hexdigest()[:16] not in keys.prints
