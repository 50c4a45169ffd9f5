"""A resource's ``text``: a small XHTML table that people read where nothing else renders the resource."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

_XHTML = "http://www.w3.org/1999/xhtml"
_NOT_XML = re.compile("[^\\t\\n\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What XML 1.0 does not know, and a carriage return, which would only double a line break."""


def narrative(title: str, rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Give a generated narrative: a heading, and a row of two cells for each pair.

    Only what XML allows gets in: markup in a trial's words is escaped, control characters are left out.

    >>> narrative("A < B", [("I1", "age")])["div"]
    '<div xmlns="http://www.w3.org/1999/xhtml"><p><b>A &lt; B</b></p>\
<table><tbody><tr><td>I1</td><td>age</td></tr></tbody></table></div>'
    """
    cells = "".join(f"<tr><td>{_xml(head)}</td><td>{_xml(said)}</td></tr>" for head, said in rows)
    table = f"<table><tbody>{cells}</tbody></table>" if cells else ""
    return {"status": "generated", "div": f'<div xmlns="{_XHTML}"><p><b>{_xml(title)}</b></p>{table}</div>'}


def _xml(text: str) -> str:
    """Escape a text for XML, its line breaks kept as such."""
    return escape(_NOT_XML.sub("", text.strip())).replace("\n", "<br/>")
