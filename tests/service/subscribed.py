"""Notifications as subscription servers send them, and the codes in what they are answered."""

import json
from collections.abc import Mapping
from typing import Any

import httpx


def r4(
    kind: str, events: Mapping[int, str] | None = None, total: int | None = None, name: str = "s1"
) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": f"Subscription/{name}"}},
        {"name": "type", "valueCode": kind},
    ]
    if total is not None:
        parameters.append({"name": "events-since-subscription-start", "valueString": str(total)})
    for number, focus in (events or {}).items():
        part = [{"name": "event-number", "valueString": str(number)}]
        part += [{"name": "timestamp", "valueInstant": f"2026-10-30T00:00:{number:02}Z"}]  # type: ignore[list-item]
        part += [{"name": "focus", "valueReference": {"reference": focus}}] if focus else []  # type: ignore[list-item]
        parameters.append({"name": "notification-event", "part": part})
    return {"resourceType": "Parameters", "parameter": parameters}


def r5(
    kind: str, events: Mapping[int, str] | None = None, total: int | None = None, name: str = "s1"
) -> dict[str, Any]:
    status: dict[str, Any] = {"resourceType": "SubscriptionStatus", "type": kind}
    status["subscription"] = {"reference": f"Subscription/{name}"}
    if total is not None:
        status["eventsSinceSubscriptionStart"] = str(total)
    if events:
        status["notificationEvent"] = [
            {"eventNumber": str(number), "timestamp": f"2026-10-30T00:00:{number:02}Z", "focus": {"reference": focus}}
            for number, focus in events.items()
        ]
    return status


def bundle(status: dict[str, Any], *resources: dict[str, Any], kind: str = "history", id_: str = "n") -> dict[str, Any]:
    entries = [{"resource": status, "request": {"method": "GET", "url": "Subscription/s1/$status"}}]
    entries += [{"resource": each, "request": {"method": "PUT", "url": "x"}} for each in resources]
    return {"resourceType": "Bundle", "id": id_, "type": kind, "entry": entries}


def codes(answer: httpx.Response | dict[str, Any]) -> list[str]:
    text = answer.text if isinstance(answer, httpx.Response) else json.dumps(answer)
    outcome = json.loads(text)
    found = [] if outcome["resourceType"] != "Bundle" else outcome["entry"]
    issues = outcome.get("issue", []) + [
        issue
        for entry in found
        for issue in (entry.get("response", {}).get("outcome") or entry.get("resource") or {}).get("issue", [])
    ]
    return [issue["details"]["coding"][0]["code"] for issue in issues]
