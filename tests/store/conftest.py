"""A store in a fresh file, and a FHIR server in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery.delivery_server import FakeServer
from store.kept import now

from adapter.store.ledger import Store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'adapter.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url, now)
    yield opened
    opened.close()


@pytest.fixture
def fhir() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running
