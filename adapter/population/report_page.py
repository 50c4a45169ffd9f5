"""The report as one page: no other file, no network; light and dark, on paper, by keyboard and screen reader."""

from pathlib import Path

from adapter.catalog.catalog import Catalog
from adapter.eligibility.values import plain
from adapter.population import plots
from adapter.population.disclosure import Count
from adapter.population.figures import CriterionCounts
from adapter.population.report import Report, TrialReport
from adapter.population.what_if import Curve
from adapter.rendering.document import document
from adapter.rendering.markup import Html, element, fold, joined, listing, table, terms

STYLE = Path(__file__).with_name("report.css")
_ENDS = {"at_least": "at least", "more_than": "more than", "at_most": "at most", "less_than": "less than"}
_MOST_MISSING, _MOST_HINDRANCES = 15, 30


def page(said: Report, catalog: Catalog) -> str:
    """Write the page."""
    titles = {name: each.title for name, each in catalog.mappings.inputs.items()}
    links = [element("a", each.counts.key, href=f"#{each.counts.key}") for each in said.trials]
    links.append(element("a", "Data that could not be used", href="#data"))
    links.append(element("a", "How to read this", href="#reading"))
    body = joined(
        _overview(said),
        *(_trial(each, said, catalog, titles) for each in said.trials),
        _data(said, titles),
        _reading(said),
    )
    made = f"Made by fhir-trial-adapter {said.adapter} from mappings {said.mappings}. It proposes, people enrol."
    title = f"Screening of a population as of {said.as_of}"
    header, footer = element("h1", "Screening of a population"), element("p", made)
    return document(title, header, links, body, footer, STYLE)


def told(number: Count, smallest: int) -> str:
    r"""Write a count.

    >>> told(None, 5), told(1205, 5)
    ('<5', '1\xa0205')
    """
    return f"<{smallest}" if number is None else f"{number:,}".replace(",", "\u00a0")


def _overview(said: Report) -> Html:
    smallest = said.smallest_cell
    rows = []
    for each in said.trials:
        verdicts = each.counts.verdicts
        link = element("a", each.counts.key, href=f"#{each.counts.key}")
        rows.append([link, *(told(number, smallest) for number in verdicts.values())])
    head = ["Trial", *(word.replace("-", " ") for word in said.trials[0].counts.verdicts)] if said.trials else ["Trial"]
    facts = [("Patients", told(said.patients, smallest)), ("As of", said.as_of)]
    if said.set_aside != 0:
        facts.append(("Set aside, not screened", told(said.set_aside, smallest)))
    return joined(
        terms([(name, value) for name, value in facts], class_="facts"),
        table("Verdicts of each trial", head, rows, class_="figures"),
    )


def _trial(found: TrialReport, said: Report, catalog: Catalog, titles: dict[str, str]) -> Html:
    counts, smallest = found.counts, said.smallest_cell
    steps = [(each.name, each.surely, each.possibly) for each in counts.funnel]
    rows = [[name, told(surely, smallest), told(possibly, smallest)] for name, surely, possibly in steps]
    words = {each.id: each.text for trial in catalog.trials if trial.key == counts.key for each in trial.criteria}
    parts = [
        element("p", counts.title),
        element("h3", "From screened to candidate"),
        plots.funnel(steps, f"Funnel of {counts.key}; the table below says the numbers"),
        table("How many are left after each step", ["Step", "Surely", "Possibly"], rows, class_="figures"),
        element("h3", "Which criterion costs the most"),
        _costs(counts.criteria, smallest, words),
        element("h3", "Which missing datum would decide the most"),
        _missing(found, smallest, titles),
        element("h3", "Near misses"),
        _near(found, smallest),
        element("h3", "If a limit were another"),
        *(_curve(each, smallest) for each in found.what_if),
    ]
    if not found.what_if:
        parts.append(element("p", "No limit of this trial is compared in one unit.", class_="none"))
    title = element("h2", counts.key, " ", element("small", f"version {counts.version}"), id=f"{counts.key}-title")
    return element("section", title, *parts, id=counts.key, aria_labelledby=f"{counts.key}-title")


