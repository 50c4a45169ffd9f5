"""What an integration engineer reads at ``/openapi.json``: every address with its headers, statuses and real examples.

The addresses themselves say what they take and give; what is the same for all of them is added here, from the status
contract, so that an address that is added later has it too.
"""

import functools
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from adapter import __version__
from adapter.service.openapi_examples import Example, examples
from adapter.service.outcomes import JSON
from adapter.service.serving import Service
from adapter.service.settings import Settings

_FHIR = "application/fhir+json"
_OPEN = ("/healthz", "/readyz", "/fhir/metadata", "/cds-services")
_KEYED = ("bundle", "process-message", "evaluate-eligibility", "evaluate-eligibility-of", "hook")
"""Where a message is done once, or may be."""
_PLAIN = ("/healthz", "/readyz", "/metrics", "/status", "/openapi.json")
_OUTCOME = {"$ref": "#/components/schemas/OperationOutcome"}
_ISSUE = {
    "type": "object",
    "required": ["severity", "code"],
    "properties": {
        "severity": {"type": "string", "enum": ["fatal", "error", "warning", "information"]},
        "code": {"type": "string", "description": "FHIR's issue type, such as business-rule or transient."},
        "details": {
            "type": "object",
            "properties": {
                "coding": {
                    "type": "array",
                    "description": "Our own code, which stays: key on it.",
                    "items": {
                        "type": "object",
                        "properties": {"system": {"type": "string"}, "code": {"type": "string"}},
                    },
                },
                "text": {"type": "string", "description": "What is wrong, and what to do; never a patient's value."},
            },
        },
        "diagnostics": {"type": "string"},
        "expression": {"type": "array", "items": {"type": "string"}, "description": "Where, as FHIRPath."},
    },
}
_SCHEMAS = {
    "OperationOutcome": {
        "type": "object",
        "required": ["resourceType", "issue"],
        "properties": {
            "resourceType": {"type": "string", "const": "OperationOutcome"},
            "issue": {"type": "array", "minItems": 1, "items": _ISSUE},
        },
    }
}
_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the tokens file, or a JWT of its issuers.",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "Name and token, for clients that may (basic = true)."},
    "certificate": {"type": "mutualTLS", "description": "A certificate of the tokens file."},
}
_HEADERS = {
    "X-Request-Id": ("Up to 64 letters, digits, dots, dashes and underscores; given back, and in every log line.", 64),
    "traceparent": ("W3C trace context; logged.", 55),
}
_ACCEPT = "application/fhir+json; fhirVersion=4.0 or 5.0 chooses the version of results."
_PREFER = (
    "return=minimal leaves results out, return=OperationOutcome says the verdicts, return=representation gives the "
    "evidence too; respond-async is answered later."
)
_KEY = "Of 1 to 255 printable characters: the same key and content get the same answer, and are done once."
_STATUSES = {
    400: "Not JSON, not UTF-8, a key twice, NaN, too deep, no Bundle. Do not send it again.",
    401: "No token that is known here.",
    403: "A scope is missing.",
    404: "There is no such thing here.",
    406: "An Accept that is not written here.",
    408: "The body came too slowly. Send it again.",
    409: "The key was used for another message. Do not send it again under this key.",
    412: "The Patient is not prefetched.",
    413: "The body is too large. Send it in parts.",
    415: "A Content-Type, charset or Content-Encoding that is not read here.",
    422: "FHIR that cannot be used: nobody in it, or a reference to nothing. Do not send it again.",
    429: "Too often. Send it again after Retry-After seconds.",
    431: "The headers are too large.",
    500: "A defect of the adapter: its log has more under the request's id.",
    503: "Busy, stopping, or the database is away; nothing was kept. Send it again after Retry-After seconds.",
}
_ALWAYS = (401, 403, 429, 431, 500, 503)
_WITH_BODY = (400, 408, 413, 415, 422)


