"""Have atheris ask one entry point for some time: it sees what code a document reaches, and seeks what reaches more.

    python tests/fuzz/run.py TARGET [--seconds 60]

Ends with 1 at the first exception; the document that did it is written beside, as ``crash-...``.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]


def main() -> None:
    """Ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        import atheris  # noqa: PLC0415 (not for every platform)
    except ImportError:
        sys.stdout.write("skipped: atheris is not installed (pip install atheris; Linux, Python 3.11 to 3.13)\n")
        return
    with atheris.instrument_imports(include=["adapter"]):
        from fuzz import targets  # noqa: PLC0415 (what is imported here is watched)
    from fuzz.mutants import broken, samples  # noqa: PLC0415 (after the path)

    target = targets.TARGETS[options.target]
    as_json = targets.is_json(options.target)

    def mutated(data: bytes, limit: int, seed: int) -> Any:  # noqa: ANN401 (atheris' own)
        by = random.Random(seed)  # noqa: S311 (it breaks, it keeps no secret)
        tree = targets.parsed(data) if as_json and by.random() < 0.7 else None
        if isinstance(tree, dict | list) and tree:
            made = json.dumps(broken(tree, by)).encode("utf-8", "replace")
            if len(made) <= limit:
                return made
        return atheris.Mutate(data, limit)

    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch)
        for number, seed in enumerate(targets.seeds(options.target, samples())):
            (corpus / f"seed-{number}").write_bytes(seed)
        flags = [f"-max_total_time={options.seconds}", f"-seed={options.seed}", "-max_len=65536", "-timeout=20"]
        flags += ["-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"]
        atheris.Setup([sys.argv[0], str(corpus), *flags], target, custom_mutator=mutated)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
