"""A client that is known, and why somebody is not."""

import msgspec

from adapter.service.access_file import Right


class Client(msgspec.Struct, frozen=True):
    """One client, by the name its site gave it."""

    name: str
    scopes: frozenset[Right]
    tenant: str = ""
    within: str = ""
    """The addresses it may ask; empty: all."""
    quarantine: bool = False

    def may_ask(self, path: str) -> bool:
        """Whether an address is among those it may ask."""
        return not self.within or path == self.within or path.startswith(f"{self.within.rstrip('/')}/")


class NotKnown(Exception):  # noqa: N818 (it says what is so)
    """Nobody is known by what was shown; ``reason`` is for log and audit, never for who asked."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
