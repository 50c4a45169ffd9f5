"""What the tests of writing to a server share: a server in this process whose every answer a test can decide."""

from collections.abc import Iterator

import pytest
from delivery_server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running
