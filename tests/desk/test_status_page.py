"""``GET /status``: what it counts, whom it lets in; nothing of a patient and nothing from elsewhere is in it."""

import base64
import datetime
import hashlib
import html.parser
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from service.conftest import NOW, Asked, sample

import adapter
from adapter.catalog.catalog import Catalog
from adapter.eligibility.decide import Verdict
from adapter.service import unread
from adapter.service.status_advice import advice
from adapter.service.status_page import small
from adapter.service.unread import Tally, noticing
from adapter.service.watching import Watched
from adapter.store.figures import store_figures
from adapter.store.ledger import AuditRow, Delivery, Receipt, Reply, Store

HOUR = datetime.timedelta(hours=1)


class Page(html.parser.HTMLParser):
    """A page as a reader without style has it: its texts, its tables by caption, its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.words: list[str] = []
        self._inside: list[str] = []
        self._caption = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self._inside.append(tag)
        if tag == "tr":
            self.tables.setdefault(self._caption, []).append([])

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._inside:
            return
        self.words.append(data)
        if self._inside[-1:] == ["caption"]:
            self._caption = data
        elif self._inside[-1:] in (["td"], ["th"]):
            self.tables[self._caption][-1].append(data)


def page(service: Asked, **headers: str) -> Page:
    answer = service("GET", "/status", **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


def bundle(*resources: dict[str, Any], name: str = "1") -> dict[str, Any]:
    patient = {"resourceType": "Patient", "id": name, "gender": "female", "birthDate": "1970-01-01"}
    entries = [{"resource": each} for each in (patient, *resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def observation(code: str, system: str | None = "http://loinc.org", **more: object) -> dict[str, Any]:
    coding = {"code": code, "display": "A-display"} | ({"system": system} if system else {})
    made = {"resourceType": "Observation", "status": "final", "code": {"coding": [coding]}}
    return made | {"subject": {"reference": "Patient/1"}, "effectiveDateTime": "2026-10-01"} | more


def test_the_page_is_one_document_that_fetches_and_runs_nothing(service: Asked) -> None:
    answer = service("GET", "/status")
    text = answer.text
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[:2] == ["default-src 'none'", f"style-src 'sha256-{allowed}'"]
    assert {"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} <= set(policy)
    read = Page(text)
    assert {tag for tag, _ in read.tags} & {"script", "img", "link", "iframe", "form", "svg", "object"} == set()
    assert [each for _, each in read.tags if {"style", "onclick", "src"} & set(each)] == []
    places = {each["href"] for tag, each in read.tags if tag == "a"}
    ids = {f"#{each['id']}" for _, each in read.tags if each.get("id")}
    assert places - ids == {"/status"}
    assert "url(" not in style
    assert "@import" not in style


def test_a_screen_reader_finds_language_title_parts_and_headed_tables(service: Asked) -> None:
    service("POST", "/fhir", sample("BMMSC-eligible"))
    read = page(service)
    by_tag: dict[str, list[dict[str, str | None]]] = {}
    for tag, attributes in read.tags:
        by_tag.setdefault(tag, []).append(attributes)
    assert by_tag["html"][0]["lang"] == "en"
    assert len(by_tag["h1"]) == len(by_tag["main"]) == len(by_tag["title"]) == 1
    titles = {each.get("id") for each in by_tag["h2"]}
    assert {each["aria-labelledby"] for each in by_tag["section"]} == titles
    assert all("scope" in each for each in by_tag["th"])
    assert len(by_tag["caption"]) == len(by_tag["table"])
    assert by_tag["a"][0]["href"] == "#content"


def test_verdicts_are_counted_and_small_numbers_are_not_told(service: Asked) -> None:
    for number in range(6):
        service("POST", "/fhir", bundle(observation("0000-0"), name=f"p{number}"))
    service("POST", "/fhir", sample("BMMSC-eligible"))
    rows = {row[0]: row[1:] for row in page(service).tables["Verdicts given"]}
    head = rows["Trial and period"]
    assert head == [each.value for each in Verdict]
    today = dict(zip(head, rows["BMMSC, 24 hours"], strict=True))
    assert today["eligible"] == "<5"
    assert today["potential-candidate"] == "6"
    assert today["ineligible"] == "0"


@pytest.mark.parametrize(("count", "told"), [(0, "0"), (1, "<5"), (4, "<5"), (5, "5"), (12345, "12345")])
def test_from_one_to_four_is_told_as_fewer_than_five(count: int, told: str) -> None:
    assert small(Counter({("X", "candidate"): count}), "X", Verdict.CANDIDATE) == told


def test_a_verdict_is_forgotten_after_a_week() -> None:
    now = [NOW]
    watched = Watched(lambda: now[0])
    watched.count([("X", "eligible")])
    now[0] += 23 * HOUR
    assert watched.verdicts_of(24)[("X", "eligible")] == 1
    now[0] += 2 * HOUR
    assert watched.verdicts_of(24)[("X", "eligible")] == 0
    watched.count([("X", "eligible")])
    assert watched.verdicts_of(7 * 24)[("X", "eligible")] == 2
    now[0] += 7 * 24 * HOUR
    assert watched.verdicts_of(7 * 24)[("X", "eligible")] == 0
    watched.count([("X", "eligible")])
    assert len(watched._hours) == 1


def test_how_long_an_answer_takes_is_the_bound_of_its_bucket() -> None:
    watched = Watched(lambda: NOW)
    for taken in [0.003] * 90 + [0.2] * 9 + [99]:
        watched.seconds.labels("bundle").observe(taken)
    (found,) = watched.latencies()
    assert (found.count, found.median_s, found.p95_s, found.p99_s) == (100, 0.005, 0.25, 0.25)
    for _ in range(10):
        watched.seconds.labels("bundle").observe(99)
    assert watched.latencies()[0].p99_s is None


def test_codes_that_nothing_reads_are_ranked_by_system_and_code_without_display(service: Asked) -> None:
    local = observation("K-17", "http://lab.example.org/codes")
    for number in range(3):
        service("POST", "/fhir", bundle(local, observation("K-18", None)) | {"id": str(number)})
    service(
        "POST",
        "/fhir",
        bundle(
            observation("99999-9"),
            {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "code": {"text": "words"}},
        ),
    )
    rows = page(service).tables["Codes that no mapping reads"][1:]
    assert rows[0] == ["Observation http://lab.example.org/codes|K-17", "3"]
    assert ["Observation with a code without a system", "3"] in rows
    assert ["Observation http://loinc.org|99999-9", "1"] in rows
    assert "A-display" not in service("GET", "/status").text


def test_units_that_cannot_be_used_are_ranked_by_input_without_the_value(service: Asked) -> None:
    for unit in ("furlong", "Mrs Canary", None):
        value = {"value": 817.25} | ({"unit": unit} if unit else {})
        wrong = observation("4548-4", id=f"o-{unit and unit[:3]}", valueQuantity=value)
        # It is kept, and judged again with the message that follows: each is counted when it comes, and then no more.
        service("POST", "/fhir", bundle(wrong))
        service("POST", "/fhir", bundle(observation("4548-4", id=f"r-{unit and unit[:3]}")))
    read = page(service)
    rows = dict(read.tables["Units that cannot be used"][1:])
    assert rows == {"HbA1c: furlong": "1", "HbA1c: a unit of unusual shape": "1", "HbA1c: no unit": "1"}
    assert "817" not in " ".join(read.words)
    assert "Canary" not in " ".join(read.words)


def test_what_came_is_counted_whatever_was_asked_and_ours_is_not(service: Asked) -> None:
    ours = observation("77777-7") | {
        "meta": {"tag": [{"system": "https://fhir-trial-adapter.org/fhir/CodeSystem/tags", "code": "trial-adapter"}]}
    }
    service("POST", "/fhir/ResearchStudy/$match", bundle(observation("88888-8"), ours))
    text = service("GET", "/status").text
    assert "88888-8" in text
    assert "77777-7" not in text


def test_nobody_can_fill_the_memory_with_codes(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "MOST", 2)
    tally = Tally.of(catalog)
    noticed = noticing(catalog, tally)
    for number in range(6):
        adapter.screen_bundle(
            json.dumps(bundle(observation(f"x-{number}", "urn:oid:1.2"))).encode(),
            noticed,
            adapter.parse_as_of("2026-11-01T00:00:00Z"),
        )
    assert [(each.what, each.count) for each in tally.codes(9)] == [
        ("all others", 4),
        ("Observation urn:oid:1.2|x-0", 1),
        ("Observation urn:oid:1.2|x-1", 1),
    ]


def test_noticing_changes_no_answer(catalog: Catalog) -> None:
    noticed = noticing(catalog, Tally.of(catalog))
    as_of = adapter.parse_as_of("2026-11-01T00:00:00Z")
    for path in sorted((Path(__file__).parents[2] / "sample_bundles").glob("*.json"))[::5]:
        data = path.read_bytes()
        seen, unseen = (adapter.screen_bundle(data, each, as_of) for each in (noticed, catalog))
        assert seen.issues == unseen.issues
        assert [(each.facts, each.screenings) for each in seen.patients] == [
            (each.facts, each.screenings) for each in unseen.patients
        ]


def test_answers_are_counted_by_status(service: Asked) -> None:
    service("POST", "/fhir", b"nonsense")
    service("POST", "/fhir", sample("BMMSC-eligible"))
    rows = page(service).tables["Answers by operation and status"]
    assert ["bundle", "200", "1"] in rows
    assert ["bundle", "400", "1"] in rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'kept.db'}", lambda: NOW)
    yield opened
    opened.close()


def kept(store: Store, name: str, *, at: datetime.datetime = NOW, lanes: tuple[str, ...] = ("a",)) -> None:
    receipt = Receipt("engine", name, "0" * 64, at)
    store.claim(receipt, 1)
    deliveries = [Delivery(each, (("ResearchSubject", "x", b"{}"),), NOW, None) for each in lanes]
    store.commit(receipt, Reply(200, "x", b""), AuditRow(NOW, "engine", "bundle", "done", "r", {}), deliveries)


def test_the_store_is_told_by_hour_by_lane_and_by_why(store: Store) -> None:
    kept(store, "1", lanes=("a", "b"))
    kept(store, "2", at=NOW - 5 * HOUR, lanes=("a",))
    kept(store, "3", at=NOW - 50 * HOUR, lanes=("c", "d", "e"))
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE outbox SET state='dead', last_error='http-422 x' WHERE lane IN ('c', 'd')")
        connection.exec_driver_sql("UPDATE outbox SET state='dead', last_error='Smith & <b>' WHERE lane = 'e'")
        connection.exec_driver_sql("UPDATE outbox SET last_error='http-503 transient' WHERE lane = 'b'")
    found = store_figures(store.engine, NOW)
    assert (found.messages_hour, found.messages_day) == (1, 2)
    assert (found.lanes, found.waiting) == (2, 3)
    assert [(each.code, each.count) for each in found.dead] == [("http-422 x", 2), ("an unknown cause", 1)]
    assert [(each.code, each.count) for each in found.retried] == [("http-503 transient", 1)]


def test_what_a_person_must_look_at_stands_first(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal, store: Store
) -> None:
    service = Asked(catalog, portal, target="https://fhir.example.org/r4")
    assert "Nothing needs a person." in page(service).words
    service.store.engine = store.engine
    kept(store, "1")
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE outbox SET state='dead', last_error='http-403 forbidden'")
    read = page(service)
    assert "1 delivery was given up: see Delivery." in read.words
    (row,) = read.tables["Deliveries that were given up"][1:]
    assert row[:2] == ["http-403 forbidden", "1"]
    assert "allowed to write" in row[3]
    assert "No target is set: results are kept, and delivered to nobody." in page(Asked(catalog, portal)).words


@pytest.mark.parametrize(
    "code", ["http-401", "http-403 x", "http-422", "http-503", "no-answer", "timeout", "not-taken: x", "defect"]
)
def test_every_known_code_has_its_advice(code: str) -> None:
    assert advice(code) != advice("something else")


Secured = Callable[[str], Asked]


@pytest.fixture
def secured(catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path) -> Secured:
    def made(row: str) -> Asked:
        digest = hashlib.sha256(b"a-long-token").hexdigest()
        path = tmp_path / "tokens.toml"
        path.write_text(f'[[client]]\nname = "watch"\nsha256 = "{digest}"\n{row}\n', encoding="utf-8")
        return Asked(catalog, portal, tokens_file=path)

    return made


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ('scopes = ["read"]', 200),
        ('scopes = ["admin"]', 200),
        ('scopes = ["ingest"]', 403),
        ('scopes = ["read"]\ntenant = "north"', 403),
        ('scopes = ["admin"]\ntenant = "north"', 200),
    ],
)
def test_only_who_may_read_the_figures_sees_them(secured: Secured, row: str, status: int) -> None:
    service = secured(row)
    assert service("GET", "/status", Authorization="Bearer a-long-token").status_code == status
    refused = service("GET", "/status")
    assert refused.status_code == 401
    assert refused.json()["resourceType"] == "OperationOutcome"


def test_a_database_that_is_away_is_said_and_nothing_of_it_told(service: Asked) -> None:
    with service.store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE outbox")
    answer = service("GET", "/status")
    assert answer.status_code == 503
    assert "outbox" not in answer.text
