"""An export of the shipped trials in each FHIR version, made once and only read by tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapter import cli


class Exported:
    """What one export wrote and said."""

    def __init__(self, folder: Path, version: str, *options: str) -> None:
        self.folder = folder
        self.version = version
        self.code = cli.main(["export", "--out", str(folder), "--fhir-version", version, *options])

    def resources(self) -> dict[str, dict[str, Any]]:
        """Give the resource files by name."""
        return {each.name: json.loads(each.read_bytes()) for each in sorted(self.folder.glob("*.json"))}

    def bundles(self) -> dict[str, dict[str, Any]]:
        """Give the transactions by trial id."""
        return {each.stem: json.loads(each.read_bytes()) for each in sorted((self.folder / "bundles").iterdir())}


@pytest.fixture(scope="session", params=["R4", "R5"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Give the export of all trials, with a package."""
    return Exported(tmp_path_factory.mktemp("exported"), request.param, "--package")


@pytest.fixture(scope="session", params=["R4", "R5"])
def conditional(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Give an export for servers that choose ids themselves."""
    return Exported(tmp_path_factory.mktemp("conditional"), request.param, "--conditional")


def snapshot(folder: Path) -> dict[str, bytes]:
    """Give every file of a folder, hidden ones too, by its path inside."""
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}
