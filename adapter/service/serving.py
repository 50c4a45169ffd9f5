"""What every operation shares: the parts of the service, who asks for what, and the answer that was kept for it."""

import datetime
from collections.abc import Awaitable, Callable

import msgspec
from fastapi import Request
from fastapi.responses import Response

from adapter.fhir.versions import FhirVersion
from adapter.service.access import Recorder, Right
from adapter.service.answers import Maker
from adapter.service.evaluation import Evaluation, Evaluator
from adapter.service.exchange import Answer, Asker, Exchange
from adapter.service.keys import Key
from adapter.service.negotiation import Wanted, check_sent, wanted
from adapter.service.observing import Metrics
from adapter.service.outcomes import JSON, Refusal
from adapter.service.reading import Shape


class One(msgspec.Struct, frozen=True):
    """One request, as far as it is the same for every operation."""

    asker: Asker
    wanted: Wanted
    data: bytes


class Service(msgspec.Struct, frozen=True):
    """The parts that every operation works with."""

    evaluator: Evaluator
    maker: Maker
    exchange: Exchange
    metrics: Metrics
    recorder: Recorder
    shape: Shape
    version: FhirVersion

    def now(self) -> datetime.datetime:
        """Give the instant of a question that names none, to the second, as results say it."""
        return self.exchange.clock().replace(microsecond=0)

    def counted(self, found: Evaluation) -> None:
        """Count the verdicts of one evaluation."""
        self.metrics.count((told.trial, told.verdict.value) for each in found.patients for told in each.told)

    async def done(self, one: One, key: Key, evaluate: Callable[[], Awaitable[Answer]]) -> Response:
        """Answer a message that is done once, now or as it was answered before."""
        reply, answer = await self.exchange.once(one.asker, key, evaluate)
        headers = dict(reply.headers)
        if answer is None:
            headers["X-Idempotent-Replay"] = "true"
            self.metrics.replays.inc()
        else:
            self.counted(answer.found)
        return Response(reply.body, reply.status, headers, reply.media_type)


async def permitted(service: Service, request: Request, operation: str, right: Right) -> Asker:
    """Give who asks, if it may; raises Refusal (403), which is recorded."""
    state = request.state
    state.operation = operation
    asker = Asker(state.client, operation, state.request_id)
    if right not in state.scopes:
        refusal = Refusal.of(403, "scope", f"this client lacks the scope {right}")
        await service.recorder.refused(asker.client, operation, refusal, asker.request_id)
        raise refusal
    return asker


async def asked(service: Service, request: Request, operation: str, right: Right) -> One:
    """Read what is the same in every request with a body; raises Refusal (403, 406, 415, 400)."""
    asker = await permitted(service, request, operation, right)
    wants = wanted(request.headers, request.query_params, service.version)
    check_sent(request.headers)
    data = await request.body()
    if not data.strip():
        raise Refusal.of(400, "empty", "the body is empty; send a Bundle")
    return One(asker, wants, data)


def answer_of(body: bytes) -> Response:
    """Give an answer that is not kept."""
    return Response(body, 200, media_type=JSON)
