"""Trials as pages that people read: one file each, of no other file and no network, and an index over all."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from adapter import __version__
from adapter.catalog.catalog import Catalog
from adapter.catalog.load import ATTESTATION
from adapter.eligibility.reason import Reason
from adapter.eligibility.trial import Trial
from adapter.emission.licences import copyright_of
from adapter.emission.names import IS_ELIGIBLE, MEETS_EXCLUSION, MEETS_INCLUSION, trial_id
from adapter.outputs import Folder
from adapter.rendering import page_report as report
from adapter.rendering import page_source as source
from adapter.rendering.document import document
from adapter.rendering.markup import Html, element, fold, joined, listing, table, terms
from adapter.rendering.page_atoms import GRADES, criterion_section, shown_atoms
from adapter.rendering.page_codes import Codes
from adapter.rendering.wording import Words

INDEX = "index.html"
_OVERALL = (MEETS_INCLUSION, MEETS_EXCLUSION, IS_ELIGIBLE)
_LIMIT = "This is not medical advice and not a protocol: it proposes, people enrol."
_NOTHING: Mapping[str, str] = {}


def page_name(trial: Trial) -> str:
    """Give the name of a trial's page."""
    return f"{trial_id(trial.key)}-eligibility.html"


def write_pages(
    directory: Path,
    catalog: Catalog,
    trials: Sequence[Trial],
    cql_by_trial: Mapping[str, Mapping[str, str]],
    unsaid_by_trial: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Path]:
    """Write a page for each trial and the index, each whole or not at all; gives their paths, the index last.

    ``cql_by_trial`` and ``unsaid_by_trial`` are by trial key; raises AdapterError where they cannot be written.
    """
    unsaid = unsaid_by_trial or {}
    folder = Folder.open(directory)
    names = [*map(page_name, trials), INDEX]
    for trial in trials:
        text = trial_page(trial, catalog, cql_by_trial.get(trial.key, _NOTHING), unsaid.get(trial.key, _NOTHING))
        folder.write(page_name(trial), text.encode())
    folder.write(INDEX, index_page(catalog, trials).encode())
    return [directory / name for name in names]


def trial_page(trial: Trial, catalog: Catalog, cql: Mapping[str, str], unsaid: Mapping[str, str] | None = None) -> str:
    """Write the page of a trial; ``cql`` is by define name, ``unsaid`` says by atom id why CQL leaves it null."""
    file = catalog.files[trial.key]
    codes = Codes(catalog)
    entries = {each.id: each for each in file.criteria}
    shown = {each.id: shown_atoms(each, entries[each.id], catalog) for each in trial.criteria}
    sections = {
        kind: [
            criterion_section(each, entries[each.id], shown[each.id], catalog, codes, cql, unsaid or _NOTHING)
            for each in trial.criteria
            if each.type == kind
        ]
        for kind in ("inclusion", "exclusion")
    }
    atoms = [each for criterion in trial.criteria for each in shown[criterion.id]]
    used = {left.reason for each in atoms for left in each.form.unknown} | {Reason.CONFLICT, Reason.DATE}
    attested = [Words(catalog, None).named(ATTESTATION)]
    parts = [
        ("computability", "Computability", report.computability(trial, catalog)),
        ("inclusion", "Inclusion criteria", joined(*sections["inclusion"])),
        ("exclusion", "Exclusion criteria", joined(*sections["exclusion"])),
        ("decision", "The decision in CQL", _decision(cql)),
        ("numbers", "Numbers to confirm", report.numbers_of_ours(atoms, catalog, attested)),
        ("codes", "Inputs and codes", codes.in_full()),
        ("source", "Gaps of the source", source.gaps(file)),
        ("reading", "How to read this page", _reading(used)),
    ]
    links = [element("a", name, href=f"#{place}") for place, name, _ in parts]
    head = joined(
        element("p", "Eligibility of a trial in computable form", class_="kicker"),
        element("h1", source.title(file)),
        source.facts(trial, file),
    )
    body = joined(source.alerts(trial), _brief(), *(_section(*each) for each in parts))
    copyright_ = copyright_of(codes.systems)
    return _document(f"{trial.key}: eligibility", head, links, body, catalog, copyright_, has_index=True)


