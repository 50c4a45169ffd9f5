"""A document and what earlier ones said of the same patients, judged together.

Every trial is judged again with every message: windows and ages move with the clock, and a verdict of yesterday may be
wrong today.  What is remembered of the last evaluation serves to say what has changed since.
"""

import datetime
from collections.abc import Sequence

import msgspec

from adapter.eligibility.decide import Verdict
from adapter.eligibility.values import AsOf
from adapter.errors import AdapterError, Category
from adapter.fhir import wire
from adapter.fhir.versions import FhirVersion
from adapter.fhir.wire import Entered
from adapter.mapping.observations import source_of
from adapter.mapping.reads import is_read
from adapter.screen import screen_record
from adapter.service.evaluation import Evaluation, Evaluator, Patient, source_time
from adapter.service.flips import Flips, told_of
from adapter.service.outcomes import Refusal
from adapter.service.unread import by_document, notice
from adapter.store.known import Found, Patients, new_id
from adapter.store.known_making import Sent
from adapter.store.known_merge import Judged, Merge
from adapter.store.known_message import Message, message_of
from adapter.store.known_versions import Version
from adapter.store.tables import moment as moment_of
from adapter.store.tables import stored

_NOTHING = Verdict.POTENTIAL_CANDIDATE.value
"""The verdict where nothing could be said."""


class Across:
    """Judges documents by all that is kept; its three steps are apart, since only the second waits for a database."""

    def __init__(self, evaluator: Evaluator, patients: Patients) -> None:
        self._evaluator = evaluator
        self._catalog = by_document(evaluator.catalog)
        self._patients = patients

    def read(self, data: bytes, tenant: str, sender: str, arrived: datetime.datetime) -> Message:
        """Read a document; raises Refusal when there is nothing in it to be judged or kept."""
        try:
            document = wire.read(data)
            notice(self._catalog, document)
            message = message_of(document, Sent(tenant, sender, arrived, source_time(data)))
            if not (message.people or message.strangers or message.changes):
                said = "no Patient is in the document: send the Patient with the data about it"
                raise AdapterError.of(Category.UNSUPPORTED, "no-patient", said, expression="Bundle")
        except AdapterError as error:
            raise Refusal.because(error) from None
        return message

    def find(self, message: Message) -> Found:
        """Give what is kept that the message may be about; raises AdapterError."""
        return self._patients.find(message.sent.tenant, message.names())

    def judge(self, message: Message, found: Found, version: FhirVersion, moment: datetime.datetime) -> Evaluation:
        """Judge the message's patients by all that is known; what is to be kept is written with the commit."""
        merged = Merge(message, found.held, found.named, self._is_read, new_id).done()
        told = Flips()
        patients: list[Patient] = []
        others: list[Patient] = []
        count = sum(each.is_in_message for each in merged.judged)
        tenant = message.sent.tenant
        for each in merged.judged:
            of = f"patient {len(patients) + 1}: " if count > 1 else ""
            one = Flips(of)
            made = self._judged(each, version, moment, tenant, one)
            told.codes += one.codes
            if each.is_in_message:
                patients.append(made)
                told.issues += one.issues
            else:
                others.append(made)
        return Evaluation(
            tuple(patients),
            (*message.issues, *merged.issues, *told.issues),
            moment,
            source_time=message.sent.made,
            others=tuple(others),
            change=self._patients.change(tenant, found, merged.held),
            flips=tuple(told.codes),
        )

    def _judged(
        self, judged: Judged, version: FhirVersion, moment: datetime.datetime, tenant: str, told: Flips
    ) -> Patient:
        as_of = AsOf.at(moment)
        screened = screen_record(judged.record, self._catalog, self._catalog.trials, as_of)
        if judged.held is None:
            return self._evaluator.results(screened, version, as_of, tenant)
        kept = judged.held.kept
        again = [trial for trial, told in kept.told.items() if told.truths or told.verdict != _NOTHING]
        patient = self._evaluator.results(screened, version, as_of, tenant, again)
        arrived = _arrived(judged.held.arrived)
        for each in screened.screenings:
            told.add(kept.told.get(each.trial.key), each, arrived)
        kept.told = {each.trial.key: told_of(each) for each in screened.screenings}
        # A clock that is behind must not make this look older than what was written before.
        kept.as_of = max(kept.as_of, stored(moment))
        return msgspec.structs.replace(patient, order=(moment_of(kept.latest), moment_of(kept.as_of)))

    def sweep(self) -> None:
        """Forget the patients of whom nothing has come for too long; raises AdapterError."""
        self._patients.sweep()

    def _is_read(self, version: Version) -> bool:
        entered = Entered(version.resource, version.full_url, version.place, version.unreadable)
        return is_read(entered, self._catalog.index)


def _arrived(versions: Sequence[Version]) -> dict[str, str]:
    """Give the place in the message of each resource that came with it, by its reference."""
    return {
        source_of(Entered(each.resource, each.url, each.place)).reference: each.place
        for each in versions
        if not each.is_gone
    }
