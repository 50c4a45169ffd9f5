"""Bring one trial's resources on a server to what they should be: read, compare, write what differs, read again.

Every step begins with what the server holds now, so it does not matter why a step failed: a lost answer, another
exporter, a kill at any moment.  Whatever was done is found, whatever was not is done, and nothing is sent twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from adapter.delivery.capability import Capability
from adapter.delivery.client import Answer, AnswerLost, Client, busy, unreachable
from adapter.delivery.difference import differences
from adapter.delivery.identity import Name, Resource, is_another
from adapter.delivery.meaning import same_meaning
from adapter.delivery.outcome import is_located, refusal
from adapter.delivery.reading import Held, Reader
from adapter.delivery.references import in_order
from adapter.delivery.writing import Change, Writer, names_of
from adapter.errors import AdapterError, Category, Issue, Severity

_CONTENDED = frozenset({409, 412})
"""What a server answers when another has changed what was read a moment ago."""
_GONE = frozenset({404, 410})
"""The same, when another has removed it."""
_UNKNOWN = frozenset({502, 504})
"""A proxy lost the server's answer: the write may have taken place."""
_TOO_MANY = frozenset({400, 413, 422})
_SIZES = (50, 8)
"""What a transaction is divided into where the server refuses it whole; Medplum takes 50 updates, or 8 entries where
one is conditional."""
_NO_TRANSACTION = frozenset({405, 501})


class TrialReport(msgspec.Struct, frozen=True):
    """What was done for a trial, resource by resource."""

    created: tuple[Name, ...] = ()
    updated: tuple[Name, ...] = ()
    unchanged: tuple[Name, ...] = ()

    @property
    def written(self) -> int:
        """How many resources were written."""
        return len(self.created) + len(self.updated)


class Failure(msgspec.Struct, frozen=True):
    """A step that was not accepted: the error it becomes if it stays so, and what may be done about it."""

    error: AdapterError
    said: str
    is_passing: bool
    """Whether waiting may help: the server is busy, or another writes at the same time."""
    asked_s: float | None = None
    remedy: Callable[[], None] | None = None
    """Another way to send the same."""


