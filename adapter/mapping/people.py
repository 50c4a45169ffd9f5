"""The patient, reviewers' answers, consents and other studies to facts."""

from collections.abc import Iterable

from adapter.eligibility.facts import Attestation, ConsentRecord, OtherStudy, Person, Sex
from adapter.eligibility.values import Moment
from adapter.fhir import resources as fhir
from adapter.fhir.dates import parse_moment
from adapter.fhir.record import Lookup, PatientRecord
from adapter.fhir.wire import WHOLE, Entered
from adapter.mapping.observations import source_of
from adapter.mapping.reads import ATOM
from adapter.mapping.table import Vocabulary

BIRTH_SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"
_ANSWERED = frozenset(("completed", "amended"))
_USABLE = frozenset(("final", "amended", "corrected"))
_WHOLE = frozenset((WHOLE, "resourceType", "modifierExtension", "implicitRules"))
"""What must be understood to read anything of a resource."""
_ABOUT_SEX = _WHOLE | {"gender", "extension"}
YesNo = dict[tuple[str, str], bool]
"""(system, code) of a yes and of a no."""


def person(record: PatientRecord, vocabulary: Vocabulary) -> Person:
    """Give the patient: age, sex as far as the record is clear, death."""
    resource = record.patient.resource
    if not isinstance(resource, fhir.Patient):
        raise TypeError("a patient record holds a Patient")
    lost = record.patient.unreadable
    sex, note = _sex(resource, vocabulary, lost)
    died = parse_moment(resource.deceased_date_time) if resource.deceased_date_time else None
    is_whole = _WHOLE.isdisjoint(lost)
    return Person(
        id=record.id,
        source=source_of(record.patient),
        birth=parse_moment(resource.birth_date)
        if resource.birth_date and is_whole and "birthDate" not in lost
        else None,
        sex=sex,
        sex_note=note,
        deceased=resource.deceased_boolean is True,
        died=died if resource.deceased_boolean is not False else None,
        death_unclear=not is_whole or _is_death_unclear(resource, died, lost),
    )


def _is_death_unclear(resource: fhir.Patient, died: Moment | None, lost: tuple[str, ...]) -> bool:
    """Whether something is said of the patient's death that cannot be read, or contradicts itself."""
    if any(each.lstrip("_").startswith("deceased") for each in lost):
        return True
    if resource.deceased_date_time is not None:
        return died is None or resource.deceased_boolean is False
    extended = resource.deceased_date_time_extended or resource.deceased_boolean_extended
    return resource.deceased_boolean is None and extended is not None


def _sex(resource: fhir.Patient, vocabulary: Vocabulary, lost: tuple[str, ...]) -> tuple[Sex, str]:
    if not _ABOUT_SEX.isdisjoint(lost):
        return Sex.UNKNOWN, "the sex cannot be read"
    gender = {"male": Sex.MALE, "female": Sex.FEMALE}.get(resource.gender or "", Sex.UNKNOWN)
    codes = {each.value_code for each in resource.extension if each.url == BIRTH_SEX}
    if not codes:
        return gender, "" if gender is not Sex.UNKNOWN else "no sex on record"
    words = {vocabulary.birth_sex.get(code or "") for code in codes}
    word = words.pop() if len(words) == 1 else None
    birth = Sex(word) if word is not None else Sex.UNKNOWN
    if birth is not gender:
        return Sex.UNKNOWN, "gender and birth sex do not agree"
    return gender, ""


def attestations(responses: list[Entered], observations: list[Entered], yes_no: YesNo) -> dict[str, list[Attestation]]:
    """Give reviewers' dated, signed answers by the atom they answer.

    A QuestionnaireResponse answers by ``linkId``; an Observation by a coding whose code is the atom.  An answer that
    cannot be read takes away the older ones to the same atom: it may have withdrawn them.
    """
    found: dict[str, list[Attestation]] = {}
    unclear: dict[str, list[Moment | None]] = {}
    for entered in responses:
        resource = entered.resource
        if not isinstance(resource, fhir.QuestionnaireResponse):
            continue
        if resource.status not in _ANSWERED and "status" not in entered.unreadable:
            continue
        when = parse_moment(resource.authored) if resource.authored else None
        author = _named(resource.author)
        is_unreadable = bool(entered.unreadable) or (when is None and resource.authored is not None)
        for atom, says in _answers(resource.item, yes_no):
            if is_unreadable or says is None:
                unclear.setdefault(atom, []).append(when)
            elif when is not None and author is not None:
                found.setdefault(atom, []).append(Attestation(atom, says, author, when, source_of(entered)))
    for entered in observations:
        resource = entered.resource
        if not isinstance(resource, fhir.Observation) or resource.code is None:
            continue
        if resource.status not in _USABLE and "status" not in entered.unreadable:
            continue
        if resource.value_boolean is None and resource.value_codeable_concept is None and not entered.unreadable:
            continue
        atoms = [each.code for each in resource.code.coding if each.code and ATOM.fullmatch(each.code)]
        if not atoms:
            continue
        says_yes = _says(resource, resource.value_codeable_concept, yes_no)
        author = next((name for each in resource.performer if (name := _named(each)) is not None), None)
        when = parse_moment(resource.effective_date_time or resource.effective_instant or resource.issued or "")
        for atom in atoms:
            if entered.unreadable or says_yes is None:
                unclear.setdefault(atom, []).append(when)
            elif author is not None and when is not None:
                found.setdefault(atom, []).append(Attestation(atom, says_yes, author, when, source_of(entered)))
    for atom, answers in found.items():
        found[atom] = [each for each in answers if _is_later(each.when, unclear.get(atom, ()))]
        found[atom].sort(key=lambda each: (each.when.text, each.source.reference, each.answer))
    return {atom: answers for atom, answers in found.items() if answers}


