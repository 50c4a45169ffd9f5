"""The Python client against a real ``serve``, also where answers are lost and servers busy."""

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from desk.faults import DROP, LOSE, Proxy
from service.served import Served, served

from adapter.client import Refused, TrialAdapter, Unavailable, calls
from adapter.client.reply import read_reply
from adapter.delivery.backoff import Patience
from adapter.errors import AdapterError

SAMPLES = Path(__file__).parents[2] / "sample_bundles"
ELIGIBLE = SAMPLES / "BMMSC-eligible-every-question-answered-by-a-reviewer.json"
NOVEMBER = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
TOKEN = "a-token-of-this-test"  # noqa: S105 (of this test alone)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path]]:
    folder = tmp_path_factory.mktemp("client")
    with served(folder) as running:
        yield running, folder


@pytest.fixture
def proxy(place: tuple[Served, Path]) -> Iterator[Proxy]:
    with Proxy.before(place[0].port) as standing:
        yield standing


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def client(proxy: Proxy, slept: list[float]) -> Iterator[TrialAdapter]:
    with TrialAdapter(proxy.url, timeout=20, sleep=slept.append) as made:
        yield made


def bundle(name: str) -> dict[str, object]:
    made = json.loads(ELIGIBLE.read_bytes())
    made["identifier"] = {"system": "urn:test", "value": name}
    return dict(made)


def deliveries(folder: Path) -> int:
    engine = sqlalchemy.create_engine(f"sqlite:///{folder / 'store.db'}")
    with engine.connect() as connection:
        found: int = connection.execute(sqlalchemy.text("SELECT count(*) FROM outbox")).scalar_one()
    engine.dispose()
    return found


def test_a_bundle_is_screened_and_each_verdict_has_its_criteria(client: TrialAdapter) -> None:
    reply = client.screen(ELIGIBLE)
    assert set(reply.verdicts) == {"bmmsc", "cfmsc", "nct01157403", "nct02302599", "nct06751199"}
    found = reply.by_patient["Patient/bmmsc-eligible"]["cfmsc"]
    assert found.subject is not None
    assert found.subject.startswith("ResearchSubject/")
    assert found.open
    assert all(each.reason for each in found.open)
    assert {each.kind for each in found.criteria} == {"inclusion", "exclusion"}


def test_the_verdict_is_that_of_the_instant_asked_for(client: TrialAdapter) -> None:
    assert client.evaluate("BMMSC", ELIGIBLE, as_of=NOVEMBER).verdicts == {"bmmsc": "eligible"}
    years_later = client.evaluate("BMMSC", ELIGIBLE, as_of=NOVEMBER.replace(year=2036))
    assert years_later.verdicts != {"bmmsc": "eligible"}


def test_the_same_content_is_the_same_message_and_another_key_another(client: TrialAdapter) -> None:
    data = (SAMPLES / "CFMSC-candidate-every-negative-said.json").read_bytes()
    first, second, other = client.screen(data), client.screen(data), client.screen(data, key="another")
    assert [first.is_replayed, second.is_replayed, other.is_replayed] == [False, True, False]
    assert first.raw == second.raw


def test_bytes_file_gzipped_file_and_dictionary_say_the_same(client: TrialAdapter) -> None:
    packed = SAMPLES / "shape-gzip.json.gz"
    plain = packed.read_bytes()
    assert client.evaluate(None, packed).verdicts == client.evaluate(None, plain).verdicts
    assert client.evaluate(None, json.loads(ELIGIBLE.read_text())).verdicts == client.evaluate(None, ELIGIBLE).verdicts