def describe(api: FastAPI, service: Service, settings: Settings) -> None:
    """Let the application describe itself so; made when it is first asked for."""

    @functools.cache
    def made() -> dict[str, Any]:
        about = f"Answers are {JSON.partition(';')[0]}; every one of 400 and above is an OperationOutcome."
        told = get_openapi(
            title="fhir-trial-adapter",
            version=__version__,
            summary="Screens patient Bundles against clinical trials.",
            description=f"{about} A code or unit that is not known is no error: the criterion is unknown.",
            routes=api.routes,
        )
        parts = told.setdefault("components", {})
        parts.setdefault("schemas", {}).update(_SCHEMAS)
        parts["securitySchemes"] = _SCHEMES
        is_protected = settings.tokens_file is not None
        known = examples(service)
        parts["examples"] = _named(known)
        for path, method, operation in _operations(told):
            _describe(path, method, operation, known, is_protected=is_protected)
        return told

    api.openapi = made  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _operations(told: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _describe(
    path: str, method: str, operation: dict[str, Any], known: dict[str, Example], *, is_protected: bool
) -> None:
    """Add to one address what is the same for all of its kind."""
    name = operation["operationId"]
    is_open = path in _OPEN and method == "get"
    has_body = "requestBody" in operation
    operation["summary"] = str(operation.get("description", name)).partition(":")[0].rstrip(".")
    operation["tags"] = [_tag(path, method)]
    operation["security"] = [{each: []} for each in _SCHEMES] if is_protected and not is_open else []
    _add_headers(path, operation, name, has_body=has_body)
    statuses = set() if is_open else set(_ALWAYS)
    if has_body:
        statuses.update(_WITH_BODY)
    if "{" in path:
        statuses.add(404)
    if path not in _PLAIN:
        statuses.add(406)
    if name in _KEYED or name.startswith("hook"):
        statuses.add(409)
    if name.startswith("cds-patient"):
        statuses.add(412)
    if path == "/readyz":
        statuses.add(503)
    _add_answers(operation, statuses)
    _add_examples(operation, known.get(name), known)


def _add_headers(path: str, operation: dict[str, Any], name: str, *, has_body: bool) -> None:
    told = operation.setdefault("parameters", [])
    there = {each["name"].lower() for each in told}
    wanted: list[tuple[str, str, dict[str, object]]] = []
    for header, (said, most) in _HEADERS.items():
        wanted.append((header, said, {"type": "string", "maxLength": most}))
    if name in _KEYED:
        wanted.append(("Prefer", _PREFER, {"type": "string"}))
        wanted.append(("Idempotency-Key", _KEY, {"type": "string", "pattern": "^[!-~]{1,255}$"}))
    for header, said, schema in wanted:
        if header.lower() not in there:
            told.append({"name": header, "in": "header", "required": False, "description": said, "schema": schema})
    if has_body and path not in _PLAIN:
        operation["description"] = f"{operation.get('description', '')}\n\nAccept: {_ACCEPT}".strip()


def _add_answers(operation: dict[str, Any], statuses: set[int]) -> None:
    answers = operation.setdefault("responses", {})
    for status in statuses:
        answers.setdefault(str(status), {"description": _STATUSES[status], "content": {_FHIR: {"schema": _OUTCOME}}})
    for status, answer in answers.items():
        headers = answer.setdefault("headers", {})
        headers["X-Request-Id"] = {"schema": {"type": "string"}}
        if status == "401":
            headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
        if status in ("429", "503"):
            headers["Retry-After"] = {"schema": {"type": "integer"}, "description": "Seconds."}
        if status == "200" and operation["operationId"] in _KEYED:
            said = "The message was answered before, and this is that answer."
            headers["X-Idempotent-Replay"] = {"schema": {"type": "string", "const": "true"}, "description": said}
        is_refusal = status == "default" or status >= "400"
        if is_refusal:
            answer["content"] = {_FHIR: {"schema": _OUTCOME}}
            if status in _STATUSES_TEXT:
                answer["description"] = _STATUSES_TEXT[status]
    operation["responses"] = dict(sorted(answers.items()))


_STATUSES_TEXT = {str(status): said for status, said in _STATUSES.items()}


def _add_examples(operation: dict[str, Any], own: Example | None, known: dict[str, Example]) -> None:
    if own is not None:
        body = operation.get("requestBody", {}).get("content", {}).get(_FHIR)
        if body is not None:
            body["examples"] = {"sample": _shown(own.asked_name)}
        answer = operation["responses"].get("200", {}).get("content", {}).get(_FHIR)
        if answer is not None and own.answer is not None:
            answer["examples"] = {"sample": _shown(own.answer_name)}
    for status, answer in operation["responses"].items():
        refused = known.get(status)
        if refused is not None and _FHIR in answer.get("content", {}):
            answer["content"][_FHIR]["examples"] = {"sample": _shown(refused.answer_name)}


def _shown(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/examples/{name}"}


def _named(known: dict[str, Example]) -> dict[str, Any]:
    """Give every example once, however many addresses show it."""
    made: dict[str, Any] = {}
    for each in known.values():
        if each.asked is not None:
            made[each.asked_name] = {"summary": each.summary, "value": each.asked}
        if each.answer is not None:
            made[each.answer_name] = {"summary": f"the answer to {each.summary}", "value": each.answer}
    return made


def _tag(path: str, method: str) -> str:
    if path.startswith("/cds-services"):
        return "CDS Hooks"
    if not path.startswith("/fhir"):
        return "Running the service"
    if "/async/" in path:
        return "Answers that come later"
    if path.startswith("/fhir/hook") or (method != "get" and path == "/fhir/{kind}/{id_}"):
        return "Subscriptions"
    if "$evaluate" in path or "$match" in path or "$validate" in path:
        return "Questions"
    return "Trials" if method == "get" else "Messages"
