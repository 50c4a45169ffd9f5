"""The operations on trials and documents: ``$evaluate-eligibility``, ``$match``, ``$validate``."""

import datetime
from typing import Any

import msgspec
from fastapi import Request
from fastapi.responses import Response

from adapter.eligibility.decide import Verdict
from adapter.eligibility.trial import Trial
from adapter.fhir.dates import parse_as_of
from adapter.fhir.versions import FhirVersion
from adapter.service.auditing import about
from adapter.service.definitions import Definitions
from adapter.service.evaluation import Evaluation, Told
from adapter.service.exchange import Answer
from adapter.service.keys import key_of
from adapter.service.outcomes import Refusal, encode, outcome
from adapter.service.reading import entries_of, read_resource
from adapter.service.serving import One, Service, answer_of, asked
from adapter.validate import operation_outcome, validate

_GRADES = {Verdict.ELIGIBLE: "certain", Verdict.CANDIDATE: "probable", Verdict.POTENTIAL_CANDIDATE: "possible"}
"""Of a match, in FHIR's match-grade; a trial that something stands against is no match."""
_GRADE_URL = "http://hl7.org/fhir/StructureDefinition/match-grade"


class _Identifier(msgspec.Struct):
    system: str | None = None
    value: str | None = None


class _Parameter(msgspec.Struct, rename="camel"):
    name: str
    resource: msgspec.Raw = msgspec.Raw(b"")
    value_string: str | None = None
    value_boolean: bool | None = None
    value_date_time: str | None = None
    value_instant: str | None = None
    value_identifier: _Identifier | None = None


class _Parameters(msgspec.Struct):
    parameter: tuple[_Parameter, ...] = ()


_parameters = msgspec.json.Decoder(_Parameters).decode


class Asked(msgspec.Struct, frozen=True):
    """What an operation is asked: the document, and the parameters beside it."""

    data: bytes
    others: tuple[_Parameter, ...] = ()

    def one(self, name: str) -> _Parameter | None:
        """Give a parameter that stands once; raises Refusal where it stands twice."""
        found = [each for each in self.others if each.name == name]
        if len(found) > 1:
            raise Refusal.of(400, "bad-parameter", f"the parameter {name} stands more than once")
        return found[0] if found else None

    def flag(self, name: str) -> bool:
        """Give a boolean parameter, false where it is not there."""
        found = self.one(name)
        return found is not None and found.value_boolean is True


async def _read(service: Service, one: One, *names: str) -> Asked:
    """Take a Bundle as it is, or out of Parameters; raises Refusal."""
    resource = await service.exchange.work(len(one.data), lambda: read_resource(one.data, service.shape))
    if resource["resourceType"] == "Bundle":
        entries_of(resource, service.shape)
        return Asked(one.data)
    if resource["resourceType"] != "Parameters":
        raise Refusal.of(400, "bundle-expected", f"send a Bundle, or Parameters with one in {names[0]}")
    try:
        given = _parameters(one.data.removeprefix(b"\xef\xbb\xbf")).parameter
    except msgspec.ValidationError:
        raise Refusal.of(400, "bad-parameter", "a parameter is not of the type that the operation declares") from None
    data = [each.resource for each in given if each.name in names and bytes(each.resource)]
    if len(data) != 1:
        said = f"the parameter {names[0]} must hold one Bundle: data is not fetched from a server"
        raise Refusal.of(422, "no-patient", said, expression="Parameters.parameter")
    return Asked(bytes(data[0]), tuple(each for each in given if each.name not in names))


async def evaluate_eligibility(
    service: Service, definitions: Definitions, request: Request, study: str | None
) -> Response:
    """Evaluate one trial for the patients of a document, or every trial where none is named."""
    one = await asked(service, request, "evaluate-eligibility", "ingest")
    question = await _read(service, one, "data")
    version = one.wanted.version
    trials = _trials(definitions, version, study, question)
    if question.flag("useServerData"):
        raise Refusal.of(422, "not-supported", "useServerData: data is not fetched from a server; send it in data")
    moment = _moment(service, question)
    subjects = frozenset(each.value_string or "" for each in question.others if each.name == "subject")
    keeps = question.flag("persist")
    if keeps:
        await service.room.check()

    async def evaluate() -> Answer:
        found = await service.exchange.work(
            len(one.data),
            lambda: service.evaluator.evaluate(question.data, version, moment, trials, one.asker.tenant),
        )
        if subjects:
            found = _only(found, subjects)
        detail = about(found) | {"version": version.value}
        return Answer(service.maker.collection(found), detail, found, is_kept=keeps)

    if keeps or "idempotency-key" in request.headers:
        resource = {"resourceType": "Parameters"}
        key = key_of(f"evaluate-eligibility|{study}", resource, one.data, request.headers, one.wanted, one.asker.tenant)
        return await service.done(one, key, evaluate)
    answer = await evaluate()
    await service.exchange.record(one.asker, "done", answer.detail)
    service.counted(answer.found)
    return answer_of(answer.body)


