"""The report: every number it tells is an exact one, told as disclosure allows; the page needs nothing but itself."""

import html.parser
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cases import AS_OF, bundle_of, cases, catalog

from adapter.errors import AdapterError
from adapter.fhir.dates import parse_as_of
from adapter.population.decisions import Gathering
from adapter.population.disclosure import Disclosure
from adapter.population.quality import Tally, unread
from adapter.population.report import Report, report, write_report
from adapter.population.report_page import page, told
from adapter.screen import read_records, screen_bundle

pytestmark = pytest.mark.xdist_group("report")  # what they share is made once
SAMPLES = Path(__file__).parents[2] / "sample_bundles"
MOMENT = parse_as_of("2026-11-01T00:00:00Z")
COUNTS = {
    *("surely", "possibly", "met", "not_met", "unknown", "against", "alone_against", "alone_open", "open", "decides"),
    *("patients", "movable", "deceased", "set_aside", "verdicts"),
}


def gathered() -> tuple[Gathering, Tally]:
    book = catalog()
    gathering, tally = Gathering(book.trials, MOMENT, book.rules, book.mappings.version, "1"), Tally()
    texts = [path.read_bytes() for path in sorted(SAMPLES.glob("*.json"))]
    texts += [json.dumps(bundle_of(case)).encode() for _, case in cases() if case.get("as_of", AS_OF) == AS_OF][::5]
    for data in texts:
        try:
            answered, (records, _) = screen_bundle(data, book, MOMENT), read_records(data)
        except AdapterError:
            continue
        for patient, record in zip(answered.patients, records, strict=True):
            gathering.add(patient.patient, patient.facts, patient.screenings)
            tally.add(patient.facts, patient.screenings, unread(record, book.index))
    return gathering, tally


@pytest.fixture(scope="module")
def reports() -> tuple[Report, Report]:
    """The same population told exactly, and with small cells hidden."""
    gathering, tally = gathered()
    decided = gathering.columns()
    made = [
        report(decided, catalog().trials, catalog(), MOMENT, tally, Disclosure(smallest), set_aside=3)
        for smallest in (1, 5)
    ]
    return made[0], made[1]


def numbers(node: Any, name: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (JSON)
    if isinstance(node, dict):
        for key, each in node.items():
            yield from numbers(each, name if name in ("verdicts", "reasons") else key)
    elif isinstance(node, list):
        for each in node:
            yield from numbers(each, name)
    elif name in COUNTS or name == "reasons":
        yield name, node


def test_every_count_is_the_exact_one_as_it_may_be_told(reports: tuple[Report, Report]) -> None:
    exact, hidden = (json.loads(msgspec.json.encode(msgspec.structs.replace(each, hindrances=()))) for each in reports)
    for each in (exact, hidden):
        for trial in each["trials"]:
            trial["counts"]["missing"].sort(key=lambda one: one["input"])
    pairs = list(zip(numbers(exact), numbers(hidden), strict=True))
    assert len(pairs) > 500
    disclosure = Disclosure(5)
    assert all(name == other and value == disclosure.count(number) for (name, number), (other, value) in pairs)
    assert {value for _, (_, value) in pairs} >= {None, 0, 5}


def test_codes_and_units_are_ranked_by_the_verdicts_they_hold_up(reports: tuple[Report, Report]) -> None:
    exact, hidden = reports
    held = [each.verdicts or 0 for each in exact.hindrances]
    assert held == sorted(held, reverse=True)
    assert {each.kind for each in exact.hindrances} == {"code", "unit"}
    assert all(each.patients is not None for each in hidden.hindrances), (
        "a code that few have may be known to be theirs"
    )


class Tags(html.parser.HTMLParser):
    """Collects what a page would fetch or run, and the headings of its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.images = 0
        self.named = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.fetched += [
            value or "" for name, value in attrs if name in ("src", "href") and not (value or "").startswith("#")
        ]
        self.fetched += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "svg":
            self.images += 1
            self.named += bool(given.get("aria-label"))


def test_the_page_is_one_file_that_runs_and_fetches_nothing(reports: tuple[Report, Report]) -> None:
    text = page(reports[1], catalog())
    tags = Tags(text)
    assert tags.fetched == []
    assert not {"script", "link", "img", "iframe", "form"}.intersection(tags.tags)
    assert tags.images == tags.named > 50
    assert "http" not in re.sub(r"<code>.*?</code>", "", text.replace("http-equiv", ""))


def test_the_page_tells_the_numbers_of_the_json(reports: tuple[Report, Report]) -> None:
    text = page(reports[1], catalog())
    for trial in reports[1].trials:
        assert trial.counts.key in text
        for verdict in trial.counts.verdicts.values():
            assert told(verdict, 5).replace("<", "&lt;") in text


def test_the_report_is_two_files_and_the_same_every_time(reports: tuple[Report, Report], tmp_path: Path) -> None:
    for turn in ("one", "two"):
        write_report(reports[1], catalog(), tmp_path / turn)
    files = [{each.name: each.read_bytes() for each in (tmp_path / turn).iterdir()} for turn in ("one", "two")]
    assert files[0] == files[1]
    assert set(files[0]) == {"report.json", "report.html"}
    assert msgspec.json.decode(files[0]["report.json"], type=Report) == reports[1]
