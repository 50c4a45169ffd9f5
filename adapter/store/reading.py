"""How the store is read: without a lock, and with its troubles told as ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from adapter.errors import AdapterError, Category


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that only reads; raises AdapterError (UNAVAILABLE) without what was asked for."""
    try:
        with engine.connect().execution_options(reads=True) as connection:
            yield connection
    except SQLAlchemyError as error:
        said = f"the database does not answer ({type(error).__name__})"
        raise AdapterError.of(Category.UNAVAILABLE, "store-unavailable", said) from None
