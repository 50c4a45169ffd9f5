"""A page of one file: no network, no script, and a policy that says so; light and dark, by keyboard and on paper."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from adapter.rendering.markup import Html, element, listing

STYLE = Path(__file__).with_name("page.css")
"""What all pages share."""


def document(title: str, header: Html, links: Sequence[Html], body: Html, footer: Html, *styles: Path) -> str:
    """Write a whole page; ``links`` lead to its parts, ``styles`` come after what all pages share."""
    style = "\n".join(path.read_text(encoding="utf-8") for path in (STYLE, *styles))
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    page = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=policy),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", title),
            element("style", Html(style)),
        ),
        element(
            "body",
            element("a", "Skip to the content", href="#content", class_="skip"),
            element("header", header),
            element("nav", listing(list(links)), aria_label="On this page") if links else Html(),
            element("main", body, id="content"),
            element("footer", footer),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"