def test_a_lost_answer_is_asked_for_again_and_nothing_is_done_twice(
    place: tuple[Served, Path], proxy: Proxy, client: TrialAdapter, slept: list[float]
) -> None:
    before = deliveries(place[1])
    proxy.faults = [LOSE, DROP, LOSE]
    reply = client.screen(bundle("lost"), key="lost-1")
    assert reply.is_replayed
    assert reply.verdicts["bmmsc"]
    assert deliveries(place[1]) == before + 1
    assert len(slept) == 3
    assert {each["idempotency-key"] for each in proxy.seen} == {"lost-1"}


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504])
def test_who_is_told_later_comes_again_and_not_before_it_was_told_to(
    proxy: Proxy, client: TrialAdapter, slept: list[float], status: int
) -> None:
    proxy.faults, proxy.retry_after = [status, status], "7"
    assert client.evaluate("bmmsc", ELIGIBLE).status == 200
    assert len(slept) == 2
    assert all(7 <= each <= 8.001 for each in slept)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 409, 413, 415, 422, 500])
def test_a_refusal_is_never_sent_again(proxy: Proxy, client: TrialAdapter, slept: list[float], status: int) -> None:
    proxy.faults = [status]
    with pytest.raises(Refused) as refused:
        client.screen(ELIGIBLE)
    assert refused.value.status == status
    assert (len(proxy.seen), slept) == (1, [])


def test_a_service_that_stays_away_is_told_as_unavailable_with_the_key_to_come_back_with(
    proxy: Proxy, slept: list[float]
) -> None:
    proxy.faults = [DROP, 503, DROP]
    with (
        TrialAdapter(proxy.url, patience=Patience(attempts=3), sleep=slept.append) as client,
        pytest.raises(Unavailable) as away,
    ):
        client.screen(ELIGIBLE, key="come-back")
    assert away.value.key == "come-back"
    assert (len(proxy.seen), len(slept)) == (3, 2)


def test_nobody_waits_longer_than_is_reasonable(proxy: Proxy, client: TrialAdapter, slept: list[float]) -> None:
    proxy.faults, proxy.retry_after = [503], "86400"
    with pytest.raises(Unavailable) as away:
        client.screen(ELIGIBLE)
    assert away.value.retry_after_s == 86400
    assert slept == []


def test_a_refusal_says_why_in_the_services_words_and_names_no_patient(client: TrialAdapter) -> None:
    empty = {"resourceType": "Bundle", "type": "collection", "entry": []}
    with pytest.raises(Refused) as refused:
        client.screen(empty)
    assert refused.value.status == 422
    assert [each.code for each in refused.value.issues] == ["no-patient"]
    assert refused.value.issues[0].type == "business-rule"
    assert refused.value.request_id in str(refused.value)


def test_a_key_used_for_another_message_is_a_conflict(client: TrialAdapter) -> None:
    first, second = json.loads(ELIGIBLE.read_text()), json.loads(ELIGIBLE.read_text())
    first.pop("identifier", None)
    second.pop("identifier", None)
    second["entry"].pop()
    client.screen(first, key="taken")
    with pytest.raises(Refused) as refused:
        client.screen(second, key="taken")
    assert refused.value.status == 409


def test_trials_match_best_first_and_documents_are_validated(client: TrialAdapter) -> None:
    matches = client.match(ELIGIBLE).matches
    assert matches
    grades = [each.grade for each in matches]
    assert grades == sorted(grades, key=("certain", "probable", "possible").index)
    wrong = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": {"resourceType": "Patient", "x": 1}}],
    }
    assert client.validate(wrong).errors
    assert not client.validate(ELIGIBLE).errors


def test_a_bundle_that_is_answered_later_is_waited_for(tmp_path: Path) -> None:
    with (
        served(tmp_path, sync_bytes=1000) as running,
        Proxy.before(running.port) as proxy,
        TrialAdapter(proxy.url) as client,
    ):
        proxy.faults = [LOSE]
        reply = client.screen(bundle("large"))
        assert reply.verdicts["bmmsc"]
        nobody = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": {"resourceType": "Patient"}}] * 50,
        }
        with pytest.raises(Refused) as refused:
            client.screen({**nobody, "entry": [], "signature": {"data": "A" * 2000}})
        assert refused.value.status == 422
        asked = {each.get("idempotency-key") for each in proxy.seen if "content-length" in each}
        assert len(asked) == 2


