"""What is asked of whom: the patients as files, and two workloads with their definitions and compiled CQL."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from oracle.patients import of_document

from adapter import inputs
from adapter.catalog.catalog import Catalog
from adapter.catalog.load import load_catalog, shipped
from adapter.cql import CqlLibrary, trial_library
from adapter.eligibility.kinds.human import SameAs
from adapter.errors import AdapterError
from adapter.fhir import wire
from adapter.fhir.record import sort_by_patient
from adapter.fhir.versions import FhirVersion

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SIMPLE = HERE / "simple"
_COMPILE = ROOT / "tests" / "oracle" / "compile.mjs"
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Workload(msgspec.Struct, frozen=True):
    """Criteria that are asked of every engine."""

    name: str
    title: str
    trials: tuple[Path, ...]
    mappings: tuple[Path, ...]
    elm: Path
    cql: Path
    """The folder of the same libraries as text."""
    libraries: dict[str, tuple[str, ...]]
    """By library, the defines that are asked: the atoms."""
    all: tuple[str, ...]
    """Every library, the included ones first."""

    @property
    def defines(self) -> tuple[str, ...]:
        """Every define that is asked."""
        return tuple(define for defines in self.libraries.values() for define in defines)


class Patient(msgspec.Struct, frozen=True):
    """One patient's Bundle in a file."""

    case: str
    path: Path
    size: int


def patients(paths: list[Path], kind: str, work: Path, limit: int | None) -> list[Patient]:
    """Write each patient's Bundle as the engines are given it, R4 only.

    A Bundle that holds one patient's data and nothing else is given as it was sent.  Of another, each patient is given
    what is the patient's own, as the oracle asks it: the CQL looks at one patient and at all it is shown.
    """
    work.mkdir(parents=True, exist_ok=True)
    found: list[Patient] = []
    for path in inputs.find(paths):
        if path.name.startswith("shape-r5-"):
            continue
        for case, data in _cases(path, kind):
            file = work / f"{len(found):05}.json"
            file.write_bytes(data)
            found.append(Patient(case, file, len(data)))
            if limit is not None and len(found) == limit:
                return found
    return found


def _cases(path: Path, kind: str) -> Iterable[tuple[str, bytes]]:
    try:
        for document in inputs.documents(path):
            asked = list(of_document(document.data, f"{kind}/{path.name}"))
            if len(asked) == 1 and _is_whole(document.data, asked[0].bundle):
                yield asked[0].case, document.data
            else:
                for each in asked:
                    yield each.case, _encode(each.bundle)
    except AdapterError:  # a file that screening refuses has no answer to compare
        return


def _is_whole(data: bytes, cut: dict[str, Any]) -> bool:
    """Say whether a document is a Bundle of which the cut to one patient leaves out nothing that is ever read."""
    document = wire.read(data)
    (record,) = sort_by_patient(document)
    plain = data.startswith(b"{") and b'"resourceType":"Bundle"' in data[:200].replace(b" ", b"").replace(b"\n", b"")
    return plain and record.id != "" and len(cut["entry"]) == len(document.entries)


def full(work: Path) -> Workload:
    """Give the shipped trials: every atom that CQL says, on the CQL that ``trial-adapter export`` writes."""
    out = work / "full"
    command = [sys.executable, "-m", "adapter", "export", "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    _compile(out / "cql", out / "elm")
    catalog = load_catalog()
    libraries = [trial_library(trial, catalog, FhirVersion.R4) for trial in catalog.trials]
    return Workload(
        "full",
        f"{len(libraries)} trials, the CQL of `trial-adapter export`",
        (shipped("trials"),),
        (shipped("mappings"),),
        out / "elm",
        out / "cql",
        _asked(catalog, libraries),
        tuple(path.stem for path in sorted((out / "elm").glob("*.json"))),
    )


def _asked(catalog: Catalog, libraries: list[CqlLibrary]) -> dict[str, tuple[str, ...]]:
    """Give the atoms to ask of each library: all that CQL says, but for those that repeat another criterion."""
    return {
        library.name: tuple(
            atom.id
            for criterion in trial.criteria
            for atom in criterion.atoms
            if atom.id not in library.unsaid and not isinstance(atom.kind, SameAs)
        )
        for trial, library in zip(catalog.trials, libraries, strict=True)
    }


def simple(work: Path) -> Workload:
    """Give the twelve criteria that every peer can say: our trial file and one CQL text by hand."""
    elm = work / "simple" / "elm"
    _compile(SIMPLE, elm)
    trials, mappings = (SIMPLE / "simple.yaml",), (shipped("mappings"), SIMPLE / "mappings.yaml")
    (trial,) = load_catalog(trials, mappings).trials
    atoms = tuple(atom.id for criterion in trial.criteria for atom in criterion.atoms)
    title = f"{len(atoms)} criteria, `benchmarks/peers/simple/Simple.cql`"
    return Workload("simple", title, trials, mappings, elm, SIMPLE, {"Simple": atoms}, ("FHIRHelpers", "Simple"))


def _compile(cql: Path, elm: Path) -> None:
    """Compile a folder of CQL, unless what is there is newer than the text: the mappings take a quarter of a minute."""
    texts = list(cql.glob("*.cql"))
    made = [elm / f"{text.stem}.json" for text in texts]
    newest = max(text.stat().st_mtime for text in texts)
    if all(each.is_file() and each.stat().st_mtime > newest for each in made):
        return
    node = shutil.which("node")
    if node is None:
        sys.exit("Node is needed to compile the CQL")
    done = subprocess.run([node, str(_COMPILE), str(cql), str(elm)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"the CQL in {cql} does not compile: {done.stderr}")


def write_ask(workload: Workload, patients: list[Patient], as_of: str, work: Path) -> Path:
    """Write what an engine is told when it is started."""
    ask = {
        "as_of": as_of,
        "patients": [str(each.path) for each in patients],
        "trials": [str(each) for each in workload.trials],
        "mappings": [str(each) for each in workload.mappings],
        "elm": str(workload.elm),
        "cql": str(workload.cql),
        "libraries": workload.libraries,
        "all": workload.all,
        "defines": workload.defines,
    }
    file = work / f"ask-{workload.name}.json"
    file.write_text(json.dumps(ask, indent=1), encoding="utf-8")
    return file
