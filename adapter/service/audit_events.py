"""Rows of the audit as AuditEvents, shaped as IHE's Basic Audit Log Patterns have them (https://profiles.ihe.net/ITI/BALP).

A patient is an HMAC, never an identifier.  Where a row is about several patients there is an AuditEvent for each, as
BALP wants it.  A profile is named only where all that it asks for is there.
"""

import base64
import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec

from adapter.store.chain import AuditRow

_NAMESPACE = uuid.UUID("3c1d6f64-2d43-5a0f-8a0e-0f6a4f7b9d51")
_BALP = "https://profiles.ihe.net/ITI/BALP"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_EVENT = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_SOURCE = "http://terminology.hl7.org/CodeSystem/security-source-type"
_REST = "http://hl7.org/fhir/restful-interaction"
_OURS = ("operator", "outbox")
"""Clients that are ourselves: a person at the command, and what delivers."""
_ANONYMOUS = ("unknown", "others")
_AGAIN = "replayed"
_CREATED = ("bundle", "process-message", "hook")
_REFUSED = {"refused": "4", "dead": "4", "failed": "8"}
_PROFILES = {"C": "Create", "R": "Read", "E": "Query", "D": "Delete"}


class Recording(msgspec.Struct, frozen=True):
    """Who records."""

    base: str
    software: str


def audit_events(seq: int, row: AuditRow, recording: Recording) -> Iterator[dict[str, Any]]:
    """Give one row as AuditEvents, one for each patient it is about."""
    patients = str(row.detail.get("patient", "")).split()
    for number, patient in enumerate(patients or [""]):
        yield _audit_event(f"{seq}|{number}|{row.at.isoformat()}", row, patient, recording)


def _audit_event(name: str, row: AuditRow, patient: str, recording: Recording) -> dict[str, Any]:
    base = recording.base
    own = {"system": f"{base}/CodeSystem/audit-action", "code": row.action}
    kind, action, subtypes = _kind(row)
    outcome = _REFUSED.get(row.outcome, "0")
    made: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": str(uuid.uuid5(_NAMESPACE, f"{base}|{name}")),
        "type": kind,
        "subtype": [*subtypes, own],
        "action": action,
        "recorded": _instant(row.at),
        "outcome": outcome,
        "outcomeDesc": _described(row),
        "agent": _agents(row, base),
        "source": {
            "site": base,
            "observer": {
                "type": "Device",
                "identifier": {"system": f"{base}/identifier/software", "value": recording.software},
            },
            "type": [{"system": _SOURCE, "code": "4", "display": "Application Server"}],
        },
    }
    if entities := _entities(row, patient, base, action if kind["system"] == _EVENT else ""):
        made["entity"] = entities
    if kind["system"] == _EVENT and outcome == "0" and "peer" in row.detail and row.outcome != _AGAIN:
        profile = f"{_BALP}/StructureDefinition/IHE.BasicAudit.{'Patient' if patient else ''}{_PROFILES[action]}"
        made["meta"] = {"profile": [profile]}
    return made


def _kind(row: AuditRow) -> tuple[dict[str, str], str, list[dict[str, str]]]:
    """Give what happened in BALP's words: type, action and subtypes."""
    if row.client in _OURS:
        return _coding(_DCM, "110100", "Application Activity"), "U" if row.action == "deliver" else "E", []
    if row.action == "authenticate":
        return _coding(_DCM, "110114", "User Authentication"), "E", [_coding(_DCM, "110122", "Login")]
    rest = _coding(_EVENT, "rest", "RESTful Operation")
    if row.outcome == _AGAIN:  # nothing is made by it: what was answered before is read
        return rest, "R", [_coding(_REST, "operation", "operation")]
    if row.action in _CREATED:
        codes = ["create", str(row.detail.get("bundle", "operation"))]
        return rest, "C", [_coding(_REST, each, each) for each in codes if each in _INTERACTIONS]
    if row.action == "read":
        return rest, "R", [_coding(_REST, "read", "read")]
    if row.action == "search":
        return rest, "E", [_coding(_REST, "search-type", "search-type")]
    return rest, "E", [_coding(_REST, "operation", "operation")]


_INTERACTIONS = ("create", "transaction", "batch", "operation")


def _agents(row: AuditRow, base: str) -> list[dict[str, Any]]:
    known = {"type": "Device", "identifier": {"system": f"{base}/identifier/client", "value": row.client}}
    client: dict[str, Any] = {
        "type": {"coding": [_coding(_DCM, "110153", "Source Role ID")]},
        "who": {"display": row.client} if row.client in _ANONYMOUS else known,
        "requestor": True,
    }
    if "peer" in row.detail:
        client["network"] = {"address": str(row.detail["peer"]), "type": "2"}
    server = {
        "type": {"coding": [_coding(_DCM, "110152", "Destination Role ID")]},
        "who": {"display": "fhir-trial-adapter"},
        "requestor": False,
        "network": {"address": base, "type": "5"},
    }
    return [client, server]


def _entities(row: AuditRow, patient: str, base: str, action: str) -> list[dict[str, Any]]:
    detail = [
        {"type": name, "valueString": str(value)}
        for name, value in sorted(row.detail.items())
        if name not in ("patient", "peer") and str(value)
    ]
    object_ = _coding(_ENTITY, "2", "System Object")
    entities: list[dict[str, Any]] = []
    if row.request_id:
        type_ = {"system": f"{_BALP}/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}
        entities.append({"what": {"identifier": {"value": row.request_id}}, "type": type_})
    elif detail:
        entities.append({"type": _coding(_ENTITY, "4", "Other")})
    if detail:
        entities[0]["detail"] = detail
    if action == "E":
        # BALP has a query's text here; ours have none that may be kept, so it is the name of what was asked.
        asked = base64.b64encode(row.action.encode()).decode()
        entities.append({"type": object_, "role": _coding(_ROLE, "24", "Query"), "query": asked})
    elif action:
        what = {"display": "what was sent" if action == "C" else row.action}
        entities.append({"what": what, "type": object_, "role": _coding(_ROLE, "4", "Domain Resource")})
    if patient:
        identifier = {"system": f"{base}/identifier/patient-hmac", "value": patient}
        person = {"what": {"type": "Patient", "identifier": identifier}}
        entities.append(person | {"type": _coding(_ENTITY, "1", "Person"), "role": _coding(_ROLE, "1", "Patient")})
    return entities


def _described(row: AuditRow) -> str:
    told = [str(row.detail[name]) for name in ("status", "refused", "why", "reason") if row.detail.get(name)]
    return " ".join([row.outcome, *dict.fromkeys(told)])


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}


def _instant(moment: datetime.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