def _is_later(when: Moment, others: Iterable[Moment | None]) -> bool:
    return all(other is not None and when.first > other.last for other in others)


def _answers(items: tuple[fhir.Item, ...], yes_no: YesNo) -> list[tuple[str, bool | None]]:
    """Give the atoms that were answered, None for an answer that cannot be read as yes or no."""
    found: list[tuple[str, bool | None]] = []
    for item in items:
        found.extend(_answers(item.item, yes_no))
        if item.link_id is None or not ATOM.fullmatch(item.link_id) or not item.answer:
            continue
        says = None
        if len(item.answer) == 1:
            answer = item.answer[0]
            concept = fhir.CodeableConcept((answer.value_coding,)) if answer.value_coding is not None else None
            says = _says(answer, concept, yes_no)
        found.append((item.link_id, says))
    return found


def yes_no_codes(vocabulary: Vocabulary) -> YesNo:
    """Give the codes that answer a reviewer's question."""
    return {
        (url, code): word == "yes"
        for word in ("yes", "no")
        for system, codes in vocabulary.answer_codes.get(word, {}).items()
        for url in vocabulary.systems[system]
        for code in codes
    }


def _says(answer: fhir.Answer | fhir.Observation, concept: fhir.CodeableConcept | None, yes_no: YesNo) -> bool | None:
    flag = answer.value_boolean
    if concept is None:
        return flag
    said = {yes_no[key] for each in concept.coding if (key := (each.system or "", each.code or "")) in yes_no}
    if flag is not None or len(said) != 1:  # two answers at once are none
        return None
    return said.pop()


def _named(reference: fhir.Reference | None) -> str | None:
    if reference is None:
        return None
    identifier = reference.identifier.value if reference.identifier is not None else None
    return reference.reference or reference.display or identifier


def other_studies(entries: list[Entered], studies: Lookup) -> list[OtherStudy]:
    """Give the patient's ResearchSubjects with every name their study goes by."""
    found = []
    for entered in entries:
        resource = entered.resource
        if not isinstance(resource, fhir.ResearchSubject) or entered.unreadable:
            continue
        state, start, end = _state(resource)
        found.append(OtherStudy(_study_names(resource.study, entered, studies), state, start, end, source_of(entered)))
    return sorted(found, key=lambda each: each.source.reference)


def _state(resource: fhir.ResearchSubject) -> tuple[str, Moment | None, Moment | None]:
    """R5 keeps the state in ``progress``, where the open entry is the present one; R4 in ``status``."""
    period = resource.period
    start = parse_moment(period.start) if period is not None and period.start else None
    end = parse_moment(period.end) if period is not None and period.end else None
    states = [each for each in resource.progress if each.subject_state is not None]
    if not states:
        return resource.status or "", start, end
    current = next((each for each in reversed(states) if each.end_date is None), states[-1])
    codes = [each.code for each in current.subject_state.coding if each.code] if current.subject_state else []
    began = parse_moment(current.start_date) if current.start_date else start
    ended = parse_moment(current.end_date) if current.end_date else end
    return (codes[0] if codes else ""), began, ended


def _study_names(study: fhir.Reference | None, entered: Entered, studies: Lookup) -> str:
    if study is None:
        return ""
    names = [study.reference, study.display, study.identifier.value if study.identifier else None]
    found = studies.find(study.reference, entered.full_url)
    if found is not None and isinstance(found.resource, fhir.ResearchStudy):
        names.append(found.resource.id)
        names.extend(each.value for each in found.resource.identifier)
    return " ".join(name for name in names if name)


def consents(entries: list[Entered]) -> list[ConsentRecord]:
    """Give research consents, to be shown to the reviewer."""
    found = []
    for entered in entries:
        resource = entered.resource
        if not isinstance(resource, fhir.Consent) or resource.status == "entered-in-error":
            continue
        concepts = [resource.scope, *resource.category]
        codes = {coding.code for each in concepts if each is not None for coding in each.coding}
        if "research" not in codes:
            continue
        text = resource.date_time or resource.date
        sources = resource.source_reference
        listed = sources if isinstance(sources, list) else [sources]
        names = [each.reference for each in listed if each is not None]
        names.extend(each.value for each in resource.identifier)
        names.extend(each.uri for each in resource.policy)
        study = " ".join(name for name in names if name)
        when = parse_moment(text) if text else None
        found.append(ConsentRecord(resource.status or "unknown", study, when, source_of(entered)))
    return sorted(found, key=lambda each: each.source.reference)
