"""The application: its parts put together, and its addresses."""

import datetime
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from adapter import __version__
from adapter.catalog.catalog import Catalog
from adapter.fhir.versions import FhirVersion
from adapter.service.access import Guarded, Rate, Tokens
from adapter.service.across import Across
from adapter.service.answers import Maker
from adapter.service.auditing import Audited, Recorder
from adapter.service.capability import capability_statement
from adapter.service.cards import SERVICE, patient_view, services, take_feedback
from adapter.service.definitions import SEARCHED, Definitions
from adapter.service.deliveries import delivery_figures
from adapter.service.evaluation import Evaluator
from adapter.service.exchange import Exchange
from adapter.service.later import Later
from adapter.service.limits import Bounded, Bounds
from adapter.service.methods import Methods, allowed
from adapter.service.negotiation import wanted
from adapter.service.observing import Observed
from adapter.service.openapi import describe
from adapter.service.operations import evaluate_eligibility, match_trials, validate_bundle
from adapter.service.outcomes import Refusal, defect, encode
from adapter.service.posting import ANSWERS, TAKES, add_bundles, add_hooks, add_later
from adapter.service.quarantine import Aside
from adapter.service.reading import Shape
from adapter.service.room import Caps, Room
from adapter.service.serving import Service, answer_of, permitted
from adapter.service.settings import Settings
from adapter.service.sources import Sources
from adapter.service.status import add_status
from adapter.service.unread import Tally, noticing
from adapter.service.watching import Watched
from adapter.store.known import Patients
from adapter.store.later import Jobs, Subscriptions
from adapter.store.ledger import Store
from adapter.store.quarantine import Bounds as Kept
from adapter.store.quarantine import Quarantine
from adapter.store.sealing import Sealer
from adapter.store.seen import SeenTokens

Clock = Callable[[], datetime.datetime]


_SEARCHES = {
    "parameters": [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in (*SEARCHED, "_count", "_offset")
    ]
}


_SERVICES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The services.",
        "content": {"application/json": {"schema": {"type": "object", "required": ["services"]}}},
    }
}
_CARDS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The cards.",
        "content": {"application/json": {"schema": {"type": "object", "required": ["cards"]}}},
    }
}
_HOOK = {"schema": {"type": "object", "required": ["hook", "hookInstance", "context"]}}
_TAKES_HOOK = {"requestBody": {"required": True, "content": {"application/json": _HOOK}}}


def create_app(
    settings: Settings,
    catalog: Catalog,
    store: Store,
    clock: Clock,
    log: TextIO | None = None,
    service: Service | None = None,
) -> ASGIApp:
    """Put the service together; nothing is opened and nothing is listened on."""
    service = service or make_service(settings, catalog, store, clock)
    api = FastAPI(
        title="fhir-trial-adapter",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses={"default": ANSWERS["default"]},
        default_response_class=Response,  # else each operation would claim to answer application/json as well
        redirect_slashes=False,  # engines do not follow a redirect, and take it for a failure
    )
    _answer_failures(api, service)
    _add_probes(api, service)
    add_bundles(api, service)
    add_later(api, service)
    definitions = Definitions(catalog, settings.canonical, settings.publisher)
    _add_operations(api, service, definitions)
    _add_definitions(api, service, definitions)
    _add_cards(api, service)
    add_hooks(api, service)
    add_status(api, service, settings)
    describe(api, service, settings)
    bounds = Bounds(
        settings.max_decoded_bytes,
        settings.max_encoded_bytes,
        settings.max_gzip_ratio,
        settings.max_header_bytes,
        settings.max_concurrent,
        settings.body_seconds,
        settings.max_held_bytes,
    )
    asked = Methods(GZipMiddleware(api, minimum_size=1024, compresslevel=4), api.routes)
    bounded = Bounded(asked, bounds)
    tokens = Tokens(settings.tokens_file, settings.trusted_proxies, SeenTokens(store), clock)
    audited = Audited(Guarded(bounded, tokens, Rate(settings.client_rate)), service.recorder)
    return Observed(audited, service.metrics, clock, log or sys.stderr)


def make_service(settings: Settings, catalog: Catalog, store: Store, clock: Clock) -> Service:
    """Make the parts."""
    software = f"fhir-trial-adapter/{__version__} mappings/{catalog.mappings.version}"
    metrics = Watched(clock)
    catalog = noticing(catalog, Tally.of(catalog))
    sealer = Sealer.of(settings.storage_key_file)
    keeps = settings.storage == "kept"
    kept = Kept(settings.quarantine_days, settings.quarantine_count, settings.quarantine_bytes)
    address = str(settings.address).rstrip("/") if settings.address is not None else None
    store.sealer = sealer
    evaluator = Evaluator(catalog, software, settings.canonical, settings.secret())
    return Service(
        evaluator,
        Maker(settings.canonical),
        Exchange(store, clock, settings.answer_seconds, keeps=keeps, delivers=keeps or settings.target is not None),
        metrics,
        Recorder(store.record, clock),
        Shape(settings.max_depth, settings.max_nodes, settings.max_entries),
        FhirVersion(settings.fhir_version),
        Room(store.waiting, Caps(settings.waiting_deliveries, settings.max_later), metrics),
        Later(store, Jobs(store, sealer), settings.sync_bytes, address, keeps=keeps),
        Sources(settings.sources, os.environ),
        Subscriptions(store),
        Aside(Quarantine(store, sealer, kept), metrics, keeps=keeps),
        Across(evaluator, Patients(store, sealer, settings.retention_days)) if keeps else None,
    )


