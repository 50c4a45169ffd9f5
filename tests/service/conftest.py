"""A service in this process, asked over ASGI; no socket is opened."""

import datetime
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio.from_thread
import httpx
import pytest
from service.memory_store import MemoryStore

import adapter
from adapter.catalog.catalog import Catalog
from adapter.service.app import create_app
from adapter.service.settings import read_settings

SAMPLES = Path(__file__).parents[2] / "sample_bundles"
NOW = datetime.datetime(2026, 11, 1, 8, 30, 15, 123456, tzinfo=datetime.UTC)
FHIR = {"Content-Type": "application/fhir+json"}


class Asked:
    """A service and what is seen of it."""

    def __init__(self, catalog: Catalog, portal: anyio.from_thread.BlockingPortal, **settings: object) -> None:
        self.store = MemoryStore()
        self.log = io.StringIO()
        self.app = create_app(read_settings(**settings), catalog, self.store, lambda: NOW, self.log)
        self._portal = portal

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if data is not None:
            sent = FHIR | {"Content-Type": sent.pop("Content-Type", FHIR["Content-Type"])} | sent
        return self._portal.call(self._ask, method, path, data, sent)

    async def _ask(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.request(method, path, content=data, headers=headers)

    def at_once(self, times: int, body: bytes, **headers: str) -> list[httpx.Response]:
        async def ask() -> list[httpx.Response]:
            answers: list[httpx.Response] = []

            async def one() -> None:
                answers.append(await self._ask("POST", "/fhir", body, FHIR | headers))

            async with anyio.create_task_group() as group:
                for _ in range(times):
                    group.start_soon(one)
            return answers

        return self._portal.call(ask)


Make = Callable[..., Asked]
"""A service by its settings."""


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


def sample(name: str) -> bytes:
    (found,) = SAMPLES.glob(f"{name}*")
    return found.read_bytes()
