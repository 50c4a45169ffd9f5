"""Whether a narrative is the plain XHTML that FHIR allows."""

import html
import re
import xml.etree.ElementTree as ET

XHTML = "{http://www.w3.org/1999/xhtml}"
WORD = re.compile(r"\w+")
ELEMENTS = frozenset(
    WORD.findall("""
        a abbr acronym address area article aside b bdo big blockquote br caption cite code col colgroup dd del dfn div
        dl dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main map mark nav ol p pre q samp
        section small span strong sub summary sup table tbody td tfoot th thead time tr tt u ul var
    """)
)
ATTRIBUTES = frozenset(
    WORD.findall("""
        abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset
        cite class colspan compact coords datetime dir frame headers height href hreflang hspace id lang longdesc name
        nowrap rel rev rowspan rules scope shape span src start style summary tabindex title type usemap valign value
        vspace width
    """)
)
ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);)\w+;")


def _parsed(div: str) -> ET.Element | None:
    text = ENTITY.sub(lambda found: html.unescape(found[0]), div)
    try:
        return ET.fromstring(text)  # noqa: S314 - our own output and HL7's examples
    except ET.ParseError:
        return None


def is_plain_html(div: str) -> bool:
    """Whether a narrative is one XHTML div of the elements and attributes that FHIR allows (txt-1)."""
    root = _parsed(div)
    if root is None or root.tag != f"{XHTML}div":
        return False
    return all(
        each.tag.startswith(XHTML)
        and each.tag.removeprefix(XHTML) in ELEMENTS
        and all(name in ATTRIBUTES or name.startswith("{http://www.w3.org/XML/") for name in each.attrib)
        for each in root.iter()
    )


def has_content(div: str) -> bool:
    """Whether a narrative says or shows anything (txt-2)."""
    root = _parsed(div)
    if root is None:
        return False
    return bool("".join(root.itertext()).strip()) or root.find(f".//{XHTML}img") is not None
