"""What is kept of patients, so that who reads the disk does not read it: sealed where the site gave a key."""

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING

from adapter.errors import AdapterError, Category

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import aead

_PLAIN, SEALED = b"\x00", b"\x01"
"""How what is kept begins; no JSON, and nothing packed, begins as what is sealed."""
_KEY_BYTES = 32
_NONCE_BYTES = 12


class Sealer:
    """Seals what is kept under a name, and opens it again; without keys it is kept as it is."""

    def __init__(self, keys: tuple[bytes, ...] = ()) -> None:
        """Take the keys, each of 32 bytes: the first seals, all of them open."""
        self._keys: tuple[aead.AESGCM, ...] = ()
        if keys:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 (only with a key)

            self._keys = tuple(AESGCM(each) for each in keys)

    @classmethod
    def of(cls, path: Path | None) -> "Sealer":
        """Give the sealer of a key file: base64 of 32 bytes, one key a line; raises AdapterError."""
        if path is None:
            return cls()
        try:
            lines = path.read_text(encoding="ascii").split()
            keys = tuple(base64.b64decode(each, validate=True) for each in lines)
        except (OSError, UnicodeDecodeError, binascii.Error):
            keys = ()
        if not keys or any(len(each) != _KEY_BYTES for each in keys):
            said = "the file of storage_key_file has one key a line, made by: openssl rand -base64 32"
            raise AdapterError.of(Category.NOT_FOUND, "storage-key", said)
        return cls(keys)

    @property
    def seals(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def seal(self, name: str, data: bytes) -> bytes:
        """Give data as it is kept under a name; under another name it cannot be opened."""
        if not self._keys:
            return _PLAIN + data
        nonce = os.urandom(_NONCE_BYTES)
        return SEALED + nonce + self._keys[0].encrypt(nonce, data, name.encode())

    def open(self, name: str, data: bytes) -> bytes:
        """Give back what was sealed under this name; raises AdapterError where none of the keys opens it."""
        if data[:1] == _PLAIN:
            return data[1:]
        if self._keys:
            from cryptography.exceptions import InvalidTag  # noqa: PLC0415 (only with a key)

            nonce, sealed = data[1 : 1 + _NONCE_BYTES], data[1 + _NONCE_BYTES :]
            for each in self._keys:
                try:
                    return each.decrypt(nonce, sealed, name.encode())
                except InvalidTag:
                    continue
        said = "what is kept was sealed with a key that storage_key_file does not have (any more); put it back there"
        raise AdapterError.of(Category.UNAVAILABLE, "storage-key", said)
