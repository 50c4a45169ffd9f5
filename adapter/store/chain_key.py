"""The key of the audit chain: who may write the database, and has not the key, cannot write a row that holds."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import msgspec
from sqlalchemy import Engine

from adapter.errors import AdapterError, Category

OPTION = "audit_keys"
"""The execution option of an engine that carries its keys to every transaction."""
_BYTES = 32


class ChainKeys(msgspec.Struct, frozen=True):
    """The keys of a chain; the first writes, the others are those that wrote before."""

    keys: tuple[bytes, ...]

    @property
    def first(self) -> bytes:
        """The key that writes."""
        return self.keys[0]

    @property
    def prints(self) -> tuple[str, ...]:
        """What tells the keys apart and gives none away."""
        return tuple(hmac.new(each, b"audit chain", hashlib.sha256).hexdigest()[:16] for each in self.keys)

    def signs(self, digest: str, made: Callable[[bytes], str]) -> bool:
        """Whether a digest was made with one of the keys."""
        return any(hmac.compare_digest(digest, made(key)) for key in self.keys)


def read_chain_keys(path: Path) -> ChainKeys:
    """Read a file of keys, 32 bytes in base64 each, one a line; raises AdapterError and never quotes the file."""
    try:
        lines = path.read_text(encoding="ascii").split()
        keys = tuple(base64.b64decode(each, validate=True) for each in lines)
    except (OSError, UnicodeDecodeError, binascii.Error):
        keys = ()
    if not keys or any(len(each) != _BYTES for each in keys):
        said = "the file of audit_key_file must hold 32 bytes in base64 a line: openssl rand -base64 32"
        raise AdapterError.of(Category.NOT_FOUND, "audit-key", said)
    return ChainKeys(keys)


def use(engine: Engine, keys: ChainKeys) -> None:
    """Write and verify the chain of this engine with keys from now on."""
    engine.update_execution_options(**{OPTION: keys})
