"""The status page: how the service stands, for who runs it; no script, nothing from elsewhere, no patient."""

import base64
import datetime
import functools
import hashlib
from collections import Counter
from pathlib import Path

from adapter.eligibility.decide import Verdict
from adapter.rendering.markup import Html, element, joined, listing, table, terms
from adapter.service.status_advice import advice
from adapter.service.status_figures import Figures
from adapter.service.unread import Counted
from adapter.service.watching import Latency
from adapter.store.figures import Group

SMALL = 5
"""Of fewer verdicts the number is not told: few people stand behind it."""
_STYLE = Path(__file__).with_name("status_page.css")
_LATE = datetime.timedelta(hours=1)
_PARTS = (
    ("messages", "Messages"),
    ("delivery", "Delivery"),
    ("answers", "Answers"),
    ("verdicts", "Verdicts"),
    ("unread", "Not read"),
    ("versions", "Versions and storage"),
)


@functools.cache
def style() -> str:
    """Give the page's style, which its policy names by its hash."""
    return _STYLE.read_text(encoding="utf-8")


@functools.cache
def headers() -> dict[str, str]:
    """Give the headers that let the page do nothing but be read."""
    allowed = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    lines = ("default-src 'none'", f"style-src 'sha256-{allowed}'", "base-uri 'none'", "form-action 'none'")
    policy = "; ".join((*lines, "frame-ancestors 'none'"))
    return {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}


