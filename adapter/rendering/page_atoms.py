"""One criterion on a page: its sentence, its logic in words, its atoms, and its CQL."""

from collections.abc import Mapping
from typing import assert_never

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.catalog.load import ATTESTATION
from adapter.catalog.trial_file import AtomEntry, CriterionEntry
from adapter.eligibility.trial import All, Any, Atom, AtomIs, Criterion, Logic, Not, Premise
from adapter.rendering.markup import Html, element, fold, joined, listing
from adapter.rendering.page_codes import Codes
from adapter.rendering.sentences import form_of
from adapter.rendering.wording import Concept, Form, Left, Line, Number, Text, Words

GRADES = {"A": "computed", "B": "partly computed", "C": "asked of a person"}
_COLUMNS = ("Words of the source", "Computable form", "Windows and defaults", "Left to a person")
_PREMISES = {"childbearing_potential": "the patient is of childbearing potential", "male": "the patient is male"}


class Shown(msgspec.Struct, frozen=True):
    """An atom with what the file says of it and its form in words."""

    atom: Atom
    entry: AtomEntry
    form: Form
    speaks_for: bool
    """Whether its being met speaks for the patient."""


def shown_atoms(criterion: Criterion, entry: CriterionEntry, catalog: Catalog) -> tuple[Shown, ...]:
    """Give the atoms of a criterion with their forms."""
    entries = {each.id: each for each in entry.atoms}
    return tuple(
        Shown(
            atom,
            entries[atom.id],
            form_of(atom.kind, Words(catalog, entries[atom.id].judge)),
            criterion.signs.get(atom.id, True),
        )
        for atom in criterion.atoms
    )


def is_ours(policy: str | None, catalog: Catalog) -> bool:
    """Whether a number is ours, wholly or for some of the trials."""
    known = catalog.mappings.policy.get(policy) if policy is not None else None
    return known is not None and "ours" in known.basis.split(";")[-1].split()


def text_of(text: Text, catalog: Catalog) -> Html:
    """Write a sentence, its numbers and concepts marked."""
    said: list[str] = []
    for part in text:
        match part:
            case str():
                said.append(part)
            case Number():
                said.append(number_of(part, catalog))
            case Concept():
                said.append(element("span", part.title, class_="concept"))
            case _:
                assert_never(part)
    return joined(*said)


def number_of(number: Number, catalog: Catalog) -> Html:
    """Write a number, and say where it is ours."""
    if not is_ours(number.policy, catalog):
        return element("span", number.words, class_="number")
    mark = element("span", "ours", class_="mark")
    return element("span", number.words, " ", mark, class_="number is-ours")


def criterion_section(
    criterion: Criterion,
    entry: CriterionEntry,
    atoms: tuple[Shown, ...],
    catalog: Catalog,
    codes: Codes,
    cql: Mapping[str, str],
    unsaid: Mapping[str, str],
) -> Html:
    """Write one criterion."""
    number = criterion.id.rsplit("-", 1)[-1]
    printed = f", printed as {entry.printed_number}" if entry.printed_number else ""
    rule = "must be true" if criterion.type == "inclusion" else "must not be true"
    head = element(
        "h3",
        element("span", number, class_="id"),
        element("span", f" {criterion.type}: {rule}{printed}", class_="rule"),
    )
    remarks = [f"In the source: {each}" for each in entry.flags] + (
        [f"Our reading: {entry.note}"] if entry.note else []
    )
    words = {atom.atom.id: atom.atom.text for atom in atoms}
    return element(
        "article",
        element(
            "div",
            head,
            element("blockquote", element("p", criterion.text), class_="verbatim"),
            listing(remarks, class_="remarks"),
            element("div", element("h4", "Logic"), _logic(criterion.logic, words), class_="logic"),
            class_="statement",
        ),
        _atoms(number, atoms, catalog, codes),
        _cql(criterion, atoms, cql, unsaid),
        class_=f"criterion {criterion.type}",
        id=criterion.id,
    )


def _logic(logic: Logic, words: Mapping[str, str]) -> Html:
    """Write a tree of atoms in words."""
    match logic:
        case AtomIs():
            short = logic.id.partition("-")[2]
            link = element("a", short, href=f"#{logic.id}", class_="id")
            return element("p", link, " ", element("q", words.get(logic.id, logic.id)))
        case Premise():
            return element("p", _PREMISES[logic.of], class_="premise")
        case Not():
            return joined(element("p", "not:", class_="join"), element("ul", element("li", _logic(logic.of, words))))
        case All() | Any():
            join = "all of these:" if isinstance(logic, All) else "any of these:"
            parts = [_logic(each, words) for each in logic.of]
            return joined(element("p", join, class_="join"), listing(parts))
        case _:
            assert_never(logic)


