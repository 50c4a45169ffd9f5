"""Delivers results to the FHIR server: each once, in order for each patient, and never over a person's decision.

Before a ResearchSubject is written, what is there is read.  What is about to be sent is kept first, so that after a
lost answer, or a crash, reading decides whether it was written.
"""

import datetime
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from adapter.delivery.backoff import Patience
from adapter.delivery.client import Answer
from adapter.delivery.settings import server_settings
from adapter.errors import AdapterError
from adapter.store.chain import AuditRow
from adapter.store.ledger import Store
from adapter.store.plan import Answered, Plan, Refused, plan_for, written
from adapter.store.rows import Due, Outbox
from adapter.store.sending import send
from adapter.store.standing import Known
from adapter.store.transport import FhirTransport, NoAnswer
from adapter.store.verdict import Verdict

PATIENCE = Patience(first_s=1, longest_s=300)
_IDLE_S = 0.2
_RECOVER_S = 60
_IN_A_ROW = 4
"""How often a subject that changes under our hands is read again before others get their turn."""


class Target(Protocol):
    """A FHIR server as the courier needs it."""

    def read(self, path: str) -> Answer:
        """Read ``metadata`` or a resource."""

    def put(self, path: str, body: Mapping[str, Any], version: str | None) -> Answer:
        """Write one resource in place of ``version``."""

    def transaction(self, bundle: Mapping[str, Any]) -> Answer:
        """Write all or nothing."""


class Courier:
    """Delivers what is due, from as many threads as ``workers``; several processes may share one store."""

    def __init__(
        self,
        store: Store,
        target: Target | str,
        now: Callable[[], datetime.datetime] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        *,
        workers: int = 2,
        patience: Patience = PATIENCE,
    ) -> None:
        """``target`` may be the server's address: then the environment names the credentials, as for ``export``."""
        self._store = store
        self._outbox = Outbox(store)
        self._target = FhirTransport(server_settings(target, os.environ)) if isinstance(target, str) else target
        self._now = now or store.now
        self._sleep = sleep
        self._workers = workers
        self._patience = patience
        self._takes_transactions: bool | None = None

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop; what was begun is finished."""
        others = [
            threading.Thread(target=self._work, args=(stop,), name=f"courier-{number}")
            for number in range(1, self._workers)
        ]
        for each in others:
            each.start()
        self._work(stop)
        for each in others:
            each.join()

    def deliver_one(self) -> bool:
        """Deliver what is due first; whether there was something."""
        due = self._outbox.take()
        if due is None:
            return False
        learnt: dict[str, Known] = {}
        try:
            self._delivered(due, learnt)
        except Refused as refused:
            if refused.verdict is Verdict.DEAD:
                self._finish(due, "dead", refused.code, learnt, Answered(), {"code": refused.code})
            else:
                self._later(due, refused.code, refused.asked_s, learnt)
        except NoAnswer as lost:
            self._later(due, lost.code, None, learnt)
        except AdapterError as error:
            self._later(due, error.issues[0].code, None, learnt)
        except Exception as error:  # noqa: BLE001 (one delivery that breaks us must not stop all others)
            self._finish(due, "dead", "defect", learnt, Answered(), {"code": type(error).__name__})
        return True

    def _work(self, stop: threading.Event) -> None:
        recovered = float("-inf")
        while not stop.is_set():
            try:
                if time.monotonic() - recovered > _RECOVER_S:
                    self._outbox.recover()
                    recovered = time.monotonic()
                idle = not self.deliver_one()
            except AdapterError:
                idle = True  # The database is away; readiness says so.
            if idle:
                self._sleep(_IDLE_S)

    def _delivered(self, due: Due, learnt: dict[str, Known]) -> None:
        """Read, decide and write; again where someone else wrote in between."""
        transactions = self._transactions()
        for _ in range(_IN_A_ROW):
            plan = plan_for(due, self._target, self._outbox.known, learnt)
            try:
                sent = send(plan, self._target, self._remember, transactions=transactions)
            except Refused as refused:
                if refused.verdict is Verdict.CHANGED:
                    continue
                if transactions and refused.code.startswith(("http-405", "http-501")):
                    self._takes_transactions = transactions = False
                    continue
                raise
            learnt |= {name: written(each, each.digest, each.version, due) for name, each in sent.items()}
            self._finish(due, "delivered", plan.answered.note, learnt, plan.answered, {})
            return
        raise Refused(Verdict.LATER, "changes-under-our-hands")

    def _remember(self, plan: Plan) -> None:
        self._outbox.remember(plan.intended)

    def _transactions(self) -> bool:
        if self._takes_transactions is None:
            said = self._target.read("metadata")
            if not said.is_success:
                raise Refused(Verdict.LATER, f"no-capability-statement: http-{said.status}", said.retry_after_s)
            listed = [each for each in (said.body or {}).get("rest") or () if isinstance(each, dict)]
            codes = [each.get("code") for rest in listed for each in rest.get("interaction") or ()]
            self._takes_transactions = "transaction" in codes
        return self._takes_transactions

    def _later(self, due: Due, code: str, asked_s: float | None, learnt: dict[str, Known]) -> None:
        attempt = min(due.attempts + 1, 30)
        asked = None if asked_s is None else min(asked_s, 3600)
        wait = datetime.timedelta(seconds=self._patience.wait_s(attempt, asked))
        self._outbox.postpone(due.id, code, self._now() + wait, learnt)

    def _finish(
        self, due: Due, state: str, note: str, learnt: dict[str, Known], answered: Answered, more: dict[str, str | int]
    ) -> None:
        said: dict[str, str | int] = {"row": due.id, **more}
        rows = [AuditRow(self._now(), "outbox", "deliver", "dead" if state == "dead" else note, "", said)]
        for name, held, proposed in answered.kept:
            # Told, and not silently left: a person decides what a new evaluation means for their decision.
            detail: dict[str, str | int] = {"row": due.id, "name": name, "held": held, "proposed": proposed}
            rows.append(AuditRow(self._now(), "outbox", "write-subject", "kept-by-person", "", detail))
        self._outbox.finish(due.id, state, note, learnt, rows)
