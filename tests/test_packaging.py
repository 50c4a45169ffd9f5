"""The wheel holds everything a user needs, and works away from the repository."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "wheel --quiet --no-deps --no-build-isolation --disable-pip-version-check --wheel-dir"
    subprocess.run([sys.executable, "-m", "pip", *build.split(), str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def ran(unpacked: Path, *arguments: str) -> str:
    """Run the unpacked command with nothing of the repository on the path."""
    program = f"import sys; sys.path.insert(0, {str(unpacked)!r}); from adapter.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=unpacked.parent, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_wheel_holds_the_data_the_schemas_and_the_types_marker(unpacked: Path) -> None:
    for name in ("trials", "mappings", "sample_bundles"):
        shipped = {path.relative_to(ROOT / name) for path in (ROOT / name).rglob("*") if path.is_file()}
        packed = {path.relative_to(unpacked / "adapter/_data" / name) for path in _files(unpacked, name)}
        assert packed == shipped
    wanted = ("py.typed", "schemas/trial.schema.json", "schemas/mapping.schema.json", "fhir/definitions/r4.json.gz")
    assert [name for name in wanted if not (unpacked / "adapter" / name).is_file()] == []


def _files(unpacked: Path, name: str) -> list[Path]:
    return [path for path in (unpacked / "adapter/_data" / name).rglob("*") if path.is_file()]


def test_the_command_of_the_wheel_checks_its_own_definitions(unpacked: Path) -> None:
    assert ran(unpacked, "check").endswith(
        "5 trials, 64 criteria, 176 atoms (95 A, 63 B, 18 C), 41 inputs, no problem\n"
    )


def test_the_command_of_the_wheel_screens_the_samples(unpacked: Path) -> None:
    samples = str(unpacked / "adapter/_data/sample_bundles")
    lines = ran(unpacked, "screen", samples, "--as-of", "2026-11-01T00:00:00Z", "--format", "findings")
    assert '"verdict":"candidate"' in lines
