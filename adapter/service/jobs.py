"""Does the messages that wait for an answer later, one after the other, in a thread and an event loop of its own."""

import asyncio
import datetime
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from adapter.delivery.backoff import Patience
from adapter.errors import AdapterError
from adapter.service.bundles import again
from adapter.service.exchange import Asker
from adapter.service.keys import Key
from adapter.service.later import asked_later
from adapter.service.outcomes import Refusal, defect
from adapter.service.serving import One, Service
from adapter.store.chain import AuditRow
from adapter.store.later import Job
from adapter.store.tables import moment

_ANSWER_S = 25
"""How long one evaluation may take; less than a claim holds."""
_PATIENCE = Patience(first_s=1, longest_s=300)
_GIVE_UP = datetime.timedelta(hours=24)
_ATTEMPTS_OF_A_DEFECT = 3
_ATTEMPTS_OF_THE_OLD = 2000
"""More than back-off makes in a day."""
_IDLE_S = 1.0
_CARE_EVERY_S = 15
_BUSY = 503


@contextmanager
def working(service: Service, days: int, stop_s: float) -> Iterator[None]:
    """Let a thread do what waits, and finish what it has begun."""
    stop = threading.Event()
    worker = Worker(service, datetime.timedelta(days=days))
    thread = threading.Thread(target=worker.run, args=(stop,), name="later")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        service.later.due.set()
        thread.join(stop_s)


class Worker:
    """Takes job after job, also those that a process left that died."""

    def __init__(self, service: Service, keep: datetime.timedelta) -> None:
        """``keep``: how long answers can be asked for."""
        self._service = msgspec.structs.replace(service, exchange=service.exchange.elsewhere(_ANSWER_S))
        self._jobs = service.later.jobs
        self._now = service.exchange.clock
        self._keep = keep
        self._due = service.later.due

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; what was begun is finished."""
        cared = float("-inf")
        with asyncio.Runner() as runner:
            while not stop.is_set():
                self._due.clear()
                try:
                    cared = self._care(cared)
                    if runner.run(self.do_one()):
                        continue
                except AdapterError:
                    pass  # the database is away; readiness says so
                except Exception:  # noqa: BLE001 (a row that cannot be read must not end the thread that does all others)
                    self._service.metrics.later.labels("defect").inc()
                self._due.wait(_IDLE_S)

    async def do_one(self) -> bool:
        """Do the job that is due first; whether there was one."""
        job = await asyncio.to_thread(self._jobs.take)
        if job is None:
            return False
        await self._done(job)
        return True

    def _care(self, cared: float) -> float:
        at = self._now().timestamp()
        if at - cared < _CARE_EVERY_S:
            return cared
        self._jobs.recover()
        self._jobs.sweep(self._now() - self._keep)
        self._service.aside.sweep()
        if self._service.across is not None:
            self._service.across.sweep()
        return at

    async def _done(self, job: Job) -> None:
        is_too_old = self._now() - moment(job.received) > _GIVE_UP
        try:
            asked = asked_later(job.asked)
        except msgspec.DecodeError:  # another version of the adapter wrote it
            await self._end(job, Asker(job.client, "later", job.id), 500, defect(job.id).body())
            return
        asker = asked.asker
        if is_too_old and job.attempts >= _ATTEMPTS_OF_THE_OLD:
            # Neither done nor refused so often: it may be what ends the process each time.
            await self._end(job, asker, 500, defect(asker.request_id).body())
            return
        one = One(asker, asked.wanted, job.body, key=Key(job.key, job.digest))
        try:
            response = await again(self._service, one, job.id)
            await self._end(job, asker, response.status_code, None)
        except Refusal as refusal:
            if refusal.status == _BUSY and not is_too_old:
                await self._later(job)
            else:
                await self._end(job, asker, refusal.status, refusal.body())
        except Exception:  # noqa: BLE001 (a message that breaks us must not stop all others; nothing of it is told)
            if job.attempts + 1 < _ATTEMPTS_OF_A_DEFECT:
                await self._later(job)
            else:
                await self._end(job, asker, 500, defect(asker.request_id).body())

    async def _later(self, job: Job) -> None:
        wait = datetime.timedelta(seconds=_PATIENCE.wait_s(min(job.attempts + 1, 30), None))
        await asyncio.to_thread(self._jobs.postpone, job, self._now() + wait)

    async def _end(self, job: Job, asker: Asker, status: int, reply: bytes | None) -> None:
        audit = None
        if reply is not None:
            audit = AuditRow(self._now(), asker.client, asker.action, "refused", asker.request_id, {"status": status})
        await asyncio.to_thread(self._jobs.finish, job.id, status, reply, audit)
        self._service.metrics.later.labels(str(status)).inc()
