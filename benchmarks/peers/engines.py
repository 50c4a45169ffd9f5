"""The engines: what starts each, what they need, and whether it is here."""

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
from oracle.engine import why_not

HERE = Path(__file__).resolve().parent


class Engine(msgspec.Struct, frozen=True):
    """One engine as it is asked."""

    name: str
    title: str
    workloads: tuple[str, ...]
    """The workloads it is asked; what it cannot run is in its README."""
    slow: tuple[str, ...] = ()
    """The workloads that take it about a minute a patient: it is asked them only when it is named."""
    node: bool = False
    python: str | None = None
    """The oldest Python of its own environment; None: it has none."""
    what: tuple[str, ...] = ()
    folder: str | None = None
    is_peer: bool = True

    @property
    def home(self) -> Path:
        """Where its script, lock file and environment are."""
        return HERE / (self.folder or self.name)

    @property
    def _interpreter(self) -> Path:
        return self.home / ".venv" / "bin" / "python"

    def missing(self) -> str | None:
        """Say why it cannot be asked here, if it cannot."""
        if self.node:
            return why_not()
        if self.python is not None and not self._interpreter.is_file():
            return f"not installed: python benchmarks/peers.py --install {self.name}"
        return None

    def command(self, ask: Path) -> list[str]:
        """Give the command that answers ``ask``."""
        if self.node:
            return ["node", str(self.home / "run.mjs"), str(ask), *self.what]
        interpreter = sys.executable if self.python is None else str(self._interpreter)
        return [interpreter, "-m", f"peers.{self.home.name}.run", str(ask), *self.what]

    def install(self, interpreter: str | None) -> None:
        """Make its environment from its lock file; exits with a reason where that cannot be done."""
        found = interpreter or _python(self.python or "")
        if found is None:
            sys.exit(f"{self.name} needs Python {self.python} or newer, and none was found: name one with --python")
        subprocess.run([found, "-m", "venv", "--clear", str(self.home / ".venv")], check=True)
        pip = [str(self._interpreter), "-m", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*pip, "-r", str(self.home / "requirements.lock")], check=True)


OURS, LINES, FLOOR = "ours", "ours-lines", "orjson"
_BOTH = ("full", "simple")
ENGINES = (
    Engine(OURS, "ours, truths", _BOTH, what=("truths",), folder="ours", is_peer=False),
    Engine(LINES, "ours, finding lines with evidence", _BOTH, what=("lines",), folder="ours", is_peer=False),
    Engine(FLOOR, "`orjson.loads` alone, for scale", _BOTH, what=("orjson",), folder="ours", is_peer=False),
    Engine("cql_execution", "cql-execution", _BOTH, node=True),
    Engine("cqframework", "@cqframework/cql engine", _BOTH, slow=("full",), node=True),
    Engine("ms_cql_sdk", "ms-cql-sdk", ("simple",), python="3.11"),
    Engine("dhis2w_fhir_engine", "dhis2w-fhir-engine", ("simple",), python="3.13"),
    Engine("fhir4ds", "fhir4ds-v2", ("simple",), python="3.11"),
)


def _python(oldest: str) -> str | None:
    """Find a Python that is new enough: this one, one on the path, or one that uv knows of."""
    wanted = tuple(int(part) for part in oldest.split("."))
    if sys.version_info >= wanted:
        return sys.executable
    named = shutil.which(f"python{oldest}")
    if named and subprocess.run([named, "--version"], capture_output=True, check=False).returncode == 0:
        return named
    uv = shutil.which("uv")
    if uv is None:
        return None
    command = [uv, "python", "find", "--no-python-downloads", f">={oldest}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
