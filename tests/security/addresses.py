"""Every address of the service, out of its own OpenAPI: what is added there is tested here without being named."""

import re
from typing import Any, NamedTuple

_FILLED = {"study": "cfmsc", "kind": "ResearchStudy", "type": "ResearchStudy"}
"""Path parameters that must be something; any other is ``x``."""


class Address(NamedTuple):
    method: str
    path: str
    media: str | None
    """What its body is sent as; None where it takes none."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def addresses(openapi: dict[str, Any]) -> list[Address]:
    found = []
    for template, item in openapi["paths"].items():
        path = re.sub(r"\{(\w+)\}", lambda name: _FILLED.get(name[1], "x"), template)
        for method, operation in item.items():
            if method in ("get", "put", "post", "delete", "patch"):
                content = operation.get("requestBody", {}).get("content", {})
                usual = "application/fhir+json" if method in ("put", "post", "patch") else None
                found.append(Address(method.upper(), path, next(iter(content), usual)))
    return found