def status_page(figures: Figures) -> str:
    """Write the page."""
    inside = (_messages, _delivery, _answers, _verdicts, _unread, _versions)
    sections = [_section(*part, make(figures)) for part, make in zip(_PARTS, inside, strict=True)]
    nav = element(
        "nav", listing([element("a", name, href=f"#{place}") for place, name in _PARTS]), aria_label="On this page"
    )
    page = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", "Trial adapter: status"),
            element("style", Html(style())),
        ),
        element(
            "body",
            element("a", "Skip to the content", href="#content", class_="skip"),
            element("header", element("h1", "Trial adapter: status"), _head(figures), _state(figures)),
            nav,
            element("main", *sections, id="content"),
            element("footer", element("p", "Counts only: no patient, no identifier and no value is on this page.")),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"


def _head(figures: Figures) -> Html:
    of = f", one of {figures.workers}: each keeps its own figures" if figures.workers > 1 else ""
    said = f"As of {_moment(figures.at)}. Process {figures.process}{of}, running since {_moment(figures.began)}."
    again = joined(" ", element("a", "Look again", href="/status", class_="reload"))
    return element("p", said, again, class_="note")


def _state(figures: Figures) -> Html:
    """Say first what a person has to look at."""
    store = figures.store
    wrong = []
    if dead := sum(each.count for each in store.dead):
        wrong.append(f"{_counted(dead, 'delivery was', 'deliveries were')} given up: see Delivery.")
    if store.oldest is not None and figures.at - store.oldest > _LATE:
        wrong.append(f"The oldest delivery waits for {_age(figures.at - store.oldest)}.")
    if aside := sum(each.count for each in store.set_aside):
        wrong.append(f"{_counted(aside, 'message was', 'messages were')} set aside: trial-adapter quarantine list.")
    if defects := sum(count for (_, status), count in figures.answers.items() if status == "500"):
        said = _counted(defects, "request", "requests")
        wrong.append(f"{said} met a defect of ours: the log has each under its request id.")
    if not figures.has_target:
        wrong.append("No target is set: results are kept, and delivered to nobody.")
    if not wrong:
        return element("div", element("p", "Nothing needs a person."), class_="state", role="status")
    head = element("p", element("strong", "To be looked at"))
    return element("div", head, listing(wrong), class_="state alert", role="status")


def _section(place: str, name: str, inside: Html) -> Html:
    title = element("h2", name, id=f"{place}-title")
    return element("section", title, inside, id=place, aria_labelledby=f"{place}-title")


def _messages(figures: Figures) -> Html:
    store = figures.store
    told = [
        ("Kept in the last hour", str(store.messages_hour)),
        ("Kept in the last 24 hours", str(store.messages_day)),
        ("Still to be answered", str(store.later)),
        ("Set aside", str(sum(each.count for each in store.set_aside))),
    ]
    return joined(_note("Of all processes that share the store."), terms(told))


def _delivery(figures: Figures) -> Html:
    store = figures.store
    age = _age(figures.at - store.oldest) if store.oldest is not None else "none waits"
    told = [
        ("Patients with something waiting", str(store.lanes)),
        ("Deliveries waiting", str(store.waiting)),
        ("Oldest", age),
        ("Given up", str(sum(each.count for each in store.dead))),
    ]
    parts = [_note("Of all processes that share the store."), terms(told)]
    if store.dead:
        parts.append(_groups("Deliveries that were given up", store.dead, figures.at))
    if store.retried:
        parts.append(_groups("Deliveries that are tried again", store.retried, figures.at))
    done = ("delivered", "dead", "later", "kept-by-person", "superseded", "swept", "sweep-failed")
    names = ("delivered", "given up", "put off", "left to a person", "superseded", "old rows removed", "sweeps failed")
    counts = [(name, str(figures.tallied.get(word, 0))) for word, name in zip(done, names, strict=True)]
    parts += [element("h3", "By this process, since it started"), terms(counts)]
    return joined(*parts)


def _groups(caption: str, groups: tuple[Group, ...], now: datetime.datetime) -> Html:
    rows = [
        [each.code, str(each.count), _age(now - each.oldest), f"{advice(each.code)} (outbox show {each.first})"]
        for each in groups
    ]
    return table(caption, ["Why", "How many", "Oldest", "What to do"], rows)


def _answers(figures: Figures) -> Html:
    if not figures.answers:
        return element("p", "This process has answered nothing yet.")
    rows = [[operation, status, str(count)] for (operation, status), count in sorted(figures.answers.items())]
    times = [_times(each) for each in figures.latencies]
    return joined(
        _note("Of this process, since it started."),
        table("Answers by operation and status", ["Operation", "Status", "How many"], rows),
        table(
            "Time to answer: half, 95 and 99 of 100 took at most this long",
            ["Operation", "Half", "95 %", "99 %"],
            times,
            class_="numbers",
        ),
    )


def _times(latency: Latency) -> list[str]:
    bounds = (latency.median_s, latency.p95_s, latency.p99_s)
    return [latency.operation, *(f"{bound * 1000:g} ms" if bound is not None else "over 10 s" for bound in bounds)]


def _verdicts(figures: Figures) -> Html:
    rows = []
    for trial, _ in figures.trials:
        for period, counts in (("24 hours", figures.verdicts_day), ("7 days", figures.verdicts_week)):
            rows.append([f"{trial}, {period}", *(small(counts, trial, verdict) for verdict in Verdict)])
    said = (
        f"Verdicts this process gave since it started, at most 7 days ago; a patient counts each time. From 1 to "
        f"{SMALL - 1} the number is not told."
    )
    head = ["Trial and period", *(verdict.value for verdict in Verdict)]
    return joined(_note(said), table("Verdicts given", head, rows, class_="numbers"))


def small(counts: Counter[tuple[str, str]], trial: str, verdict: Verdict) -> str:
    """Write a count that is told only where it is large enough, or nothing."""
    count = counts[trial, verdict.value]
    return f"<{SMALL}" if 0 < count < SMALL else str(count)


def _unread(figures: Figures) -> Html:
    said = "What came to this process since it started and no criterion ever sees, the most frequent first."
    more = "Map what means an input of a trial: docs/mappings.md. Most of it means none, and may stay."
    codes = _ranked("Codes that no mapping reads", "Code", figures.codes, "Every code that came is mapped.")
    units = _ranked("Units that cannot be used", "Input and unit", figures.units, "Every unit that came could be used.")
    return joined(_note(f"{said} {more}"), codes, units)


def _ranked(caption: str, what: str, counted: tuple[Counted, ...], none: str) -> Html:
    if not counted:
        return element("p", none)
    rows = [[each.what, str(each.count)] for each in counted]
    return table(caption, [what, "How often"], rows, class_="numbers")


def _versions(figures: Figures) -> Html:
    kinds = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
    database = f"{kinds.get(figures.store.dialect, figures.store.dialect)}, {figures.store.megabytes} MB"
    told = [
        ("Adapter", figures.version),
        ("Mappings", figures.mappings),
        ("Trials", ", ".join(f"{key} {version}" for key, version in figures.trials)),
        ("Database", database),
        *figures.storage,
    ]
    return terms(told, class_="words")


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _note(text: str) -> Html:
    return element("p", text, class_="note")


def _moment(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _age(age: datetime.timedelta) -> str:
    """Write how long something lasts, to two units.

    >>> _age(datetime.timedelta(hours=3, minutes=20))
    '3 h 20 min'
    """
    minutes, seconds = divmod(max(0, int(age.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
