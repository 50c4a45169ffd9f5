"""What this service says of itself: a CapabilityStatement of what is there, and only that."""

import datetime
from typing import Any

from adapter import __version__
from adapter.emission.files import Resource
from adapter.emission.names import Naming
from adapter.fhir.versions import FhirVersion
from adapter.service.definitions import SEARCHED, Definition, Definitions
from adapter.service.operation_definitions import VERSION, operation_definitions

_FHIR = {FhirVersion.R4: "4.0.1", FhirVersion.R5: "5.0.0"}
_TYPES = {"_id": "token", "url": "uri", "identifier": "token"}
MESSAGE = "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"
VALIDATE = "http://hl7.org/fhir/OperationDefinition/Resource-validate"

_DOCUMENTATION = """\
Bundles and messages are taken at the base and answered later where Prefer says respond-async: the address in \
Content-Location gives 202 until it is done. PUT or POST of a single resource at Type/id, or at hook/NAME/Type/id, is \
taken as the notification of an R4 rest-hook: it is screened, and cannot be read back. Notifications of R4 (backport), \
R4B and R5 subscriptions are taken at the base and at hook/NAME."""


def capability_statement(definitions: Definitions, version: FhirVersion, began: datetime.datetime) -> Resource:
    """Give the CapabilityStatement of this service in a version."""
    naming = Naming(version, definitions.base)
    by_type: dict[str, list[Definition]] = {}
    for (kind, _), each in definitions.of(version).items():
        by_type.setdefault(kind, []).append(each)
    resources = [_resource(kind, some, naming) for kind, some in sorted(by_type.items())]
    resources.append({"type": "Bundle", "operation": [{"name": "validate", "definition": VALIDATE}]})
    resources.sort(key=lambda each: str(each["type"]))
    return {
        "resourceType": "CapabilityStatement",
        "id": "trial-adapter",
        "url": naming.url("CapabilityStatement", "trial-adapter"),
        "version": VERSION,
        "name": "TrialAdapter",
        "title": "FHIR trial adapter",
        "status": "active",
        "date": began.isoformat().replace("+00:00", "Z"),
        "kind": "instance",
        "description": "Screens patient Bundles against clinical trials, and serves the trials' definitions.",
        "software": {"name": "fhir-trial-adapter", "version": __version__},
        "implementation": {"description": "fhir-trial-adapter", "url": definitions.base},
        "fhirVersion": _FHIR[version],
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": _DOCUMENTATION,
                "security": {"description": "Tokens, signed tokens or certificates; rights ingest, read, admin."},
                "resource": resources,
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
                "operation": [{"name": "process-message", "definition": MESSAGE}],
            }
        ],
    }


def _resource(kind: str, some: list[Definition], naming: Naming) -> dict[str, Any]:
    made: dict[str, Any] = {"type": kind, "interaction": [{"code": "read"}, {"code": "search-type"}]}
    has = {"_id"} | {name for name in SEARCHED for each in some if name in each.resource}
    made["searchParam"] = [{"name": name, "type": _TYPES[name]} for name in SEARCHED if name in has]
    if kind == "ResearchStudy":
        made["operation"] = [
            {"name": each["code"], "definition": naming.url("OperationDefinition", each["id"])}
            for each in operation_definitions(naming)
        ]
    return made
