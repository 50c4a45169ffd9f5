"""What a failure is to a client: the one table from categories to HTTP, and OperationOutcome as every answer's body."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.validate.report import ISSUE_SYSTEM, issue_type

JSON = "application/fhir+json; charset=utf-8"

encode = msgspec.json.Encoder(decimal_format="number").encode

_STATUS = {
    Category.MALFORMED: 400,
    Category.UNSUPPORTED: 422,
    Category.NOT_FOUND: 404,
    Category.FORBIDDEN: 403,
    Category.CONFLICT: 409,
    Category.BUSY: 503,
    Category.UNAVAILABLE: 503,
    Category.DEFECT: 500,
}
_TRANSIENT = (429, 503)
"""Engines key on transient issue codes, so these statuses alone carry them, with Retry-After."""
_TYPES = {401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 406: "not-supported", 408: "timeout"}
_TYPES |= {
    409: "duplicate",
    412: "incomplete",
    413: "too-long",
    415: "not-supported",
    429: "throttled",
    431: "too-long",
}
_TYPES |= {500: "exception", 503: "transient"}
_RETRY_S = 2


class Refusal(Exception):  # noqa: N818 (an answer, not a defect)
    """A request that is not done: its status, its issues, and the headers that belong to it."""

    def __init__(self, status: int, issues: Iterable[Issue], headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.issues = tuple(issues)
        self.headers = dict(headers or {})
        if status in _TRANSIENT:
            self.headers.setdefault("Retry-After", str(_RETRY_S))
        super().__init__(", ".join(each.code for each in self.issues))

    @classmethod
    def of(
        cls,
        status: int,
        code: str,
        message: str,
        *,
        expression: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "Refusal":
        """Make the refusal of a single issue."""
        return cls(status, (Issue(Severity.ERROR, code, message, expression=expression),), headers)

    @classmethod
    def because(cls, error: AdapterError) -> "Refusal":
        """Make the refusal that an error of the core is to a client."""
        return cls(_STATUS[error.category], error.issues)

    @property
    def code(self) -> str:
        """Our name of the first issue, for logs and metrics."""
        return self.issues[0].code

    def body(self) -> bytes:
        """Give the OperationOutcome."""
        said = [issue_element(each, _type_of(self.status, each.code)) for each in self.issues]
        return encode({"resourceType": "OperationOutcome", "issue": said})

    def response(self) -> Response:
        """Give the answer."""
        return Response(self.body(), self.status, self.headers, JSON)


def defect(request_id: str) -> Refusal:
    """Make the answer to a bug of ours, which gives nothing but the request's id."""
    return Refusal.of(500, "defect", f"a defect of the adapter; its log has more under request {request_id}")


def _type_of(status: int, code: str) -> str:
    """Give FHIR's issue type, as the status contract has it."""
    match status:
        case 400:
            return "invalid" if code in _INVALID else "structure"
        case 422:
            return "business-rule" if code in _RULES else "processing"
        case _:
            return _TYPES[status]


_INVALID = frozenset(
    ("bad-parameter", "bundle-expected", "bundle-type", "hook", "idempotency-key", "prefetch", "several-patients")
)
_RULES = frozenset(("dangling-urn", "message-header", "no-patient", "no-subject", "several-patients"))


def outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """Give issues as an OperationOutcome, valid in R4 and R5."""
    said = [issue_element(each, issue_type(each)) for each in issues]
    if not said:
        said = [{"severity": "information", "code": "informational", "details": {"text": "Nothing to remark."}}]
    return {"resourceType": "OperationOutcome", "issue": said}


def issue_element(issue: Issue, kind: str) -> dict[str, Any]:
    """Give one issue as FHIR has it; ``kind`` is a code of FHIR's issue-type."""
    made: dict[str, Any] = {
        "severity": issue.severity.value,
        "code": kind,
        "details": {"coding": [{"system": ISSUE_SYSTEM, "code": issue.code}], "text": issue.message},
    }
    if issue.line is not None:
        made["diagnostics"] = f"line {issue.line}"
    if issue.expression:
        made["expression"] = [issue.expression]
    return made
