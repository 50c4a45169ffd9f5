"""Options of the test run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--rewrite-goldens``: write what screening says now into ``tests/golden`` instead of comparing."""
    parser.addoption("--rewrite-goldens", action="store_true", help="rewrite tests/golden from what screening says now")
