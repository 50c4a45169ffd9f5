"""A real service for the tests of this folder, which must be alive after each of them."""

from collections.abc import Iterator
from typing import Any

import anyio.from_thread
import httpx
import pytest
from service.conftest import Asked, Make
from service.served import Served, served

import adapter
from adapter.catalog.catalog import Catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return adapter.load_catalog()


@pytest.fixture(scope="session")
def portal() -> Iterator[anyio.from_thread.BlockingPortal]:
    with anyio.from_thread.start_blocking_portal() as started:
        yield started


@pytest.fixture
def service(catalog: Catalog, portal: anyio.from_thread.BlockingPortal) -> Asked:
    return Asked(catalog, portal)


@pytest.fixture
def make(catalog: Catalog, portal: anyio.from_thread.BlockingPortal) -> Make:
    return lambda **settings: Asked(catalog, portal, **settings)


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
