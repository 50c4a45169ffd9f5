"""Our own engine, asked as the peers are: ``run.py ASK truths|lines|orjson``.

``truths``: from bytes to the truth of every atom.  ``lines``: the finding lines with evidence as well, as
``trial-adapter screen --format findings`` writes them.  ``orjson``: ``orjson.loads`` of the same bytes and nothing
else, which every Python program pays before it has looked at a value.
"""

import gc
import platform
import sys
from pathlib import Path

import orjson
from peers.answering import Answer, Ask, Prepared, answer_lines

from adapter import __version__
from adapter.catalog.load import load_catalog
from adapter.eligibility.truth import Truth
from adapter.fhir.dates import parse_as_of
from adapter.rendering.findings import FindingLines
from adapter.screen import DocumentScreening, screen_bundle

_VALUES = {Truth.MET: True, Truth.NOT_MET: False, Truth.UNKNOWN: None}


def _prepare(ask: Ask) -> Prepared:
    catalog = load_catalog([Path(each) for each in ask["trials"]], [Path(each) for each in ask["mappings"]])
    as_of = parse_as_of(ask["as_of"])
    lines = FindingLines({"adapter": __version__, "mappings": catalog.mappings.version})
    atoms = frozenset(ask["defines"])

    def truths(data: bytes) -> Answer:
        return _truths(screen_bundle(data, catalog, as_of))

    def with_lines(data: bytes) -> Answer:
        answered = screen_bundle(data, catalog, as_of)
        for patient in answered.patients:
            for screening in patient.screenings:
                b"".join(lines.lines(patient.patient, screening))
        return _truths(answered)

    def _truths(answered: DocumentScreening) -> Answer:
        (patient,) = answered.patients
        return {
            finding.atom: _VALUES[finding.truth]
            for screening in patient.screenings
            for finding in screening.findings
            if finding.atom in atoms
        }

    def floor(data: bytes) -> Answer:
        orjson.loads(data)
        return {}

    what = {"truths": truths, "lines": with_lines, "orjson": floor}[sys.argv[2]]
    gc.collect()
    gc.freeze()  # as the command does: what was loaded is not searched again and again
    return what, {"fhir-trial-adapter": __version__, "orjson": orjson.__version__, "python": platform.python_version()}


if __name__ == "__main__":
    answer_lines(_prepare)
