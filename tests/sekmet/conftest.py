"""The hospital system and the adapter beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from reliability.faulty import Faulty, faulty
from reliability.running import Running, running
from sekmet.hospital_system import HospitalSystem, free_port, python


@pytest.fixture(scope="session")
def interpreter() -> Path:
    found = python()
    if found is None:
        pytest.skip("no SEKMET: make sekmet installs it, or SEKMET names the python that has it")
    return found


@pytest.fixture
def target() -> Iterator[Faulty]:
    with faulty(1) as made:
        yield made


@pytest.fixture
def system(interpreter: Path, tmp_path: Path, target: Faulty) -> Iterator[tuple[HospitalSystem, Running]]:
    port = free_port()
    hospital = HospitalSystem(interpreter, tmp_path, f"http://127.0.0.1:{port}")
    sources = f'[{{"base": "{hospital.base}"}}]'
    with running(tmp_path, port=port, target=target.url, sources=sources) as service:
        yield hospital, service
        assert service.stop() == 0
