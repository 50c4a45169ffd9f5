"""A worklist as CSV, as a spreadsheet, or as a page."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from adapter import __version__
from adapter.errors import AdapterError, Category
from adapter.outputs import Folder
from adapter.population.report_page import STYLE
from adapter.population.worklist import Row
from adapter.rendering.document import document
from adapter.rendering.markup import Html, element, joined, listing, table

HEAD = (
    "trial",
    "patient",
    "mark",
    "verdict",
    "missing",
    "to order or record",
    "to ask a reviewer",
    "changes by itself",
    "why",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WIDTHS = (14, 24, 9, 18, 8, 70, 40, 40, 60)


def write_worklist(rows: Sequence[Row], path: Path, as_of: str, left_out: int) -> None:
    """Write the list whole or not at all; ``left_out`` says how many rows are not in it.  Raises AdapterError."""
    writer = writer_of(path)
    Folder.open(path.parent).fill(path.name, lambda stream: writer(rows, stream, as_of, left_out))


def writer_of(path: Path) -> "_Writer":
    """Give what writes a file of this name; raises AdapterError where there is none."""
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        said = f"--worklist: a name that ends in {', '.join(WRITERS)}"
        raise AdapterError.of(Category.NOT_FOUND, "usage", said)
    return writer


def cells(row: Row) -> list[str]:
    """Give a row as texts, lines between the items of a list."""
    lists = ("\n".join(each) for each in (row.order, row.ask))
    return [
        row.trial,
        row.patient,
        row.mark,
        row.verdict,
        str(row.missing),
        *lists,
        row.change,
        "\n".join(row.because),
    ]


def harmless(text: str) -> str:
    """Keep a text from being taken for a formula: what a sender wrote must not run in a spreadsheet.

    >>> harmless("=1+1"), harmless("p1")
    ("'=1+1", 'p1')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(rows: Sequence[Row], stream: IO[bytes], _as_of: str, _left_out: int) -> None:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="", write_through=True)
    lines = csv.writer(text)
    lines.writerow(HEAD)
    for row in rows:
        lines.writerow(map(harmless, cells(row)))
    text.detach()


def _xlsx(rows: Sequence[Row], stream: IO[bytes], as_of: str, left_out: int) -> None:
    try:
        import xlsxwriter  # noqa: PLC0415 (an extra)
    except ImportError:
        said = 'a spreadsheet needs XlsxWriter: pip install "fhir-trial-adapter[population]"'
        raise AdapterError.of(Category.NOT_FOUND, "xlsxwriter-missing", said) from None
    data = io.BytesIO()
    book = xlsxwriter.Workbook(data, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet("Worklist")
    bold, wrapped = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
    for place, (name, width) in enumerate(zip(HEAD, _WIDTHS, strict=True)):
        sheet.set_column(place, place, width, wrapped)
        sheet.write_string(0, place, name, bold)
    for number, row in enumerate(rows, 1):
        for place, text in enumerate(cells(row)):
            if HEAD[place] == "missing":
                sheet.write_number(number, place, row.missing)
            else:
                sheet.write_string(number, place, text)
    sheet.freeze_panes(1, 2)
    sheet.autofilter(0, 0, max(1, len(rows)), len(HEAD) - 1)
    about = book.add_worksheet("About")
    remarks = [f"As of {as_of}", f"fhir-trial-adapter {__version__}", "It proposes, people enrol."]
    if left_out:
        remarks.append(f"{left_out} more rows are not in this list")
    for number, line in enumerate(remarks):
        about.write_string(number, 0, line)
    book.close()
    stream.write(data.getvalue())


def _html(rows: Sequence[Row], stream: IO[bytes], as_of: str, left_out: int) -> None:
    trials = list(dict.fromkeys(row.trial for row in rows))
    parts = [_section(trial, [row for row in rows if row.trial == trial]) for trial in trials]
    if not rows:
        parts.append(element("p", "Nobody is a candidate or potential candidate.", class_="none"))
    if left_out:
        parts.append(element("p", f"{left_out} more rows are not in this list.", class_="warning"))
    title = f"Worklist as of {as_of}"
    header = joined(element("h1", "Worklist"), element("p", f"As of {as_of}. It names patients: keep it so."))
    footer = element("p", f"Made by fhir-trial-adapter {__version__}. It proposes, people enrol.")
    links = [element("a", trial, href=f"#{trial}") for trial in trials]
    stream.write(document(title, header, links, joined(*parts), footer, STYLE).encode())


def _section(trial: str, rows: Sequence[Row]) -> Html:
    lines = [
        [
            joined(element("span", row.mark, class_="mark") if row.mark else "", " ", row.patient),
            row.verdict.replace("-", " "),
            listing(list(row.order)) or element("span", "nothing", class_="none"),
            listing(list(row.ask)),
            row.change,
            listing(list(row.because)),
        ]
        for row in rows
    ]
    head = ["Patient", "Verdict", "To order or record", "To ask a reviewer", "Changes by itself", "Why"]
    said = table("Least missing first; lost ones last", head, lines, class_="figures")
    title = element("h2", trial, id=f"{trial}-title")
    return element("section", title, said, id=trial, aria_labelledby=f"{trial}-title")


_Writer = Callable[[Sequence[Row], IO[bytes], str, int], None]
WRITERS: dict[str, _Writer] = {".csv": _csv, ".xlsx": _xlsx, ".html": _html}
"""By the ending of the file's name."""
