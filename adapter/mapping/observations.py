"""Observations to results: which input, when, what value, and why it cannot be used where it cannot."""

from decimal import Decimal

import msgspec

from adapter.eligibility.facts import Answer, Population, ReferenceRange, Result, Source
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Moment, plain
from adapter.fhir import resources as fhir
from adapter.fhir.dates import parse_moment
from adapter.fhir.wire import Entered
from adapter.mapping.codes import CodeIndex, Target
from adapter.mapping.table import Answers, Input, Vocabulary
from adapter.mapping.units import Reading, UnitReader, bounds_of

_USABLE = frozenset(("final", "amended", "corrected"))
_UNUSABLE = frozenset(("registered", "preliminary", "cancelled", "entered-in-error", "unknown"))
_REPLACING = frozenset(("amended", "corrected"))
_MOST_WORDS = 80
"""How much of a text is shown."""


class SiteLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of a site's table of upper reference limits; used only where a result brings none."""

    code: str
    high: Decimal
    unit: str
    system: str = "http://loinc.org"
    sex: str | None = None
    laboratory: str | None = None
    """Reference of the performing Organization it holds for; None: any."""


class _Way(msgspec.Struct, frozen=True):
    """How the results under one role of an input are read."""

    input: Input
    units: UnitReader | None
    needs_fasting: bool


