"""The verb ``doctor``: is everything as the service needs it, and what to do where it is not."""

import argparse
import json
import sys
import unicodedata
from collections.abc import Iterable

from adapter import __version__
from adapter.service.doctor import Asked, Checked, Definitions, Level, examine, worst

EXIT = {Level.OK: 0, Level.WARNING: 3, Level.FAULT: 1}


def run(options: argparse.Namespace) -> int:
    """Examine, say what was found, and give the exit code: 0 all well, 3 warnings, 1 faults."""
    given = {name: getattr(options, name, None) for name in ("host", "port", "database", "target")}
    definitions = Definitions(tuple(options.trials), tuple(options.mappings), options.site)
    told = {name: value for name, value in given.items() if value is not None}
    asked = Asked(told, definitions, is_offline=options.offline)
    if options.json:
        found = list(examine(asked))
        sys.stdout.write(f"{json.dumps(_document(found), indent=2)}\n")
        return EXIT[worst(found)]
    found = []
    for each in examine(asked):
        found.append(each)
        _say(each)
    sys.stdout.write(f"{_total(found)}\n")
    return EXIT[worst(found)]


def _say(each: Checked) -> None:
    """Write one line, and below it what to do."""
    sys.stdout.write(f"{each.level.word:<7}  {each.check}: {_shown(each.said)}\n")
    if each.todo:
        sys.stdout.write(f"         -> {_shown(each.todo)}\n")
    sys.stdout.flush()


def _shown(text: str) -> str:
    """Give text that commands no terminal."""
    return "".join(each if unicodedata.category(each)[0] != "C" else "?" for each in text)


def _total(found: Iterable[Checked]) -> str:
    levels = [each.level for each in found]
    faults, warnings = levels.count(Level.FAULT), levels.count(Level.WARNING)
    return f"{len(levels)} checks: {faults} faults, {warnings} warnings"


def _document(found: Iterable[Checked]) -> dict[str, object]:
    found = list(found)
    checks = [{"check": each.check, "level": each.level.word, "said": each.said, "todo": each.todo} for each in found]
    return {"version": __version__, "level": worst(found).word, "checks": checks}
