"""How a body stands in the database: packed, and sealed where the site gave a key."""

from adapter.store.packed import packed, unpacked
from adapter.store.sealing import SEALED, Sealer


def closed(sealer: Sealer, name: str, data: bytes) -> bytes:
    """Give data as it is kept under a name."""
    made = packed(data)
    return sealer.seal(name, made) if sealer.seals else made


def opened(sealer: Sealer, name: str, data: bytes) -> bytes:
    """Give back what was kept under a name, also from before there was a key; raises AdapterError without its key."""
    return unpacked(sealer.open(name, data) if data.startswith(SEALED) else data)
