"""Every shipped trial, in R4 and R5, goes to a server and comes back with the same meaning."""

import pytest
from delivery_server import FakeServer
from exported import export

import adapter
from adapter.delivery.identity import name_of
from adapter.delivery.meaning import same_meaning
from adapter.emission.emit import emit_trial
from adapter.emission.names import Naming
from adapter.fhir.versions import FhirVersion

SPOKEN = {FhirVersion.R4: "4.0.1", FhirVersion.R5: "5.0.0"}


@pytest.mark.parametrize("conditional", [False, True], ids=["by our ids", "conditional"])
@pytest.mark.parametrize("version", FhirVersion)
def test_emitting_reading_back_and_emitting_again_gives_the_same_meaning(
    server: FakeServer, version: FhirVersion, *, conditional: bool
) -> None:
    catalog = adapter.load_catalog()
    server.fhir_version, server.gives_ids = SPOKEN[version], conditional

    def emitted() -> dict[str, tuple[dict[str, object], ...]]:
        return {trial.key: emit_trial(catalog, trial.key, Naming(version)) for trial in catalog.trials}

    export(server.url, emitted(), version=version, conditional=conditional)
    every = {name_of(each) for resources in emitted().values() for each in resources}
    assert len(server.held) == len(every)
    if not conditional:
        for resources in emitted().values():
            for each in resources:
                assert same_meaning(each, server.held[str(name_of(each))]), name_of(each)
    server.requests.clear()
    export(server.url, emitted(), version=version, conditional=conditional)
    assert server.writes == []
