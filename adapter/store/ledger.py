"""What was received and what was answered: each message once, however often and however parallel it comes."""

import datetime
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Self

import msgspec
from sqlalchemy import Engine, Row, bindparam, delete, insert, null, select, text, update

from adapter.errors import AdapterError, Category
from adapter.store.bodies import closed, opened
from adapter.store.chain import AuditRow, first_broken
from adapter.store.database import open_engine
from adapter.store.prepared import Prepared
from adapter.store.reading import reading
from adapter.store.room import Waiting, counted
from adapter.store.sealing import Sealer
from adapter.store.tables import audit_head, receipt, receipt_lane, stored
from adapter.store.tally import Tally
from adapter.store.writer import Step, Writer

__all__ = ["AuditRow", "Delivery", "KeyReused", "Receipt", "Replayed", "Reply", "Store", "verify_audit"]

_LEASE = datetime.timedelta(seconds=30)
"""How long a claim holds if its process dies unseen; longer than any evaluation may take."""
_POLL_S = 0.1
_HEADERS = msgspec.json.Decoder(tuple[tuple[str, str], ...])
# Made once: to build a statement takes longer than to run it.
_NEW = Prepared(
    text(
        "INSERT INTO receipt (client, key, digest, received, owner, lease_until)"
        " VALUES (:client, :key, :digest, :received, :owner, :lease_until) ON CONFLICT DO NOTHING"
    )
)
_AT = (receipt.c.client == bindparam("at_client")) & (receipt.c.key == bindparam("at_key"))
_FIND = select(receipt).where(_AT).with_for_update()
_FIND_KEPT = select(receipt).where(_AT)
_OURS = _AT & (receipt.c.owner == bindparam("at_owner")) & receipt.c.status.is_(None)
_TAKE_OVER = update(receipt).where(_AT)
_ANSWER = Prepared(
    update(receipt)
    .where(_OURS)
    .values(
        owner=null(),
        status=bindparam("status"),
        media_type=bindparam("media_type"),
        body=bindparam("body"),
        headers=bindparam("headers"),
    )
)
_LANE = Prepared(insert(receipt_lane))
_RELEASE = delete(receipt).where(_OURS)
_AWAY, _BACK = (update(audit_head).values(seq=audit_head.c.seq + by) for by in (1, -1))
_HERE = set[str]()
"""The stores open in this process, by their owner's name."""


class Receipt(msgspec.Struct, frozen=True):
    """What was received, once: who sent it, under which key, and the SHA-256 of its bytes."""

    client: str
    key: str
    digest: str
    received: datetime.datetime
    job: str = ""
    """The job it is done as; the key was held for it since it was queued."""


class Reply(msgspec.Struct, frozen=True):
    """What was answered, to be given again."""

    status: int
    media_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Delivery(msgspec.Struct, frozen=True):
    """One patient's resources, to be written to the FHIR server together."""

    lane: str
    """Opaque key of the patient; never an identifier."""
    resources: tuple[tuple[str, str, bytes], ...]
    """(type, id, JSON) in order: ResearchSubject, GuidanceResponse, Provenance, for each trial."""
    as_of: datetime.datetime
    source_time: datetime.datetime | None


class Beside(msgspec.Struct, frozen=True):
    """What is written with a reply of the patients it is about."""

    lanes: tuple[str, ...] = ()
    change: Callable[[Step], bool] | None = None
    """Writes what is kept of them; False where that is not any more what the reply rests on."""
    is_reply_kept: bool = True


class Replayed(msgspec.Struct, frozen=True):
    """The same was received before; this was the reply."""

    reply: Reply


class KeyReused(msgspec.Struct, frozen=True):
    """The key was used before, for something else."""


class _Twin(msgspec.Struct, frozen=True):
    """Another process evaluates the same."""


class _Claim:
    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.ended = threading.Event()


