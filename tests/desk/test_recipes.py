"""The channel recipes: well-formed, of one piece, and their scripts right about what this very service answers."""

import ast
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anyio.from_thread
import pytest
from service.conftest import FHIR, Asked, sample

import adapter
from adapter.service.outcomes import Refusal

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"
SCRIPT = RECIPES / "mirth" / "response-transformer.js"
FILTER = RECIPES / "rhapsody" / "filter.js"
NODE = shutil.which("node")
CHANNEL = ET.parse(RECIPES / "mirth" / "channel.xml").getroot()  # noqa: S314 (our own file)
SENDER = "com.mirth.connect.connectors.http.HttpDispatcherProperties"


class Case(NamedTuple):
    name: str
    status: int | None
    body: str
    mirth: str
    rhapsody: str
    code: str = ""


@pytest.fixture(scope="module")
def service() -> Iterator[Asked]:
    with anyio.from_thread.start_blocking_portal() as portal:
        yield Asked(adapter.load_catalog(), portal)


@pytest.fixture(scope="module")
def cases(service: Asked) -> list[Case]:
    """Real answers of the service, and what engines get from others on the way."""
    keyed = {"resourceType": "Bundle", "type": "collection", "identifier": {"value": "k"}}
    patient = {"resource": {"resourceType": "Patient", "id": "1", "birthDate": "1970-01-01"}}
    collection = keyed | {"entry": [patient]}
    done = service("POST", "/fhir", sample("shape-transaction"))
    first = service("POST", "/fhir", collection)
    made: list[tuple[str, Any, str, str]] = [
        ("a transaction", done, "SENT", "done"),
        ("a collection", first, "SENT", "done"),
        ("a replay", service("POST", "/fhir", collection), "SENT", "done"),
        ("no JSON", service("POST", "/fhir", b"MSH|^~\\&|"), "ERROR", "refused"),
        ("a key used again", service("POST", "/fhir", collection | {"entry": [patient] * 2}), "ERROR", "refused"),
        ("text", service("POST", "/fhir", b"{}", Content_Type="text/plain"), "ERROR", "refused"),
        ("nobody in it", service("POST", "/fhir", keyed | {"identifier": {"value": "n"}}), "ERROR", "refused"),
        ("no such address", service("POST", "/fhir/nothing/there/at/all", {}), "QUEUED", "again"),
    ]
    found = [Case(name, each.status_code, each.text, *kinds, code_of(each.json())) for name, each, *kinds in made]
    for status, code in ((429, "rate"), (503, "busy"), (401, "token"), (403, "scope"), (408, "slow-body"), (500, "x")):
        said = Refusal.of(status, code, "a sentence").body().decode()
        found.append(Case(str(status), status, said, "QUEUED", "again", code))
    found.append(Case("413", 413, Refusal.of(413, "too-large", "x").body().decode(), "ERROR", "refused", "too-large"))
    aside = Refusal.of(422, "no-patient", "x").body().decode()
    found.append(Case("set aside", 200, aside, "ERROR", "refused", "no-patient"))
    found.append(Case("a proxy's page", 502, "<html>Bad Gateway</html>", "QUEUED", "again"))
    found.append(Case("a redirect", 302, "", "QUEUED", "again"))
    found.append(Case("nothing", None, "", "QUEUED", "again"))
    return found


def code_of(body: dict[str, Any]) -> str:
    if body["resourceType"] != "OperationOutcome":
        return ""
    wrong = [each for each in body["issue"] if each["severity"] in ("error", "fatal")]
    return str(wrong[0]["details"]["coding"][0]["code"]) if wrong else ""


def run(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert NODE is not None
    runner = Path(__file__).with_name("recipe_runner.js")
    done = subprocess.run(
        [NODE, str(runner), str(SCRIPT), str(FILTER)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(done.stdout))


needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed")


@needs_node
def test_each_answer_is_what_it_means_to_mirth_and_to_rhapsody(cases: list[Case]) -> None:
    statuses = {each.status for each in cases}
    assert {200, 400, 409, 413, 415, 422, 404, 429, 503, None} <= statuses, statuses
    answers = run([each._asdict() for each in cases])
    for case, answer in zip(cases, answers, strict=True):
        told = answer["mirth"]
        assert told["status"] == case.mirth, case.name
        assert answer["rhapsody"]["trialAdapterOutcome"] == case.rhapsody, case.name
        if case.status is not None:
            assert told["map"]["trialAdapterStatus"] == str(case.status)
            assert told["map"]["trialAdapterCode"] == case.code, case.name
            assert answer["rhapsody"]["trialAdapterCode"] == case.code, case.name
            assert (told["error"] == "") is (case.mirth == "SENT"), case.name
        assert "responseStatusCode" not in told["map"]


@needs_node
def test_after_a_lost_connection_the_status_of_the_attempt_before_is_not_read() -> None:
    refused = Refusal.of(422, "no-patient", "x").body().decode()
    (first,) = run([{"status": 422, "body": refused}])
    (then,) = run([{"status": None, "body": "", "before": first["mirth"]["map"]}])
    assert then["mirth"]["status"] == "QUEUED"
    assert then["mirth"]["message"] == "before"


def test_the_channel_holds_the_script_that_is_tried_here() -> None:
    (script,) = CHANNEL.iterfind(".//responseTransformer//script")
    assert script.text == SCRIPT.read_text(encoding="utf-8")


def test_the_channel_sends_what_the_service_takes() -> None:
    (sender,) = (each for each in CHANNEL.iter("properties") if each.get("class") == SENDER)
    assert sender.findtext("contentType") == FHIR["Content-Type"]
    assert sender.findtext("method") == "post"
    assert sender.findtext("responseXmlBody") == "false"
    assert sender.findtext("host") == "${trialAdapterUrl}"
    headers = {each.findtext("string"): each.findtext("list/string") for each in sender.iterfind("headers/entry")}
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Authorization"] == "Bearer ${trialAdapterToken}"
    queue = sender.find("destinationConnectorProperties")
    assert queue is not None
    assert [queue.findtext(name) for name in ("queueEnabled", "regenerateTemplate", "threadCount")] == [
        "true",
        "false",
        "1",
    ]
    assert int(sender.findtext("socketTimeout") or 0) >= 30000


def test_no_recipe_holds_a_token_or_an_address_that_is_somebodys() -> None:
    for path in RECIPES.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert "/work/" not in text
            assert "eyJ" not in text


def test_the_adapter_never_imports_an_engine() -> None:
    for path in (ROOT / "adapter").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [each for each in names if each.startswith("messagefoundry")], path


def test_the_engineers_page_says_of_each_recipe_whether_it_ran() -> None:
    page = (ROOT / "docs" / "integration-engines.md").read_text(encoding="utf-8")
    for folder in sorted(each.name for each in RECIPES.iterdir() if each.is_dir()):
        rows = [line for line in page.splitlines() if f"`recipes/{folder}/" in line]
        assert any("not run" in row.lower() or "ran" in row.lower() for row in rows), folder
