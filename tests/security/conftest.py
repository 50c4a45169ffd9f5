"""A real service for the tests of this folder, which must be alive after each of them."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from service.conftest import catalog, make, portal, service  # noqa: F401 (fixtures)
from service.served import Served, served


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with served(folder, body_seconds=2, header_seconds=2, client_rate="100000/second") as found:
        yield found


@pytest.fixture
def running(process: Served) -> Iterator[Served]:
    yield process
    assert process.process.poll() is None, process.log.read_text()
    assert httpx.get(f"{process.url}/readyz").status_code == 200


@pytest.fixture(scope="module")
def openapi(process: Served) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{process.url}/openapi.json").json()
    return found