class Store:
    """The durable store, used by many threads; several processes may share one database."""

    sealer = Sealer()
    """Seals what is kept of patients; whoever serves sets the site's."""

    def __init__(self, engine: Engine, now: Callable[[], datetime.datetime]) -> None:
        self.engine = engine
        self.now = now
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
        self.writer = Writer(engine)
        self.tally = Tally()
        self.in_hand = set[int]()
        """The deliveries that this process is sending."""
        self._claims: dict[tuple[str, str], _Claim] = {}
        self._lock = threading.Lock()
        _HERE.add(self.owner)

    @classmethod
    def open(cls, url: str, now: Callable[[], datetime.datetime]) -> Self:
        """Open ``sqlite:///FILE`` or ``postgresql+psycopg://...``; raises AdapterError."""
        return cls(open_engine(url), now)

    def claim(self, receipt: Receipt, wait_s: float) -> Replayed | KeyReused | None:
        """Say whether this is ours to evaluate (None); a twin waits for the first and gets its reply.

        Raises AdapterError (BUSY) where the first has not ended within ``wait_s``.
        """
        place = (receipt.client, receipt.key)
        until = time.monotonic() + wait_s
        while True:
            with self._lock:
                claim = self._claims.get(place)
                mine = claim is None
                if claim is None:
                    claim = self._claims[place] = _Claim(receipt.digest)
            if not mine:
                if claim.digest != receipt.digest:
                    return KeyReused()
                claim.ended.wait(max(0, until - time.monotonic()))
            else:
                try:
                    answer = self.writer.run(lambda step: self._claimed(step, receipt))
                except BaseException:
                    self._end(place)
                    raise
                if answer is None:
                    return None
                self._end(place)
                if not isinstance(answer, _Twin):
                    return answer
                time.sleep(min(_POLL_S, max(0, until - time.monotonic())))
            if time.monotonic() >= until:
                said = "the same message is being evaluated; send it again later"
                raise AdapterError.of(Category.BUSY, "twin-in-work", said)

    def commit(
        self,
        receipt: Receipt,
        reply: Reply,
        audit: AuditRow,
        deliveries: Sequence[Delivery],
        beside: Beside | None = None,
    ) -> bool:
        """Write what was received, answered, done and is to be delivered in one transaction; raises AdapterError.

        Durable when it returns.  If it raises, nothing is written and the claim is given up.  False: nothing is
        written, since what is kept of the patients has changed meanwhile; the claim holds, to evaluate it again.
        """
        rows = [_row(each, stored(self.now()), self.sealer) for each in deliveries]
        reply = msgspec.structs.replace(
            reply, body=closed(self.sealer, reply_name(receipt.client, receipt.key), reply.body)
        )  # here, and not in the thread of all
        try:
            is_done = self.writer.run(
                lambda step: self._committed(step, receipt, reply, audit, rows, beside or Beside())
            )
        except BaseException:
            self.release(receipt)
            raise
        if is_done:
            self._end((receipt.client, receipt.key))
        return is_done

    def release(self, receipt: Receipt) -> None:
        """Give up a claim: the evaluation failed, and the next twin may try."""
        try:
            self.writer.run(lambda step: step.execute(_RELEASE, self._at(receipt)))
        except AdapterError:
            pass  # The database is away; the lease ends by itself.
        finally:
            self._end((receipt.client, receipt.key))

    def reply(self, client: str, key: str) -> Reply | None:
        """Give what a message was answered with; None where it was not, or is not kept any more."""
        with reading(self.engine) as connection:
            found = connection.execute(_FIND_KEPT, {"at_client": client, "at_key": key}).one_or_none()
        is_kept = found is not None and found.status is not None and found.body is not None
        return self._replied(found) if found is not None and is_kept else None

    def waiting(self, deliveries: int, messages: int) -> Waiting:
        """Count what waits to be delivered and to be answered, up to one more than each; raises AdapterError."""
        return counted(self.engine, deliveries, messages)

    def record(self, audit: AuditRow) -> None:
        """Write an audit row that belongs to no receipt, such as a refused access."""
        self.writer.run(lambda step: step.chain.add(audit))

    def healthy(self) -> bool:
        """Whether the database takes a write."""
        try:
            self.writer.run(_touched)
        except AdapterError:
            return False
        return True

    def close(self) -> None:
        """Commit what waits and close the database."""
        self.writer.close()
        _HERE.discard(self.owner)
        self.engine.dispose()

    def is_dead(self, owner: str) -> bool:
        """Whether an owner was a process of this machine that is gone."""
        if owner == self.owner or owner in _HERE:
            return False
        host, pid, _ = owner.rsplit(":", 2)
        if host != socket.gethostname():
            return False
        if int(pid) == os.getpid():
            return True
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def _end(self, place: tuple[str, str]) -> None:
        with self._lock:
            claim = self._claims.pop(place, None)
        if claim is not None:
            claim.ended.set()

    def _at(self, asked: Receipt) -> dict[str, str]:
        return {"at_client": asked.client, "at_key": asked.key, "at_owner": self.owner}

    def _claimed(self, step: Step, asked: Receipt) -> Replayed | KeyReused | _Twin | None:
        now = self.now()
        claim = {
            "digest": asked.digest,
            "received": stored(asked.received),
            "owner": self.owner,
            "lease_until": stored(now + _LEASE),
        }
        if step.execute(_NEW, {"client": asked.client, "key": asked.key, **claim}) == 1:
            return None
        at = {"at_client": asked.client, "at_key": asked.key}
        found = step.connection.execute(_FIND, at).one_or_none()
        if found is None:
            return _Twin()  # Given up by another process just now: it is tried again.
        is_ours = found.owner == held_for(asked.job)
        if found.status is None and (is_ours or found.lease_until <= stored(now) or self.is_dead(found.owner)):
            # Never answered: whoever claimed it is gone, and so is what it was claimed for.
            step.execute(_TAKE_OVER.values(**claim), at)
            return None
        if found.digest != asked.digest:
            return KeyReused()
        if found.status is None:
            return _Twin()
        if found.body is None:
            # Its reply was not kept: it is evaluated again, under the same key.
            step.execute(_TAKE_OVER.values(**claim, status=None), at)
            return None
        return Replayed(self._replied(found))

    def _replied(self, found: Row[Any]) -> Reply:
        body = opened(self.sealer, reply_name(found.client, found.key), bytes(found.body))
        return Reply(found.status, found.media_type, body, _HEADERS.decode(found.headers))

    def _committed(
        self,
        step: Step,
        received: Receipt,
        reply: Reply,
        audit: AuditRow,
        rows: Sequence[dict[str, object]],
        beside: Beside,
    ) -> bool:
        if beside.change is not None and not beside.change(step):
            return False
        values = {
            **self._at(received),
            "status": reply.status,
            "media_type": reply.media_type,
            "body": reply.body if beside.is_reply_kept else None,
            "headers": msgspec.json.encode(reply.headers),
        }
        if step.execute(_ANSWER, values) != 1:
            said = "the claim was given to another process meanwhile; send the message again"
            raise AdapterError.of(Category.CONFLICT, "claim-lost", said)
        if beside.lanes and beside.is_reply_kept:
            at = {"client": received.client, "key": received.key}
            _LANE.run_each(step.connection, [{**at, "lane": each} for each in dict.fromkeys(beside.lanes)])
        step.chain.add(audit)
        step.deliver(rows)
        return True


