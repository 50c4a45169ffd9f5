"""What an answer of the FHIR server means for a delivery: done, again later, read again, or given up."""

import enum
import re

from adapter.delivery.client import Answer

_LATER = frozenset({401, 408, 409, 425, 429, 500, 502, 503, 504, 507})
"""401: the server does not know us now; that is no fault of the delivery."""
_CHANGED = 412
_TRANSIENT = frozenset({"transient", "lock-error", "throttled", "timeout", "incomplete"})
_CODE = re.compile(r"[a-z][a-z-]{1,30}")
_EXPRESSION = re.compile(r"[A-Za-z0-9.\[\]]{1,80}")
_MOST = 5


class Verdict(enum.Enum):
    """What is done next."""

    DONE = "done"
    LATER = "later"
    CHANGED = "changed"
    DEAD = "dead"


def verdict(said: Answer) -> Verdict:
    """Say what to do after an answer to a write."""
    if said.is_success:
        return Verdict.DONE
    if said.status == _CHANGED:
        return Verdict.CHANGED
    if said.status in _LATER or _TRANSIENT.intersection(_codes(said)):
        return Verdict.LATER
    return Verdict.DEAD


def told(said: Answer) -> str:
    """Give an answer's status and the codes and places of its OperationOutcome; never its texts, which quote values."""
    issues = [f"{code}{f' at {place}' if place else ''}" for code, place in _issues(said)]
    return f"http-{said.status}{': ' if issues else ''}{', '.join(dict.fromkeys(issues))}"[:300]


def _codes(said: Answer) -> list[str]:
    return [code for code, _ in _issues(said)]


def _issues(said: Answer) -> list[tuple[str, str]]:
    listed = (said.body or {}).get("issue")
    found = []
    for each in listed[:_MOST] if isinstance(listed, list) else ():
        code = each.get("code") if isinstance(each, dict) else None
        if isinstance(code, str) and _CODE.fullmatch(code):
            places = each.get("expression")
            place = places[0] if isinstance(places, list) and places else None
            found.append((code, place if isinstance(place, str) and _EXPRESSION.fullmatch(place) else ""))
    return found