def _costs(criteria: tuple[CriterionCounts, ...], smallest: int, words: dict[str, str]) -> Html:
    ranked = sorted(criteria, key=lambda each: (-plots.drawn(each.alone_against), -plots.drawn(each.against), each.id))
    rows = []
    for each in ranked:
        name = joined(element("strong", each.id), " ", element("small", _short(words.get(each.id, ""))))
        bar = plots.shares(each.met, each.not_met, each.unknown, speaks_for=each.type == "inclusion")
        numbers = (each.met, each.not_met, each.unknown, each.against, each.alone_against, each.alone_open)
        rows.append([name, bar, *(told(number, smallest) for number in numbers)])
    head = ["Criterion", "In favour, unknown, against", "Met", "Not met", "Unknown", "Against", "Alone against"]
    return table(
        "The criteria, first what alone keeps out the most patients", [*head, "Alone open"], rows, class_="figures"
    )


def _missing(found: TrialReport, smallest: int, titles: dict[str, str]) -> Html:
    rows = [
        [titles.get(each.input, each.input), told(each.decides, smallest), told(each.open, smallest)]
        for each in found.counts.missing[:_MOST_MISSING]
    ]
    if not rows:
        return element("p", "Nothing that a measurement would settle is missing.", class_="none")
    head = ["Datum", "Candidates by it alone", "Lack it where it is waited for"]
    return table("Patients nothing stands against, by the datum they lack", head, rows, class_="figures")


def _near(found: TrialReport, smallest: int) -> Html:
    said = []
    for each in found.near:
        limit = f"{_ENDS[each.end]} {plain(each.limit)} {each.unit}".rstrip()
        number = told(each.patients, smallest)
        within = f"{plain(each.within)} {each.unit}".rstrip()
        said.append(
            f"{each.atom} ({limit}): {number} patients are kept out by it alone and miss it by at most {within}"
        )
    return listing(said) or element("p", "Nobody misses a limit by little and by it alone.", class_="none")


def _curve(each: Curve, smallest: int) -> Html:
    limit = f"{_ENDS[each.end]} {plain(each.limit)} {each.unit}".rstrip()
    rows = [[plain(point.limit), told(point.surely, smallest), told(point.possibly, smallest)] for point in each.points]
    return joined(
        element("h4", f"{each.atom}: {limit} ({told(each.movable, smallest)} patients have one value that decided)"),
        plots.curve(each, f"Candidates of {each.atom} at other limits; the table below says the numbers"),
        fold("The numbers", table("Candidates if the limit were", ["Limit", "Surely", "Possibly"], rows)),
    )


def _data(said: Report, titles: dict[str, str]) -> Html:
    rows = [
        [
            "code no mapping reads" if each.kind == "code" else "unit nothing converts",
            titles.get(each.what, each.what),
            element("code", each.said),
            told(each.patients, said.smallest_cell),
            told(each.verdicts, said.smallest_cell),
        ]
        for each in said.hindrances[:_MOST_HINDRANCES]
    ]
    inside = table("What holds up most verdicts first", ["Kind", "Of", "As sent", "Patients", "Verdicts"], rows)
    if not rows:
        inside = element("p", "Every code and unit could be used, or too few could not to be told.", class_="none")
    title = element("h2", "Data that could not be used", id="data-title")
    return element("section", title, inside, id="data", aria_labelledby="data-title")


def _reading(said: Report) -> Html:
    smallest = said.smallest_cell
    statements = [
        "Surely counts whom the record decides, or leaves to reviewers alone.",
        "Possibly counts whom it does not rule out. The truth lies between: what is missing is unknown, never no.",
        "Alone against: patients whom nothing but this criterion keeps out. Alone open: candidates but for it.",
        "A curve moves the patients of whom one measured value decided; all others stay as they were judged.",
    ]
    if smallest > 1:
        statements.append(
            f"No count below {smallest} is told, all others are rounded to multiples of {smallest}: no difference of"
            " two tells of a few, and sums do not come out exactly."
        )
    title = element("h2", "How to read this", id="reading-title")
    return element("section", title, listing(statements), id="reading", aria_labelledby="reading-title")


def _short(text: str) -> str:
    longest = 90
    return text if len(text) <= longest else f"{text[:longest].rsplit(' ', 1)[0]} ..."