def test_whoever_waits_too_long_is_told_the_key_to_come_back_with(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    asked: list[str] = []
    with TrialAdapter("http://127.0.0.1:1/fhir", later_s=70, sleep=slept.append) as client:

        def undone(method: str, url: str, *_: object) -> calls._Came:
            asked.append(f"{method} {url}")
            headers = {"Content-Location": "https://elsewhere.example.org/fhir/async/a1", "Retry-After": "3600"}
            return calls._Came(202, b"", headers)

        monkeypatch.setattr(client, "_answered", undone)
        with pytest.raises(Unavailable) as away:
            client.screen(ELIGIBLE, key="mine")
    assert away.value.key == "mine"
    assert slept == [30, 30, 30]
    # The address that the answer names is not followed, only its job.
    assert asked[1:] == ["GET http://127.0.0.1:1/fhir/async/a1"] * 4


def test_r5_results_are_read_as_well(proxy: Proxy) -> None:
    with TrialAdapter(proxy.url, fhir_version="R5") as client:
        asked = client.evaluate("bmmsc", ELIGIBLE, as_of=NOVEMBER)
    assert asked.verdicts == {"bmmsc": "eligible"}
    assert b'"progress"' in asked.raw


def test_two_patients_are_never_taken_for_one(client: TrialAdapter) -> None:
    (two,) = SAMPLES.glob("careless-two-patients*")
    reply = client.evaluate(None, two)
    assert len(reply.by_patient) == 2
    with pytest.raises(LookupError, match="by_patient"):
        _ = reply.verdicts
    guidance = {"resourceType": "GuidanceResponse", "subject": {"reference": "Patient/1"}, "moduleCanonical": "x"}
    namesakes = {"resourceType": "Bundle", "entry": [{"resource": guidance}, {"resource": guidance}]}
    with pytest.raises(LookupError, match="one reference"):
        _ = read_reply(200, json.dumps(namesakes).encode(), "", is_replayed=False).by_patient


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff", b'{"entry":[1,null]}', b"[" * 2000])
def test_an_answer_of_something_else_is_read_as_holding_nothing(body: bytes) -> None:
    reply = read_reply(200, body, "", is_replayed=False)
    assert (reply.results, reply.matches, reply.issues) == ((), (), ())


def test_a_token_goes_with_it_and_never_over_an_open_line(proxy: Proxy) -> None:
    with TrialAdapter(proxy.url, token=TOKEN) as client:
        client.evaluate("bmmsc", ELIGIBLE)
        assert TOKEN not in repr(vars(client))
    assert proxy.seen[0]["authorization"] == f"Bearer {TOKEN}"
    with pytest.raises(AdapterError) as wrong:
        TrialAdapter("http://adapter.example.org/fhir", token=TOKEN)
    assert TOKEN not in str(wrong.value)


def test_large_bodies_are_packed(proxy: Proxy, client: TrialAdapter) -> None:
    client.evaluate("bmmsc", ELIGIBLE)
    assert proxy.seen[0]["content-encoding"] == "gzip"
    assert int(proxy.seen[0]["content-length"]) < ELIGIBLE.stat().st_size / 4


@pytest.mark.parametrize("key", ["with blank", "new\nline", "ü", "x" * 256])
def test_a_key_that_is_none_is_refused_before_anything_is_sent(proxy: Proxy, client: TrialAdapter, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        client.screen(ELIGIBLE, key=key)
    assert proxy.seen == []


@pytest.mark.parametrize("trial", ["../metadata", "a/b", "", "x y"])
def test_a_trial_that_is_no_id_is_refused_before_anything_is_sent(
    proxy: Proxy, client: TrialAdapter, trial: str
) -> None:
    with pytest.raises(ValueError, match="trial"):
        client.evaluate(trial, ELIGIBLE)
    assert proxy.seen == []


def test_an_instant_without_a_zone_is_refused(client: TrialAdapter) -> None:
    with pytest.raises(ValueError, match="time zone"):
        client.evaluate("bmmsc", ELIGIBLE, as_of=NOVEMBER.replace(tzinfo=None))


def test_the_import_is_light() -> None:
    said = "import adapter.client, sys; print(*sorted({'requests', 'fastapi', 'httpx', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == ""