class ObservationReader:
    """Reads the Observations of a record with one set of mappings."""

    def __init__(
        self,
        inputs: dict[str, Input],
        vocabulary: Vocabulary,
        index: CodeIndex,
        limits: tuple[SiteLimit, ...],
    ) -> None:
        self._vocabulary = vocabulary
        self._index = index
        units = {
            (name, role): UnitReader(measure, vocabulary)
            for name, each in inputs.items()
            for measure in each.measures
            for role in measure.roles
        }
        self._ways = {
            Target(name, role): _Way(each, units.get((name, role)), role in each.needs_fasting)
            for name, each in inputs.items()
            for role in each.codes
        }
        self._site_limits = limits
        self._answer_codes = {
            (url, code): word
            for word, by_system in vocabulary.answer_codes.items()
            for system, codes in by_system.items()
            for url in vocabulary.systems[system]
            for code in codes
        }
        self._answer_texts = {text: Answer(word) for word, texts in vocabulary.answer_texts.items() for text in texts}
        fasting = vocabulary.fasting_status
        self._fasting_codes = {(url, fasting.code) for url in vocabulary.systems[fasting.system]}
        self._fasting_answers = {
            (url, code)
            for system, codes in fasting.answers.items()
            for url in vocabulary.systems[system]
            for code in codes
        }

    def read(self, entries: list[Entered]) -> dict[str, list[Result]]:
        """Give the results of every input, replaced versions left out, in a stable order."""
        found: dict[str, list[Result]] = {}
        replaced = _replaced(entries)
        for entered in entries:
            observation = entered.resource
            if not isinstance(observation, fhir.Observation):
                continue
            targets_of = self._index.possible_targets if entered.unreadable else self._index.targets
            targets = targets_of(observation.code)
            parts = [(part, targets_of(part.code)) for part in observation.component] if observation.component else []
            if not targets and not any(hit for _, hit in parts):
                continue
            if (observation.focus and "focus" not in entered.unreadable) or id(entered) in replaced:
                continue
            for result in self._results(entered, observation, targets, parts):
                found.setdefault(result.input, []).append(result)
        for results in found.values():
            if len(results) > 1:
                results.sort(key=_order)
        return found

    def _results(
        self,
        entered: Entered,
        observation: fhir.Observation,
        targets: tuple[Target, ...],
        parts: list[tuple[fhir.Component, tuple[Target, ...]]],
    ) -> list[Result]:
        when, from_issued = _when(observation, entered)
        source = source_of(entered)
        status = observation.status or "missing"
        # A status that is none of FHIR's is no reason to look at an older result instead.
        is_known = (status in _USABLE or status in _UNUSABLE) and "status" not in entered.unreadable
        usable = status in _USABLE or not is_known
        is_whole = is_known and not entered.unreadable
        results = []
        pairs: list[tuple[fhir.Observation | fhir.Component, tuple[Target, ...]]] = [*parts]
        if not (parts and _is_heading(observation, targets, parts, entered)):
            pairs.insert(0, (observation, targets))
        for part, hits in pairs:
            for target in hits:
                way = self._ways[target]
                role, fasting_problem = target.role, None
                if way.needs_fasting:
                    role, fasting_problem = self._role(target, observation)
                if role == "reject":
                    continue
                reading = self._reading(part, target, way, entered)
                problem = _contradiction(part) or reading.problem
                if entered.unreadable and problem is Reason.ABSENT_REASON and part.data_absent_reason is None:
                    problem = Reason.UNIT  # it was there, and could not be read
                if not is_whole:
                    problem = problem or (Reason.UNIT if is_known or entered.unreadable else Reason.STATUS)
                is_clear = problem is None
                results.append(
                    Result(
                        input=target.input,
                        role=role,
                        label=way.input.title,
                        when=when,
                        usable_status=usable,
                        status=status,
                        source=source,
                        sent=reading.sent,
                        bounds=reading.bounds if is_clear else None,
                        unit=reading.unit,
                        answer=reading.answer if is_clear else None,
                        problem=problem or fasting_problem,
                        is_broken=bool(entered.unreadable),
                        conversion=reading.conversion,
                        ranges=self._ranges(part, way.units, observation),
                        from_issued=from_issued,
                    )
                )
        return results

    def _role(self, target: Target, observation: fhir.Observation) -> tuple[str, Reason | None]:
        """A code that needs the fasting state counts only where the same result shows it."""
        if self._is_fasting(observation):
            return target.role if target.role != "reject" else "fasting", None
        if target.role == "reject":
            return "unproven", Reason.FASTING
        return target.role, Reason.FASTING

    def _is_fasting(self, observation: fhir.Observation) -> bool:
        for part in observation.component:
            is_status = part.code is not None and any(
                (each.system, each.code) in self._fasting_codes for each in part.code.coding
            )
            answer = part.value_codeable_concept
            if is_status and answer is not None:
                return any((each.system, each.code) in self._fasting_answers for each in answer.coding)
        return False

    def _reading(self, part: fhir.Observation | fhir.Component, target: Target, way: _Way, entered: Entered) -> Reading:
        units = way.units
        if way.input.answers is not None:
            return self._answer(part, target, way.input.answers, units)
        if part.value_quantity is not None and units is not None:
            return units.read(part.value_quantity, part.code)
        if part.value_integer is not None and units is not None and units.measure.score:
            return units.read_plain(Decimal(part.value_integer))
        return Reading(_sent(part), problem=_why_unusable(part, entered))

    def _answer(
        self, part: fhir.Observation | fhir.Component, target: Target, answers: Answers, units: UnitReader | None
    ) -> Reading:
        said: list[Answer] = []
        concept = part.value_codeable_concept
        if concept is not None:
            said.extend(self._coded(concept, answers))
            if not concept.coding and concept.text:
                said.extend(self._printed(concept.text, answers))
        if part.value_string is not None:
            said.extend(self._printed(part.value_string, answers))
        if part.value_boolean is not None and answers.yes_no:
            said.append(Answer.POSITIVE if part.value_boolean else Answer.NEGATIVE)
        for interpretation in part.interpretation:
            said.extend(self._coded(interpretation, answers))
        sent = _sent(part)
        problem = None
        if part.value_quantity is not None:
            number = self._number(part.value_quantity, target.role, answers, units)
            sent = number.sent
            if number.answer is not None:
                is_weak = number.answer is Answer.INDETERMINATE and said
                said.extend([] if is_weak else [number.answer])
            elif not said:
                problem = number.problem
        if len(set(said)) > 1:
            return Reading(sent, problem=Reason.CONFLICT)
        if said:
            return Reading(sent, answer=said[0])
        if problem is None:
            has_words = part.value_string is not None or concept is not None
            problem = Reason.TEXT if has_words and part.data_absent_reason is None else Reason.ABSENT_REASON
        return Reading(sent, problem=problem)

    def _coded(self, concept: fhir.CodeableConcept, answers: Answers) -> list[Answer]:
        said = []
        for coding in concept.coding:
            word = self._answer_codes.get((coding.system or "", coding.code or ""))
            if word in ("yes", "no"):
                if answers.yes_no:
                    said.append(Answer.POSITIVE if word == "yes" else Answer.NEGATIVE)
            elif word is not None:
                said.append(Answer(word))
            if answers.value_sets:
                members = {each.value_set for each in self._index.of_coding(coding)}
                said.extend(Answer(word) for word, name in answers.value_sets.items() if name in members)
        return said

    def _printed(self, text: str, answers: Answers) -> list[Answer]:
        plain_text = text.strip().lower()
        own = answers.texts.get("".join(plain_text.split()))
        if own is not None:
            return [Answer(own)]
        common = self._answer_texts.get(plain_text)
        return [common] if common is not None else []

    @staticmethod
    def _number(quantity: fhir.Quantity, role: str, answers: Answers, units: UnitReader | None) -> Reading:
        """Read what a number says of a qualitative question, by the rule of its role and unit."""
        value = quantity.value
        unit_words = quantity.unit or quantity.code or ""
        if value is None or not value.is_finite() or abs(value.adjusted()) > 18 or +value != value:  # noqa: PLR2004 (no real result)
            return Reading("no usable number", problem=Reason.IMPLAUSIBLE if value else Reason.ABSENT_REASON)
        sent = f"{quantity.comparator or ''}{plain(value)} {unit_words}".rstrip()
        if quantity.comparator is None and quantity.comparator_extended is not None:
            return Reading(sent, problem=Reason.COMPARATOR)
        rules = [rule for rule in answers.numbers if role in rule.roles]
        anyhow = next((rule for rule in rules if rule.unit is None), None)
        reading = units.read(quantity) if units is not None else None
        if anyhow is not None:
            if anyhow.below_detection and quantity.comparator == "<":
                return Reading(sent, answer=Answer.NEGATIVE)
            whole = bounds_of(value, quantity.comparator)
            if whole is None:
                return Reading(sent, problem=Reason.COMPARATOR)
            rule, bounds = anyhow, whole
        elif reading is None or reading.bounds is None:
            return Reading(sent, problem=(reading.problem if reading else None) or Reason.UNIT)
        else:
            found = next((rule for rule in rules if rule.unit == reading.unit), None)
            if found is None:
                return Reading(sent, problem=Reason.UNIT)
            rule, bounds = found, reading.bounds
        if rule.positive.hold(bounds) is Truth.MET:
            return Reading(sent, answer=Answer.POSITIVE)
        if rule.negative is not None and rule.negative.hold(bounds) is Truth.MET:
            return Reading(sent, answer=Answer.NEGATIVE)
        if rule.otherwise is not None:
            return Reading(sent, problem=rule.otherwise)
        return Reading(sent, answer=Answer.INDETERMINATE)

    def _ranges(
        self, part: fhir.Observation | fhir.Component, units: UnitReader | None, observation: fhir.Observation
    ) -> tuple[ReferenceRange, ...]:
        if units is None or not (part.reference_range or self._site_limits):
            return ()
        ranges = [self._range(each, units) for each in part.reference_range if self._is_normal(each)]
        if self._site_limits and part.code is not None:
            codes = {(each.system, each.code) for each in part.code.coding}
            performers = {each.reference for each in observation.performer}
            for row in self._site_limits:
                if (row.system, row.code) in codes and (row.laboratory is None or row.laboratory in performers):
                    reading = units.read(fhir.Quantity(row.high, code=row.unit, system="http://unitsofmeasure.org"))
                    population = Population(row.sex) if row.sex else Population.ANYONE
                    high = reading.bounds.high if reading.bounds else None
                    ranges.append(
                        ReferenceRange(high, population, sent=f"{plain(row.high)} {row.unit}", from_site=True)
                    )
        return tuple(ranges)

    def _is_normal(self, each: fhir.ObservedRange) -> bool:
        if each.type is None or not each.type.coding:
            return True
        return any(coding.code in self._vocabulary.normal_range_types for coding in each.type.coding)

    def _range(self, each: fhir.ObservedRange, units: UnitReader) -> ReferenceRange:
        high, sent = None, each.text or ""
        if each.high is not None:
            reading = units.read(each.high)
            sent = reading.sent
            has_unit = bool(each.high.unit or each.high.code)
            if has_unit and each.high.comparator is None and reading.bounds is not None:
                high = reading.bounds.high
        ages = _ages(each.age)
        population = self._population(each) if ages is not None else Population.OTHER
        age_low, age_high = ages or (None, None)
        return ReferenceRange(high, population, age_low, age_high, sent=sent)

    def _population(self, each: fhir.ObservedRange) -> Population:
        codes = {f"{coding.system}|{coding.code}" for concept in each.applies_to for coding in concept.coding}
        if not each.applies_to:
            return Population.ANYONE
        for word, known in self._vocabulary.populations.items():
            if codes and codes <= set(known):
                return Population(word)
        return Population.OTHER


