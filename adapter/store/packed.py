"""How much room do bodies take: results repeat themselves, and stand in the database at a tenth of their size."""

import zlib

_MARK = b"\x00z"
"""No JSON begins so: what was kept before bodies were packed is read as it is."""
_SMALL = 200
_LEVEL = 3
"""A quarter of a millisecond for the results of a patient; higher levels take thrice as long for a fifth less."""


def packed(data: bytes) -> bytes:
    """Give data as it is kept.

    >>> unpacked(packed(b"{}")), len(packed(b"{}" * 1000)) < 100
    (b'{}', True)
    """
    if len(data) < _SMALL and not data.startswith(_MARK):
        return data
    return _MARK + zlib.compress(data, _LEVEL)


def unpacked(data: bytes) -> bytes:
    """Give back what was packed, or what was kept before it was done."""
    return zlib.decompress(data[len(_MARK) :]) if data.startswith(_MARK) else data
