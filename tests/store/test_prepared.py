"""A statement that was prepared once writes and finds what SQLAlchemy's own way does, on either database."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, bindparam, insert, null, select, update
from sqlalchemy.exc import SQLAlchemyError
from store.couriers import BOTH

from adapter.store.database import open_engine
from adapter.store.known import _ROWS, _VERSIONS
from adapter.store.prepared import Listed, Prepared
from adapter.store.tables import known, known_name, outbox, receipt, subject

DATABASES = BOTH
ADD = Prepared(insert(known))
NAME = Prepared(insert(known_name))


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    engine = open_engine(url)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def row(number: int) -> dict[str, object]:
    return {"id": bytes([number] * 16), "version": number, "touched": 2**40 + number, "body": bytes(range(256))}


def test_a_row_is_found_as_it_was_written(connection: Connection) -> None:
    assert ADD.run(connection, row(1)).rowcount == 1
    ADD.run_each(connection, [row(2), row(3)])
    found = connection.execute(select(known).order_by(known.c.id)).mappings()
    assert [dict(each) for each in found] == [row(1), row(2), row(3)]


def test_a_change_says_how_many_rows_it_met_and_can_empty_a_column(connection: Connection) -> None:
    values = {"client": "é", "key": "k", "digest": "d", "received": 1, "owner": "o", "lease_until": 2}
    connection.execute(insert(receipt), values)
    change = Prepared(update(receipt).where(receipt.c.key == bindparam("at")).values(owner=null(), body=bindparam("b")))
    assert change.run(connection, {"at": "elsewhere", "b": b""}).rowcount == 0
    assert change.run(connection, {"at": "k", "b": b"\x00\xff"}).rowcount == 1
    found = connection.execute(select(receipt)).one()
    assert (found.client, found.owner, bytes(found.body), found.status) == ("é", None, b"\x00\xff", None)


def test_columns_that_are_not_given_are_left_to_the_database(connection: Connection) -> None:
    given = {"lane": "l", "state": "pending", "attempts": 0, "next_at": 1, "as_of": 1, "created": 1, "names": b"[]"}
    add = Prepared(insert(outbox).inline(), tuple(given))
    add.run_each(connection, [given, {**given, "lane": "m"}])
    found = connection.execute(select(outbox.c.id, outbox.c.lane, outbox.c.resources).order_by(outbox.c.id)).all()
    assert [each.lane for each in found] == ["l", "m"]
    assert found[0].id < found[1].id
    assert found[0].resources is None


@pytest.mark.parametrize("count", [1, 2, 500])
def test_whoever_has_one_of_many_names_is_found(connection: Connection, count: int) -> None:
    ADD.run_each(connection, [row(1), row(2), row(3)])
    NAME.run_each(connection, [{"name": bytes([each] * 16), "patient": row(each)["id"]} for each in (1, 2, 3)])
    asked = [bytes([2] * 16), *(bytes([9, each % 256, each // 256]) for each in range(count - 1))]
    assert [(bytes(each.id), bytes(each.body)) for each in _ROWS.run(connection, asked)] == [
        (row(2)["id"], row(2)["body"])
    ]
    assert [(bytes(each.id), each.version) for each in _VERSIONS.run(connection, asked)] == [(row(2)["id"], 2)]


def test_a_value_is_never_part_of_the_statement(connection: Connection) -> None:
    hostile = "x') OR ('1'='1"
    connection.execute(insert(subject), [{"name": "somebody"}, {"name": hostile}])
    listed = Listed("SELECT name FROM subject WHERE name IN (:asked)")
    assert [each.name for each in listed.run(connection, [hostile, "%s", ":asked", "?"])] == [hostile]


def test_a_failure_is_told_without_what_was_to_be_written(connection: Connection) -> None:
    ADD.run(connection, row(1))
    twice = {**row(1), "body": b"Zyxqvarnhagen"}
    saved = connection.begin_nested()
    with pytest.raises(SQLAlchemyError) as failed:
        ADD.run(connection, twice)
    saved.rollback()
    assert "Zyxqvarnhagen" not in str(failed.value)
