"""Rest-hooks: one resource that a subscription server sends, taken as a collection of one.

The service is no FHIR server of these resources: nothing can be read back, and what no criterion reads is answered
with 200 all the same, since a subscription server turns a subscription off whose endpoint refuses.
"""

import re
import secrets
from typing import Any

import msgspec
from fastapi import Request
from fastapi.responses import Response

from adapter.errors import Issue, Severity
from adapter.service.bundles import received
from adapter.service.keys import Key, digest_of, key_named
from adapter.service.negotiation import wanted
from adapter.service.outcomes import Refusal, encode, outcome
from adapter.service.reading import part_of, read_resource
from adapter.service.serving import One, Service, answer_of, asked, origin_of, permitted
from adapter.service.sources import TYPES

_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_OPERATION = "hook"


async def put_resource(service: Service, request: Request, kind: str, id_: str) -> Response:
    """Take one resource whose address names it; raises Refusal."""
    if not _TYPE.fullmatch(kind) or not _ID.fullmatch(id_):
        raise Refusal.of(404, "address", "there is nothing at this address")
    one = await asked(service, request, _OPERATION, "ingest")
    resource = await _resource(service, one)
    if (resource["resourceType"], part_of(resource, "id")) != (kind, id_):
        said = "type and id of the resource are not those of the address it was sent to"
        raise Refusal.of(400, "hook-place", said)
    return await _received(service, one, resource)


async def delete_resource(service: Service, request: Request, kind: str, id_: str) -> Response:
    """Take it that a resource is deleted where it came from: nothing rests on it any more; raises Refusal."""
    if not _TYPE.fullmatch(kind) or not _ID.fullmatch(id_):
        raise Refusal.of(404, "address", "there is nothing at this address")
    asker = await permitted(service, request, _OPERATION, "ingest")
    wants = wanted(request.headers, request.query_params, service.version)
    if kind not in TYPES or service.across is None:
        await service.exchange.record(asker, "done", {"type": "other"})
        said = "nothing of it is kept; nothing was done"
        return answer_of(encode(outcome([Issue(Severity.INFORMATION, "not-read", said)])))
    entry = {"request": {"method": "DELETE", "url": f"{kind}/{id_}"}}
    data = encode({"resourceType": "Bundle", "type": "history", "entry": [entry]})
    one = One(asker, wants, data, request.headers, origin_of(request))
    if "idempotency-key" not in request.headers:
        one = msgspec.structs.replace(one, key=_never_again(data, asker.tenant))
    return await received(service, one)


async def notified(service: Service, request: Request) -> Response:
    """Take whatever a subscription server sends to its endpoint: a notification, a resource, or nothing at all."""
    if not (await request.body()).strip():
        asker = await permitted(service, request, _OPERATION, "ingest")
        service.metrics.pings.inc()
        await service.exchange.record(asker, "done", {"notification": "empty"})
        said = (
            "a notification without a payload says that something changed and not what; nothing was done: set the"
            " payload of the subscription's channel to application/fhir+json"
        )
        return answer_of(encode(outcome([Issue(Severity.WARNING, "empty-ping", said)])))
    one = await asked(service, request, _OPERATION, "ingest")
    return await _received(service, one, await _resource(service, one))


async def _resource(service: Service, one: One) -> dict[str, Any]:
    return await service.exchange.work(len(one.data), lambda: read_resource(one.data, service.shape))


async def _received(service: Service, one: One, resource: dict[str, Any]) -> Response:
    kind = resource["resourceType"]
    if kind == "Bundle":
        return await received(service, one)
    if kind not in TYPES:
        await service.exchange.record(one.asker, "done", {"type": "other"})
        said = "no criterion reads resources of this type; nothing was done"
        return answer_of(encode(outcome([Issue(Severity.INFORMATION, "not-read", said)])))
    return await received(service, _collected(one, resource))


def _collected(one: One, resource: dict[str, Any]) -> One:
    """Make a collection of one, of the very bytes that came."""
    data = b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":%b}]}'
    whole = data % one.data.removeprefix(b"\xef\xbb\xbf")
    key = None
    is_versioned = part_of(resource, "meta", "versionId") or part_of(resource, "meta", "lastUpdated")
    if not is_versioned and "idempotency-key" not in one.headers:
        # The same text may come again to take back what came between: without a version that is no replay.
        key = _never_again(one.data, one.asker.tenant)
    return msgspec.structs.replace(one, data=whole, key=key)


def _never_again(data: bytes, tenant: str) -> Key:
    return key_named(_OPERATION, f"once|{secrets.token_hex(16)}", digest_of(data), tenant)
