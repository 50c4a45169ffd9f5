"""The CQL libraries that all trials share, written by hand and filled in here for one FHIR version."""

import functools
from pathlib import Path

from adapter.cql.types import spelled
from adapter.eligibility.kinds.selection import MOST_TELLING
from adapter.fhir.versions import FhirVersion
from adapter.mapping.clinical import ASSERTED
from adapter.mapping.people import BIRTH_SEX
from adapter.mapping.units import UCUM

SHARED_VERSION = "1.0.0"
"""Of the shared libraries; a change of what they say changes it."""
DENIED = "DENIED"
"""An outcome of CQL alone: the record only denies a part, so that an empty list still answers."""
MODEL = {FhirVersion.R4: "4.0.1", FhirVersion.R5: "5.0.0"}
_FOLDER = Path(__file__).parent / "library"
_STATES = (
    "active", "recurrence", "relapse", "inactive", "remission", "resolved",
    "confirmed", "unconfirmed", "provisional", "differential", "presumed", "refuted", "entered-in-error",
)  # fmt: skip


@functools.cache
def shared_text(library: str, version: FhirVersion) -> str:
    """Give the source of a shared library for one FHIR version: its parts in order, then the version's own."""
    of_others = {f"{each.value}.cql" for each in FhirVersion if each is not version}
    parts = sorted(each for each in (_FOLDER / library).glob("*.cql") if each.name not in of_others)
    text = "\n".join(each.read_text("utf-8") for each in parts)
    values = {
        "@version": SHARED_VERSION,
        "@fhir": MODEL[version],
        "@birthsex": BIRTH_SEX,
        "@asserted": ASSERTED,
        "@ucum": UCUM,
        "@states": "{ " + ", ".join(f"'{each}'" for each in _STATES) + " }",
        "@ranks": ", ".join(f"'{each}'" for each in (*(reason.value for reason in MOST_TELLING), DENIED)),
    }
    for mark in sorted(values, key=len, reverse=True):
        text = text.replace(mark, values[mark])
    return spelled(text, version)