def _atoms(number: str, atoms: tuple[Shown, ...], catalog: Catalog, codes: Codes) -> Html:
    head = element("tr", *(element("th", each, scope="col", role="columnheader") for each in _COLUMNS), role="row")
    return element(
        "table",
        element("caption", f"Atoms of {number}"),
        element("thead", head, role="rowgroup"),
        *(_atom(each, catalog, codes) for each in atoms),
        class_="atoms",
        role="table",
    )


def _atom(shown: Shown, catalog: Catalog, codes: Codes) -> Html:
    atom = shown.atom
    grade = element("span", atom.grade, class_=f"grade grade-{atom.grade}")
    first = element(
        "th",
        element("p", element("span", atom.id.partition("-")[2], class_="id"), " ", grade, " ", GRADES[atom.grade]),
        element("p", element("q", atom.text), class_="words"),
        element("p", f"met speaks {'for' if shown.speaks_for else 'against'} the patient", class_="none"),
        scope="row",
        role="rowheader",
        data_label=_COLUMNS[0],
    )
    others = (_form(shown.form, catalog), _numbers(shown.form, catalog), _person(shown, catalog))
    cells = (
        element("td", cell, role="cell", data_label=label) for label, cell in zip(_COLUMNS[1:], others, strict=True)
    )
    reading = element("p", element("strong", "Our reading: "), atom.decision) if atom.decision else Html()
    below = element("td", reading, codes.of_atom(atom, shown.form), colspan="4", role="cell", class_="below")
    return element(
        "tbody",
        element("tr", first, *cells, role="row"),
        element("tr", below, role="row"),
        role="rowgroup",
        id=atom.id,
        class_="speaks-for" if shown.speaks_for else "speaks-against",
    )


def _form(form: Form, catalog: Catalog) -> Html:
    said = [("Met", _lines(form.met, catalog, "or")), ("Not met", _lines(form.not_met, catalog, "or"))]
    if form.unknown:
        said.append(("Unknown", _unknown(form.unknown, catalog)))
    if form.notes:
        said.append(("Terms", _lines(form.notes, catalog, "")))
    parts = (
        element("div", element("dt", term), element("dd", meaning), class_=f"is-{term.lower().replace(' ', '-')}")
        for term, meaning in said
    )
    return element("dl", *parts, class_="form")


def _lines(lines: tuple[Line, ...], catalog: Catalog, join: str) -> Html:
    said = []
    for number, line in enumerate(lines):
        lead = f"{join} " if number and join else ""
        said.append(joined(lead, text_of(line.text, catalog), listing([_line(each, catalog) for each in line.inside])))
    return said[0] if len(said) == 1 else listing(said)


def _line(line: Line, catalog: Catalog) -> Html:
    return joined(text_of(line.text, catalog), listing([_line(each, catalog) for each in line.inside]))


def _unknown(cases: tuple[Left, ...], catalog: Catalog) -> Html:
    by_reason: dict[str, dict[Html, None]] = {}
    for case in cases:
        by_reason.setdefault(case.reason.value, {})[text_of(case.text, catalog)] = None
    return listing(
        [
            joined(element("a", reason, href=f"#reason-{reason}", class_="reason"), " ", joined(*texts, by="; "))
            for reason, texts in by_reason.items()
        ]
    )


def _numbers(form: Form, catalog: Catalog) -> Html:
    policy = catalog.mappings.policy
    said = [
        joined(number_of(each, catalog), ": ", policy[each.policy].means, _basis(each.policy, catalog))
        for each in form.numbers
        if each.policy is not None and each.policy in policy
    ]
    return listing(said) or element("p", "none", class_="none")


def _basis(policy: str, catalog: Catalog) -> str:
    basis = catalog.mappings.policy[policy].basis
    return "" if basis == "ours" else f" (basis: {basis})"


def _person(shown: Shown, catalog: Catalog) -> Html:
    entry = shown.entry
    if entry.ask is None and entry.left_to_people is None:
        return element("p", "nothing: the record decides", class_="none")
    said = []
    if entry.ask:
        said.append(element("p", entry.ask, class_="question"))
    if entry.left_to_people:
        said.append(element("p", "Why: ", entry.left_to_people))
    if entry.ask:
        lasts = Words(catalog, None).named(ATTESTATION)
        said.append(element("p", "An answer counts for ", number_of(lasts, catalog), ".", class_="none"))
    return joined(*said)


def _cql(criterion: Criterion, atoms: tuple[Shown, ...], cql: Mapping[str, str], unsaid: Mapping[str, str]) -> Html:
    names = [criterion.id, *(each.atom.id for each in atoms)]
    texts = [cql[name].strip() for name in names if name in cql]
    left_out = [f"{name} is null in CQL: {unsaid[name]}" for name in names if name in unsaid]
    if not texts and not left_out:
        return element("p", "No CQL was given for this criterion.", class_="none")
    block = element("pre", element("code", "\n\n".join(texts))) if texts else Html()
    return fold(f"CQL of {criterion.id.partition('-')[2]}", listing(left_out, class_="remarks"), block, class_="cql")
