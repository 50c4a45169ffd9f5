"""What a server's refusal says, told of our own resources: its OperationOutcome as located issues."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from adapter.delivery.client import Answer
from adapter.delivery.identity import Resource, name_of
from adapter.errors import AdapterError, Category, Issue, Severity, one_line

_ENTRY = re.compile(r"(?:Bundle\.)?entry\[(\d+)\](?:\.resource(?:\.ofType\(\w+\)|/\*.*?\*/)?)?\.?")
_LONGEST = 400
_MOST = 20
_CATEGORIES = {
    401: Category.FORBIDDEN,
    403: Category.FORBIDDEN,
    404: Category.NOT_FOUND,
    409: Category.CONFLICT,
    412: Category.CONFLICT,
    429: Category.BUSY,
}
_HINTS = {
    401: "check TRIAL_ADAPTER_TOKEN_FILE or the settings of SMART Backend Services",
    403: "the credentials do not allow it",
    404: "if the server gives ids itself, export with --conditional",
    405: "if the server gives ids itself, export with --conditional",
    409: "someone else writes the same; run the export again",
    412: "someone else writes the same; run the export again",
    413: "the server does not take so much at once",
}


def refusal(answer: Answer, sent: Sequence[Resource], said: str) -> AdapterError:
    """Make the error of an answer that refuses ``sent``, in the order in which it was sent."""
    category = _CATEGORIES.get(answer.status, Category.UNAVAILABLE if answer.status >= 500 else Category.UNSUPPORTED)  # noqa: PLR2004 (HTTP's own classes)
    hint = f"; {_HINTS[answer.status]}" if answer.status in _HINTS else ""
    if answer.status in {400, 422} and any(True for _ in sent):
        hint = "; if the server gives ids itself, export with --conditional" if not _told(answer) else ""
    head = f"{said}: HTTP {answer.status}"
    issues = [
        Issue(Severity.ERROR, "server-refused", f"{head}: {text}{hint}", expression=expression, file=file)
        for text, expression, file in _located(answer, sent)
    ]
    file = str(name_of(sent[0])) if len(sent) == 1 else None
    return AdapterError(category, issues or [Issue(Severity.ERROR, "server-refused", f"{head}{hint}", file=file)])


def is_located(answer: Answer) -> bool:
    """Whether the server says which element it refuses: then it is the content, not the size or the kind of request."""
    return any(_expressions(each) for each in _told(answer))


def _told(answer: Answer) -> list[dict[str, Any]]:
    issues = (answer.body or {}).get("issue")
    listed = [each for each in issues if isinstance(each, dict)] if isinstance(issues, list) else []
    return [each for each in listed if each.get("severity") in {"fatal", "error"}][:_MOST]


def _located(answer: Answer, sent: Sequence[Resource]) -> Iterator[tuple[str, str | None, str | None]]:
    for issue in _told(answer):
        expressions = _expressions(issue)
        expression, resource = _placed(expressions[0], sent) if expressions else (None, None)
        if resource is None and len(sent) == 1:
            resource = sent[0]
        yield _text(issue), expression, str(name_of(resource)) if resource is not None else None


def _placed(expression: str, sent: Sequence[Resource]) -> tuple[str, Resource | None]:
    """Give an expression within one resource of ours, and which: by its entry, or as the only one of its type."""
    entry = _ENTRY.match(expression)
    if entry is not None and int(entry[1]) < len(sent):
        resource = sent[int(entry[1])]
        rest = expression[entry.end() :]
        begin = str(resource["resourceType"])
        return (rest if rest.startswith(begin) else f"{begin}.{rest}" if rest else begin), resource
    of_type = [each for each in sent if re.match(rf"{each['resourceType']}\b", expression)]
    return expression, of_type[0] if len(of_type) == 1 else None


def _expressions(issue: dict[str, Any]) -> list[str]:
    for key in ("expression", "location"):
        listed = issue.get(key)
        if isinstance(listed, list):
            # HAPI adds the line and column of what it parsed, which is a text we never saw.
            found = [str(each)[:_LONGEST] for each in listed if not re.match(r"Line\[|\[?\d", str(each))]
            if found:
                return found
    return []


def _text(issue: dict[str, Any]) -> str:
    details = issue.get("details")
    text = details.get("text") if isinstance(details, dict) else None
    told = issue.get("diagnostics") or text or issue.get("code") or "without a reason"
    return one_line(str(told)[:_LONGEST])
