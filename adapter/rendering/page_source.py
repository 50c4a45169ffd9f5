"""What a trial's source says on a page: who and what, what it leaves out, where it contradicts itself."""

from adapter.catalog.trial_file import Metadata, Text, TrialFile
from adapter.eligibility.trial import Trial
from adapter.rendering.markup import Html, element, joined, listing, terms

_PLAIN = ("sponsor", "status", "phase", "study_type", "design", "masking", "sex", "ages")


def facts(trial: Trial, file: TrialFile) -> Html:
    """Write what identifies a trial, in the words of its source."""
    said = file.metadata
    pairs: list[tuple[str, str]] = [("Key", trial.key), ("Version", trial.version), ("Source", file.source.name)]
    pairs.extend((f"Identifier ({each.system})", each.value) for each in said.identifiers)
    for name in _PLAIN:
        text: Text | None = getattr(said, name)
        if text is not None:
            pairs.append((name.replace("_", " ").capitalize(), _text(text)))
    if said.enrollment is not None or said.enrollment_note:
        number = str(said.enrollment) if said.enrollment is not None else "not in the source"
        pairs.append(("Enrolment", joined(number, _note(said.enrollment_note))))
    pairs.extend(_dates(said))
    for name, texts in (("Condition", said.conditions), ("Intervention", said.interventions)):
        pairs.extend((name, _text(each)) for each in texts)
    return terms(pairs, class_="facts")


def _dates(said: Metadata) -> list[tuple[str, str]]:
    dates = (
        ("Start", said.start),
        ("Primary completion", said.primary_completion),
        ("Completion", said.completion),
        ("Last update", said.last_update),
    )
    found: list[tuple[str, str]] = [(name, date) for name, date in dates if date]
    return found + ([("Dates", said.dates_note)] if said.dates_note else [])


def title(file: TrialFile) -> Html:
    """Write the title, marked where it is ours."""
    said = file.metadata.title
    return joined(said.text, joined(" ", element("span", "our title", class_="mark")) if said.ours else "")


def _text(text: Text) -> Html:
    mark = joined(" ", element("span", "ours", class_="mark")) if text.ours else Html()
    return joined(text.text, mark, _note(text.note))


def _note(note: str | None) -> Html:
    return joined(" ", element("small", f"({note.rstrip('.')})")) if note else Html()


def alerts(trial: Trial) -> Html:
    """Write what must not be overlooked: safety notices, and where the text excludes what it asks for."""
    said = [joined(element("strong", "Notice: "), each) for each in trial.notices]
    for each in trial.contradictions:
        sides = joined(
            element("strong", "Contradiction: "), _links(each.includes), " against ", _links(each.excludes), ". "
        )
        said.append(joined(sides, each.text))
    return element("div", listing(said), class_="alerts") if said else Html()


def _links(ids: tuple[str, ...]) -> Html:
    return joined(*(element("a", each.partition("-")[2], href=f"#{each}") for each in ids), by=" and ")


def gaps(file: TrialFile) -> Html:
    """Write what the source leaves out, what in it contradicts itself, and what was seen elsewhere."""
    said = file.metadata
    found = []
    if said.absent:
        found.append(
            element("p", element("strong", "Not in the source, and not invented here: "), ", ".join(said.absent))
        )
    for name, texts in (
        ("Contradictory or broken in the source", said.inconsistent),
        ("Seen elsewhere, and not used", said.external_leads),
    ):
        if texts:
            found.append(joined(element("h3", name), listing(list(texts))))
    return joined(*found) if found else element("p", "Nothing that is asked for is missing from the source.")