def index_page(catalog: Catalog, trials: Sequence[Trial]) -> str:
    """Write the page over all trials: how computable each is, and a way to its page."""
    counts = [report.counted(trial) for trial in trials]
    total = report.Count(*(sum(getattr(each, name) for each in counts) for name in ("a", "b", "c")))
    rows = []
    for trial, count in zip(trials, counts, strict=True):
        link = element("a", element("strong", trial.key), href=page_name(trial))
        name = joined(link, element("br"), source.title(catalog.files[trial.key]))
        about = [trial.version, str(len(trial.criteria)), *_shares(count), report.covered_in_short(trial, catalog)]
        rows.append([name, *about])
    criteria = sum(len(trial.criteria) for trial in trials)
    rows.append(["All trials", "", str(criteria), *_shares(total), ""])
    head = ["Trial", "Version", "Criteria", "Atoms", *(f"{grade}: {said}" for grade, said in GRADES.items()), "Share"]
    said = table("Computability of each trial", [*head, "Source covered"], rows, class_="figures index")
    body = joined(_section("trials", "Trials", said), _section("reading", "How to read this", _classes()))
    title = element("h1", "Eligibility of trials in computable form")
    intro = element("p", f"Trials: {len(trials)}. Criteria: {criteria}. Atoms: {total.all}.")
    return _document("Eligibility of trials", joined(title, intro), [], body, catalog, None, has_index=False)


def _shares(count: report.Count) -> list[str]:
    shares = (
        joined(str(number), " ", element("small", f"({count.share(number)})")) for number in count.by_grade.values()
    )
    return [str(count.all), *shares, report.bar(count)]


def _section(place: str, name: str, inside: Html) -> Html:
    return element(
        "section", element("h2", name, id=f"{place}-title"), inside, id=place, aria_labelledby=f"{place}-title"
    )


def _decision(cql: Mapping[str, str]) -> Html:
    texts = [cql[name].strip() for name in _OVERALL if name in cql]
    if not texts:
        return element("p", "No CQL was given for the whole decision.", class_="none")
    return fold("CQL of the whole decision", element("pre", element("code", "\n\n".join(texts))), class_="cql")


def _brief() -> Html:
    """Say what a reader must know at once."""
    ours = element("span", "ours", class_="mark")
    said = (
        joined("Numbers marked ", ours, " are not in the trial's text: the trial's team must confirm them. "),
        "For an exclusion, met means that the sentence is true of the patient: it excludes. ",
        "What the record does not say is unknown, never no. ",
        element("a", "How to read this page", href="#reading"),
    )
    return element("p", *said, class_="brief")


def _classes() -> Html:
    return listing(
        [
            joined(element("span", "A", class_="grade grade-A"), " computed: the record can decide it alone."),
            joined(
                element("span", "B", class_="grade grade-B"),
                " partly computed: the record can decide some cases, a person decides the rest.",
            ),
            joined(element("span", "C", class_="grade grade-C"), " asked of a person: no record answers it."),
        ],
        class_="legend",
    )


def _reading(used: set[Reason]) -> Html:
    ours = element("span", "ours", class_="mark")
    statements = listing(
        [
            "An atom is the smallest part of a sentence with a truth of its own. Each is met, not met or unknown.",
            "Silence of a record is not a no: it is unknown, with a reason that says what would settle it.",
            "For an exclusion, met means that the sentence is true of the patient: it excludes.",
            joined("A number marked ", ours, " is not in the trial's text; the trial's team must confirm it."),
            "Other numbers stand in the trial's text, or are published equivalents of it in another unit.",
            "Of several results the latest day decides. What lies after the day of the question does not count.",
            "A reviewer's dated answer settles what is unknown; it never overrules what the record decides.",
            "Reviewers who disagree leave the answer open: CONFLICT, or DATE where it is not clear who spoke last.",
            "Any of several ways makes an atom met; it is not met only where nothing on record speaks for it.",
        ]
    )
    reasons: list[tuple[str, str]] = [
        (element("span", each.value, id=f"reason-{each.value}", class_="reason"), f"{each.meaning}: {each.action}")
        for each in Reason
        if each in used
    ]
    return joined(
        statements,
        _classes(),
        element("h3", "Reasons for unknown, and what settles each"),
        terms(reasons, class_="reasons"),
    )


def _document(
    title: str, head: Html, links: list[Html], body: Html, catalog: Catalog, copyright_: str | None, *, has_index: bool
) -> str:
    made = f"Made by fhir-trial-adapter {__version__} from mappings {catalog.mappings.version}. {_LIMIT}"
    top = joined(element("a", "All trials", href=INDEX, class_="up") if has_index else "", head)
    footer = joined(element("p", made), element("p", copyright_) if copyright_ else "")
    return document(title, top, links, body, footer)
