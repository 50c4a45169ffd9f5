"""What the service answered, as values: verdicts by patient and trial, the criteria behind them, what was remarked."""

from collections.abc import Iterator
from typing import Any

import msgspec

_PLAN = "/PlanDefinition/"


class Criterion(msgspec.Struct, frozen=True):
    """One atom of a criterion, and whether it speaks for the patient."""

    id: str
    kind: str
    """``inclusion`` or ``exclusion``."""
    passes: bool | None
    """Whether it does not stand in the way; None where that is unknown, for ``reason``."""
    message: str
    reason: str | None = None


class Result(msgspec.Struct, frozen=True):
    """What one trial says of one patient."""

    patient: str
    """The reference by which the results name the patient, such as ``Patient/17``."""
    trial: str
    """The id of its ResearchStudy, in small letters: ``nct02302599``."""
    verdict: str
    """``eligible``, ``candidate``, ``potential-candidate`` or ``ineligible``."""
    subject: str | None
    """The ResearchSubject written for it; None where nothing at all could be evaluated."""
    criteria: tuple[Criterion, ...] = ()

    @property
    def open(self) -> tuple[Criterion, ...]:
        """What is unknown."""
        return tuple(each for each in self.criteria if each.passes is None)


class Match(msgspec.Struct, frozen=True):
    """A trial that nothing stands against."""

    trial: str
    title: str
    grade: str
    """``certain``, ``probable`` or ``possible``, as FHIR's match-grade has it."""
    score: float


class Remark(msgspec.Struct, frozen=True):
    """One issue of an OperationOutcome."""

    severity: str
    type: str
    """FHIR's issue type, such as ``business-rule``."""
    code: str
    """The service's own stable code, such as ``no-patient``; empty where something else answered."""
    text: str
    expression: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether something was refused."""
        return self.severity in ("error", "fatal")


class Reply(msgspec.Struct, frozen=True):
    """One answer."""

    status: int
    raw: bytes
    """The body as it came."""
    request_id: str
    """Under which the service's log has more."""
    is_replayed: bool
    """Whether the same message was answered before, and this is that answer."""
    results: tuple[Result, ...] = ()
    matches: tuple[Match, ...] = ()
    issues: tuple[Remark, ...] = ()

    @property
    def verdicts(self) -> dict[str, str]:
        """Give the verdict of each trial; raises LookupError where the answer is about several patients."""
        patients = self.by_patient
        if len(patients) > 1:
            said = f"the answer is about {len(patients)} patients: use by_patient"
            raise LookupError(said)
        return {trial: each.verdict for some in patients.values() for trial, each in some.items()}

    @property
    def by_patient(self) -> dict[str, dict[str, Result]]:
        """Give the results by patient, then trial; raises LookupError where two patients go by one reference."""
        made: dict[str, dict[str, Result]] = {}
        for each in self.results:
            of_patient = made.setdefault(each.patient, {})
            if each.trial in of_patient:
                # Namesakes of two servers in one document: the later one must not stand for the earlier.
                raise LookupError("two patients go by one reference: use results")
            of_patient[each.trial] = each
        return made

    @property
    def errors(self) -> tuple[Remark, ...]:
        """What was refused, in an answer that says 200 all the same: an entry of a batch, a message set aside."""
        return tuple(each for each in self.issues if each.is_error)


def read_reply(status: int, raw: bytes, request_id: str, *, is_replayed: bool) -> Reply:
    """Read an answer; what is in it and not understood is left to ``raw``."""
    tree = _tree(raw)
    found = list(_resources(tree))
    subjects = {_guidance_of(each): each for each, _ in found if each.get("resourceType") == "ResearchSubject"}
    results = [_result(each, subjects) for each, _ in found if each.get("resourceType") == "GuidanceResponse"]
    return Reply(
        status=status,
        raw=raw,
        request_id=request_id,
        is_replayed=is_replayed,
        results=tuple(results),
        matches=tuple(_match(each, search) for each, search in found if search.get("mode") == "match"),
        issues=tuple(remarks_of(raw, tree)),
    )