class Exporter:
    """Brings trials to one server, one after the other."""

    def __init__(self, client: Client, capability: Capability, reader: Reader, writer: Writer) -> None:
        self._client = client
        self._reader = reader
        self._writer = writer
        self._size: int | None = None
        self._unfinished: set[Name] = set()
        self._transactions = capability.transaction
        if not self._transactions:
            self._tell_of_no_transactions()

    def changes(self, resources: Sequence[Resource]) -> list[Change]:
        """Give what must be written, in an order in which it can be; raises AdapterError on what is not ours there."""
        ordered = names_of(in_order(resources))
        return self._differing(ordered, self._reader.held(ordered))

    def bring(self, resources: Sequence[Resource]) -> TrialReport:
        """Write what differs until nothing does; raises AdapterError where that cannot be had."""
        open_ = self.changes(resources)
        self._writer.expect(names_of(resources))
        kind = {each.name: each.is_creation for each in open_}
        written: set[Name] = set()
        attempt = 0
        while open_:
            self._unfinished = set()
            accepted, lost, failure = self._write(open_)
            after = self._differing(*self._read_again(open_))
            still = {each.name for each in after}
            written |= accepted | (lost - still)
            done = accepted - self._unfinished
            self._warn_of_not_kept([each for each in after if each.name in done])
            after = [each for each in after if each.name not in done]
            if lost - still and failure is not None:
                self._client.tell(f"{failure.said}; read back, and it was written")
            if failure is not None and after:
                attempt = 0 if accepted else attempt + 1
                self._after(failure, attempt, moved=_versions(after) != _versions(open_))
            open_ = after
        return TrialReport(
            created=tuple(each for each in kind if kind[each] and each in written),
            updated=tuple(each for each in kind if not kind[each] and each in written),
            unchanged=tuple(each for each in names_of(resources) if each not in written),
        )

    def _read_again(self, changes: Sequence[Change]) -> tuple[dict[Name, Resource], dict[Name, Held]]:
        wanted = {each.name: each.resource for each in changes}
        return wanted, self._reader.held(wanted)

    def _differing(self, wanted: Mapping[Name, Resource], held: Mapping[Name, Held]) -> list[Change]:
        open_ = []
        for name, resource in wanted.items():
            there = held.get(name)
            if there is None:
                open_.append(Change(name, resource, None))
            elif not same_meaning(resource, there.resource):
                if is_another(resource, there.resource):
                    raise _taken(name)
                open_.append(Change(name, resource, there))
        return open_

    def _write(self, changes: Sequence[Change]) -> tuple[set[Name], set[Name], Failure | None]:
        """Send the changes, in one transaction where the server takes that; stop at the first that is not accepted."""
        accepted: set[Name] = set()
        for part in self._parts(changes):
            names = {each.name for each in part}
            try:
                answer = self._writer.transaction(part) if self._transactions else self._writer.alone(part[0])
            except AnswerLost as lost:
                return accepted, names, Failure(unreachable(lost.said), lost.said, is_passing=True)
            if not answer.is_success:
                return accepted, names if answer.status in _UNKNOWN else set(), self._failure(answer, part)
            self._unfinished |= self._writer.unfinished & names
            accepted |= names
        return accepted, set(), None

    def _parts(self, changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
        size = (self._size or len(changes)) if self._transactions else 1
        # Cut from the end: the last part is full, so that it holds the trial itself whole.
        ends = range(len(changes) % size or size, len(changes) + 1, size)
        yield from (changes[max(0, end - size) : end] for end in ends)

    def _failure(self, answer: Answer, part: Sequence[Change]) -> Failure:
        if answer.is_busy:
            said = f"the server is busy (HTTP {answer.status})"
            return Failure(busy(answer), said, is_passing=True, asked_s=answer.retry_after_s)
        error = refusal(answer, [each.resource for each in part], "the server refuses it")
        if self._transactions and answer.status in _NO_TRANSACTION:
            return Failure(error, "", is_passing=False, remedy=self._go_without_transactions)
        sizes = [size for size in _SIZES if size < len(part)]
        if self._transactions and answer.status in _TOO_MANY and sizes and not is_located(answer):
            return Failure(error, "", is_passing=False, remedy=partial(self._divide, sizes[0]))
        replaces = any(each.held is not None for each in part)
        passing = answer.status in _CONTENDED or (answer.status in _GONE and replaces)
        return Failure(error, f"another writes at the same time (HTTP {answer.status})", is_passing=passing)

    def _after(self, failure: Failure, attempt: int, *, moved: bool) -> None:
        """Wait, try another way, or give up; ``moved`` says that another has written in the meantime."""
        if failure.remedy is not None and not moved:
            failure.remedy()
        elif failure.is_passing or moved:
            if attempt >= self._client.patience.attempts:
                raise failure.error
            said = failure.said or "another writes at the same time"
            self._client.wait(attempt, said, failure.asked_s, failure.error)
        else:
            raise failure.error

    def _divide(self, size: int) -> None:
        self._size = size
        self._client.tell(
            f"the server does not take so many resources in one transaction; written in parts of {size},"
            " each after what it refers to"
        )

    def _go_without_transactions(self) -> None:
        self._transactions = False
        self._tell_of_no_transactions()

    def _tell_of_no_transactions(self) -> None:
        self._client.tell(
            "the server has no transactions: resources are written one by one, each after what it refers to;"
            " if the export stops midway, run it again"
        )

    def _warn_of_not_kept(self, changes: Sequence[Change]) -> None:
        for each in changes:
            if each.held is None:
                self._client.tell(f"warning: {each.name} was accepted but cannot be read back")
                continue
            first = differences(each.resource, each.held.resource)[0].lines()[0]
            self._client.tell(f"warning: {each.name} was accepted but the server holds something else: {first}")


def _versions(changes: Sequence[Change]) -> list[tuple[Name, str | None, str | None]]:
    return [(each.name, each.held.id if each.held else None, each.held.etag if each.held else None) for each in changes]


def _taken(name: Name) -> AdapterError:
    said = (
        "the server holds another resource under this id, with another url or identifier; it is not overwritten:"
        " delete it there, or export with --conditional"
    )
    return AdapterError(Category.CONFLICT, [Issue(Severity.ERROR, "id-taken", said, file=str(name))])
