"""The addresses that take patients' data, and those where an answer that comes later is asked for."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from adapter.service.bundles import post_bundle
from adapter.service.hooks import delete_resource, notified, put_resource
from adapter.service.serving import Service, permitted

RESOURCE = {"schema": {"type": "object", "required": ["resourceType"]}}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Done.", "content": {"application/fhir+json": RESOURCE}},
    422: {"description": "FHIR that cannot be used.", "content": {"application/fhir+json": RESOURCE}},
    "default": {"description": "An OperationOutcome says why not.", "content": {"application/fhir+json": RESOURCE}},
}
TAKES = {"requestBody": {"required": True, "content": {"application/fhir+json": RESOURCE}}}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "return=minimal, OperationOutcome or representation; respond-async to be answered later.",
    "schema": {"type": "string"},
}
_LATER: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Kept; the answer will be at the address in Content-Location.",
        "content": {"application/fhir+json": RESOURCE},
        "headers": {
            "Content-Location": {"schema": {"type": "string"}},
            "Retry-After": {"schema": {"type": "integer"}},
        },
    },
}
_UNDONE: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Not done yet; ask again.",
        "content": {"application/fhir+json": RESOURCE},
        "headers": {"X-Progress": {"schema": {"type": "string"}}, "Retry-After": {"schema": {"type": "integer"}}},
    },
    404: {"description": "No such job of this client.", "content": {"application/fhir+json": RESOURCE}},
}
_FORGOTTEN: dict[int | str, dict[str, Any]] = {
    202: {"description": "Forgotten.", "content": {"application/fhir+json": RESOURCE}},
    404: _UNDONE[404],
    "default": ANSWERS["default"],
}
_MAY_TAKE = {"requestBody": {"required": False, "content": {"application/fhir+json": RESOURCE}}}
_TAKES_LATER = {**TAKES, "parameters": [_PREFER]}
POSTED = ANSWERS | _LATER


def add_bundles(api: FastAPI, service: Service) -> None:
    """Add where Bundles and notifications are posted."""

    @api.post("/fhir", operation_id="bundle", responses=POSTED, openapi_extra=_TAKES_LATER)
    @api.post("/fhir/", include_in_schema=False)
    async def bundle(request: Request) -> Response:
        """Screen the patients of a Bundle, and keep what is found."""
        return await post_bundle(service, request)

    @api.post("/fhir/$process-message", operation_id="process-message", responses=POSTED, openapi_extra=_TAKES_LATER)
    async def process_message(request: Request) -> Response:
        """Screen the patients of a message."""
        return await post_bundle(service, request, "process-message")

    @api.post("/fhir/hook/{name}", operation_id="hook", responses=POSTED, openapi_extra=_MAY_TAKE)
    @api.put("/fhir/hook/{name}", operation_id="hook-put", responses=POSTED, openapi_extra=_MAY_TAKE)
    async def hook(request: Request, name: str) -> Response:  # noqa: ARG001 (tells subscriptions apart in their own server)
        """Take a notification of a subscription, or a resource."""
        return await notified(service, request)


def add_later(api: FastAPI, service: Service) -> None:
    """Add where an answer that comes later is asked for."""

    @api.get("/fhir/async/{id_}", operation_id="poll", responses=ANSWERS | _UNDONE)
    async def poll(request: Request, id_: str) -> Response:
        """Give the answer to a message that was to be answered later, or say how far it is."""
        return await service.later.poll(await permitted(service, request, "poll", "ingest"), id_)

    @api.delete("/fhir/async/{id_}", operation_id="cancel", status_code=202, responses=_FORGOTTEN)
    async def cancel(request: Request, id_: str) -> Response:
        """Forget a message that was to be answered later, or its answer."""
        return await service.later.cancel(await permitted(service, request, "cancel", "ingest"), id_)


def add_hooks(api: FastAPI, service: Service) -> None:
    """Add where single resources are sent; after all addresses that are more particular."""

    @api.put("/fhir/{kind}/{id_}", operation_id="hook-resource", responses=POSTED, openapi_extra=_TAKES_LATER)
    @api.post("/fhir/{kind}/{id_}", operation_id="hook-resource-post", responses=POSTED, openapi_extra=_TAKES_LATER)
    async def resource(request: Request, kind: str, id_: str) -> Response:
        """Take one resource, as a rest-hook sends it."""
        return await put_resource(service, request, kind, id_)

    @api.delete("/fhir/{kind}/{id_}", operation_id="hook-deleted", responses=POSTED)
    async def deleted(request: Request, kind: str, id_: str) -> Response:
        """Take it that a resource is deleted where it came from."""
        return await delete_resource(service, request, kind, id_)

    @api.delete("/fhir/hook/{name}/{kind}/{id_}", operation_id="hook-named-deleted", responses=POSTED)
    async def deleted_under(request: Request, name: str, kind: str, id_: str) -> Response:  # noqa: ARG001 (the same)
        """Take it that a resource is deleted where it came from, under an endpoint of its own."""
        return await delete_resource(service, request, kind, id_)

    @api.put("/fhir/hook/{name}/{kind}/{id_}", operation_id="hook-named", responses=POSTED, openapi_extra=_TAKES_LATER)
    @api.post(
        "/fhir/hook/{name}/{kind}/{id_}", operation_id="hook-named-post", responses=POSTED, openapi_extra=_TAKES_LATER
    )
    async def named(request: Request, name: str, kind: str, id_: str) -> Response:  # noqa: ARG001 (the same)
        """Take one resource, as a rest-hook sends it under its endpoint."""
        return await put_resource(service, request, kind, id_)
