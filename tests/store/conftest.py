"""A store in a fresh database, and a FHIR server in this process.

A module with ``DATABASES = BOTH`` runs on PostgreSQL too, where it is installed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery.delivery_server import FakeServer
from store.couriers import Clock
from store.kept import now
from store.picky_server import PickyServer
from store.postgres import Postgres, postgres_running

from adapter.store.ledger import Store


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    databases = getattr(metafunc.module, "DATABASES", None)
    if databases is not None and "database" in metafunc.fixturenames:
        metafunc.parametrize("database", databases, indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with postgres_running() as running:
        yield running


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if database == "sqlite":
        yield f"sqlite:///{tmp_path / 'adapter.db'}"
        return
    running: Postgres = request.getfixturevalue("postgres")
    with running.database() as made:
        yield made


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url, now)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(url: str, clock: Clock) -> Iterator[Store]:
    opened = Store.open(url, clock)
    yield opened
    opened.close()


@pytest.fixture
def fhir() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.fixture
def picky() -> Iterator[PickyServer]:
    with PickyServer() as running:
        yield running
