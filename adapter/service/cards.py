"""CDS Hooks: the trials that may be for the patient whose record is opened, as cards; only prefetched data is used."""

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Request
from fastapi.responses import Response

from adapter.eligibility.decide import Screening, Verdict, favour
from adapter.eligibility.trial import Criterion
from adapter.eligibility.truth import Truth
from adapter.service.auditing import about
from adapter.service.evaluation import Patient
from adapter.service.observing import place_of
from adapter.service.outcomes import Refusal, encode
from adapter.service.reading import Shape, part_of, read_object
from adapter.service.serving import One, Service, asked

SERVICE = "trial-eligibility"
_NAMESPACE = uuid.UUID("5b0a0f2c-3f0b-5f3c-8b57-77c9c8f4c1d2")
_OF_PATIENT = ("Observation", "Condition", "Procedure", "AllergyIntolerance", "Encounter")
_PREFETCH = {"patient": "Patient/{{context.patientId}}"}
_PREFETCH |= {kind.lower(): f"{kind}?patient={{{{context.patientId}}}}" for kind in _OF_PATIENT}
_PREFETCH["medicationrequest"] = "MedicationRequest?patient={{context.patientId}}&_include=MedicationRequest:medication"
_SHOWN = (Verdict.ELIGIBLE, Verdict.CANDIDATE, Verdict.POTENTIAL_CANDIDATE)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~&-])")
_OURS = 500
_SUMMARY = 140
_LISTED = 12
"""How many criteria of one kind a card lists: it is read between two patients."""


class _Call(msgspec.Struct):
    prefetch: dict[str, msgspec.Raw] = {}


class _Link(msgspec.Struct):
    relation: str = ""


class _Fetched(msgspec.Struct, rename="camel"):
    resource_type: str = ""
    link: tuple[_Link, ...] = ()
    entry: tuple[msgspec.Raw, ...] = ()


_call = msgspec.json.Decoder(_Call).decode
_fetched = msgspec.json.Decoder(_Fetched).decode


def services() -> bytes:
    """Give what a client can call."""
    said = {
        "hook": "patient-view",
        "id": SERVICE,
        "title": "Clinical trials that may be for this patient",
        "description": "A card for each trial that nothing stands against: what is met, and what is missing.",
        "prefetch": _PREFETCH,
    }
    return encode({"services": [said]})


async def patient_view(service: Service, request: Request) -> Response:
    """Give the cards; raises Refusal (400, 412). With a trouble of our own there are none: nobody is disturbed."""
    one = await asked(service, request, "cds-patient-view", "ingest")
    call = read_object(one.data, service.shape)
    if part_of(call, "hook") != "patient-view":
        raise Refusal.of(400, "hook", "this service answers the hook patient-view", expression="hook")
    data = _document(one.data, service.shape)
    try:
        cards = await _found(service, one, data, part_of(call, "hookInstance") or "")
    except Refusal as refusal:
        if refusal.status < _OURS:
            raise Refusal(400, refusal.issues) from None
        cards = []
        _withhold(service, request, refusal.code)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is told in log and metrics, and not to a clinician)
        cards = []
        _withhold(service, request, type(error).__name__, place_of(error))
    return Response(encode({"cards": cards}), 200, media_type="application/json")


async def _found(service: Service, one: One, data: bytes, instance: str) -> list[dict[str, Any]]:
    """Give the cards of what was prefetched, once it is written down that somebody looked; raises Refusal."""
    moment = service.now()
    version, tenant = one.wanted.version, one.asker.tenant
    found = await service.exchange.work(
        len(data), lambda: service.evaluator.evaluate(data, version, moment, None, tenant)
    )
    if len(found.patients) != 1:
        raise Refusal.of(400, "several-patients", "the prefetch patient must be the one Patient in the prefetch")
    cards = list(_cards(found.patients[0], service.maker.base, instance))
    await service.exchange.record(one.asker, "done", about(found))
    service.counted(found)
    return cards


def _withhold(service: Service, request: Request, kind: str, place: str = "") -> None:
    request.state.withheld = kind
    request.state.withheld_at = place
    service.metrics.withheld.labels(kind).inc()


class _Feedback(msgspec.Struct, rename="camel"):
    card: str
    outcome: Literal["accepted", "overridden"]
    outcome_timestamp: str


class _AllFeedback(msgspec.Struct):
    feedback: Annotated[tuple[_Feedback, ...], msgspec.Meta(min_length=1, max_length=1000)]