def _answer_failures(api: FastAPI, service: Service) -> None:
    async def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            known = {404: "there is nothing at this address", 405: "this address is not asked in this way"}
            said = known.get(error.status_code, "the request cannot be done")
            error = Refusal.of(error.status_code, "address", said, headers=error.headers)
            if error.status == 405:  # noqa: PLR2004 (the routes know of one another's methods only here)
                error.headers["Allow"] = allowed(api.routes, request.scope)
        if not isinstance(error, Refusal):  # pragma: no cover (registered for these two only)
            raise error
        request.state.refused = error.code
        return await service.aside.instead(request, error, service.now()) or error.response()

    async def failed(request: Request, _error: Exception) -> Response:
        # The outermost layer gets the error too, and logs it.
        return defect(request.state.request_id).response()

    api.add_exception_handler(Exception, failed)
    api.add_exception_handler(Refusal, refused)
    api.add_exception_handler(HTTPException, refused)


def _add_probes(api: FastAPI, service: Service) -> None:
    @api.get("/healthz", operation_id="healthz", response_class=PlainTextResponse)
    async def healthz(request: Request) -> PlainTextResponse:
        """Say that the process lives."""
        request.state.operation = "health"
        return PlainTextResponse("ok\n")

    @api.get("/readyz", operation_id="readyz", response_class=PlainTextResponse)
    async def readyz(request: Request) -> PlainTextResponse:
        """Say whether messages are taken: whether the database can be written."""
        request.state.operation = "health"
        if not await service.exchange.is_healthy():
            raise Refusal.of(503, "not-ready", "the database cannot be written")
        await service.room.check()
        return PlainTextResponse("ready\n")

    @api.get("/metrics", operation_id="metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """Give the figures of this process for Prometheus."""
        await permitted(service, request, "metrics", "read")
        deliveries = await anyio.to_thread.run_sync(delivery_figures, service.exchange.store)
        said = service.metrics.text() + deliveries
        return Response(said, media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_operations(api: FastAPI, service: Service, definitions: Definitions) -> None:
    @api.post(
        "/fhir/ResearchStudy/$evaluate-eligibility",
        operation_id="evaluate-eligibility",
        responses=ANSWERS,
        openapi_extra=TAKES,
    )
    async def evaluate(request: Request) -> Response:
        """Evaluate one trial, or all, for the patients of a document."""
        return await evaluate_eligibility(service, definitions, request, None)

    @api.post(
        "/fhir/ResearchStudy/{study}/$evaluate-eligibility",
        operation_id="evaluate-eligibility-of",
        responses=ANSWERS,
        openapi_extra=TAKES,
    )
    async def evaluate_one(request: Request, study: str) -> Response:
        """Evaluate this trial for the patients of a document."""
        return await evaluate_eligibility(service, definitions, request, study)

    @api.post("/fhir/ResearchStudy/$match", operation_id="match", responses=ANSWERS, openapi_extra=TAKES)
    async def match(request: Request) -> Response:
        """Give the trials that nothing stands against for one patient."""
        return await match_trials(service, definitions, request)

    @api.post("/fhir/Bundle/$validate", operation_id="validate", responses=ANSWERS, openapi_extra=TAKES)
    async def validate(request: Request) -> Response:
        """Say whether a document is FHIR."""
        return await validate_bundle(service, request)


def _add_definitions(api: FastAPI, service: Service, definitions: Definitions) -> None:
    began = service.now()

    @api.get("/fhir/metadata", operation_id="metadata", responses=ANSWERS)
    async def metadata(request: Request) -> Response:
        """Give the CapabilityStatement."""
        request.state.operation = "metadata"
        version = wanted(request.headers, request.query_params, service.version).version
        return answer_of(encode(capability_statement(definitions, version, began)))

    @api.get("/fhir/{kind}/{id_}", operation_id="read", responses=ANSWERS)
    async def read(request: Request, kind: str, id_: str) -> Response:
        """Give one resource of the trials."""
        await permitted(service, request, "read", "read")
        version = wanted(request.headers, request.query_params, service.version).version
        return answer_of(definitions.read(version, kind, id_).body)

    @api.get("/fhir/{kind}", operation_id="search", responses=ANSWERS, openapi_extra=_SEARCHES)
    async def search(request: Request, kind: str) -> Response:
        """Give the resources of the trials that are found."""
        await permitted(service, request, "search", "read")
        wants = wanted(request.headers, request.query_params, service.version)
        query = request.query_params.multi_items()
        return answer_of(definitions.search(wants.version, kind, query, is_strict=wants.is_strict))


def _add_cards(api: FastAPI, service: Service) -> None:
    @api.get("/cds-services", operation_id="cds-services", responses=_SERVICES)
    async def discover(request: Request) -> Response:
        """Give the CDS Hooks services there are."""
        request.state.operation = "cds-services"
        return Response(services(), media_type="application/json")

    @api.post(f"/cds-services/{SERVICE}", operation_id="cds-patient-view", responses=_CARDS, openapi_extra=_TAKES_HOOK)
    async def cards(request: Request) -> Response:
        """Give a card for each trial that may be for the patient."""
        return await patient_view(service, request)

    @api.post(f"/cds-services/{SERVICE}/feedback", operation_id="cds-feedback")
    async def feedback(request: Request) -> Response:
        """Take what became of the cards."""
        return await take_feedback(service, request)
