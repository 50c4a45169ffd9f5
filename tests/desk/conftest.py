"""The service of the tests of the service, for the desk of the engineer."""

from service.conftest import catalog, portal, service  # noqa: F401 (fixtures)