def _order(result: Result) -> tuple[str, str, str, str]:
    return (result.when.text if result.when else "", result.source.reference, result.role, result.sent)


def _replaced(entries: list[Entered]) -> set[int]:
    """Find results that a corrected or amended one with the same identifier replaces."""
    by_identifier: dict[tuple[str, str], list[Entered]] = {}
    for entered in entries:
        observation = entered.resource
        if isinstance(observation, fhir.Observation) and observation.identifier and observation.status in _USABLE:
            for each in observation.identifier:
                if each.value:
                    by_identifier.setdefault((each.system or "", each.value), []).append(entered)
    replaced: set[int] = set()
    for same in by_identifier.values():
        statuses = [each.resource.status for each in same if isinstance(each.resource, fhir.Observation)]
        if len(same) > 1 and _REPLACING.intersection(statuses):
            replaced.update(id(each) for each, status in zip(same, statuses, strict=True) if status not in _REPLACING)
    return replaced


def source_of(entered: Entered) -> Source:
    """Name a resource as its sender does, with its version where given."""
    resource = entered.resource
    if isinstance(resource, fhir.Resource):
        version = resource.meta.version_id if resource.meta is not None else None
        if resource.id and not entered.has_namesake:
            name = "List" if isinstance(resource, fhir.ListResource) else type(resource).__name__
            return Source(f"{name}/{resource.id}", version)
    return Source(entered.full_url or entered.expression)


