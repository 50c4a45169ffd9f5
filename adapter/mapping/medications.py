"""Medication records to facts: which drug, what it proves, when, by which route, how much a day."""

from decimal import Decimal, localcontext

import msgspec

from adapter.eligibility.facts import DailyDose, Exposure, Medication, Membership, Route
from adapter.eligibility.values import Moment, plain, rounded
from adapter.fhir import resources as fhir
from adapter.fhir.dates import parse_moment
from adapter.fhir.record import Lookup
from adapter.fhir.wire import Entered
from adapter.mapping.clinical import coded_as, label_of
from adapter.mapping.codes import CodeIndex
from adapter.mapping.observations import source_of
from adapter.mapping.table import Vocabulary

_ORDERS = frozenset(("active", "completed"))
_NOTHING = frozenset(("entered-in-error", "cancelled", "draft", "intended"))


class _Course(msgspec.Struct, frozen=True):
    """What a record proves, and over which time."""

    exposure: Exposure
    start: Moment | None = None
    end: Moment | None = None
    open_ended: bool = False
    stopped: bool = False


class MedicationReader:
    """Reads the four resources about taking a drug."""

    def __init__(self, vocabulary: Vocabulary, index: CodeIndex) -> None:
        self._index = index
        self._dosage = vocabulary.dosage
        self._units = frozenset(vocabulary.dosage.units)
        self._route_codes = {
            (url, code.code): Route(word)
            for word, route in vocabulary.routes.items()
            for system, codes in route.codes.items()
            for url in vocabulary.systems[system]
            for code in codes
        }
        self._route_texts = {text: Route(word) for word, route in vocabulary.routes.items() for text in route.texts}

    def read(self, entries: list[Entered], medications: Lookup) -> dict[str, list[Medication]]:
        """Give medication facts by value set, in a stable order."""
        found: list[Medication] = []
        for entered in entries:
            resource = entered.resource
            if not isinstance(resource, fhir.MedicationRecord):
                continue
            concepts = self._concepts(resource, entered, medications)
            is_unreadable = bool(entered.unreadable) or _names_unreadable(resource, entered, medications)
            members = self._possible(concepts) if is_unreadable else self._memberships(concepts)
            if not members:
                continue
            course = _course(resource)
            if course is None and entered.unreadable and not _is_nothing(resource, entered.unreadable):
                course = _Course(Exposure.UNCLEAR)
            if course is None:
                continue
            exposure = Exposure.UNCLEAR if is_unreadable else course.exposure
            dosages = _dosages(resource)
            is_dosed = any(each.value_set in self._dosage.of for each in members)
            found.append(
                Medication(
                    members,
                    tuple(code for concept in concepts for code in self._index.spelled(concept)),
                    label_of(concepts[0]),
                    exposure,
                    source_of(entered),
                    course.start,
                    course.end,
                    course.open_ended,
                    course.stopped,
                    course.start is not None or course.end is not None,
                    self._route(dosages, concepts),
                    self._daily_dose(dosages) if is_dosed else None,
                    coded_as(concepts[0]),
                )
            )
        by_set: dict[str, list[Medication]] = {}
        for fact in sorted(found, key=lambda each: each.source.reference):
            for member in fact.memberships:
                by_set.setdefault(member.value_set, []).append(fact)
        return by_set

    def _concepts(
        self, resource: fhir.MedicationRecord, entered: Entered, medications: Lookup
    ) -> list[fhir.CodeableConcept]:
        """Give the codes of the drug: its own, those of the Medication it refers to, and of every ingredient."""
        concepts = []
        own = resource.medication_codeable_concept or (resource.medication.concept if resource.medication else None)
        if own is not None:
            concepts.append(own)
        reference = resource.medication_reference or (resource.medication.reference if resource.medication else None)
        drug = _referenced(resource, reference, entered, medications)
        if drug is not None:
            if drug.code is not None:
                concepts.append(drug.code)
            for ingredient in drug.ingredient:
                item = ingredient.item_codeable_concept or (ingredient.item.concept if ingredient.item else None)
                inner = ingredient.item_reference or (ingredient.item.reference if ingredient.item else None)
                substance = _referenced(resource, inner, entered, medications)
                if item is not None:
                    concepts.append(item)
                if substance is not None and substance.code is not None:
                    concepts.append(substance.code)
        return concepts

    def _memberships(self, concepts: list[fhir.CodeableConcept]) -> tuple[Membership, ...]:
        if len(concepts) == 1:
            return self._index.memberships(concepts[0])
        found: dict[str, Membership] = {}
        for concept in concepts:
            for member in self._index.memberships(concept):
                found.setdefault(member.value_set, member)
        return tuple(found.values())

    def _possible(self, concepts: list[fhir.CodeableConcept]) -> tuple[Membership, ...]:
        found = (hit for concept in concepts for hit in self._index.possible_memberships(concept))
        return tuple({hit.value_set: hit for hit in found}.values())

    def _route(self, dosages: tuple[fhir.Dosage, ...], concepts: list[fhir.CodeableConcept]) -> Route:
        """One systemic dosage makes the record systemic; it is local only when every stated route is."""
        stated = [self._stated_route(each.route) for each in dosages if each.route is not None]
        if Route.SYSTEMIC in stated:
            return Route.SYSTEMIC
        if stated:
            return Route.LOCAL if all(each is Route.LOCAL for each in stated) else Route.UNKNOWN
        product = next((route for each in concepts if (route := self._index.route_of(each)) is not None), None)
        return product or Route.UNKNOWN

    def _stated_route(self, concept: fhir.CodeableConcept) -> Route:
        for coding in concept.coding:
            known = self._route_codes.get((coding.system or "", coding.code or ""))
            if known is not None:
                return known
        texts = [concept.text, *(each.display for each in concept.coding)]
        for text in texts:
            known = self._route_texts.get(text.strip().lower()) if text else None
            if known is not None:
                return known
        return Route.UNKNOWN

    def _daily_dose(self, dosages: tuple[fhir.Dosage, ...]) -> DailyDose:
        """Add up the units a day; anything not structured makes the whole unknown."""
        if len({each.sequence for each in dosages}) > 1:  # one after the other, not together
            return DailyDose(None)
        total = Decimal(0)
        said = []
        for each in dosages:
            a_day = self._administrations_a_day(each)
            units = self._units_a_dose(each)
            if a_day is None or units is None:
                return DailyDose(None)
            total += a_day * units
            said.append(f"{plain(units)} units x {rounded(a_day)} a day")
        return DailyDose(total, " + ".join(said)) if said else DailyDose(None)

    def _units_a_dose(self, dosage: fhir.Dosage) -> Decimal | None:
        if len(dosage.dose_and_rate) != 1:
            return None
        dose = dosage.dose_and_rate[0]
        quantity = dose.dose_quantity
        other = (dose.dose_range, dose.rate_quantity, dose.rate_range, dose.rate_ratio)
        if quantity is None or any(
            each is not None for each in (*other, quantity.comparator, quantity.comparator_extended)
        ):
            return None
        if quantity.value is None or not Decimal(0) < quantity.value < Decimal(10000):
            return None
        unit = quantity.code or quantity.unit or ""
        return (
            quantity.value
            if unit in self._units or ((quantity.unit or "") in self._units and not quantity.code)
            else None
        )

    def _administrations_a_day(self, dosage: fhir.Dosage) -> Decimal | None:
        timing = dosage.timing
        as_needed = (
            dosage.as_needed_boolean,
            dosage.as_needed_codeable_concept,
            dosage.as_needed,
            *dosage.as_needed_for,
        )
        if timing is None or any(each not in (None, False) for each in as_needed):
            return None
        repeat = timing.repeat
        if (
            repeat is not None and timing.code is not None
        ):  # a code is the whole statement, beside which repeat is another
            return None
        if repeat is not None and repeat.frequency is not None:
            bounds = (repeat.bounds_period, repeat.bounds_duration, repeat.bounds_range)
            ranges = (repeat.frequency_max, repeat.period_max, repeat.count)
            vague = (*bounds, *ranges, *repeat.day_of_week, *timing.event)
            hours = self._dosage.hours.get(repeat.period_unit or "")
            if hours is None or not repeat.period or any(each is not None for each in vague):
                return None
            with localcontext() as exact:
                exact.prec = 28
                return Decimal(24) * repeat.frequency / (hours * repeat.period)
        if repeat is not None or timing.code is None:
            return None
        codes = [self._dosage.per_day[each.code] for each in timing.code.coding if each.code in self._dosage.per_day]
        return codes[0] if codes else self._dosage.per_day.get((timing.code.text or "").strip().upper())


