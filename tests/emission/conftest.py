"""What every test of emission starts from: the shipped catalog, loaded once, and one naming for each FHIR version."""

import json
from collections.abc import Callable
from typing import Any

import cases
import msgspec
import pytest
from fhir.resources import get_fhir_model_class as model_r5
from fhir.resources.R4B import get_fhir_model_class as model_r4b

from adapter.catalog.catalog import Catalog
from adapter.emission.names import Naming
from adapter.errors import Severity
from adapter.fhir.definitions import check_resource
from adapter.fhir.versions import FhirVersion


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """Give the shipped trials and mappings."""
    return cases.catalog()


@pytest.fixture(scope="session", params=list(FhirVersion), ids=lambda version: version.value)
def naming(request: pytest.FixtureRequest) -> Naming:
    """Give the naming of each FHIR version in turn."""
    return Naming(request.param)


class Checker:
    """Whether what is emitted is FHIR of its version, by the models of fhir.resources and by HL7's definitions."""

    def __init__(self, version: FhirVersion) -> None:
        self._version = version

    def problems(self, resource: dict[str, Any]) -> list[str]:
        """Give what HL7's definitions say against it; raises where the models of fhir.resources refuse it."""
        written = msgspec.json.Encoder(decimal_format="number").encode(resource)
        model_of = model_r4b if self._version is FhirVersion.R4 else model_r5
        model_of(resource["resourceType"]).model_validate_json(written)
        found = check_resource(json.loads(written), self._version)
        wrong = (Severity.ERROR, Severity.FATAL, Severity.WARNING)
        return [f"{issue.expression}: {issue.message}" for issue in found if issue.severity in wrong]


@pytest.fixture  # of no wider scope: a module may write one version alone
def checker(naming: Naming) -> Checker:
    """Give the checker of the version that ``naming`` writes."""
    return Checker(naming.version)


@pytest.fixture
def problems(checker: Checker) -> Callable[[dict[str, Any]], list[str]]:
    """Give the checker's one question."""
    return checker.problems
