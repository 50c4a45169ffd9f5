"""How computable a trial is: its atoms by class, the coverage of its source, and the numbers that are ours."""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.catalog.checks_text import Coverage, coverage
from adapter.eligibility.trial import Atom, Trial
from adapter.rendering.markup import Html, element, fold, joined, listing, table
from adapter.rendering.page_atoms import GRADES, Shown, is_ours
from adapter.rendering.wording import Number

_WHOLE = 1000


class Count(msgspec.Struct, frozen=True):
    """Atoms by class."""

    a: int
    b: int
    c: int

    @classmethod
    def of(cls, atoms: Iterable[Atom]) -> "Count":
        """Count them."""
        grades = [atom.grade for atom in atoms]
        return cls(grades.count("A"), grades.count("B"), grades.count("C"))

    @property
    def all(self) -> int:
        """How many there are."""
        return self.a + self.b + self.c

    @property
    def by_grade(self) -> dict[str, int]:
        """Give each class with its count."""
        return {"A": self.a, "B": self.b, "C": self.c}

    def share(self, count: int) -> str:
        """Write a count of these atoms as a share, the sign kept on its line.

        >>> Count(1, 1, 1).share(2).split()
        ['66.7', '%']
        """
        if not self.all:
            return "0\u00a0%"
        return f"{(Decimal(100 * count) / self.all).quantize(Decimal(1) / 10, ROUND_HALF_UP)}\u00a0%"


def counted(trial: Trial, kind: str | None = None) -> Count:
    """Count the atoms of a trial, or of its inclusion or exclusion criteria."""
    return Count.of(atom for each in trial.criteria if kind in (None, each.type) for atom in each.atoms)


def bar(count: Count) -> Html:
    """Draw the shares; the figures stand beside it."""
    parts: list[Html] = []
    before = 0
    for grade, number in count.by_grade.items():
        start, end = (_WHOLE * each // max(count.all, 1) for each in (before, before + number))
        place = {"x": str(start), "y": "0", "width": str(end - start), "height": "1"}
        parts.append(element("rect", class_=f"grade-{grade}", **place))
        before += number
    view = {"viewBox": f"0 0 {_WHOLE} 1", "preserveAspectRatio": "none"}
    return element("svg", *parts, class_="bar", aria_hidden="true", **view)


def computability(trial: Trial, catalog: Catalog) -> Html:
    """Write the report of one trial."""
    count = counted(trial)
    rows = [
        _row("Inclusion", counted(trial, "inclusion")),
        _row("Exclusion", counted(trial, "exclusion")),
        _row("All", count),
    ]
    head = ["Criteria", *(f"{grade}: {said}" for grade, said in GRADES.items()), "Atoms"]
    return joined(
        bar(count),
        table("Atoms by class: how much of the text the record can decide", head, rows, class_="figures"),
        _covered(coverage(catalog.files[trial.key]), trial, catalog),
    )


def _row(name: str, count: Count) -> list[str]:
    shares = (f"{number} ({count.share(number)})" for number in count.by_grade.values())
    return [name, *shares, str(count.all)]


def covered_in_short(trial: Trial, catalog: Catalog) -> str:
    """Say the coverage of a source in a cell."""
    found = coverage(catalog.files[trial.key])
    whole = "every word" if found.is_whole else "NOT every word"
    return f"{whole} ({found.held} of {found.words})"


def _covered(found: Coverage, trial: Trial, catalog: Catalog) -> Html:
    source = catalog.files[trial.key].source
    criteria = f"{len(trial.criteria)} criteria"
    if found.is_whole:
        said = f"Every sentence of the source stands in a criterion: {found.held} of {found.words} words, in {criteria}"
        said += " and the headings; marks of lists aside."
        result = element("p", said, class_="whole")
    else:
        left = [f"line {line + 1}: {' '.join(words)}" for line, words in found.left.items()]
        left += [f"{trial.criteria[each].id} does not stand in the source" for each in found.strange_criteria]
        left += [f"the heading {source.headings[each]} does not" for each in found.strange_headings]
        said = f"The criteria do not cover the source: {found.held} of {found.words} words."
        result = joined(element("p", said, class_="warning"), listing(left))
    text = fold("The eligibility text of the source, verbatim", element("pre", source.eligibility, class_="source"))
    return joined(result, text)


def numbers_of_ours(atoms: Sequence[Shown], catalog: Catalog, others: Sequence[Number] = ()) -> Html:
    """List every number of the pages that is not the source's, with what uses it."""
    users: dict[Number, list[str]] = {each: [] for each in others}
    for shown in atoms:
        for number in shown.form.numbers:
            users.setdefault(number, []).append(shown.atom.id)
    rows = []
    for number, used in users.items():
        known = catalog.mappings.policy.get(number.policy or "")
        if known is None or number.policy is None:
            continue
        links = joined(*(element("a", each.partition("-")[2], href=f"#{each}") for each in used), by=", ")
        mark = element("span", "ours", class_="mark") if is_ours(number.policy, catalog) else known.basis
        if is_ours(number.policy, catalog) and known.basis != "ours":
            mark = joined(mark, f" ({known.basis})")
        rows.append(
            [
                joined(number.words),
                known.means,
                mark,
                links or "every reviewer's answer",
                element("code", f"${number.policy}"),
            ]
        )
    head = ["Value", "What for", "Basis", "Used by", "Name in mappings/policy.yaml"]
    return table("Numbers that the trial's text does not print", head, rows, class_="figures policies")
