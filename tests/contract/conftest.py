"""The real server that the contract tests write to: FHIR_BASE_URL, else Medplum's router started here."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from contract_server import RealServer, without_terminology
from fault_proxy import FaultProxy

import adapter
from adapter.delivery.export import Trials
from adapter.emission.emit import emit_trial
from adapter.emission.names import Naming
from adapter.fhir.versions import FhirVersion

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def trials() -> Trials:
    """Give two shipped trials as they are emitted; they share value sets and a library."""
    catalog = adapter.load_catalog()
    naming = Naming(FhirVersion.R4)
    return {key: emit_trial(catalog, key, naming) for key in ("CFMSC", "BMMSC")}


@pytest.fixture(scope="session")
def file_of(tmp_path_factory: pytest.TempPathFactory, trials: Trials) -> Path:
    """Give the trials as a file, for exporters that are processes of their own."""
    file = tmp_path_factory.mktemp("trials") / "trials.json"
    file.write_bytes(msgspec.json.Encoder(decimal_format="number").encode(trials))
    return file


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory, trials: Trials) -> Path:
    """Give the same without terminology: few resources, where each costs a request or a search of its own."""
    file = tmp_path_factory.mktemp("small") / "trials.json"
    file.write_bytes(msgspec.json.Encoder(decimal_format="number").encode(without_terminology(trials)))
    return file


@pytest.fixture(scope="session")
def running() -> Iterator[str]:
    """Give the base of the real server."""
    given = os.environ.get("FHIR_BASE_URL")
    if given:
        yield given.rstrip("/")
        return
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node to run the FHIR server of tests/contract, and no FHIR_BASE_URL")
    if not (HERE / "node_modules").is_dir():
        pytest.skip("the FHIR server of tests/contract is not installed; run `make contract`")
    process = subprocess.Popen([node, str(HERE / "server.mjs")], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        base = process.stdout.readline().strip()
        assert base.startswith("http://127.0.0.1:"), "the FHIR server does not start"
        yield base
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def real(running: str, trials: Trials) -> RealServer:
    """Give the server, without anything of the trials on it."""
    server = RealServer(running)
    server.clear(trials)
    return server


@pytest.fixture
def proxy(real: RealServer) -> Iterator[FaultProxy]:
    with FaultProxy(real.base) as between:
        yield between
