"""HTML made of parts: every text is escaped here, and nowhere else."""

import html
import re

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What HTML cannot hold, and marks that turn the direction of what follows."""
_VOID = frozenset(("br", "meta", "col", "wbr"))


class Html(str):
    """What is HTML already; any other text is escaped when it becomes part of a page."""

    __slots__ = ()


def escaped(text: str) -> Html:
    """Make text safe inside an element and inside a quoted attribute.

    >>> escaped('<a href="x">')
    '&lt;a href=&quot;x&quot;&gt;'
    """
    return text if isinstance(text, Html) else Html(html.escape(_UNPRINTABLE.sub("\ufffd", text)))


def joined(*parts: str, by: str = "") -> Html:
    """Put parts together, escaping those that are not HTML."""
    return Html(escaped(by).join(map(escaped, parts)))


def element(tag: str, /, *inside: str, **attributes: str | None) -> Html:
    """Make an element; an attribute that is None is left out, ``class_`` and ``aria_label`` are written as in HTML.

    >>> element("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    given = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    opening = "".join((f"<{tag}", *(f' {key}="{escaped(value)}"' for key, value in given), ">"))
    return Html(opening if tag in _VOID else f"{opening}{joined(*inside)}</{tag}>")


def fold(summary: str, *inside: str, **attributes: str | None) -> Html:
    """Make a part that opens when it is asked for; on paper it is open."""
    return element("details", element("summary", summary), *inside, **attributes)


def listing(items: list[Html] | list[str], **attributes: str | None) -> Html:
    """Make a list; nothing at all of no items."""
    return element("ul", *(element("li", each) for each in items), **attributes) if items else Html()


def terms(pairs: list[tuple[str, str]], **attributes: str | None) -> Html:
    """Make a list of terms with what each is."""
    said = (element("div", element("dt", term), element("dd", meaning)) for term, meaning in pairs)
    return element("dl", *said, **attributes)


def table(caption: str, head: list[str], rows: list[list[str]], **attributes: str | None) -> Html:
    """Make a table whose first column names the row; narrow screens show each row for itself."""
    columns = element("tr", *(element("th", each, scope="col", role="columnheader") for each in head), role="row")
    body = []
    for row in rows:
        first = element("th", row[0], scope="row", role="rowheader", data_label=head[0])
        cells = zip(head[1:], row[1:], strict=True)
        others = (element("td", cell, role="cell", data_label=label) for label, cell in cells)
        body.append(element("tr", first, *others, role="row"))
    return element(
        "table",
        element("caption", caption),
        element("thead", columns, role="rowgroup"),
        element("tbody", *body, role="rowgroup"),
        role="table",
        **attributes,
    )
