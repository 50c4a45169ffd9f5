"""A clinician is never disturbed by a trouble of ours; who calls wrongly is told so."""

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest
from service.conftest import NOW, Asked, Make, sample
from service.issuer import claims, issuer_row, signed, tokens_file

from adapter.service import cards

PATH = "/cds-services/trial-eligibility"
AUDIENCE = f"https://adapter.example.org{PATH}"
ROW = issuer_row(
    audience=f'["{AUDIENCE}"]', scopes="", grants='["ingest"]', client_claim='""', single_use="true", max_seconds="300"
)


def call(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 (any part, also a wrong one)
    resources = [each["resource"] for each in json.loads(sample("CFMSC-candidate"))["entry"]]
    (patient,) = (each for each in resources if each["resourceType"] == "Patient")
    others = [{"resource": each} for each in resources if each is not patient]
    prefetch = {"patient": patient, "others": {"resourceType": "Bundle", "type": "searchset", "entry": others}}
    return {"hook": "patient-view", "hookInstance": "i-1", "prefetch": prefetch} | changed


def token(jti: str, **changed: object) -> str:
    usual: dict[str, object] = {"aud": AUDIENCE, "sub": None, "scope": None, "jti": jti}
    return f"Bearer {signed(claims(NOW, **(usual | changed)))}"


@pytest.fixture
def guarded(make: Make, tmp_path: Path) -> Asked:
    return make(tokens_file=tokens_file(tmp_path, ROW))


@pytest.mark.parametrize(
    ("body", "sent", "status"),
    [
        (call(), token("1"), 200),
        (call(), None, 401),
        (call(), token("2", exp=int(NOW.timestamp()) + 600), 401),
        (call(), token("3", aud="https://adapter.example.org/cds-services/other"), 401),
        (call(hook="order-sign"), token("4"), 400),
        (call(prefetch=7), token("5"), 400),
        (call(prefetch={"patient": {"resourceType": "Patient", "birthDate": 7}}), token("6"), 200),
        (
            call(prefetch={"patient": {"resourceType": "Patient"}, "other": {"resourceType": "Patient"}}),
            token("6"),
            400,
        ),
        (call(prefetch={}), token("7"), 412),
        (call(prefetch={"patient": None}), token("8"), 412),
        (call(prefetch={"patient": {"resourceType": "Person"}}), token("9"), 412),
    ],
)
def test_each_call_has_the_status_that_cds_hooks_gives_it(
    guarded: Asked, body: dict[str, Any], sent: str | None, status: int
) -> None:
    answer = guarded("POST", PATH, body, **({"Authorization": sent} if sent else {}))
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert answer.json()["resourceType"] == "OperationOutcome"
    assert {each.client for each in guarded.store.audit} == {"ehr" if sent and status != 401 else "unknown"}


def test_a_token_is_for_one_call(guarded: Asked) -> None:
    assert [guarded("POST", PATH, call(), Authorization=token("a")).status_code for _ in range(2)] == [200, 401]


def test_a_bug_of_ours_is_no_card_and_told_to_who_runs_us(service: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: object) -> NoReturn:
        raise ValueError("the patient is called Ada Lovelace")

    monkeypatch.setattr(cards, "_cards", fail)
    answer = service("POST", PATH, call())
    assert (answer.status_code, answer.json()) == (200, {"cards": []})
    lines = [json.loads(line) for line in service.log.getvalue().splitlines()]
    (told,) = (line for line in lines if line["event"] == "defect")
    assert told["kind"] == "ValueError"
    assert told["at"].startswith("service/cards.py:")
    assert "Lovelace" not in service.log.getvalue()
    figures = service("GET", "/metrics").text
    assert 'trial_adapter_cards_withheld_total{kind="ValueError"} 1.0' in figures
    assert [(each.action, each.outcome) for each in service.store.audit][:1] == [("cds-patient-view", "failed")]


def test_what_cannot_be_written_down_is_not_shown(service: Asked) -> None:
    service.store.is_away = True
    answer = service("POST", PATH, call())
    assert (answer.status_code, answer.json()) == (200, {"cards": []})
    assert "store-unavailable" in service.log.getvalue()


def test_what_became_of_cards_is_counted_and_comments_are_not_kept(service: Asked) -> None:
    at = "2026-11-01T08:30:15Z"
    comment = {"reason": {"code": "c", "system": "s"}, "userComment": "Ada Lovelace does not want to"}
    told = [
        {"card": "a", "outcome": "accepted", "outcomeTimestamp": at, "acceptedSuggestions": [{"id": "x"}]},
        {"card": "b", "outcome": "overridden", "outcomeTimestamp": at, "overrideReason": comment},
        {"card": "c", "outcome": "overridden", "outcomeTimestamp": at},
    ]
    assert service("POST", f"{PATH}/feedback", {"feedback": told}).status_code == 200
    (row,) = service.store.audit
    assert row.detail == {"accepted": 1, "overridden": 2, "peer": "127.0.0.1"}
    figures = service("GET", "/metrics").text
    assert 'trial_adapter_cards_feedback_total{outcome="overridden"} 2.0' in figures
    assert "Lovelace" not in figures + service.log.getvalue() + str(service.store.audit)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"feedback": []},
        {"feedback": [{"card": "a", "outcome": "ignored", "outcomeTimestamp": "x"}]},
        {"feedback": 7},
        [],
    ],
)
def test_feedback_that_is_none_is_refused(service: Asked, body: object) -> None:
    answer = service("POST", f"{PATH}/feedback", body)
    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")
