"""Is everything as the service needs it: each check on its own, so that one broken thing does not hide the next.

No setting's value, no address, no secret and nothing of a patient is in what is said: settings go by their names.
"""

import enum
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from adapter.errors import AdapterError, one_line


class Level(enum.IntEnum):
    """How bad it is."""

    OK = 0
    WARNING = 1
    FAULT = 2

    @property
    def word(self) -> str:
        """The level in small letters."""
        return self.name.lower()


class Checked(msgspec.Struct, frozen=True):
    """What one check found, and what to do about it."""

    check: str
    level: Level
    said: str
    todo: str = ""


class Definitions(msgspec.Struct, frozen=True):
    """Which trials and mappings are meant, as ``serve`` is told."""

    trials: tuple[Path, ...] = ()
    mappings: tuple[Path, ...] = ()
    site: Path | None = None


class Asked(msgspec.Struct, frozen=True):
    """What is to be examined."""

    given: dict[str, object]
    """Settings given as arguments, as for ``serve``."""
    definitions: Definitions
    is_offline: bool = False
    """Whether nothing is asked over a network."""


Check = Callable[[], Iterable[Checked]]


def ok(check: str, said: str) -> Checked:
    """Make the line of something that is as it should be."""
    return Checked(check, Level.OK, said)


def warning(check: str, said: str, todo: str) -> Checked:
    """Make the line of something that works, and that a person should know."""
    return Checked(check, Level.WARNING, said, todo)


def fault(check: str, said: str, todo: str) -> Checked:
    """Make the line of something that stands in the way."""
    return Checked(check, Level.FAULT, said, todo)


def examine(asked: Asked) -> Iterator[Checked]:
    """Check everything, one after the other; raises nothing."""
    from adapter.service.doctor_definitions import check_definitions  # noqa: PLC0415 (each check loads what it needs)
    from adapter.service.doctor_files import (  # noqa: PLC0415 (the same)
        check_files,
        check_storage,
        check_tls,
        check_tokens,
    )
    from adapter.service.doctor_port import check_port  # noqa: PLC0415 (the same)
    from adapter.service.doctor_settings import best_settings, check_settings  # noqa: PLC0415 (the same)
    from adapter.service.doctor_store import check_store  # noqa: PLC0415 (the same)
    from adapter.service.doctor_target import check_target  # noqa: PLC0415 (the same)

    yield from guarded("settings", lambda: check_settings(asked.given))
    settings = best_settings(asked.given)
    yield from guarded("files", lambda: check_files(settings))
    yield from guarded("storage", lambda: check_storage(settings))
    yield from guarded("tokens", lambda: check_tokens(settings))
    yield from guarded("tls", lambda: check_tls(settings))
    yield from guarded("database", lambda: check_store(settings))
    yield from guarded("port", lambda: check_port(settings))
    yield from guarded("target", lambda: check_target(settings, is_offline=asked.is_offline))
    yield from guarded("definitions", lambda: check_definitions(asked.definitions))


def guarded(name: str, check: Check) -> Iterator[Checked]:
    """Run one check; what stops it is what it found."""
    try:
        yield from check()
    except AdapterError as error:
        for issue in error.issues:
            yield fault(name, one_line(issue.message), f"see docs/operations.md; the code is {issue.code}")
    except Exception as error:  # noqa: BLE001 (whatever is broken, the other checks are still wanted)
        kind = type(error).__name__
        yield fault(name, f"this could not be checked ({kind})", "look at it by hand; please report this as a defect")


def worst(found: Iterable[Checked]) -> Level:
    """Give the worst level there is."""
    return max((each.level for each in found), default=Level.OK)
