"""The parts of FHIR resources that mappings read, R4, R4B and R5 alike; everything else is skipped while decoding.

Sources: http://hl7.org/fhir/R4 and http://hl7.org/fhir/R5.  Where the versions name an element differently both stand
here, since their names never collide.  ``gc=False``: these trees hold no cycles, and thousands of them are made.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Union

import msgspec

if TYPE_CHECKING:
    Number = Decimal
else:

    class _IsDecimal(type):
        def __instancecheck__(cls, made: object) -> bool:
            return type(made) is Decimal

    class Number(metaclass=_IsDecimal):
        """A JSON number, kept exactly; unlike a field of type Decimal it takes no string such as "8_1"."""


def to_number(kind: type, read: Any) -> Decimal:  # noqa: ANN401 (whatever JSON held)
    """Let msgspec make a Number; raises ValueError, which it turns into a located error."""
    made = type(read)
    if kind is Number and made is Decimal:
        return read  # type: ignore[no-any-return]  # its type was just compared
    if kind is Number and made is int:
        return Decimal(read)
    raise ValueError("expected a number")


class Element(msgspec.Struct, gc=False, rename="camel", omit_defaults=True):
    """What every structure here shares: FHIR's camelCase names, unknown elements skipped."""


class Present(Element):
    """An object of which only matters that it is there."""


NotUnderstood = Annotated[tuple[Present, ...], msgspec.Meta(max_length=0)]
"""``modifierExtension``: it can turn the meaning into its opposite, and none is understood here, so that one that is
there makes its element unreadable (http://hl7.org/fhir/R4/extensibility.html#modifierExtension)."""


class Backbone(Element):
    modifier_extension: NotUnderstood = ()


class Coding(Element):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class CodeableConcept(Element):
    coding: tuple[Coding, ...] = ()
    text: str | None = None


class Identifier(Element):
    system: str | None = None
    value: str | None = None


class Reference(Element):
    reference: str | None = None
    identifier: Identifier | None = None
    display: str | None = None


class CodeableReference(Element):
    concept: CodeableConcept | None = None
    reference: Reference | None = None


class Quantity(Element):
    value: Number | None = None
    comparator: str | None = None
    comparator_extended: Present | None = msgspec.field(name="_comparator", default=None)
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Period(Element):
    start: str | None = None
    end: str | None = None


class Range(Element):
    low: Quantity | None = None
    high: Quantity | None = None


class Meta(Element):
    version_id: str | None = None
    last_updated: str | None = None
    tag: tuple[Coding, ...] = ()


class Extension(Element):
    url: str | None = None
    value_code: str | None = None
    value_date_time: str | None = None


class Tagged(Element, tag_field="resourceType"):
    """Anything that names its resource type."""


class Resource(Tagged):
    id: str | None = None
    meta: Meta | None = None
    implicit_rules: Annotated[str, msgspec.Meta(max_length=0)] | None = None
    """Rules that must be understood to read the resource; none are."""
    modifier_extension: NotUnderstood = ()


class PatientLink(Backbone):
    type: str | None = None


class Patient(Resource):
    identifier: tuple[Identifier, ...] = ()
    active: bool | None = None
    link: tuple[PatientLink, ...] = ()
    birth_date: str | None = None
    gender: str | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: str | None = None
    deceased_boolean_extended: Present | None = msgspec.field(name="_deceasedBoolean", default=None)
    deceased_date_time_extended: Present | None = msgspec.field(name="_deceasedDateTime", default=None)
    extension: tuple[Extension, ...] = ()


class ObservedRange(Backbone):
    low: Quantity | None = None
    high: Quantity | None = None
    type: CodeableConcept | None = None
    applies_to: tuple[CodeableConcept, ...] = ()
    age: Range | None = None
    text: str | None = None


class Value(Backbone):
    """What Observation and its components share: code, value[x], reference ranges."""

    code: CodeableConcept | None = None
    value_quantity: Quantity | None = None
    value_codeable_concept: CodeableConcept | None = None
    value_string: str | None = None
    value_boolean: bool | None = None
    value_integer: int | None = None
    value_range: Range | None = None
    value_ratio: Present | None = None
    data_absent_reason: CodeableConcept | None = None
    interpretation: tuple[CodeableConcept, ...] = ()
    reference_range: tuple[ObservedRange, ...] = ()


