"""``/openapi.json`` as an integration engineer reads it: whole, true, with examples that this service answers so."""

import datetime
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import jsonschema
import pytest
from fastapi import FastAPI
from service.conftest import Asked

import adapter
from adapter.catalog.catalog import Catalog
from adapter.service.app import create_app
from adapter.service.settings import read_settings

MOMENT = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
FHIR = "application/fhir+json"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return adapter.load_catalog()


@pytest.fixture(scope="module")
def portal() -> Iterator[anyio.from_thread.BlockingPortal]:
    with anyio.from_thread.start_blocking_portal() as started:
        yield started


@pytest.fixture(scope="module")
def service(catalog: Catalog, portal: anyio.from_thread.BlockingPortal) -> Asked:
    made = Asked(catalog, portal)
    made.app = create_app(read_settings(), catalog, made.store, lambda: MOMENT, io.StringIO())
    return made


@pytest.fixture(scope="module")
def told(service: Asked) -> dict[str, Any]:
    return dict(service("GET", "/openapi.json").json())


def operations(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["operationId"]: one for item in told["paths"].values() for one in item.values()}


def test_every_reference_leads_somewhere(told: dict[str, Any]) -> None:
    found = re.findall(r"'\$ref': '#/([^']+)'", str(told))
    assert found
    for path in set(found):
        place: Any = told
        for part in path.split("/"):
            place = place[part]


def test_every_operation_has_a_sentence_a_group_and_a_name_of_its_own(told: dict[str, Any]) -> None:
    count = sum(len(item) for item in told["paths"].values())
    every = operations(told)
    assert len(every) == count
    assert all(re.match(r"[A-Z][a-z]+ ", each["summary"]) and each["tags"] for each in every.values())


def test_every_refusal_is_an_operation_outcome(told: dict[str, Any]) -> None:
    for name, each in operations(told).items():
        for status, answer in each["responses"].items():
            if status == "default" or int(status) >= 400:
                (media,) = answer["content"]
                assert media == FHIR, (name, status)
                assert answer["content"][media]["schema"] == {"$ref": "#/components/schemas/OperationOutcome"}
            assert "X-Request-Id" in answer["headers"], (name, status)


@pytest.mark.parametrize("name", ["bundle", "process-message"])
def test_whoever_posts_messages_finds_the_whole_contract(told: dict[str, Any], name: str) -> None:
    each = operations(told)[name]
    assert {"400", "401", "403", "406", "409", "413", "415", "422", "429", "500", "503"} <= set(each["responses"])
    assert "Retry-After" in each["responses"]["503"]["headers"]
    assert "X-Idempotent-Replay" in each["responses"]["200"]["headers"]
    assert {"Prefer", "Idempotency-Key", "X-Request-Id", "traceparent"} <= {one["name"] for one in each["parameters"]}


@pytest.mark.parametrize("path", ["/fhir", "/fhir/$process-message"])
def test_the_example_answer_is_what_the_service_answers(service: Asked, told: dict[str, Any], path: str) -> None:
    operation = told["paths"][path]["post"]
    (asked,) = operation["requestBody"]["content"][FHIR]["examples"].values()
    (answer,) = operation["responses"]["200"]["content"][FHIR]["examples"].values()
    shown = told["components"]["examples"]
    said = service("POST", path, shown[asked["$ref"].rpartition("/")[2]]["value"])
    assert said.status_code == 200
    assert said.json() == shown[answer["$ref"].rpartition("/")[2]]["value"]


@pytest.mark.parametrize(
    ("status", "body", "media"),
    [
        ("400", b"MSH|^~\\&|", FHIR),
        ("415", b"{}", "text/plain"),
        ("422", b'{"resourceType":"Bundle","type":"collection","entry":[]}', FHIR),
    ],
)
def test_the_example_of_a_refusal_is_a_real_one(
    service: Asked, told: dict[str, Any], status: str, body: bytes, media: str
) -> None:
    shown = told["components"]["examples"][f"answer-refused-{status}"]["value"]
    said = service("POST", "/fhir", body, Content_Type=media)
    assert str(said.status_code) == status
    assert said.json() == shown
    jsonschema.validate(shown, told["components"]["schemas"]["OperationOutcome"])


def test_credentials_are_asked_for_only_where_they_are_needed(
    told: dict[str, Any], catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path
) -> None:
    assert set(told["components"]["securitySchemes"]) == {"token", "basic", "certificate"}
    assert all(each["security"] == [] for each in operations(told).values())
    path = tmp_path / "tokens.toml"
    path.write_text(
        '[[client]]\nname = "w"\nscopes = ["admin", "read", "ingest"]\n'
        'sha256 = "11eabf4f8d7fb26c9a0ce1d2c2a8a35dd2ef8e7a5ba0fdcd32c1a7c9f1b6f0ab"\n',
        encoding="utf-8",
    )
    app = create_app(read_settings(tokens_file=path), catalog, Asked(catalog, portal).store, lambda: MOMENT)
    described = operations(described_by(app))
    assert described["bundle"]["security"] == [{"token": []}, {"basic": []}, {"certificate": []}]
    assert described["healthz"]["security"] == described["metadata"]["security"] == []


def described_by(app: object) -> dict[str, Any]:
    """Ask the application within its layers."""
    while not isinstance(app, FastAPI):
        app = getattr(app, "_app", None) or vars(app)["app"]
    return app.openapi()


def test_an_example_is_counted_nowhere(catalog: Catalog, portal: anyio.from_thread.BlockingPortal) -> None:
    fresh = Asked(catalog, portal)
    assert fresh("GET", "/openapi.json").status_code == 200
    page = fresh("GET", "/status").text
    assert "Every code that came is mapped." in page
    assert "Every unit that came could be used." in page


def test_a_service_that_takes_less_than_the_samples_describes_itself_without_them(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal
) -> None:
    strict = Asked(catalog, portal, max_entries=2)
    answer = strict("GET", "/openapi.json")
    assert answer.status_code == 200
    assert "bundle-to-transaction" not in str(answer.json()["components"]["examples"])
    assert "answer-refused-422" in answer.json()["components"]["examples"]
