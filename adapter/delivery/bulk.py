"""Fetches a FHIR Bulk Data export: kick-off, waiting, files, and going on where an earlier run stopped.

Source: HL7 Bulk Data Access IG 2.0 (http://hl7.org/fhir/uv/bulkdata/export.html).  What the server names is followed on
its own origin only, or on one that was allowed; the token goes to the server alone, and only where it asks for one.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from adapter.delivery.bulk_file import Wanted, download
from adapter.delivery.client import Answer, AnswerLost, Client, origin_of
from adapter.delivery.outcome import refusal
from adapter.errors import AdapterError, Category, Issue, Severity, one_line
from adapter.outputs import Folder

STATE = ".fetch"
"""The file of the folder that says how far a fetch is."""
NDJSON = "application/fhir+ndjson"
_ACCEPTED, _OK, _GONE = 202, 200, (404, 410)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 2.0, 60.0
_LONGEST_ASKED_S = 3600.0
"""A server may ask for long waits: an export of a hospital takes hours."""


class Asked(msgspec.Struct, frozen=True):
    """What is to be exported."""

    server: str
    group: str | None = None
    """Of this Group; of all patients where none is named."""
    types: tuple[str, ...] = ()
    since: str | None = None

    def path(self) -> str:
        """Give the kick-off request."""
        scope = f"Group/{self.group}/$export" if self.group is not None else "Patient/$export"
        query = {"_outputFormat": NDJSON}
        if self.types:
            query["_type"] = ",".join(self.types)
        if self.since is not None:
            query["_since"] = self.since
        return f"{scope}?{urlencode(query)}"


class State(msgspec.Struct):
    """How far a fetch is, as it stands in the folder."""

    asked: Asked
    status_url: str | None = None
    transaction_time: str | None = None
    needs_token: bool = True
    files: list[Wanted] = msgspec.field(default_factory=list)
    done: dict[str, int] = msgspec.field(default_factory=dict)
    """By file name: how many lines it has."""
    is_complete: bool = False


class Fetched(msgspec.Struct, frozen=True):
    """What a fetch brought."""

    files: int
    lines: int
    resumed: int
    """Files that an earlier run had brought."""
    errors: int
    """Lines in files of errors that the server reports."""
    transaction_time: str | None


class Fetch:
    """One export into one folder."""

    def __init__(
        self,
        client: Client,
        asked: Asked,
        folder: Folder,
        *,
        also_from: Sequence[str] = (),
        sleep: Callable[[float], None] = time.sleep,
        keep: bool = False,
    ) -> None:
        """``also_from`` are origins beside the server's that files may come from; they never get the token."""
        self._client = client
        self._folder = folder
        self._allowed = {origin_of(each) for each in also_from}
        self._sleep = sleep
        self._keep = keep
        self._state = self._read_state(asked)

    def run(self) -> Fetched:
        """Fetch what is not there yet; raises AdapterError, and a later run goes on from where it stopped."""
        state = self._state
        resumed = len(state.done)
        if not state.is_complete:
            if state.status_url is None and not state.files:
                self._kick_off()
            if not state.files and state.status_url is not None:
                self._wait()
            for wanted in state.files:
                if wanted.name not in state.done:
                    self._bring(wanted)
            self._end()
        errors = sum(count for name, count in state.done.items() if name.endswith(".errors"))
        whole = sum(count for name, count in state.done.items() if ".ndjson" in name)
        return Fetched(len(state.files), whole, resumed, errors, state.transaction_time)

    def _read_state(self, asked: Asked) -> State:
        path = self._folder.path / STATE
        try:
            state = msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            if any(self._folder.path.iterdir()):
                said = "the folder of --out is not empty, and no fetch was begun there; name an empty one"
                raise AdapterError.of(Category.CONFLICT, "not-empty", said) from None
            return State(asked)
        except (OSError, msgspec.DecodeError):
            said = f"{STATE} in the folder of --out cannot be read; name an empty folder"
            raise AdapterError.of(Category.MALFORMED, "fetch-state", said) from None
        if state.asked != asked:
            said = "another export was begun in this folder; name another folder, or ask for the same"
            raise AdapterError.of(Category.CONFLICT, "other-fetch", said)
        return state

    def _save(self) -> None:
        self._folder.write(STATE, msgspec.json.format(msgspec.json.encode(self._state), indent=1))

    def _kick_off(self) -> None:
        answer = self._client.read(self._state.asked.path(), headers={"Prefer": "respond-async"})
        if answer.status != _ACCEPTED or not answer.content_location:
            raise refusal(answer, (), "the server does not begin the export")
        self._state.status_url = self._client.place_of(answer.content_location)
        self._save()

    def _wait(self) -> None:
        url, wait_s, last_said = self._state.status_url or "", _FIRST_WAIT_S, None
        while True:
            answer = self._polled(url)
            if answer.status == _OK:
                self._take(answer.body or {})
                return
            if answer.status != _ACCEPTED and not answer.is_busy:
                raise self._ended(answer)
            asked_s = answer.retry_after_s
            if asked_s is not None and asked_s > _LONGEST_ASKED_S:
                said = f"the server asks for a wait of {asked_s:.0f} s; run the same command again then, it goes on"
                raise AdapterError.of(Category.BUSY, "server-busy", said)
            if answer.progress and answer.progress != last_said:
                last_said = answer.progress
                self._client.tell(f"the server says: {one_line(answer.progress[:100])}")
            self._sleep(wait_s if asked_s is None else max(asked_s, 1))
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _polled(self, url: str) -> Answer:
        try:
            return self._client.write("GET", url, None, {"Accept": "application/json"})
        except AnswerLost as lost:
            self._client.tell(f"{lost.said}; asking again")
            return Answer(status=503)

    def _ended(self, answer: Answer) -> AdapterError:
        self._state.status_url = None
        self._save()
        if answer.status in _GONE:
            said = "the server knows nothing of this export any more; run the command again to begin anew"
            return refusal(answer, (), said)
        return refusal(answer, (), "the export failed on the server; run the command again to begin anew")

    def _take(self, manifest: dict[str, Any]) -> None:
        try:
            given = msgspec.convert(manifest, _Manifest)
        except msgspec.ValidationError:
            said = "the server's manifest cannot be read: it is not what Bulk Data Access describes"
            raise AdapterError.of(Category.UNAVAILABLE, "manifest", said) from None
        state = self._state
        state.transaction_time = given.transaction_time
        state.needs_token = given.requires_access_token
        state.files = list(_named(given))
        for each in state.files:
            self._check_place(each.url)
        self._save()

    def _check_place(self, url: str) -> None:
        if origin_of(url) != origin_of(self._client.server.url) and origin_of(url) not in self._allowed:
            scheme, host, port = origin_of(url)
            said = (
                f"the server's files lie at {scheme}://{one_line(host)}:{port}; if they may be fetched from there, "
                "name it with --also-from"
            )
            raise AdapterError.of(Category.FORBIDDEN, "other-origin", said)

    def _bring(self, wanted: Wanted) -> None:
        is_own = origin_of(wanted.url) == origin_of(self._client.server.url)
        lines = download(self._client, wanted, self._folder, with_token=self._state.needs_token and is_own)
        if wanted.count is not None and wanted.count != lines:
            said = f"the server announced {wanted.count} lines and sent {lines}; run the command again"
            raise AdapterError(Category.UNAVAILABLE, [Issue(Severity.ERROR, "lines-missing", said, file=wanted.name)])
        self._state.done[wanted.name] = lines
        self._save()
        self._client.tell(f"{wanted.name}: {lines} lines ({len(self._state.done)} of {len(self._state.files)} files)")

    def _end(self) -> None:
        """Let the server delete what it made; that it cannot is no failure of ours."""
        self._state.is_complete = True
        self._save()
        if self._keep or self._state.status_url is None:
            return
        try:
            answer = self._client.write("DELETE", self._state.status_url, None, {})
        except AnswerLost:
            self._client.tell("the export could not be deleted on the server; it may do so by itself")
            return
        if not answer.is_success and answer.status not in _GONE:
            self._client.tell(f"the server did not delete the export (HTTP {answer.status})")


class _Output(msgspec.Struct):
    url: str
    type: str = "OperationOutcome"
    count: int | None = None


class _Manifest(msgspec.Struct, rename="camel"):
    transaction_time: str
    requires_access_token: bool
    output: list[_Output]
    error: list[_Output] = []
    deleted: list[_Output] = []


def _named(manifest: _Manifest) -> Iterator[Wanted]:
    """Name each file by its type and number; what the server calls it decides nothing on our disk."""
    for ending, outputs in (("ndjson", manifest.output), ("errors", manifest.error), ("deleted", manifest.deleted)):
        numbers: dict[str, int] = {}
        for each in outputs:
            if not (each.type.isascii() and each.type.isalpha()):
                raise AdapterError.of(Category.UNAVAILABLE, "manifest", "the server's manifest has a type that is none")
            numbers[each.type] = number = numbers.get(each.type, 0) + 1
            yield Wanted(f"{each.type}.{number:03d}.{ending}", each.url, each.count)