class Component(Value):
    pass


class Observation(Resource):
    status: str | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    focus: tuple[Reference, ...] = ()
    effective_date_time: str | None = None
    effective_date_time_extended: Present | None = msgspec.field(name="_effectiveDateTime", default=None)
    effective_instant: str | None = None
    effective_instant_extended: Present | None = msgspec.field(name="_effectiveInstant", default=None)
    effective_period: Period | None = None
    effective_timing: Present | None = None
    issued: str | None = None
    identifier: tuple[Identifier, ...] = ()
    performer: tuple[Reference, ...] = ()
    value_quantity: Quantity | None = None
    value_codeable_concept: CodeableConcept | None = None
    value_string: str | None = None
    value_boolean: bool | None = None
    value_integer: int | None = None
    value_range: Range | None = None
    value_ratio: Present | None = None
    data_absent_reason: CodeableConcept | None = None
    interpretation: tuple[CodeableConcept, ...] = ()
    reference_range: tuple[ObservedRange, ...] = ()
    component: tuple[Component, ...] = ()


class Condition(Resource):
    clinical_status: CodeableConcept | None = None
    verification_status: CodeableConcept | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    onset_date_time: str | None = None
    onset_period: Period | None = None
    onset_age: Quantity | None = None
    onset_range: Present | None = None
    onset_string: str | None = None
    abatement_date_time: str | None = None
    abatement_date_time_extended: Present | None = msgspec.field(name="_abatementDateTime", default=None)
    abatement_period: Period | None = None
    abatement_age: Quantity | None = None
    abatement_range: Present | None = None
    abatement_string: str | None = None
    abatement_boolean: bool | None = None
    recorded_date: str | None = None
    extension: tuple[Extension, ...] = ()


class Repeat(Element):
    frequency: int | None = None
    frequency_max: int | None = None
    period: Number | None = None
    period_max: Number | None = None
    period_unit: str | None = None
    bounds_period: Present | None = None
    bounds_duration: Present | None = None
    bounds_range: Present | None = None
    day_of_week: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    time_of_day: tuple[str, ...] = ()
    count: int | None = None


class Timing(Element):
    repeat: Repeat | None = None
    code: CodeableConcept | None = None
    event: tuple[str, ...] = ()


class DoseAndRate(Element):
    dose_quantity: Quantity | None = None
    dose_range: Present | None = None
    rate_quantity: Present | None = None
    rate_range: Present | None = None
    rate_ratio: Present | None = None


class Dosage(Backbone):
    sequence: int | None = None
    text: str | None = None
    timing: Timing | None = None
    as_needed_boolean: bool | None = None
    as_needed_codeable_concept: Present | None = None
    as_needed: bool | None = None
    as_needed_for: tuple[Present, ...] = ()
    route: CodeableConcept | None = None
    dose_and_rate: tuple[DoseAndRate, ...] = ()
    dose: Quantity | None = None
    """MedicationAdministration.dosage.dose."""


class Ingredient(Backbone):
    item: CodeableReference | None = None
    item_codeable_concept: CodeableConcept | None = None
    item_reference: Reference | None = None


class Medication(Resource):
    code: CodeableConcept | None = None
    ingredient: tuple[Ingredient, ...] = ()


class MedicationRecord(Resource):
    """What the four resources about taking a drug share."""

    status: str | None = None
    subject: Reference | None = None
    medication: CodeableReference | None = None
    medication_codeable_concept: CodeableConcept | None = None
    medication_reference: Reference | None = None
    contained: tuple["AnyResource", ...] = ()


class MedicationRequest(MedicationRecord):
    intent: str | None = None
    do_not_perform: bool | None = None
    do_not_perform_extended: Present | None = msgspec.field(name="_doNotPerform", default=None)
    authored_on: str | None = None
    dosage_instruction: tuple[Dosage, ...] = ()