def _touched(step: Step) -> None:
    """Write what was there: on a full disk a transaction begins, and ends, as long as it has nothing to write."""
    for each in (_AWAY, _BACK):
        step.execute(each, {})


def verify_audit(store: Store) -> int | None:
    """Give the place of the first audit row that was changed, added or taken away; None where all hold."""
    with store.engine.connect().execution_options(reads=True) as connection:
        return first_broken(connection)


def reply_name(client: str, key: str) -> str:
    """Give the name under which a reply is sealed."""
    return f"reply|{client}|{key}"


def held_for(job: str) -> str:
    """Give the owner of a receipt whose message waits to be done as a job: no process, so it dies with none."""
    return f"later:0:{job}"


def _row(delivery: Delivery, now: int, sealer: Sealer) -> dict[str, object]:
    bodies = [(type_, id_, msgspec.Raw(body)) for type_, id_, body in delivery.resources]
    return {
        "lane": delivery.lane,
        "state": "pending",
        "attempts": 0,
        "next_at": now,
        "as_of": stored(delivery.as_of),
        "source_time": None if delivery.source_time is None else stored(delivery.source_time),
        "created": now,
        "names": msgspec.json.encode([(type_, id_) for type_, id_, _ in delivery.resources]),
        "resources": closed(sealer, f"outbox|{delivery.lane}", msgspec.json.encode(bodies)),
    }
