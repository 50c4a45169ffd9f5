"""What an answer of the FHIR server means for a delivery: done, again later, read again, or given up."""

import enum
import re

from adapter.delivery.client import Answer

_LATER = frozenset({401, 408, 409, 425, 429, 500, 502, 503, 504, 507})
"""401: the server does not know us now; that is no fault of the delivery."""
_CHANGED = 412
_NOT_BUILT = frozenset({405, 501})
_PERHAPS = frozenset({400, 404, 422})
_NOT_SUPPORTED = "not-supported"
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


class Refused(Exception):  # noqa: N818 (it names what the server did)
    """The server did not take it; what to do, and codes that say why."""

    def __init__(self, verdict: Verdict, code: str, asked_s: float | None = None, answer: Answer | None = None) -> None:
        self.verdict = verdict
        self.code = code
        self.asked_s = asked_s
        self.answer = answer
        super().__init__(code)

    @classmethod
    def by(cls, said: Answer) -> "Refused":
        """Make it of an answer."""
        return cls(verdict(said), told(said), said.retry_after_s, said)

    @property
    def status(self) -> int:
        """The status of the answer; 0 where we refuse it ourselves."""
        return 0 if self.answer is None else self.answer.status

    @property
    def is_for_the_type(self) -> bool:
        """Whether the server says that it takes nothing of this kind, rather than not this one."""
        said = self.answer
        if said is None:
            return False
        return said.status in _NOT_BUILT or (said.status in _PERHAPS and _NOT_SUPPORTED in _codes(said))


def verdict(said: Answer) -> Verdict:
    """Say what to do after an answer to a write."""
    if said.is_success:
        is_error = (said.body or {}).get("resourceType") == "OperationOutcome" and _is_error(said)
        # Some servers say 200 and mean no.
        return (Verdict.LATER if _TRANSIENT.intersection(_codes(said)) else Verdict.DEAD) if is_error else Verdict.DONE
    if said.status == _CHANGED:
        return Verdict.CHANGED
    if said.status in _LATER or _TRANSIENT.intersection(_codes(said)):
        return Verdict.LATER
    return Verdict.DEAD


def told(said: Answer) -> str:
    """Give an answer's status and the codes and places of its OperationOutcome; never its texts, which quote values."""
    issues = [f"{code}{f' at {place}' if place else ''}" for code, place in _issues(said)]
    return f"http-{said.status}{': ' if issues else ''}{', '.join(dict.fromkeys(issues))}"[:300]


def _is_error(said: Answer) -> bool:
    listed = (said.body or {}).get("issue")
    found = [each.get("severity") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return not {"error", "fatal"}.isdisjoint(found)


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
