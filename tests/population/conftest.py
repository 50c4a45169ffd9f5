"""Patients that several modules screen: real-sized ones, where somebody has them, and a crowd."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from population.crowds import write_crowd


@pytest.fixture(scope="session")
def real_bundles() -> list[dict[str, Any]]:
    """Give twelve patients of the folder that REAL_BUNDLES names."""
    folder = os.environ.get("REAL_BUNDLES")
    if not folder:
        pytest.skip("REAL_BUNDLES names no folder of real-sized bundles")
    files = sorted(each for each in Path(folder).iterdir() if each.name.endswith((".json", ".json.gz")))[:12]
    unpacked = (gzip.decompress(each.read_bytes()) if each.suffix == ".gz" else each.read_bytes() for each in files)
    return [json.loads(each) for each in unpacked]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write enough patients for a run of many parts, half of them as an export."""
    return write_crowd(tmp_path_factory.mktemp("crowd") / "in")
