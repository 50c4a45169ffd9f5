"""What is installed: nothing but the product, and it asks nobody and writes nothing where it stands (S13)."""

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from security.guarded import SEEN
from service.conftest import sample

ROOT = Path(__file__).parents[2]
WATCH = f"""
import os, sys

def _hook(event, arguments, _seen={SEEN!r}, _writes=os.O_WRONLY | os.O_RDWR | os.O_CREAT):
    if event in _seen:
        print("asks", event, file=sys.stderr)
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _writes:
        path = os.path.abspath(os.fsdecode(arguments[0])) if isinstance(arguments[0], (str, bytes, os.PathLike)) else ""
        if path.startswith(os.environ["CODE"] + os.sep):
            print("writes", path, file=sys.stderr)
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.chmod"):
        if os.path.abspath(os.fsdecode(arguments[0])).startswith(os.environ["CODE"] + os.sep):
            print("changes", arguments[0], file=sys.stderr)

sys.addaudithook(_hook)
"""
EVERY = """
import importlib, pkgutil
import adapter
found = [each.name for each in pkgutil.walk_packages(adapter.__path__, "adapter.")]
for name in found:
    if not name.endswith("__main__") and ".migrations." not in name:  # one runs, the other is run by alembic alone
        importlib.import_module(name)
print(len(found))
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of the product that nobody may write to."""
    folder = tmp_path_factory.mktemp("installed") / "code"
    shutil.copytree(ROOT / "adapter", folder / "adapter", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("trials", "mappings", "sample_bundles"):
        shutil.copytree(ROOT / name, folder / "adapter/_data" / name)
    for each in (*folder.rglob("*"), folder):
        each.chmod(0o555 if each.is_dir() else 0o444)
    return folder


def ran(code: Path, work: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an empty folder, watched; root may write everywhere, so that what is written is seen instead."""
    environment = {**os.environ, "PYTHONPATH": str(code), "CODE": str(code), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", WATCH + program]
    return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_watch_sees_what_it_should(code: Path, tmp_path: Path) -> None:
    ask = "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9), 0.1)\nexcept OSError:\n    pass\n"
    write = f"import os\ntry:\n    os.open({str(code / 'x')!r}, os.O_CREAT)\nexcept OSError:\n    pass\n"
    assert "asks socket" in ran(code, tmp_path, ask).stderr
    assert "writes" in ran(code, tmp_path, write).stderr
    (code / "x").unlink(missing_ok=True)


def test_importing_all_of_it_asks_nobody(code: Path, tmp_path: Path) -> None:
    done = ran(code, tmp_path, EVERY)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 100
    assert list(tmp_path.iterdir()) == []


def test_it_screens_where_it_may_not_write(code: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_bytes(sample("shape-transaction"))
    screen = ["screen", "bundle.json", "--as-of", "2026-11-01T00:00:00Z", "--format", "findings"]
    for arguments in (["check"], screen, ["validate", "bundle.json"]):
        done = ran(code, tmp_path, f"from adapter.cli import main\nsys.argv[1:] = {arguments!r}\nsys.exit(main())\n")
        assert done.returncode == 0, done.stderr
        assert [line for line in done.stderr.splitlines() if line.startswith(("asks", "writes", "changes"))] == []
    assert [each.name for each in tmp_path.iterdir()] == ["bundle.json"]


def test_the_wheel_holds_the_product_and_nothing_else(tmp_path: Path) -> None:
    build = "wheel --quiet --no-deps --no-build-isolation --disable-pip-version-check --wheel-dir"
    subprocess.run([sys.executable, "-m", "pip", *build.split(), str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        every = archive.infolist()
        texts = {each.filename: archive.read(each) for each in every if each.filename.endswith(".py")}
    names = [each.filename for each in every]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"adapter", "fhir_trial_adapter"}
    assert [name for name in names if ".." in name.split("/") or name.startswith("/") or "\\" in name] == []
    odd = (".pyc", ".db", ".db-wal", ".pem", ".key", ".crt", ".env", ".log", ".orig", ".rej", ".swp")
    assert [name for name in names if name.endswith(odd) or "/." in name or "__pycache__" in name] == []
    assert [name for name in names if name.split("/")[0] == "adapter" and "test" in Path(name).stem.split("_")] == []
    assert [each.filename for each in every if stat.S_ISLNK(each.external_attr >> 16)] == []
    here = str(ROOT).encode()
    assert [name for name, text in texts.items() if here in text or b"BEGIN PRIVATE KEY" in text] == []