def remarks_of(raw: bytes, tree: dict[str, Any] | None = None) -> Iterator[Remark]:
    """Give the issues of an OperationOutcome, or of those in a Bundle; nothing where it is neither."""
    tree = _tree(raw) if tree is None else tree
    outcomes = [each for each, _ in _resources(tree)]
    outcomes += [_dict(_dict(entry.get("response")).get("outcome")) for entry in _list(tree.get("entry"))]
    for outcome in outcomes:
        if outcome.get("resourceType") == "OperationOutcome":
            for issue in _list(outcome.get("issue")):
                yield _remark(issue)


def later_entry(raw: bytes) -> tuple[int, bytes] | None:
    """Give status and body of the one answer in a ``batch-response``; None where it is nothing of the kind."""
    tree = _tree(raw)
    entries = _list(tree.get("entry"))
    response = _dict(entries[0].get("response")) if len(entries) == 1 else {}
    status = str(response.get("status", ""))[:3]
    if tree.get("type") != "batch-response" or not status.isdigit():
        return None
    return int(status), msgspec.json.encode(entries[0].get("resource") or response.get("outcome"))


def _tree(raw: bytes) -> dict[str, Any]:
    try:
        return _dict(msgspec.json.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _resources(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Give a resource, or those of a Bundle with how each was found."""
    if tree.get("resourceType") != "Bundle":
        yield tree, {}
        return
    for entry in _list(tree.get("entry")):
        yield _dict(entry.get("resource")), _dict(entry.get("search"))


def _guidance_of(subject: dict[str, Any]) -> str:
    references = (_dict(each.get("valueReference")).get("reference") for each in _list(subject.get("extension")))
    return next((str(each) for each in references if str(each).startswith("GuidanceResponse/")), "")


def _result(guidance: dict[str, Any], subjects: dict[str, dict[str, Any]]) -> Result:
    subject = subjects.get(f"GuidanceResponse/{guidance.get('id')}")
    given = next((_list(each.get("parameter")) for each in _list(guidance.get("contained")) if "parameter" in each), [])
    state = next((each.get("valueCode") for each in given if each.get("name") == "subjectState"), "")
    plan = str(guidance.get("moduleCanonical", "")).rpartition(_PLAN)[2].partition("|")[0]
    return Result(
        patient=str(_dict(guidance.get("subject")).get("reference", "")),
        trial=plan.removesuffix("-eligibility"),
        verdict=str(state),
        subject=f"ResearchSubject/{subject['id']}" if subject is not None else None,
        criteria=tuple(_criterion(_list(each.get("part"))) for each in given if each.get("name") == "criterion"),
    )


def _criterion(parts: list[dict[str, Any]]) -> Criterion:
    by_name = {str(each.get("name")): each for each in parts}
    passes = by_name.get("passes", {}).get("valueBoolean")
    reason = by_name.get("reason", {}).get("valueCode")
    return Criterion(
        id=str(by_name.get("id", {}).get("valueString", "")),
        kind=str(by_name.get("kind", {}).get("valueCode", "")),
        passes=passes if isinstance(passes, bool) else None,
        message=str(by_name.get("message", {}).get("valueString", "")),
        reason=str(reason) if reason is not None else None,
    )


def _match(study: dict[str, Any], search: dict[str, Any]) -> Match:
    grade = next((each.get("valueCode") for each in _list(search.get("extension"))), "")
    score = search.get("score")
    number = float(score) if isinstance(score, int | float) else 0.0
    return Match(str(study.get("id", "")), str(study.get("title", "")), str(grade), number)


def _remark(issue: dict[str, Any]) -> Remark:
    details = _dict(issue.get("details"))
    code = next((str(each.get("code", "")) for each in _list(details.get("coding"))), "")
    places = issue.get("expression")
    return Remark(
        severity=str(issue.get("severity", "")),
        type=str(issue.get("code", "")),
        code=code,
        text=str(details.get("text", "")),
        expression=str(places[0]) if isinstance(places, list) and places else None,
    )


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
