"""What a mapping file says: how FHIR carries each input, with codes, units, ranges and answers; loaded strictly."""

from decimal import Decimal
from typing import Any, Literal

import msgspec

from adapter.eligibility.case import ChildbearingRule
from adapter.eligibility.kinds.derivation import Derivation
from adapter.eligibility.reason import Reason
from adapter.eligibility.values import Limits, Period

System = Literal["loinc", "snomed", "icd10cm", "icd10", "rxnorm", "atc", "cpt", "icd10pcs", "hl7v3"]
Verified = Literal["verified", "verified-secondary", "exists-only", "weak", "unverified"]
Factor = Decimal | None
"""What multiplies a number into the canonical unit; None (``kept`` in the file): it is compared as reported."""
Unit = str


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code with its display and how it was checked."""

    code: str
    display: str
    verified: Verified
    system: System = "loinc"
    property: str | None = None
    """LOINC's property axis (MCnc, SCnc, NCnc, MFr ...): what kind of unit the code can carry."""


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How numbers under some roles of an input are read."""

    roles: tuple[str, ...]
    unit: Unit
    """The canonical unit (UCUM), or the main one where several are kept."""
    ucum: dict[Unit, Factor]
    """UCUM code to the factor that gives the canonical unit; ``kept``: compared as reported."""
    printed: dict[Unit, Factor]
    """Printed unit, after the replacements of ``vocabulary.yaml``, likewise."""
    plausible: dict[Unit, tuple[Decimal, Decimal]] = msgspec.field(default_factory=dict)
    """By canonical or kept unit; outside is never used."""
    step: Decimal | None = None
    """Values must be multiples of this (Karnofsky: 10)."""
    doubtful_below: dict[Unit, Decimal] = msgspec.field(default_factory=dict)
    """By reported unit: lower numbers may be of another analyte form and are used only under ``sure_codes``."""
    sure_codes: tuple[str, ...] = ()
    score: bool = False
    """Whether the number may come without a unit, or as an integer."""


class NumberAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a number says of a qualitative question."""

    roles: tuple[str, ...]
    unit: Unit | None
    """None: any unit, a viral load in copies or IU."""
    positive: Limits
    negative: Limits | None = None
    below_detection: bool = False
    """Whether a ``<`` comparator means negative."""
    otherwise: Reason | None = None
    """What a number in neither range leads to; None: indeterminate."""


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a qualitative input is answered, beside the common answer codes and texts."""

    value_sets: dict[Literal["positive", "negative", "indeterminate"], str] = msgspec.field(default_factory=dict)
    """Value sets of answer codes."""
    texts: dict[str, Literal["positive", "negative", "indeterminate"]] = msgspec.field(default_factory=dict)
    """Printed answers of this input alone, lower case, without blanks: ``1+``."""
    numbers: tuple[NumberAnswer, ...] = ()
    yes_no: bool = False
    """Whether yes and no, coded or boolean, answer this question."""


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One clinical quantity or fact that criteria speak of."""

    title: str
    """What people call it in a sentence: ``HbA1c``."""
    datatype: str
    source: str
    """Where FHIR keeps it, in words."""
    resource: str
    """The resource type to ask for when it is missing."""
    unit: Unit = ""
    freshness: Period | None = None
    select: str = ""
    derivation: str = ""
    """In words, how it follows from other data."""
    codes: dict[str, tuple[Code, ...]] = msgspec.field(default_factory=dict)
    """By role: ``primary``, ``accept``, ``reject`` and others the input names."""
    decides: tuple[str, ...] = ()
    """Roles whose results decide; others are shown or support a derivation."""
    needs_fasting: tuple[str, ...] = ()
    """Roles that count only when the result itself shows the fasting state."""
    measures: tuple[Measure, ...] = ()
    answers: Answers | None = None
    derive: Derivation | None = None
    note: str = ""


class ValueSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Codes that mean one clinical concept: roots and an explicit expansion."""

    title: str
    codes: dict[System, tuple[Code, ...]] = msgspec.field(default_factory=dict)
    """SNOMED, RxNorm, CPT, ICD-10-PCS and LOINC match exactly; ICD-10 and ATC by prefix or range ``a-b``."""
    excluding: dict[System, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Prefixes that a range would catch by spelling only."""
    includes: tuple[str, ...] = ()
    suggests: dict[Reason, dict[System, tuple[str, ...]]] = msgspec.field(default_factory=dict)
    """Codes among ``codes`` that do not prove the concept, by the reason they leave it unknown."""
    refutable: Literal["any-code"] | tuple[str, ...] = ()
    """Refuting which code refutes the concept: any of a single diagnosis, the named roots, or none."""
    routes: dict[str, Literal["systemic", "local"]] = msgspec.field(default_factory=dict)
    """Route of a product code that names its form."""
    note: str = ""
    unused: str = ""
    """Why it stands here although nothing refers to it."""


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number that is ours, or a trial's text, named once; trials and mappings refer to it as ``$name``."""

    value: Any
    """A length of time, a whole number, or a decimal."""
    basis: str
    """``ours`` where the texts give none, else where it comes from."""
    means: str
    unused: str = ""
    """Why it stands here although nothing refers to it."""


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a route of administration is recognised."""

    codes: dict[System, tuple[Code, ...]]
    texts: tuple[str, ...]


class FastingStatus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The component that shows the fasting state, and its yes."""

    system: System
    code: str
    answers: dict[System, tuple[str, ...]]


class EmptyListKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a list that can be known to be empty is coded."""

    system: System
    code: str


class Dosage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What makes a dosage computable."""

    units: tuple[str, ...]
    """Codes and printed units of one dose that mean one unit of the drug."""
    per_day: dict[str, Decimal]
    """Timing code to administrations a day."""
    hours: dict[str, Decimal]
    """UCUM unit of Timing.repeat.periodUnit to its hours."""
    of: tuple[str, ...]
    """Value sets of drugs whose daily dose is computed."""


class Vocabulary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is common to all inputs: systems, answers, routes, sites, populations."""

    systems: dict[System, tuple[str, ...]]
    """Canonical URL first, then aliases that mean the same."""
    hierarchical: tuple[System, ...]
    """Systems whose codes match by prefix or range."""
    answer_codes: dict[Literal["positive", "negative", "indeterminate", "yes", "no"], dict[System, tuple[str, ...]]]
    answer_texts: dict[Literal["positive", "negative", "indeterminate"], tuple[str, ...]]
    unit_replacements: dict[str, str]
    """Characters of printed units and what they are read as; blanks are dropped besides."""
    same_units: tuple[tuple[Unit, ...], ...]
    routes: dict[Literal["systemic", "local"], Route]
    eye_body_sites: dict[System, tuple[str, ...]]
    populations: dict[Literal["male", "female"], tuple[str, ...]]
    """``system|code`` of Observation.referenceRange.appliesTo."""
    birth_sex: dict[str, Literal["male", "female"]]
    """Codes of the birth-sex extension."""
    normal_range_types: tuple[str, ...]
    """``code`` of a referenceRange.type that is the normal range."""
    properties: dict[str, tuple[Unit, ...]]
    """LOINC property to units that stand for the kinds of quantity it can carry."""
    fasting_status: FastingStatus
    empty_lists: dict[Literal["problem-list", "medication-list", "allergy-list"], EmptyListKind]
    acute_encounter_classes: tuple[str, ...]
    dosage: Dosage
    childbearing: ChildbearingRule


class MappingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of ``mappings/``; any part may stand in any file."""

    inputs: dict[str, Input] = msgspec.field(default_factory=dict)
    value_sets: dict[str, ValueSet] = msgspec.field(default_factory=dict)
    policy: dict[str, Policy] = msgspec.field(default_factory=dict)
    vocabulary: Vocabulary | None = None
