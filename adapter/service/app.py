"""The application: its parts put together, and its addresses."""

import datetime
import sys
from collections.abc import Callable
from typing import Any, TextIO

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from adapter import __version__
from adapter.catalog.catalog import Catalog
from adapter.fhir.versions import FhirVersion
from adapter.service.access import Guarded, Rate, Recorder, Tokens
from adapter.service.answers import Maker
from adapter.service.bundles import post_bundle
from adapter.service.capability import capability_statement
from adapter.service.cards import SERVICE, patient_view, services
from adapter.service.definitions import SEARCHED, Definitions
from adapter.service.evaluation import Evaluator
from adapter.service.exchange import Exchange
from adapter.service.limits import Bounded, Bounds
from adapter.service.negotiation import wanted
from adapter.service.observing import Metrics, Observed
from adapter.service.operations import evaluate_eligibility, match_trials, validate_bundle
from adapter.service.outcomes import Refusal, defect, encode
from adapter.service.reading import Shape
from adapter.service.serving import Service, answer_of, permitted
from adapter.service.settings import Settings
from adapter.store.ledger import Store

Clock = Callable[[], datetime.datetime]


_RESOURCE = {"schema": {"type": "object", "required": ["resourceType"]}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Done.", "content": {"application/fhir+json": _RESOURCE}},
    422: {"description": "FHIR that cannot be used.", "content": {"application/fhir+json": _RESOURCE}},
    "default": {"description": "An OperationOutcome says why not.", "content": {"application/fhir+json": _RESOURCE}},
}
_TAKES = {"requestBody": {"required": True, "content": {"application/fhir+json": _RESOURCE}}}
_SEARCHES = {
    "parameters": [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in (*SEARCHED, "_count", "_offset")
    ]
}


def create_app(settings: Settings, catalog: Catalog, store: Store, clock: Clock, log: TextIO | None = None) -> ASGIApp:
    """Put the service together; nothing is opened and nothing is listened on."""
    service = make_service(settings, catalog, store, clock)
    api = FastAPI(
        title="fhir-trial-adapter",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # engines do not follow a redirect, and take it for a failure
    )
    _answer_failures(api)
    _add_probes(api, service)
    _add_bundles(api, service)
    definitions = Definitions(catalog, settings.canonical, settings.publisher)
    _add_operations(api, service, definitions)
    _add_definitions(api, service, definitions)
    _add_cards(api, service)
    bounds = Bounds(
        settings.max_decoded_bytes,
        settings.max_encoded_bytes,
        settings.max_gzip_ratio,
        settings.max_header_bytes,
        settings.max_concurrent,
        settings.body_seconds,
    )
    bounded = Bounded(GZipMiddleware(api, minimum_size=1024, compresslevel=4), bounds)
    guarded = Guarded(bounded, Tokens(settings.tokens_file), Rate(settings.client_rate), service.recorder)
    return Observed(guarded, service.metrics, clock, log or sys.stderr)


def make_service(settings: Settings, catalog: Catalog, store: Store, clock: Clock) -> Service:
    """Make the parts."""
    software = f"fhir-trial-adapter/{__version__} mappings/{catalog.mappings.version}"
    return Service(
        Evaluator(catalog, software, settings.canonical, settings.secret()),
        Maker(settings.canonical),
        Exchange(store, clock, settings.answer_seconds),
        Metrics(),
        Recorder(store.record, clock),
        Shape(settings.max_depth, settings.max_nodes, settings.max_entries),
        FhirVersion(settings.fhir_version),
    )


def _answer_failures(api: FastAPI) -> None:
    async def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            known = {404: "there is nothing at this address", 405: "this address is not asked in this way"}
            said = known.get(error.status_code, "the request cannot be done")
            error = Refusal.of(error.status_code, "address", said, headers=error.headers)
        if not isinstance(error, Refusal):  # pragma: no cover (registered for these two only)
            raise error
        request.state.refused = error.code
        return error.response()

    async def failed(request: Request, _error: Exception) -> Response:
        # The outermost layer gets the error too, and logs it.
        return defect(request.state.request_id).response()

    api.add_exception_handler(Exception, failed)
    api.add_exception_handler(Refusal, refused)
    api.add_exception_handler(HTTPException, refused)