def _referenced(
    resource: fhir.MedicationRecord, reference: fhir.Reference | None, entered: Entered, medications: Lookup
) -> fhir.Medication | None:
    """Find the Medication a reference means, contained or in the document."""
    if reference is None or reference.reference is None:
        return None
    if reference.reference.startswith("#"):
        wanted = reference.reference[1:]
        inside = (each for each in resource.contained if isinstance(each, fhir.Medication) and each.id == wanted)
        return next(inside, None)
    found = medications.find(reference.reference, entered.full_url)
    return found.resource if found is not None and isinstance(found.resource, fhir.Medication) else None


def _names_unreadable(resource: fhir.MedicationRecord, entered: Entered, medications: Lookup) -> bool:
    """Whether the Medication a record refers to could not be read whole."""
    reference = resource.medication_reference or (resource.medication.reference if resource.medication else None)
    found = medications.find(reference.reference, entered.full_url) if reference is not None else None
    return found is not None and bool(found.unreadable)


def _is_nothing(resource: fhir.MedicationRecord, unreadable: tuple[str, ...]) -> bool:
    """Whether what can be read of a record says that it proves nothing, whatever the rest says."""
    if resource.status in _NOTHING and "status" not in unreadable:
        return True
    if not isinstance(resource, fhir.MedicationRequest):
        return False
    return resource.do_not_perform is True or (resource.intent not in (None, "order") and "intent" not in unreadable)


