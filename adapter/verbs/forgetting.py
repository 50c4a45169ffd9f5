"""The verb ``forget``: removes what is kept of one patient, and says how much that was; it names nobody."""

import argparse
import re
import sys

from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.service.evaluation import lane_of
from adapter.service.outcomes import encode, outcome
from adapter.service.tenants import secret_of
from adapter.store.known import Patients
from adapter.store.known_forgotten import Forgotten, Whom, forget
from adapter.store.known_patient import identifier_name
from adapter.verbs.opened import open_store, site_secret

_DONE = 0
_ID = re.compile(r"(?:Patient/)?([A-Za-z0-9\-.]{1,64})")
_URL = re.compile(r"https?://.+/Patient/([A-Za-z0-9\-.]{1,64})")


def run(options: argparse.Namespace) -> int:
    """Forget ``options.patient``; raises AdapterError where nothing is known of it."""
    whom = _whom(options.patient, options.sender, options.tenant)
    secret = secret_of(site_secret(), options.tenant)
    said = "what was kept of this patient was removed; the message is not evaluated again"
    answer = encode(outcome([Issue(Severity.ERROR, "forgotten", said)]))
    store = open_store(options)
    try:
        patients = Patients(store, store.sealer, retention_days=1)
        found = forget(store, patients, whom, lambda name: lane_of(secret, name), answer)
    finally:
        store.close()
    if found == Forgotten(0, 0, 0):
        raise AdapterError.of(Category.NOT_FOUND, "patient-unknown", "nothing is kept under this name")
    sys.stdout.write(
        f"forgotten: {found.patients} patient(s), {found.deliveries} deliveries and {found.replies} replies emptied\n"
    )
    return _DONE


def _whom(patient: str, sender: str | None, tenant: str) -> Whom:
    """Give the names a patient may be kept under; raises AdapterError for what is no name."""
    url = _URL.fullmatch(patient)
    if url is not None:
        return Whom(tenant, (f"url|{patient}",), (url[1],))
    system, is_identifier, value = patient.partition("|")
    if is_identifier and system and value:
        return Whom(tenant, (identifier_name(system, value),))
    own = _ID.fullmatch(patient)
    if own is not None and sender:
        return Whom(tenant, (f"of|{sender}|Patient/{own[1]}",), (own[1],))
    said = "name the patient by an identifier (SYSTEM|VALUE), a whole address, or Patient.id with --sender CLIENT"
    raise AdapterError.of(Category.NOT_FOUND, "patient-name", said)