class MedicationStatement(MedicationRecord):
    effective_date_time: str | None = None
    effective_period: Period | None = None
    adherence: "Adherence | None" = None
    dosage: tuple[Dosage, ...] = ()


class Adherence(Backbone):
    code: CodeableConcept | None = None


class MedicationAdministration(MedicationRecord):
    effective_date_time: str | None = None
    effective_period: Period | None = None
    occurence_date_time: str | None = None
    """R5 spells it so."""
    occurence_period: Period | None = None
    occurrence_date_time: str | None = None
    occurrence_period: Period | None = None
    dosage: Dosage | None = None


class MedicationDispense(MedicationRecord):
    when_prepared: str | None = None
    when_handed_over: str | None = None
    days_supply: Quantity | None = None
    dosage_instruction: tuple[Dosage, ...] = ()


class Procedure(Resource):
    status: str | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    performed_date_time: str | None = None
    performed_period: Period | None = None
    occurrence_date_time: str | None = None
    occurrence_period: Period | None = None
    body_site: tuple[CodeableConcept, ...] = ()


class Manifestation(Element):
    """R4: a CodeableConcept; R5: a CodeableReference."""

    coding: tuple[Coding, ...] = ()
    text: str | None = None
    concept: CodeableConcept | None = None


class Reaction(Backbone):
    severity: str | None = None
    manifestation: tuple[Manifestation, ...] = ()
    substance: CodeableConcept | None = None


class AllergyIntolerance(Resource):
    clinical_status: CodeableConcept | None = None
    verification_status: CodeableConcept | None = None
    criticality: str | None = None
    code: CodeableConcept | None = None
    patient: Reference | None = None
    onset_date_time: str | None = None
    recorded_date: str | None = None
    reaction: tuple[Reaction, ...] = ()


class ListResource(Resource, tag="List"):
    status: str | None = None
    mode: str | None = None
    code: CodeableConcept | None = None
    subject: Reference | list[Reference] | None = None
    date: str | None = None
    empty_reason: CodeableConcept | None = None
    entry: tuple[Present, ...] = ()


class Encounter(Resource):
    status: str | None = None
    class_: "EncounterClass | list[EncounterClass] | None" = msgspec.field(name="class", default=None)
    subject: Reference | None = None
    period: Period | None = None
    actual_period: Period | None = None
    reason_code: tuple[CodeableConcept, ...] = ()
    reason_reference: tuple[Reference, ...] = ()
    reason: tuple["EncounterReason", ...] = ()


class EncounterClass(Coding):
    """R4: a Coding; R5: a list of CodeableConcepts."""

    coding: tuple[Coding, ...] = ()


class EncounterReason(Backbone):
    value: tuple[CodeableReference, ...] = ()


class Progress(Backbone):
    subject_state: CodeableConcept | None = None
    start_date: str | None = None
    end_date: str | None = None


class ResearchSubject(Resource):
    status: str | None = None
    study: Reference | None = None
    individual: Reference | None = None
    subject: Reference | None = None
    period: Period | None = None
    progress: tuple[Progress, ...] = ()


class ResearchStudy(Resource):
    identifier: tuple[Identifier, ...] = ()


class PolicyBackbone(Backbone):
    uri: str | None = None


class Consent(Resource):
    status: str | None = None
    scope: CodeableConcept | None = None
    category: tuple[CodeableConcept, ...] = ()
    patient: Reference | None = None
    subject: Reference | None = None
    date_time: str | None = None
    date: str | None = None
    source_reference: Reference | list[Reference] | None = None
    identifier: tuple[Identifier, ...] = ()
    policy: tuple[PolicyBackbone, ...] = ()


class Answer(Backbone):
    value_boolean: bool | None = None
    value_coding: Coding | None = None
    value_string: str | None = None


class Item(Backbone):
    link_id: str | None = None
    answer: tuple[Answer, ...] = ()
    item: tuple["Item", ...] = ()


class QuestionnaireResponse(Resource):
    status: str | None = None
    subject: Reference | None = None
    authored: str | None = None
    author: Reference | None = None
    item: tuple[Item, ...] = ()


class Link(Element):
    relation: str | None = None


