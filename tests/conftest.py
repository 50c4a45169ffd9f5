"""Options of the test run."""

import os

import pytest
from hypothesis import settings

# The same examples on every run, so that a change alone can turn the tests red; `make explore` draws new ones.
settings.register_profile("fixed", derandomize=True)
settings.register_profile("explore", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--rewrite-goldens``: write what screening says now into ``tests/golden`` instead of comparing."""
    parser.addoption("--rewrite-goldens", action="store_true", help="rewrite tests/golden from what screening says now")
