"""What the tests of pages share: every atom with its computable form in words, and a page taken apart."""

import functools
from html.parser import HTMLParser

from cases import catalog

from adapter.catalog.trial_file import AtomEntry
from adapter.eligibility.trial import Atom
from adapter.rendering.sentences import form_of
from adapter.rendering.wording import Form, Line, Number, Text, Words

VOID = {"br", "meta", "col", "wbr"}


@functools.cache
def atoms() -> dict[str, tuple[Atom, AtomEntry, Form]]:
    """Give every atom of every shipped trial with its form."""
    found = {}
    for trial in catalog().trials:
        entries = {each.id: each for criterion in catalog().files[trial.key].criteria for each in criterion.atoms}
        for criterion in trial.criteria:
            for atom in criterion.atoms:
                entry = entries[atom.id]
                found[atom.id] = (atom, entry, form_of(atom.kind, Words(catalog(), entry.judge)))
    return found


def plain(text: Text) -> str:
    """Write a sentence without marks; a number that has a name among the policies is followed by a star."""
    said = []
    for part in text:
        if isinstance(part, str):
            said.append(part)
        elif isinstance(part, Number):
            said.append(part.words + ("*" if part.policy else ""))
        else:
            said.append(part.title)
    return "".join(said)


def plain_lines(lines: tuple[Line, ...]) -> list[str]:
    """Write lines without marks, those inside after the line they belong to."""
    return [text for line in lines for text in (plain(line.text), *plain_lines(line.inside))]


class Page(HTMLParser):
    """A page taken apart: every tag is closed where it must be, or reading it raises."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the tag that is open."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep what is read, style sheets aside."""
        if "style" not in self._open:
            self.words.append(data)

    @property
    def text(self) -> str:
        """What is read, one blank between words."""
        return " ".join(" ".join(self.words).split())

    def all(self, *names: str) -> list[dict[str, str | None]]:
        """Give the attributes of every tag of these names."""
        return [attributes for tag, attributes in self.tags if tag in names]
