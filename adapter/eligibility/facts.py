"""What mappings found in one patient's record: facts with their sources, no FHIR JSON and no codes to interpret.

``gc=False``: facts hold no cycles, and a patient has hundreds.
"""

import enum
from decimal import Decimal

import msgspec

from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Bounds, Moment


class Source(msgspec.Struct, frozen=True, gc=False):
    """The resource a fact was read from: ``Observation/a1c-9`` and its version, as the sender names it."""

    reference: str
    version: str | None = None

    @property
    def versioned(self) -> str:
        """The reference to exactly the version that was read, where the sender gave one."""
        return f"{self.reference}/_history/{self.version}" if self.version else self.reference

    @property
    def words(self) -> str:
        """The reference as a coordinator reads it: ``Observation a1c-9``."""
        return self.reference.replace("/", " ", 1)


class Answer(enum.Enum):
    """What a qualitative result or a status says."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    INDETERMINATE = "indeterminate"


class Sex(enum.Enum):
    """Sex for clinical use, as far as the record is clear about it."""

    MALE = "male"
    FEMALE = "female"
    UNKNOWN = "unknown"


class Population(enum.Enum):
    """Whom a reference range is for."""

    ANYONE = "anyone"
    MALE = "male"
    FEMALE = "female"
    OTHER = "other"


class ReferenceRange(msgspec.Struct, frozen=True, gc=False):
    """An upper reference limit in the unit of its result; ``high`` is None where it cannot be used."""

    high: Decimal | None
    population: Population
    age_low: Decimal | None = None
    age_high: Decimal | None = None
    sent: str = ""
    from_site: bool = False


class Result(msgspec.Struct, frozen=True, gc=False):
    """One observed result (or component) that a mapping claims for an input."""

    input: str
    role: str
    """Which list of the mapping its code stands in: ``primary``, ``accept``, ``needs_fasting_context`` ..."""
    label: str
    when: Moment | None
    usable_status: bool
    status: str
    source: Source
    sent: str
    """The value as it was sent, ``8.1 %``."""
    bounds: Bounds | None = None
    unit: str | None = None
    """The unit of ``bounds``: the canonical one, or the reported one where the mapping keeps it."""
    answer: Answer | None = None
    problem: Reason | None = None
    """Why the value cannot be used; then neither ``bounds`` nor ``answer`` counts."""
    is_broken: bool = False
    """Whether a part of the resource could not be read, so that it may say anything."""
    conversion: str | None = None
    fasting: bool | None = None
    ranges: tuple[ReferenceRange, ...] = ()
    note: str | None = None
    from_issued: bool = False


class Clinical(enum.Enum):
    """What Condition.clinicalStatus says, folded to what criteria ask."""

    ACTIVE = "active"
    RESOLVED = "resolved"
    ENDED = "ended"
    """Inactive or in remission: it may come back."""
    ABSENT = "absent"
    UNCLEAR = "unclear"


class Verification(enum.Enum):
    """What verificationStatus says, folded to what criteria ask."""

    CONFIRMED = "confirmed"
    ABSENT = "absent"
    DOUBTFUL = "doubtful"
    REFUTED = "refuted"


class Membership(msgspec.Struct, frozen=True, gc=False):
    """That a code belongs to a value set, and whether it proves it or only suggests it."""

    value_set: str
    doubt: Reason | None = None
    """Why the code alone does not prove the concept; None where it does."""
    names_whole: bool = False
    """Whether refuting this code refutes the whole concept."""


class Condition(msgspec.Struct, frozen=True, gc=False):
    """One Condition whose code stands in at least one value set."""

    memberships: tuple[Membership, ...]
    codes: tuple[str, ...]
    """``system|code`` of every coding, spelled one way, to tell whether two records speak of the same thing."""
    label: str
    clinical: Clinical
    verification: Verification
    source: Source
    onset: Moment | None = None
    asserted: Moment | None = None
    recorded: Moment | None = None
    abated: Moment | None = None
    has_abated: bool = False
    """Whether any abatement was sent, dated or not."""
    unreadable: bool = False
    """Whether a part of the record that decides its meaning could not be read."""
    coded: str = ""
    """Its first code as sent, ``system|code``."""


class Route(enum.Enum):
    """Whether a drug acts in the whole body."""

    SYSTEMIC = "systemic"
    LOCAL = "local"
    UNKNOWN = "unknown"


class Exposure(enum.Enum):
    """What a medication record proves."""

    TAKEN = "taken"
    ORDERED = "ordered"
    UNCLEAR = "unclear"
    NOT_TAKEN = "not-taken"


class DailyDose(msgspec.Struct, frozen=True, gc=False):
    """Units a day of one medication record; ``units`` is None where the dosage cannot be computed."""

    units: Decimal | None
    sent: str = ""


class Medication(msgspec.Struct, frozen=True, gc=False):
    """One medication record whose drug stands in at least one value set."""

    memberships: tuple[Membership, ...]
    codes: tuple[str, ...]
    label: str
    exposure: Exposure
    source: Source
    start: Moment | None = None
    end: Moment | None = None
    open_ended: bool = False
    """Whether it goes on until the question is asked, for all the record says."""
    stopped: bool = False
    dated: bool = True
    route: Route = Route.UNKNOWN
    dose: DailyDose | None = None
    coded: str = ""
    """Its first code as sent, ``system|code``."""


class Procedure(msgspec.Struct, frozen=True, gc=False):
    """One Procedure whose code stands in at least one value set."""

    memberships: tuple[Membership, ...]
    label: str
    done: Truth
    """MET completed, NOT_MET not done, UNKNOWN anything between."""
    source: Source
    when: Moment | None = None
    at_eye: bool = False


class Allergy(msgspec.Struct, frozen=True, gc=False):
    """One AllergyIntolerance."""

    memberships: tuple[Membership, ...]
    label: str
    substance: str | None
    verification: Verification
    severe: bool
    high_criticality: bool
    source: Source
    recorded: Moment | None = None
    """When the allergy, or the statement that there is none, came to be known."""
    manifestations: tuple[Membership, ...] = ()
    has_ended: bool = False
    """Whether clinicalStatus says that it is no longer so."""


class EmptyList(msgspec.Struct, frozen=True, gc=False):
    """A list that someone says is empty because nothing is known (emptyReason nilknown)."""

    kind: str
    """``problem-list``, ``medication-list`` or ``allergy-list``."""
    when: Moment | None
    source: Source


class Encounter(msgspec.Struct, frozen=True, gc=False):
    """An emergency or inpatient encounter whose reason stands in a value set."""

    memberships: tuple[Membership, ...]
    label: str
    when: Moment | None
    source: Source


class OtherStudy(msgspec.Struct, frozen=True, gc=False):
    """A ResearchSubject of this patient."""

    study: str
    """Every name the study goes by in the record, joined; a trial key inside means that trial."""
    state: str
    start: Moment | None
    end: Moment | None
    source: Source


class ConsentRecord(msgspec.Struct, frozen=True, gc=False):
    """A research consent, shown to the reviewer and never decided on."""

    status: str
    study: str
    when: Moment | None
    source: Source


class Attestation(msgspec.Struct, frozen=True, gc=False):
    """A reviewer's dated answer to one atom's question."""

    atom: str
    answer: bool
    author: str
    when: Moment
    source: Source


class Person(msgspec.Struct, frozen=True):
    """The patient as criteria need them."""

    id: str
    source: Source
    birth: Moment | None
    sex: Sex
    sex_note: str
    deceased: bool = False
    """Whether the record says the patient died, without saying when."""
    died: Moment | None = None
    death_unclear: bool = False
    """Whether the record speaks of death in a way that cannot be read: then nothing speaks for the patient."""


ALLERGIES, OTHER_STUDIES, CONSENTS = "allergies", "other-studies", "consents"
"""What is on record without a name of its own."""


class Facts(msgspec.Struct, frozen=True):
    """Everything the mappings found in one patient's record, by the name criteria know it by."""

    person: Person
    results: dict[str, list[Result]]
    """By input."""
    conditions: dict[str, list[Condition]]
    """By value set."""
    medications: dict[str, list[Medication]]
    """By value set."""
    procedures: dict[str, list[Procedure]]
    """By value set."""
    encounters: dict[str, list[Encounter]]
    """By value set."""
    allergies: list[Allergy]
    empty_lists: list[EmptyList]
    other_studies: list[OtherStudy]
    consents: list[ConsentRecord]
    attestations: dict[str, list[Attestation]]
    """By atom."""

    def names(self) -> frozenset[str]:
        """Give every name under which anything is on record: inputs, value sets, empty lists, answered atoms."""
        lists = {each.kind for each in self.empty_lists}
        nameless = {ALLERGIES: self.allergies, OTHER_STUDIES: self.other_studies, CONSENTS: self.consents}
        return frozenset(lists).union(
            self.results,
            self.conditions,
            self.medications,
            self.procedures,
            self.encounters,
            self.attestations,
            (name for name, found in nameless.items() if found),
        )
