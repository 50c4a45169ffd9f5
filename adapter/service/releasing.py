"""Does a message that was set aside as if it had come now, outside of any server."""

import asyncio
import re

import msgspec
from fastapi import Request
from fastapi.responses import Response
from starlette.types import Message

from adapter.catalog.catalog import Catalog
from adapter.service.app import make_service
from adapter.service.bundles import post_bundle
from adapter.service.hooks import notified, put_resource
from adapter.service.outcomes import Refusal
from adapter.service.quarantine import Sent, sent_of
from adapter.service.serving import Service
from adapter.service.settings import Settings
from adapter.store.ledger import Store
from adapter.store.quarantine import Held, Place

_PLACED = re.compile(r"/fhir/(?:hook/[^/]+/)?([A-Z][^/]*)/([^/]+)")


class Came(msgspec.Struct, frozen=True):
    """What became of it: a status, and the places of what was refused again."""

    status: int
    issues: tuple[Place, ...] = ()


def released(settings: Settings, catalog: Catalog, store: Store, held: Held, data: bytes) -> Came:
    """Do the message; raises AdapterError where a setting is wrong."""
    service = make_service(settings, catalog, store, store.now)
    return asyncio.run(_released(service, held, sent_of(data)))


async def _released(service: Service, held: Held, sent: Sent) -> Came:
    try:
        response = await _done(service, _request(held, sent), held.action)
    except Refusal as refusal:
        places = tuple((each.code, each.expression or "", each.line) for each in refusal.issues)
        return Came(refusal.status, places)
    return Came(response.status_code)


async def _done(service: Service, request: Request, action: str) -> Response:
    if action != "hook":
        return await post_bundle(service, request, action)
    placed = _PLACED.fullmatch(request.url.path)
    if placed is None:
        return await notified(service, request)
    return await put_resource(service, request, placed[1], placed[2])


def _request(held: Held, sent: Sent) -> Request:
    """Make the request anew, in the name of who sent it."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": sent.data, "more_body": False}

    state = {"client": held.client, "tenant": sent.tenant, "request_id": held.request_id}
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": sent.path,
        "raw_path": sent.path.encode(),
        "query_string": b"",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.headers.items()],
        "client": None,
        "state": state | {"scopes": frozenset(("ingest",)), "operation": held.action},
    }
    return Request(scope, receive)
