"""One file of a Bulk Data export, from the server to the disk: whole or not at all, and counted."""

import time
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import msgspec

from adapter.delivery.client import Client
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.outputs import Folder

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 20
_CONNECT_S = 10
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNAUTHORISED, _OK = 401, 200
_GZIP = 31


class Wanted(msgspec.Struct, frozen=True):
    """One file that is to be fetched."""

    name: str
    """On our disk."""
    url: str
    count: int | None = None
    """How many lines the server announces."""


class _Again(Exception):  # noqa: N818 (it says what to do)
    """Try again: the server is busy, or the connection broke."""

    def __init__(self, said: str, asked_s: float | None = None) -> None:
        self.said = said
        self.asked_s = asked_s
        super().__init__(said)


def download(client: Client, wanted: Wanted, folder: Folder, *, with_token: bool) -> int:
    """Fetch one file and say how many lines it has; raises AdapterError, and leaves nothing half written.

    It is kept as gzip where the server sends it so.
    """
    for attempt in range(1, client.patience.attempts + 1):
        try:
            return _once(client, wanted, folder, with_token=with_token)
        except _Again as again:
            said = f"{again.said}; run the same command again, it goes on from here"
            error = AdapterError(Category.UNAVAILABLE, [Issue(Severity.ERROR, "download", said, file=wanted.name)])
            if attempt == client.patience.attempts:
                raise error from None
            client.wait(attempt, f"{wanted.name}: {again.said}", again.asked_s, error)
    raise AssertionError("at least one attempt is made")


def _once(client: Client, wanted: Wanted, folder: Folder, *, with_token: bool) -> int:
    import requests  # noqa: PLC0415 (heavy; only a fetch needs it)

    try:
        response = _asked(client, wanted, with_token=with_token)
        if response.status_code == _UNAUTHORISED and with_token and client.tokens is not None:
            response.close()
            client.tokens.forget()
            response = _asked(client, wanted, with_token=with_token)
        with response:
            _check(response, wanted)
            is_gzip = response.headers.get("Content-Encoding", "").strip().lower() == "gzip"
            counted = _Lines(is_gzip=is_gzip)
            name = f"{wanted.name}.gz" if is_gzip else wanted.name
            folder.fill(name, lambda stream: _pour(response, stream, counted))
            return counted.number
    except (requests.exceptions.RequestException, TimeoutError):
        raise _Again("the connection failed or was closed before the end") from None


def _asked(client: Client, wanted: Wanted, *, with_token: bool) -> "requests.Response":
    headers = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "gzip"}
    if with_token:
        headers |= client.authorization()
    timeout = (min(_CONNECT_S, client.server.timeout_s), client.server.timeout_s)
    return client.session.get(
        wanted.url,
        headers=headers,
        timeout=timeout,
        allow_redirects=False,
        verify=client.server.ca_bundle or True,
        stream=True,
    )


def _check(response: "requests.Response", wanted: Wanted) -> None:
    status = response.status_code
    if status in _BUSY:
        asked = response.headers.get("Retry-After", "")
        raise _Again(f"the server is busy (HTTP {status})", float(asked) if asked.isdecimal() else None)
    if status == _OK:
        return
    said = f"the server does not give the file (HTTP {status})"
    if 300 <= status < 400:  # noqa: PLR2004 (HTTP's own classes)
        said += ": it redirects, which is not followed"
    elif status in (_UNAUTHORISED, 403):
        said += ": check the credentials and their scope"
    else:
        said += "; the export may have expired: name an empty folder and begin anew"
    raise AdapterError(Category.UNAVAILABLE, [Issue(Severity.ERROR, "download", said, file=wanted.name)])


class _Lines:
    """Counts the lines of what passes, and sees whether it is complete."""

    def __init__(self, *, is_gzip: bool) -> None:
        self.number = 0
        self._unpack = zlib.decompressobj(_GZIP) if is_gzip else None
        self._ends_inside = False

    def add(self, data: bytes) -> None:
        """Take some bytes; raises _Again where they are no gzip."""
        for text in self._texts(data):
            self.number += text.count(b"\n")
            self._ends_inside = not text.endswith(b"\n")

    def _texts(self, data: bytes) -> Iterator[bytes]:
        if self._unpack is None:
            if data:
                yield data
            return
        while data:
            try:
                text = self._unpack.decompress(data, _CHUNK)
            except zlib.error:
                raise _Again("the file is damaged on its way") from None
            if text:
                yield text
            data = self._unpack.unconsumed_tail
            if self._unpack.eof and self._unpack.unused_data:
                data = self._unpack.unused_data
                self._unpack = zlib.decompressobj(_GZIP)

    def end(self) -> None:
        """Say that nothing more comes; raises _Again where something is missing."""
        if self._unpack is not None and not self._unpack.eof and (self.number or self._ends_inside):
            raise _Again("the file ends too early")
        self.number += self._ends_inside


def _pour(response: "requests.Response", stream: IO[bytes], counted: _Lines) -> None:
    """Write what comes as it comes: a connection that only trickles ends by the timeout between two reads."""
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 (comes with requests)

    announced = response.headers.get("Content-Length")
    size = 0
    began = time.monotonic()
    try:
        while data := response.raw.read(_CHUNK, decode_content=False):
            stream.write(data)
            counted.add(data)
            size += len(data)
    except HTTPError:
        raise _Again(f"the connection broke after {time.monotonic() - began:.0f} s") from None
    if announced is not None and announced.isdecimal() and int(announced) != size:
        raise _Again("the file ends too early")
    counted.end()
