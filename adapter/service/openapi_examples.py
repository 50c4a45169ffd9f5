"""Examples for ``/openapi.json``: sample bundles with what this very service answers to them, and real refusals."""

import contextlib
import datetime
from collections.abc import Callable
from typing import Any

import msgspec

from adapter import __version__
from adapter.catalog.load import shipped
from adapter.fhir.versions import FhirVersion
from adapter.service.evaluation import Evaluator
from adapter.service.negotiation import check_sent
from adapter.service.outcomes import Refusal, encode
from adapter.service.reading import entries_of, read_resource
from adapter.service.serving import Service
from adapter.service.unread import uncounted
from adapter.validate import operation_outcome, validate

_MOMENT = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
"""The instant the samples are written for: the same example on every day."""


class Example(msgspec.Struct, frozen=True):
    """What is asked, and what it is answered with."""

    name: str
    summary: str
    asked: Any = None
    answer: Any = None

    @property
    def asked_name(self) -> str:
        """The name of what is asked, which several operations share."""
        return self.name.partition("-to-")[2] or self.name

    @property
    def answer_name(self) -> str:
        """The name of the answer."""
        return f"answer-{self.name}"


def examples(service: Service) -> dict[str, Example]:
    """Give examples by operation, and by the status of a refusal."""
    catalog = uncounted(service.evaluator.catalog)
    software = f"fhir-trial-adapter/{__version__} mappings/{catalog.mappings.version}"
    evaluator = Evaluator(catalog, software, service.maker.base, "")
    found: dict[str, Example] = {}
    for make in (_of_transaction, _of_message):
        # A site may allow fewer entries than a sample has: then it is no example of what is taken there.
        with contextlib.suppress(Refusal):
            found |= make(service, evaluator)
    empty = b'{"resourceType":"Bundle","type":"collection","entry":[]}'
    found |= _refused("400", "a body that is no JSON", lambda: read_resource(b"MSH|^~\\&|", service.shape))
    found |= _refused("415", "a body sent as text", lambda: check_sent({"content-type": "text/plain"}))
    found |= _refused("422", "a Bundle with nobody in it", lambda: evaluator.evaluate(empty, FhirVersion.R4, _MOMENT))
    return found


def _of_transaction(service: Service, evaluator: Evaluator) -> dict[str, Example]:
    data = _sample("shape-transaction-with-urn")
    if data is None:
        return {}
    bundle = read_resource(data, service.shape)
    seen = evaluator.evaluate(data, FhirVersion.R4, _MOMENT)
    answered = service.maker.responses("transaction-response", entries_of(bundle, service.shape), seen, None)
    about = "one patient as a transaction"
    said = encode(operation_outcome(validate(data, None)))
    found = {
        "bundle": Example("bundle-to-transaction", about, bundle, msgspec.json.decode(answered)),
        "validate": Example("validate-to-transaction", about, bundle, msgspec.json.decode(said)),
    }
    asked = ("evaluate-eligibility", "evaluate-eligibility-of", "match")
    return found | {name: Example(f"{name}-to-transaction", about, bundle) for name in asked}


def _of_message(service: Service, evaluator: Evaluator) -> dict[str, Example]:
    data = _sample("shape-message-header-first")
    if data is None:
        return {}
    bundle = read_resource(data, service.shape)
    seen = evaluator.evaluate(data, FhirVersion.R4, _MOMENT)
    header = entries_of(bundle, service.shape)[0]["resource"]
    answered = service.maker.message(header, seen, FhirVersion.R4, None)
    return {"process-message": Example("message", "a message", bundle, msgspec.json.decode(answered))}


def _refused(status: str, summary: str, ask: Callable[[], object]) -> dict[str, Example]:
    try:
        ask()
    except Refusal as refusal:
        return {status: Example(f"refused-{status}", summary, answer=msgspec.json.decode(refusal.body()))}
    return {}


def _sample(begins: str) -> bytes | None:
    folder = shipped("sample_bundles")
    found = sorted(folder.glob(f"{begins}*.json")) if folder.is_dir() else []
    return found[0].read_bytes() if found else None
