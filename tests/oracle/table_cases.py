"""Compares the CQL with our findings on every case of ``tests/tables``, for who develops the CQL.

Usage: ``python tests/oracle/table_cases.py [--trial KEY] [--atom PATTERN] [--case PATTERN] [--show N] [--bundle]
[PATH ...]``; paths are files or folders of Bundles to ask instead.
"""

import argparse
import collections
import json
import sys
import tempfile
import time
from fnmatch import fnmatchcase
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
from cases import AS_OF, bundle_of, cases, catalog
from oracle.comparison import Compared, Oracle
from oracle.differences import hold, known
from oracle.engine import Question, why_not
from oracle.patients import of_document, of_files

from adapter.cql.trial import library_name


def questions() -> list[Question]:
    """Give every case of every table, to be asked of the trials whose atoms it names."""
    keys = [trial.key for trial in catalog().trials]
    found = []
    for name, case in cases():
        named = tuple(library_name(key) for key in keys if any(atom.startswith(f"{key}-") for atom in case["expect"]))
        data = json.dumps(bundle_of(case), default=str).encode()
        as_of = case.get("as_of", AS_OF)
        own = of_document(data, f"table/{name}")
        found.extend(msgspec.structs.replace(each, as_of=as_of, libraries=named or None) for each in own)
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trial", action="append", help="only these trials")
    parser.add_argument("--atom", default="*", help="only defines of this pattern")
    parser.add_argument("--case", default="*", help="only cases of this pattern")
    parser.add_argument("--as-of", default=AS_OF, help="the instant for paths; a table's case brings its own")
    parser.add_argument("--show", type=int, default=20, help="how many differences to show")
    parser.add_argument("--bundle", action="store_true", help="show each one's Bundle, too")
    parser.add_argument("paths", nargs="*", type=Path)
    return parser.parse_args()


def _report(found: list[Compared], asked: dict[str, Question], show: int, *, bundle: bool) -> None:
    held = hold(found, known())
    for each in held.unexplained[:show]:
        print(f"{each.define}: we say {each.ours}, CQL says {each.cql}\n    {each.case}")
        if bundle:
            print(json.dumps(asked[each.case].bundle, indent=1, ensure_ascii=False, default=str))
    by_define = collections.Counter(each.define for each in held.unexplained)
    if by_define:
        print("\nunexplained, by define:", ", ".join(f"{name} {count}" for name, count in by_define.most_common()))
    said = collections.Counter((each.ours, each.cql) for each in held.unexplained)
    for (ours, cql), count in said.most_common(12):
        print(f"  {count:6} we {ours}, CQL {cql}")
    pairs = sum(each.what == "atom" for each in found)
    print(f"{pairs} atom and patient pairs, {len(found)} comparisons: ", end="")
    print(f"{len(held.unexplained)} differ without a reason, {len(held.explained)} with one")


def main() -> int:
    """Compare, and say what differs; 1 if something does without a reason."""
    if why_not():
        print(why_not(), file=sys.stderr)
        return 2
    chosen = _arguments()
    trials = tuple(each for each in catalog().trials if not chosen.trial or each.key in chosen.trial)
    all_asked = of_files(chosen.paths, "file") if chosen.paths else questions()
    names = {library_name(each.key) for each in trials}
    asked = {
        each.case: each
        for each in all_asked
        if fnmatchcase(each.case, chosen.case) and (each.libraries is None or names.intersection(each.libraries))
    }
    with tempfile.TemporaryDirectory() as elm:
        began = time.monotonic()
        oracle = Oracle.of(catalog(), trials, Path(elm))
        compiled = time.monotonic()
        found = [each for each in oracle.compare(asked.values(), chosen.as_of) if fnmatchcase(each.define, chosen.atom)]
    _report(found, asked, chosen.show, bundle=chosen.bundle)
    took = time.monotonic() - compiled
    print(f"{len(asked)} patients; compiled in {compiled - began:.1f} s, asked in {took:.1f} s")
    return 1 if any(each.differs for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