def _dosages(resource: fhir.MedicationRecord) -> tuple[fhir.Dosage, ...]:
    if isinstance(resource, fhir.MedicationRequest | fhir.MedicationDispense):
        return resource.dosage_instruction
    if isinstance(resource, fhir.MedicationStatement):
        return resource.dosage
    if isinstance(resource, fhir.MedicationAdministration):
        return (resource.dosage,) if resource.dosage is not None else ()
    return ()


def _course(resource: fhir.MedicationRecord) -> _Course | None:
    """Say what the record proves; None when it proves nothing."""
    status = resource.status or "unknown"
    if status in _NOTHING:
        return None
    if isinstance(resource, fhir.MedicationRequest):
        return _ordered(resource, status)
    if isinstance(resource, fhir.MedicationStatement):
        return _stated(resource, status)
    if isinstance(resource, fhir.MedicationAdministration):
        return _given(resource, status)
    if isinstance(resource, fhir.MedicationDispense):
        if status != "completed":
            return None
        when = _moment(resource.when_handed_over or resource.when_prepared)
        return _Course(Exposure.TAKEN, when, None)
    return None


def _ordered(resource: fhir.MedicationRequest, status: str) -> _Course | None:
    if resource.intent not in (None, "order") or resource.do_not_perform is True:
        return None
    start = _moment(resource.authored_on)
    if resource.intent is None or (resource.do_not_perform is None and resource.do_not_perform_extended is not None):
        return _Course(Exposure.UNCLEAR, start)
    if status not in _ORDERS:
        return _Course(Exposure.UNCLEAR, start, None, stopped=True)
    return _Course(Exposure.ORDERED, start, None, open_ended=status == "active")


def _stated(resource: fhir.MedicationStatement, status: str) -> _Course | None:
    period = resource.effective_period
    start = _moment(period.start) if period is not None else _moment(resource.effective_date_time)
    end = _moment(period.end) if period is not None else None
    if status == "recorded":
        adherence = (
            {each.code for each in resource.adherence.code.coding}
            if resource.adherence and resource.adherence.code
            else set()
        )
        if "not-taking" in adherence:
            return _Course(Exposure.NOT_TAKEN, start, end)
        status = "active" if not adherence or adherence <= {"taking"} else "unknown"
    match status:
        case "active":
            return _Course(Exposure.TAKEN, start, end, open_ended=end is None)
        case "completed":
            return _Course(Exposure.TAKEN, start, end)
        case "on-hold" | "stopped" if end is not None or (status == "on-hold" and period is not None):
            return _Course(Exposure.TAKEN, start, end, stopped=True)
        case "not-taken":
            return _Course(Exposure.NOT_TAKEN, start, end, open_ended=period is not None and end is None)
        case _:
            return _Course(Exposure.UNCLEAR, start, end)


def _given(resource: fhir.MedicationAdministration, status: str) -> _Course | None:
    if status != "completed":
        return None if status in ("not-done", "in-progress") else _Course(Exposure.UNCLEAR)
    period = resource.effective_period or resource.occurence_period or resource.occurrence_period
    text = resource.effective_date_time or resource.occurence_date_time or resource.occurrence_date_time
    if period is not None:
        start = _moment(period.start)
        return _Course(Exposure.TAKEN, start, _moment(period.end) or start)
    when = _moment(text)
    return _Course(Exposure.TAKEN, when, when)


def _moment(text: str | None) -> Moment | None:
    return parse_moment(text) if text else None