def _add_probes(api: FastAPI, service: Service) -> None:
    @api.get("/healthz", operation_id="healthz")
    async def healthz(request: Request) -> PlainTextResponse:
        """Say that the process lives."""
        request.state.operation = "health"
        return PlainTextResponse("ok\n")

    @api.get("/readyz", operation_id="readyz")
    async def readyz(request: Request) -> PlainTextResponse:
        """Say whether messages are taken: whether the database can be written."""
        request.state.operation = "health"
        if not await service.exchange.is_healthy():
            raise Refusal.of(503, "not-ready", "the database cannot be written")
        return PlainTextResponse("ready\n")

    @api.get("/metrics", operation_id="metrics")
    async def metrics(request: Request) -> Response:
        """Give the figures of this process for Prometheus."""
        await permitted(service, request, "metrics", "read")
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_bundles(api: FastAPI, service: Service) -> None:
    @api.post("/fhir", operation_id="bundle", responses=_ANSWERS, openapi_extra=_TAKES)
    @api.post("/fhir/", include_in_schema=False)
    async def bundle(request: Request) -> Response:
        """Screen the patients of a Bundle, and keep what is found."""
        return await post_bundle(service, request)

    @api.post("/fhir/$process-message", operation_id="process-message", responses=_ANSWERS, openapi_extra=_TAKES)
    async def process_message(request: Request) -> Response:
        """Screen the patients of a message."""
        return await post_bundle(service, request, "process-message")


def _add_operations(api: FastAPI, service: Service, definitions: Definitions) -> None:
    @api.post(
        "/fhir/ResearchStudy/$evaluate-eligibility",
        operation_id="evaluate-eligibility",
        responses=_ANSWERS,
        openapi_extra=_TAKES,
    )
    async def evaluate(request: Request) -> Response:
        """Evaluate one trial, or all, for the patients of a document."""
        return await evaluate_eligibility(service, definitions, request, None)

    @api.post(
        "/fhir/ResearchStudy/{study}/$evaluate-eligibility",
        operation_id="evaluate-eligibility-of",
        responses=_ANSWERS,
        openapi_extra=_TAKES,
    )
    async def evaluate_one(request: Request, study: str) -> Response:
        """Evaluate this trial for the patients of a document."""
        return await evaluate_eligibility(service, definitions, request, study)

    @api.post("/fhir/ResearchStudy/$match", operation_id="match", responses=_ANSWERS, openapi_extra=_TAKES)
    async def match(request: Request) -> Response:
        """Give the trials that nothing stands against for one patient."""
        return await match_trials(service, definitions, request)

    @api.post("/fhir/Bundle/$validate", operation_id="validate", responses=_ANSWERS, openapi_extra=_TAKES)
    async def validate(request: Request) -> Response:
        """Say whether a document is FHIR."""
        return await validate_bundle(service, request)


def _add_definitions(api: FastAPI, service: Service, definitions: Definitions) -> None:
    began = service.now()

    @api.get("/fhir/metadata", operation_id="metadata", responses=_ANSWERS)
    async def metadata(request: Request) -> Response:
        """Give the CapabilityStatement."""
        request.state.operation = "metadata"
        version = wanted(request.headers, request.query_params, service.version).version
        return answer_of(encode(capability_statement(definitions, version, began)))

    @api.get("/fhir/{kind}/{id_}", operation_id="read", responses=_ANSWERS)
    async def read(request: Request, kind: str, id_: str) -> Response:
        """Give one resource of the trials."""
        await permitted(service, request, "read", "read")
        version = wanted(request.headers, request.query_params, service.version).version
        return answer_of(definitions.read(version, kind, id_).body)

    @api.get("/fhir/{kind}", operation_id="search", responses=_ANSWERS, openapi_extra=_SEARCHES)
    async def search(request: Request, kind: str) -> Response:
        """Give the resources of the trials that are found."""
        await permitted(service, request, "search", "read")
        wants = wanted(request.headers, request.query_params, service.version)
        query = request.query_params.multi_items()
        return answer_of(definitions.search(wants.version, kind, query, is_strict=wants.is_strict))


def _add_cards(api: FastAPI, service: Service) -> None:
    @api.get("/cds-services", operation_id="cds-services")
    async def discover(request: Request) -> Response:
        """Give the CDS Hooks services there are."""
        request.state.operation = "cds-services"
        return Response(services(), media_type="application/json")

    @api.post(f"/cds-services/{SERVICE}", operation_id="cds-patient-view")
    async def cards(request: Request) -> Response:
        """Give a card for each trial that may be for the patient."""
        return await patient_view(service, request)
