"""What a trial file says: metadata with its gaps, the source list verbatim, criteria with their atoms."""

from typing import Any as JsonValue
from typing import Literal

import msgspec


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement of the source, or what we say where the source is silent."""

    text: str
    note: str | None = None
    ours: bool = False
    """Whether the words are ours because the source gives none."""


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A study arm with its intervention."""

    name: str
    type: str | None = None
    description: str | None = None


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place where the study runs."""

    name: str
    city: str | None = None
    country: str | None = None


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An outcome measure with its time frame as printed."""

    type: Literal["primary", "secondary", "other"]
    name: str
    description: str | None = None
    time_frame: str | None = None


class Identifier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registry identifier printed in the source."""

    system: str
    value: str


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the source says of the study; what it leaves out is named in ``absent``, never invented."""

    title: Text
    official_title: str | None = None
    summary: str | None = None
    description: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    sponsor: Text | None = None
    status: Text | None = None
    fhir_status: Literal["active", "completed"] | None = None
    """None: R4 has no code for it, so the element travels with a data-absent-reason."""
    phase: Text | None = None
    fhir_phase: str | None = None
    study_type: Text | None = None
    design: Text | None = None
    masking: Text | None = None
    enrollment: int | None = None
    enrollment_note: str | None = None
    sex: Text | None = None
    ages: Text | None = None
    start: str | None = None
    primary_completion: str | None = None
    completion: str | None = None
    last_update: str | None = None
    dates_note: str | None = None
    conditions: tuple[Text, ...] = ()
    interventions: tuple[Text, ...] = ()
    arms: tuple[Arm, ...] = ()
    sites: tuple[Site, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    absent: tuple[str, ...] = ()
    inconsistent: tuple[str, ...] = ()
    external_leads: tuple[str, ...] = ()


class AtomEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"grade": "class"}):
    """One atom as written: its words, its computable form, its question."""

    id: str
    text: str
    grade: Literal["A", "B", "C"]
    judge: dict[str, JsonValue]
    inputs: tuple[str, ...] = ()
    ask: str | None = None
    """The reviewer's question; its yes means that the atom's sentence is true."""
    left_to_people: str | None = None
    """For a B atom: what no record answers."""
    decision: str | None = None


class CriterionEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One printed criterion as written."""

    id: str
    type: Literal["inclusion", "exclusion"]
    text: str
    logic: JsonValue
    atoms: tuple[AtomEntry, ...]
    printed_number: str | None = None
    flags: tuple[str, ...] = ()
    note: str | None = None


class ContradictionEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the text asks for what it excludes, said aloud."""

    includes: tuple[str, ...]
    excludes: tuple[str, ...]
    text: str


class SourceText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The eligibility part of the source, verbatim, and what in it is no criterion."""

    name: str
    eligibility: str
    headings: tuple[str, ...] = ()


class TrialFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of ``trials/``."""

    key: str
    version: str
    metadata: Metadata
    source: SourceText
    criteria: tuple[CriterionEntry, ...]
    contradictions: tuple[ContradictionEntry, ...] = ()
    notices: tuple[str, ...] = ()
    """Safety notices shown to people, such as a missing pregnancy criterion."""
