"""Delivers results to the FHIR server: each once, in order for each patient, and never over a person's decision.

Before a ResearchSubject is written, what is there is read.  What is about to be sent is kept first, so that after a
lost answer, or a crash, reading decides whether it was written.
"""

import datetime
import os
import threading
import time
from collections.abc import Callable

from adapter.delivery.backoff import Patience
from adapter.delivery.settings import server_settings
from adapter.errors import AdapterError
from adapter.store.ability import Ability, Manner, ability_of
from adapter.store.attempt import Attempt
from adapter.store.chain import AuditRow
from adapter.store.ledger import Store
from adapter.store.plan import Answered
from adapter.store.rehearsal import Rehearsal, Target
from adapter.store.rows import Due, Outbox
from adapter.store.standing import Known
from adapter.store.transport import UNHEARD, FhirTransport, NoAnswer
from adapter.store.verdict import Refused, Verdict

__all__ = ["PATIENCE", "Courier", "Manner", "Target"]

PATIENCE = Patience(first_s=1, longest_s=300)
_IDLE_S = 0.2
_RECOVER_S = 60
_LONGEST_ASKED_S = 3600
_SILENCE = (*UNHEARD, "server-unreachable")
"""The codes of a server, or its token endpoint, that gives no answer at all."""
_AWAY = 3
"""So many deliveries without an answer, one after the other, and it is the server that is away."""
_PROBED = datetime.timedelta(hours=1)
_PROBED_AFTER_FAILURE = datetime.timedelta(seconds=30)


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
        manner: Manner | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``target`` may be the server's address: then the environment names the credentials, as for ``export``."""
        self._store = store
        self._outbox = Outbox(store)
        self._manner = manner or Manner()
        types = self._manner.types
        self._target = FhirTransport(server_settings(target, os.environ), types) if isinstance(target, str) else target
        self._now = now or store.now
        self._sleep = sleep
        self._workers = workers
        self._patience = patience
        self._tell = tell
        self._ability: Ability | None = None
        self._probe_at = self._now()
        self._unheard: set[int] = set()

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop; what was begun is finished."""
        self._begin()
        others = [
            threading.Thread(target=self._work, args=(stop,), name=f"courier-{number}")
            for number in range(1, self._workers)
        ]
        for each in others:
            each.start()
        self._work(stop)
        for each in others:
            each.join()
        if isinstance(self._target, FhirTransport):
            self._target.close()

    def deliver_one(self) -> bool:
        """Deliver what is due first; whether there was something."""
        due = self._outbox.take()
        if due is None:
            return False
        try:
            self._deliver(due)
        finally:
            self._outbox.release(due)
        return True

    def _begin(self) -> None:
        """Say at once what would otherwise show in every delivery, and take up what was only rehearsed."""
        try:
            if not self._manner.rehearses:
                self._outbox.perform()
            lacking = self._probed().lacks(self._manner.types, conditional=self._manner.conditional)
        except (Refused, NoAnswer) as silent:
            self._tell(f"the target does not say what it takes yet ({silent.code}); it is asked again")
        except AdapterError as error:
            self._tell(f"the target cannot be asked yet ({error.issues[0].code}); it is asked again")
        else:
            for type_, code in lacking.items():
                self._tell(f"the target does not take {type_} ({code}); target_fallback is {self._manner.fallback}")

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
                self._sleep(_IDLE_S * self._workers)

    def _deliver(self, due: Due) -> None:
        learnt: dict[str, Known] = {}
        try:
            self._attempt(due, learnt)
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

    def _attempt(self, due: Due, learnt: dict[str, Known]) -> None:
        target = Rehearsal(self._target) if self._manner.rehearses else self._target
        attempt = Attempt(target, self._manner, self._probed(), self._outbox.known, self._outbox.remember)
        try:
            answered = attempt.delivered(due, learnt)
        finally:
            self._ability = attempt.ability
        if isinstance(target, Rehearsal):
            told = f"would write {target.written.total()}; {answered.note}"
            self._finish(due, "rehearsed", told, {}, answered, dict(target.written))
        else:
            self._finish(due, "delivered", answered.note, learnt, answered, {})

    def _probed(self) -> Ability:
        """Ask the server what it takes: at first, after failures, and from time to time."""
        now = self._now()
        if self._ability is None or now >= self._probe_at:
            self._ability = ability_of(self._target.read("metadata"))
            self._probe_at = now + _PROBED
        return self._ability

    def _later(self, due: Due, code: str, asked_s: float | None, learnt: dict[str, Known]) -> None:
        attempt = min(due.attempts + 1, 30)
        asked = None if asked_s is None else min(asked_s, _LONGEST_ASKED_S)
        wait = datetime.timedelta(seconds=self._patience.wait_s(attempt, asked))
        self._probe_at = min(self._probe_at, self._now() + _PROBED_AFTER_FAILURE)
        self._outbox.postpone(due.id, code, self._now() + wait, {} if self._manner.rehearses else learnt)
        self._store.tally.add("later")
        if code in _SILENCE:
            self._unheard.add(due.id)
        else:
            self._unheard.clear()

    def _finish(
        self, due: Due, state: str, note: str, learnt: dict[str, Known], answered: Answered, more: dict[str, int | str]
    ) -> None:
        said: dict[str, str | int] = {"row": due.id, **more}
        rows = [AuditRow(self._now(), "outbox", "deliver", state if state != "delivered" else note, "", said)]
        for name, held, proposed in answered.kept if state == "delivered" else ():
            # Told, and not silently left: a person decides what a new evaluation means for their decision.
            detail: dict[str, str | int] = {"row": due.id, "name": name, "held": held, "proposed": proposed}
            rows.append(AuditRow(self._now(), "outbox", "write-subject", "kept-by-person", "", detail))
        self._outbox.finish(due.id, state, note[:100] if state != "dead" else note, learnt, rows)
        self._store.tally.add(state)
        self._store.tally.add("kept-by-person", len(answered.kept))
        self._store.tally.add("superseded", answered.superseded)
        self._heard()

    def _heard(self) -> None:
        """Let what waits for a server that was away wait no longer, now that it is back."""
        was_away = len(self._unheard) >= _AWAY
        self._unheard.clear()
        if was_away:
            self._outbox.hasten(_SILENCE)