class Request(Element):
    method: str | None = None
    url: str | None = None


class Response(Element):
    etag: str | None = None
    last_modified: str | None = None


class Search(Element):
    mode: str | None = None


class Entry(Backbone):
    full_url: str | None = None
    resource: "AnyResource | None" = None
    request: Request | None = None
    response: Response | None = None
    search: Search | None = None


class Bundle(Resource):
    type: str | None = None
    entry: tuple[Entry, ...] = ()
    link: tuple[Link, ...] = ()


READ: tuple[type[Resource], ...] = (
    Patient,
    Observation,
    Condition,
    Medication,
    MedicationRequest,
    MedicationStatement,
    MedicationAdministration,
    MedicationDispense,
    Procedure,
    AllergyIntolerance,
    ListResource,
    Encounter,
    ResearchSubject,
    ResearchStudy,
    Consent,
    QuestionnaireResponse,
    Bundle,
)
"""The resource types whose content is read."""

# Every other type name of R4 4.0.1, R4B 4.3.0 and R5 5.0.0: known, skipped, and told from a misspelling.
_OTHERS = """
Account ActivityDefinition ActorDefinition AdministrableProductDefinition AdverseEvent Appointment
AppointmentResponse ArtifactAssessment AuditEvent Basic Binary BiologicallyDerivedProduct
BiologicallyDerivedProductDispense BodyStructure CapabilityStatement CarePlan CareTeam CatalogEntry ChargeItem
ChargeItemDefinition Citation Claim ClaimResponse ClinicalImpression ClinicalUseDefinition CodeSystem Communication
CommunicationRequest CompartmentDefinition Composition ConceptMap ConditionDefinition Contract Coverage
CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue Device DeviceAssociation DeviceDefinition
DeviceDispense DeviceMetric DeviceRequest DeviceUsage DeviceUseStatement DiagnosticReport DocumentManifest
DocumentReference EffectEvidenceSynthesis EncounterHistory Endpoint EnrollmentRequest EnrollmentResponse
EpisodeOfCare EventDefinition Evidence EvidenceReport EvidenceVariable ExampleScenario ExplanationOfBenefit
FamilyMemberHistory Flag FormularyItem GenomicStudy Goal GraphDefinition Group GuidanceResponse HealthcareService
ImagingSelection ImagingStudy Immunization ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide
Ingredient InsurancePlan InventoryItem InventoryReport Invoice Library Linkage Location ManufacturedItemDefinition
Measure MeasureReport Media MedicationKnowledge MedicinalProduct MedicinalProductAuthorization
MedicinalProductContraindication MedicinalProductDefinition MedicinalProductIndication MedicinalProductIngredient
MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical
MedicinalProductUndesirableEffect MessageDefinition MessageHeader MolecularSequence NamingSystem NutritionIntake
NutritionOrder NutritionProduct ObservationDefinition OperationDefinition OperationOutcome Organization
OrganizationAffiliation PackagedProductDefinition Parameters PaymentNotice PaymentReconciliation Permission Person
PlanDefinition Practitioner PractitionerRole Provenance Questionnaire RegulatedAuthorization RelatedPerson
RequestGroup RequestOrchestration Requirements ResearchDefinition ResearchElementDefinition RiskAssessment
RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot Specimen SpecimenDefinition
StructureDefinition StructureMap Subscription SubscriptionStatus SubscriptionTopic Substance SubstanceDefinition
SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial
SubstanceSpecification SupplyDelivery SupplyRequest Task TerminologyCapabilities TestPlan TestReport TestScript
Transport ValueSet VerificationResult VisionPrescription
""".split()  # noqa: SIM905 (two hundred names read better as text)

SKIPPED: tuple[type[Tagged], ...] = tuple(
    msgspec.defstruct(name, [], bases=(Tagged,), tag=name, gc=False, module=__name__)  # type: ignore[misc]  # made at run time
    for name in _OTHERS
)

if TYPE_CHECKING:
    AnyResource = Tagged
else:
    AnyResource = Union[READ + SKIPPED]  # noqa: UP007 (made from the list)
"""Any resource, told apart by its resourceType."""