def _trials(
    definitions: Definitions, version: FhirVersion, study: str | None, question: Asked
) -> tuple[Trial, ...] | None:
    if study is not None:
        return (definitions.trial_of(version, study),)
    named = question.one("study")
    if named is None:
        return None
    given = named.value_identifier or _Identifier()
    if not given.value:
        raise Refusal.of(400, "bad-parameter", "the parameter study is an Identifier with a value")
    token = f"{given.system}|{given.value}" if given.system else given.value
    return (definitions.trial_with(version, token),)


def _moment(service: Service, question: Asked) -> datetime.datetime:
    given = question.one("timestamp")
    if given is None:
        return service.now()
    text = given.value_date_time or given.value_instant or ""
    try:
        parse_as_of(text)
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        said = "timestamp must be an instant with a time zone, such as 2026-11-01T00:00:00Z"
        raise Refusal.of(400, "bad-parameter", said) from None


def _only(found: Evaluation, subjects: frozenset[str]) -> Evaluation:
    patients = tuple(each for each in found.patients if each.reference in subjects)
    if len(patients) != len(subjects):
        raise Refusal.of(422, "no-patient", "a subject is not in the document: send the Patient with the data")
    return msgspec.structs.replace(found, patients=patients)


async def match_trials(service: Service, definitions: Definitions, request: Request) -> Response:
    """Give the trials that nothing stands against for one patient, the best match first; nothing is kept."""
    one = await asked(service, request, "match", "ingest")
    question = await _read(service, one, "trialMatchClinicalData", "data")
    version = one.wanted.version
    moment = service.now()
    found = await service.exchange.work(
        len(one.data), lambda: service.evaluator.evaluate(question.data, version, moment, None, one.asker.tenant)
    )
    if len(found.patients) != 1:
        raise Refusal.of(422, "several-patients", "one patient is matched at a time; send each for itself")
    await service.exchange.record(one.asker, "done", about(found) | {"version": version.value})
    service.counted(found)
    told = [each for each in found.patients[0].told if each.verdict in _GRADES]
    told.sort(key=lambda each: (list(_GRADES).index(each.verdict), -each.passed, each.trial))
    entries = [_matched(definitions, version, each) for each in told]
    if found.issues:
        entries.append({"resource": outcome(found.issues), "search": {"mode": "outcome"}})
    url = f"{definitions.base}/ResearchStudy/$match"
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(told)}
    bundle["link"] = [{"relation": "self", "url": url}]
    return answer_of(encode(bundle | ({"entry": entries} if entries else {})))


def _matched(definitions: Definitions, version: FhirVersion, told: Told) -> dict[str, Any]:
    study = definitions.read(version, "ResearchStudy", told.trial.lower())
    grade = [{"url": _GRADE_URL, "valueCode": _GRADES[told.verdict]}]
    return {
        "fullUrl": f"{definitions.base}/ResearchStudy/{told.trial.lower()}",
        "resource": msgspec.Raw(study.body),
        "search": {"extension": grade, "mode": "match", "score": round(told.passed, 3)},
    }


async def validate_bundle(service: Service, request: Request) -> Response:
    """Say whether a document is FHIR, as ``trial-adapter validate`` does."""
    one = await asked(service, request, "validate", "ingest")
    resource = await service.exchange.work(len(one.data), lambda: read_resource(one.data, service.shape))
    data = one.data
    if resource["resourceType"] == "Parameters":
        data = (await _read(service, one, "resource")).data
    version = one.wanted.version if one.wanted.is_named else None
    report = await service.exchange.work(len(data) * 8, lambda: validate(data, version))  # far slower than screening
    await service.exchange.record(one.asker, "done", {"resources": report.resource_count})
    return answer_of(encode(operation_outcome(report)))
