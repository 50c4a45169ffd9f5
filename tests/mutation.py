"""How many wrong versions of the judging and mapping code the tests notice.

Makes wrong versions with mutmut's operators, one at a time, in a copy of the project, and runs what the tests of
tables, sentences and verdicts assert, in one fast process; then, where these noticed nothing, the tests of reading
and of the samples.  Prints the share noticed, by module, and the survivors.

    python tests/mutation.py [--sample 600] [--seed 1] [--workers 2] [--only PATTERN]

With ``--paths`` it makes wrong versions of other modules, and asks the tests of ``--tests`` alone:

    python tests/mutation.py --paths adapter/store/ledger.py --tests tests/store/test_ledger.py
"""

import argparse
import difflib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MUTATED = ("adapter/eligibility", "adapter/mapping")
COPIED = ("adapter", "docs", "mappings", "sample_bundles", "tests", "trials", "pyproject.toml")
SLOWER = (
    "tests/test_reasons.py",
    "tests/reading/test_unreadable_parts.py",
    "tests/reading/test_unreadable_records.py",
    "tests/reading/test_references.py",
    "tests/reading/test_versions_of_fhir.py",
    "tests/reading/test_bundle_types.py",
    "tests/golden/test_golden.py",
)
"""Tests that are asked about what the fast ones did not notice."""
PATIENCE_S = 120


def wrong_versions(path: Path) -> list[Callable[[], str]]:
    """Give every wrong version of a module that mutmut can make, each to be written out when it is wanted."""
    from mutmut.mutation.file_mutation import create_mutations  # noqa: PLC0415 (the judge does not need it)

    module, mutations, _, _ = create_mutations(path.name, path.read_text(encoding="utf-8"))

    def written(mutation: Any) -> str:  # noqa: ANN401 (mutmut's own)
        return str(module.deep_replace(mutation.original_node, mutation.mutated_node).code)

    return [partial(written, mutation) for mutation in mutations]


def judge() -> int:
    """Assert what the tables, sentences and verdicts say; 1 at the first thing that is not so."""
    import json  # noqa: PLC0415 (the judge only)

    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "golden")]
    import test_sentences as sentences  # noqa: PLC0415 (needs the path above)
    import test_verdicts as verdicts  # noqa: PLC0415 (the same)

    cases = json.loads((ROOT / "cases.json").read_text(encoding="utf-8"))
    for table, named in cases.items():
        golden = (sentences.HERE / f"{table}.txt").read_text(encoding="utf-8")
        if sentences.written([(name, case) for name, case in named]) != golden:
            return 1
    for case in verdicts._cases():
        try:
            verdicts.test_the_trial_decides_as_the_table_says(*case.values)
        except AssertionError:
            return 1
    return 0


def copy_of_project(folder: Path) -> Path:
    """Copy what is needed to judge, with the cases read once."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(ROOT / name, folder / name)
    code = (
        "import sys, json; sys.path[:0] = ['.', 'tests', 'tests/golden']; import test_sentences as s; "
        "open('cases.json', 'w').write(json.dumps(s.tables()))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, env=_environment())
    return folder


def _environment() -> dict[str, str]:
    here = os.pathsep.join((".", "tests"))
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "PYTHONPATH": here}


def notices(folder: Path, tests: list[str]) -> bool:
    """Whether the tests notice the wrong version that stands in ``folder``; hanging is noticing."""
    pytest = ["-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *(tests or SLOWER)]
    for arguments in (pytest,) if tests else (["tests/mutation.py", "--judge"], pytest):
        command = [sys.executable, *arguments]
        try:
            done = subprocess.run(
                command, cwd=folder, env=_environment(), capture_output=True, timeout=PATIENCE_S, check=False
            )
        except subprocess.TimeoutExpired:
            return True
        if done.returncode != 0:
            return True
    return False


def _modules(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


def main() -> int:
    """Sample wrong versions, judge them side by side, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", action="store_true", help="run the assertions in this folder and nothing else")
    parser.add_argument("--sample", type=int, default=600, help="how many wrong versions to try; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="a pattern of module paths")
    parser.add_argument("--paths", nargs="+", default=[], help="modules or folders, instead of judging and mapping")
    parser.add_argument("--tests", nargs="+", default=[], help="the tests that are asked; needed with --paths")
    options = parser.parse_args()
    if options.judge:
        return judge()
    if bool(options.paths) != bool(options.tests):
        parser.error("--paths and --tests are given together: other tests know nothing of other modules")
    modules = [path for place in options.paths or MUTATED for path in _modules(ROOT / place)]
    chosen = [path for path in modules if re.search(options.only, path.as_posix())]
    versions = [(path, write) for path in chosen for write in wrong_versions(path)]
    print(f"{len(versions)} wrong versions of {len(chosen)} modules", flush=True)
    if options.sample and options.sample < len(versions):
        versions = random.Random(options.seed).sample(versions, options.sample)
    written = [(path, write()) for path, write in versions]
    survivors: list[tuple[Path, str]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folders: Queue[Path] = Queue()
        for number in range(options.workers):
            folders.put(copy_of_project(Path(scratch) / str(number)))
        clean = folders.get()
        if notices(clean, options.tests):
            print("the tests fail on the code as it is")
            return 1
        folders.put(clean)

        def survives(version: tuple[Path, str]) -> tuple[Path, str] | None:
            path, code = version
            folder = folders.get()
            place = folder / path.relative_to(ROOT)
            original = place.read_text(encoding="utf-8")
            place.write_text(code, encoding="utf-8")
            try:
                return None if notices(folder, options.tests) else version
            finally:
                place.write_text(original, encoding="utf-8")
                folders.put(folder)

        with ThreadPoolExecutor(options.workers) as pool:
            for number, survivor in enumerate(pool.map(survives, written), 1):
                if survivor is not None:
                    survivors.append(survivor)
                if number % 50 == 0:
                    print(f"{number} tried, {len(survivors)} not noticed", flush=True)
    report(written, survivors)
    return 0


def report(versions: list[tuple[Path, str]], survivors: list[tuple[Path, str]]) -> None:
    """Print the survivors' changes, then the shares by module and together."""
    for path, code in survivors:
        lines = difflib.unified_diff(path.read_text(encoding="utf-8").splitlines(), code.splitlines(), lineterm="", n=0)
        changes = [line for line in lines if line[:1] in "-+" and line[:3] not in ("---", "+++")]
        print(path.relative_to(ROOT).as_posix(), *changes, sep="\n    ")
    for path in sorted({path for path, _ in versions}):
        tried = sum(1 for each, _ in versions if each == path)
        left = sum(1 for each, _ in survivors if each == path)
        print(f"{path.relative_to(ROOT).as_posix()}: {tried - left} of {tried}")
    share = 100 * (len(versions) - len(survivors)) / max(len(versions), 1)
    print(f"noticed {len(versions) - len(survivors)} of {len(versions)} wrong versions, {share:.1f} %")


if __name__ == "__main__":
    sys.exit(main())