def _when(observation: fhir.Observation, entered: Entered) -> tuple[Moment | None, bool]:
    """Give the clinically relevant time; ``issued`` stands in only where no effective[x] came, and is flagged."""
    date_time, instant = observation.effective_date_time, observation.effective_instant
    period, timing = observation.effective_period, observation.effective_timing
    text = date_time if date_time is not None else instant
    if text is not None:
        is_one = period is None and timing is None and (date_time is None or instant is None)
        return (parse_moment(text) if is_one else None), False
    if period is not None:
        return (parse_moment(period.end) if period.end and timing is None else None), False
    extended = observation.effective_date_time_extended or observation.effective_instant_extended
    lost = any(each.lstrip("_").startswith("effective") for each in entered.unreadable)
    if timing is not None or extended is not None or lost:
        return None, False
    if observation.issued is not None:
        return parse_moment(observation.issued), True
    return None, False


def _contradiction(part: fhir.Observation | fhir.Component) -> Reason | None:
    """Say what is wrong where more than one value[x] came, or one beside the reason for its absence."""
    count = 7 - (
        part.value_quantity,
        part.value_codeable_concept,
        part.value_string,
        part.value_boolean,
        part.value_integer,
        part.value_range,
        part.value_ratio,
    ).count(None)
    if count > 1:
        return Reason.CONFLICT
    return Reason.ABSENT_REASON if count and part.data_absent_reason is not None else None


def _why_unusable(part: fhir.Observation | fhir.Component, entered: Entered) -> Reason:
    if part.data_absent_reason is not None:
        return Reason.ABSENT_REASON
    if entered.unreadable or _has_value(part):
        return Reason.UNIT
    return Reason.ABSENT_REASON


def _is_heading(
    observation: fhir.Observation,
    targets: tuple[Target, ...],
    parts: list[tuple[fhir.Component, tuple[Target, ...]]],
    entered: Entered,
) -> bool:
    """Whether it only groups components that answer the same inputs, as a panel of blood pressures does."""
    if _has_value(observation) or observation.data_absent_reason is not None or entered.unreadable:
        return False
    answered = {target.input for _, hits in parts for target in hits}
    return answered.issuperset(target.input for target in targets)


def _has_value(part: fhir.Observation | fhir.Component) -> bool:
    values = (
        part.value_quantity,
        part.value_string,
        part.value_codeable_concept,
        part.value_range,
        part.value_ratio,
        part.value_integer,
        part.value_boolean,
    )
    return any(each is not None for each in values)


def _sent(part: fhir.Observation | fhir.Component) -> str:
    """Write the value as it came."""
    if part.value_quantity is not None and part.value_quantity.value is not None:
        quantity, value = part.value_quantity, part.value_quantity.value
        number = plain(value) if abs(value.adjusted()) < 18 and +value == value else "a number"  # noqa: PLR2004 (readable)
        return f"{quantity.comparator or ''}{number} {quantity.unit or quantity.code or ''}".rstrip()
    if part.value_codeable_concept is not None:
        concept = part.value_codeable_concept
        coded = next((each.display or each.code for each in concept.coding if each.display or each.code), None)
        return (concept.text or coded or "a code")[:_MOST_WORDS]
    if part.value_string is not None:
        return part.value_string[:_MOST_WORDS]
    if part.value_integer is not None:
        return str(part.value_integer)
    if part.value_boolean is not None:
        return "true" if part.value_boolean else "false"
    if part.value_range is not None:
        return "a range"
    return "a ratio" if part.value_ratio is not None else "no value"


def _ages(age: fhir.Range | None) -> tuple[Decimal | None, Decimal | None] | None:
    """Give the ages in years a range is for; None where they are given but not in years: then it is for others."""
    if age is None:
        return None, None
    low, high = _years(age.low), _years(age.high)
    if (age.low is not None and low is None) or (age.high is not None and high is None):
        return None
    return low, high


def _years(quantity: fhir.Quantity | None) -> Decimal | None:
    if (
        quantity is None
        or quantity.value is None
        or (quantity.code or quantity.unit) not in ("a", "years", "year", "yr")
    ):
        return None
    return quantity.value