_feedback = msgspec.json.Decoder(_AllFeedback).decode


async def take_feedback(service: Service, request: Request) -> Response:
    """Count what became of cards; raises Refusal (400). A comment may be about the patient: it is not kept."""
    one = await asked(service, request, "cds-feedback", "ingest")
    read_object(one.data, service.shape)
    try:
        told = _feedback(one.data.removeprefix(b"\xef\xbb\xbf")).feedback
    except msgspec.ValidationError:
        said = "feedback must hold card, outcome (accepted, overridden) and outcomeTimestamp for each card"
        raise Refusal.of(400, "feedback", said, expression="feedback") from None
    counts = Counter[str](each.outcome for each in told)
    await service.exchange.record(one.asker, "done", {**counts})
    for outcome, count in counts.items():
        service.metrics.feedback.labels(outcome).inc(count)
    return Response(b"{}", 200, media_type="application/json")


def _document(data: bytes, shape: Shape) -> bytes:
    """Put what was prefetched into one Bundle; raises Refusal (400, 412)."""
    entries: list[Any] = []
    goes_on = has_patient = False
    try:
        for name, raw in _call(data).prefetch.items():
            if raw == msgspec.Raw(b"null"):
                continue
            fetched = _fetched(raw)
            if fetched.resource_type == "Bundle":
                entries += fetched.entry
                goes_on = goes_on or any(each.relation == "next" for each in fetched.link)
            else:
                entries.append({"resource": raw})
                has_patient = has_patient or (name, fetched.resource_type) == ("patient", "Patient")
    except msgspec.ValidationError:
        raise Refusal.of(400, "prefetch", "prefetch must hold resources by name", expression="prefetch") from None
    if not has_patient:
        said = "prefetch lacks the Patient, and nothing is fetched from a server; send prefetch.patient"
        raise Refusal.of(412, "prefetch", said, expression="prefetch")
    if len(entries) > shape.entries:
        raise Refusal.of(413, "too-large", f"prefetch holds more than {shape.entries} resources")
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if goes_on:
        bundle["link"] = [{"relation": "next", "url": "urn:unfetched"}]
    return encode(bundle | {"entry": entries})


def _cards(patient: Patient, base: str, instance: str) -> Iterator[dict[str, Any]]:
    shown = [each for each in patient.screenings if each.verdict in _SHOWN]
    shown.sort(key=lambda each: (_SHOWN.index(each.verdict), each.trial.key))
    for each in shown:
        summary = f"{each.verdict.value}: {each.trial.title}"
        yield {
            "uuid": str(uuid.uuid5(_NAMESPACE, f"{instance}|{patient.lane}|{each.trial.key}")),
            "summary": summary if len(summary) < _SUMMARY else f"{summary[: _SUMMARY - 2]}…",
            "indicator": "info",
            "detail": _detail(each),
            "source": {"label": "fhir-trial-adapter", "url": f"{base}/ResearchStudy/{each.trial.key.lower()}"},
        }


def _detail(screening: Screening) -> str:
    sorted_: dict[Truth, list[Criterion]] = {truth: [] for truth in Truth}
    for criterion, truth in zip(screening.trial.criteria, screening.criteria, strict=True):
        sorted_[favour(criterion, truth)].append(criterion)
    parts = (("In favour", Truth.MET), ("Missing", Truth.UNKNOWN), ("Against", Truth.NOT_MET))
    return "\n\n".join(_list(title, sorted_[truth], screening) for title, truth in parts if sorted_[truth])


def _list(title: str, criteria: list[Criterion], screening: Screening) -> str:
    lines = [f"**{title}: {len(criteria)}**", ""]
    lines += [f"- {_plain(each.id)}: {_plain(_why(each, screening))}" for each in criteria[:_LISTED]]
    if len(criteria) > _LISTED:
        lines.append(f"- and {len(criteria) - _LISTED} more")
    return "\n".join(lines)


def _why(criterion: Criterion, screening: Screening) -> str:
    """Say what its atoms say, the open ones where it is open."""
    judgements = [screening.by_atom[atom.id].judgement for atom in criterion.atoms]
    open_ = [each for each in judgements if each.truth is Truth.UNKNOWN]
    return "; ".join(dict.fromkeys(_messages(open_ or judgements)))


def _messages(judgements: Iterable[Any]) -> Iterator[str]:
    return (each.message for each in judgements)


def _plain(text: str) -> str:
    """Give words that stay words where a card is shown: a record's text must not become a link or an element."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
