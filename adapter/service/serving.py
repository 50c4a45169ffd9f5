"""What every operation shares: the parts of the service, who asks for what, and the answer that was kept for it."""

import datetime
import re
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from fastapi import Request
from fastapi.responses import Response

from adapter.fhir.versions import FhirVersion
from adapter.service.access import Right
from adapter.service.across import Across
from adapter.service.answers import Maker
from adapter.service.auditing import Recorder
from adapter.service.evaluation import Evaluation, Evaluator
from adapter.service.exchange import Answer, Asker, Exchange
from adapter.service.keys import Key
from adapter.service.later import Later
from adapter.service.negotiation import Wanted, check_sent, wanted
from adapter.service.observing import Metrics
from adapter.service.outcomes import JSON, Refusal
from adapter.service.quarantine import Aside
from adapter.service.reading import Shape
from adapter.service.room import Room
from adapter.service.sources import Sources
from adapter.store.later import Subscriptions

_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


class One(msgspec.Struct, frozen=True):
    """One request, as far as it is the same for every operation."""

    asker: Asker
    wanted: Wanted
    data: bytes
    headers: Mapping[str, str] = {}
    origin: str = ""
    """The base that the client reached this service under."""
    key: Key | None = None
    """What it is known by, where that was found before."""


class Service(msgspec.Struct, frozen=True):
    """The parts that every operation works with."""

    evaluator: Evaluator
    maker: Maker
    exchange: Exchange
    metrics: Metrics
    recorder: Recorder
    shape: Shape
    version: FhirVersion
    room: Room
    later: Later
    sources: Sources
    events: Subscriptions
    aside: Aside
    across: Across | None = None
    """Judges by what earlier messages said too; None where nothing is kept of patients."""

    async def screened(self, one: One, data: bytes, moment: datetime.datetime) -> Evaluation:
        """Screen a document's patients, by what earlier messages said of them too; raises Refusal."""
        version, tenant, across = one.wanted.version, one.asker.tenant, self.across
        work, size = self.exchange.work, len(data)
        if across is None:
            return await work(size, lambda: self.evaluator.evaluate(data, version, moment, tenant=tenant))
        arrived = self.exchange.clock()
        message = await work(size, lambda: across.read(data, tenant, one.asker.client, arrived))
        found = await self.exchange.asked(lambda: across.find(message))
        return await work(size, lambda: across.judge(message, found, version, moment))

    def now(self) -> datetime.datetime:
        """Give the instant of a question that names none, to the second, as results say it."""
        return self.exchange.clock().replace(microsecond=0)

    def counted(self, found: Evaluation) -> None:
        """Count the verdicts of one evaluation."""
        self.metrics.count((told.trial, told.verdict.value) for each in found.patients for told in each.told)

    async def done(self, one: One, key: Key, evaluate: Callable[[], Awaitable[Answer]], job: str = "") -> Response:
        """Answer a message that is done once, now or as it was answered before."""
        reply, answer = await self.exchange.once(one.asker, key, evaluate, job)
        headers = dict(reply.headers)
        if answer is None:
            headers["X-Idempotent-Replay"] = "true"
            self.metrics.replays.inc()
        else:
            self.counted(answer.found)
            self.room.took(deliveries=len(answer.found.patients) + len(answer.found.others) if answer.is_kept else 0)
        return Response(reply.body, reply.status, headers, reply.media_type)


async def permitted(
    service: Service,  # noqa: ARG001 (every operation is asked in the same way)
    request: Request,
    operation: str,
    right: Right,
) -> Asker:
    """Give who asks, if it may; raises Refusal (403)."""
    state = request.state
    state.operation = operation
    peer = request.client.host if request.client is not None else ""
    asker = Asker(state.client, operation, state.request_id, state.tenant, peer)
    if right not in state.scopes:
        raise Refusal.of(403, "scope", f"this client lacks the scope {right}")
    return asker


async def asked(service: Service, request: Request, operation: str, right: Right) -> One:
    """Read what is the same in every request with a body; raises Refusal (403, 406, 415, 400)."""
    asker = await permitted(service, request, operation, right)
    wants = wanted(request.headers, request.query_params, service.version)
    check_sent(request.headers)
    data = await request.body()
    if not data.strip():
        raise Refusal.of(400, "empty", "the body is empty; send a Bundle")
    return One(asker, wants, data, request.headers, origin_of(request))


def origin_of(request: Request) -> str:
    """Give the base that a request came to, as it says itself; only its own sender is told it again."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host if _HOST.fullmatch(host) else 'localhost'}/fhir"


def answer_of(body: bytes) -> Response:
    """Give an answer that is not kept."""
    return Response(body, 200, media_type=JSON)
