"""A trial as a ResearchStudy: all that its source says, and, said aloud, what it leaves out or contradicts."""

from typing import Any

from adapter.catalog.trial_file import Arm, Metadata, Outcome, Text, TrialFile
from adapter.eligibility.trial import Trial
from adapter.emission.names import Naming, pascal, trial_id
from adapter.emission.narrative import narrative
from adapter.emission.parties import site_id, sponsor_id

Resource = dict[str, Any]

NCT = "https://clinicaltrials.gov/nctid"
_EXTENSION = "http://hl7.org/fhir/StructureDefinition"
_ABSENT: Resource = {"extension": [{"url": f"{_EXTENSION}/data-absent-reason", "valueCode": "unknown"}]}
"""What stands in an element that the source gives nothing for."""
_THO = "http://terminology.hl7.org/CodeSystem"
_FHIR = "http://hl7.org/fhir"
_STATES = {
    "not yet recruiting": "not-yet-recruiting",
    "recruiting": "recruiting",
    "enrolling by invitation": "enrolling-by-invitation",
    "active, not recruiting": "active-but-not-recruiting",
    "suspended": "temporarily-closed-to-accrual",
    "terminated": "terminated",
    "completed": "completed",
    "withdrawn": "withdrawn",
}
"""ClinicalTrials.gov's overall status to R5's state of a study; a status of any other words travels as its words."""
_DESIGNS = {"interventional": ("SEVCO:01001", "Interventional research")}
"""Words of a design that R5's code system of study designs means exactly."""
_OBJECTIVES = {"primary": "Primary", "secondary": "Secondary"}


def research_study(trial: Trial, file: TrialFile, naming: Naming) -> Resource:
    """Give the ResearchStudy of a trial."""
    said = file.metadata
    id_ = trial_id(trial.key)
    study: Resource = {"resourceType": "ResearchStudy", "id": id_, "text": _text(file)}
    if not naming.is_r4:  # R4 has no home for them: HL7's extensions for url and version are not for a ResearchStudy
        url = naming.url("ResearchStudy", id_)
        study |= {"url": url, "version": trial.version, "name": pascal(trial.key)}
    study["identifier"] = [
        *({"use": "official", "system": each.system, "value": each.value} for each in said.identifiers),
        {"use": "secondary", **naming.identifier("study", trial.key)},
    ]
    study["title"] = trial.title
    study["protocol"] = [_reference("PlanDefinition", f"{id_}-eligibility")]
    study["phase"] = _phase(said, naming)
    study["condition"] = [{"text": each.text} for each in said.conditions]
    study["relatedArtifact"] = [_page(each.value, naming) for each in said.identifiers if each.system == NCT]
    study["period"] = _period(said)
    study["site"] = [_reference("Location", site_id(trial.key, n)) for n, _ in enumerate(said.sites, 1)]
    study["note"] = [{"text": text} for text in remarks(file)]
    study |= _of_r4(file, id_) if naming.is_r4 else _of_r5(file, id_)
    return {name: value for name, value in study.items() if value not in (None, [], {})}


def _of_r4(file: TrialFile, id_: str) -> Resource:
    """Give what only R4 says so: ``status`` is the state of the study."""
    said = file.metadata
    long = (said.official_title and f"Official title: {said.official_title}", said.summary, said.description)
    status: Resource = {"status": said.fhir_status} if said.fhir_status else {"_status": _ABSENT}
    return {
        **status,
        "category": [{"text": each.text} for each in _design(said)],
        "focus": [{"text": each.text} for each in said.interventions],
        "location": [{"text": country} for country in _countries(said)],
        "description": "\n\n".join(text for text in long if text) or None,
        "enrollment": [_reference("Group", f"{id_}-eligibility"), _reference("Group", f"{id_}-cohort")],
        "sponsor": _reference("Organization", sponsor_id(file.key)) if said.sponsor else _ABSENT,
        "arm": [_without_none({"name": each.name, **_arm(each)}) for each in said.arms],
        "objective": [_objective(each) for each in said.outcomes],
    }


def _of_r5(file: TrialFile, id_: str) -> Resource:
    """Give what only R5 says so: ``status`` is that of the record, the study's own stands in ``progressStatus``."""
    said = file.metadata
    official = {"coding": [{"system": f"{_FHIR}/title-type", "code": "official", "display": "Official title"}]}
    return {
        "status": "active" if said.fhir_status else "unknown",
        "date": said.last_update,
        "label": [{"type": official, "value": said.official_title}] if said.official_title else [],
        "studyDesign": [_coded_design(each) for each in _design(said)],
        "focus": [{"concept": {"text": each.text}} for each in said.interventions],
        "region": [{"text": country} for country in _countries(said)],
        "descriptionSummary": said.summary,
        "description": said.description,
        "associatedParty": [_lead_sponsor(said.sponsor, file.key)],
        "progressStatus": [_progress(said)],
        "recruitment": _without_none(
            {"targetNumber": said.enrollment, "eligibility": _reference("Group", f"{id_}-eligibility")}
        ),
        "comparisonGroup": [
            _without_none({"linkId": f"arm-{number}", "name": each.name, **_arm(each)})
            for number, each in enumerate(said.arms, 1)
        ],
        "outcomeMeasure": [_outcome_measure(each) for each in said.outcomes],
    }


def remarks(file: TrialFile) -> list[str]:
    """Give, a sentence each, what has no element of its own: notices, gaps, contradictions and notes of the source."""
    said = file.metadata
    found = [f"Notice: {text}" for text in file.notices]
    found += [f"The criteria contradict each other: {each.text}" for each in file.contradictions]
    found += [f"Inconsistent in the source: {text}" for text in said.inconsistent]
    if said.absent:
        found.append(f"Not in the source: {', '.join(said.absent)}")
    for label, text in _statements(said):
        if text.ours:
            found.append(f"{label}: these words are ours: {text.text}")
        if text.note:
            found.append(f"{label} ({text.text}): {text.note}")
    plain = (("Status", said.status), ("Sex", said.sex), ("Ages", said.ages))
    found += [f"{label}: {text.text}" for label, text in plain if text is not None and not text.note]
    facts = (
        ("Enrolment", said.enrollment_note),
        ("Primary completion", said.primary_completion),
        ("Last update", said.last_update),
        ("Dates", said.dates_note),
    )
    found += [f"{label}: {text}" for label, text in facts if text]
    found += [f"Said elsewhere, not checked: {text}" for text in said.external_leads]
    return found


def _statements(said: Metadata) -> list[tuple[str, Text]]:
    single = (
        ("Title", said.title),
        ("Sponsor", said.sponsor),
        ("Status", said.status),
        ("Phase", said.phase),
        ("Study type", said.study_type),
        ("Design", said.design),
        ("Masking", said.masking),
        ("Sex", said.sex),
        ("Ages", said.ages),
    )
    found = [(label, text) for label, text in single if text is not None]
    found += [("Condition", text) for text in said.conditions]
    found += [("Intervention", text) for text in said.interventions]
    return found


def _text(file: TrialFile) -> Resource:
    """Give what a person reads of the study where nothing renders its elements."""
    said = file.metadata
    rows = [("Registry number", each.value) for each in said.identifiers]
    rows += [(label, text.text) for label, text in _statements(said) if label != "Title"]
    rows += [("Arm", each.name) for each in said.arms]
    rows += [("Site", ", ".join(part for part in (each.name, each.city, each.country) if part)) for each in said.sites]
    rows += [(f"Outcome, {each.type}", each.name) for each in said.outcomes]
    rows += [("Note", text) for text in remarks(file)]
    return narrative(said.title.text, rows)


def _phase(said: Metadata, naming: Naming) -> Resource:
    """Give the phase; R5 moved the code system and keeps the old coding beside the new one."""
    if said.phase is None:
        return _ABSENT
    systems = [f"{_THO}/research-study-phase"]
    if not naming.is_r4:
        systems.insert(0, f"{_FHIR}/research-study-phase")
    coding = [{"system": each, "code": said.fhir_phase} for each in systems] if said.fhir_phase else []
    return _coded(coding, said.phase.text)


def _period(said: Metadata) -> Resource:
    if said.start is None and said.completion is None:
        return _ABSENT
    return _without_none({"start": said.start, "end": said.completion})


def _progress(said: Metadata) -> Resource:
    if said.status is None:
        return {"state": _ABSENT}
    code = _STATES.get(said.status.text.lower(), said.fhir_status)
    coding = [{"system": f"{_FHIR}/research-study-status", "code": code}] if code else []
    return {"state": _coded(coding, said.status.text)}


def _design(said: Metadata) -> list[Text]:
    return [each for each in (said.study_type, said.design, said.masking) if each is not None]


def _coded_design(said: Text) -> Resource:
    known = _DESIGNS.get(said.text.lower())
    coding = [{"system": f"{_FHIR}/study-design", "code": known[0], "display": known[1]}] if known else []
    return _coded(coding, said.text)


def _countries(said: Metadata) -> list[str]:
    return list(dict.fromkeys(each.country for each in said.sites if each.country))


def _lead_sponsor(sponsor: Text | None, key: str) -> Resource:
    role = _coded([{"system": f"{_FHIR}/research-study-party-role", "code": "lead-sponsor"}])
    if sponsor is None:
        return {"_name": _ABSENT, "role": role}
    return {"name": sponsor.text, "role": role, "party": _reference("Organization", sponsor_id(key))}


def _arm(arm: Arm) -> Resource:
    kind = {"coding": [{"system": f"{_FHIR}/research-study-arm-type", "code": arm.type}]} if arm.type else None
    return {"type": kind, "description": arm.description}


def _objective(outcome: Outcome) -> Resource:
    """R4's objective holds one text: name, description and time frame in one."""
    parts = (outcome.name, outcome.description, outcome.time_frame and f"Time frame: {outcome.time_frame}")
    return {"name": ". ".join(part.rstrip(".") for part in parts if part), "type": _objective_type(outcome, _THO)}


def _outcome_measure(outcome: Outcome) -> Resource:
    parts = (outcome.description, outcome.time_frame and f"Time frame: {outcome.time_frame}")
    measure = {"name": outcome.name, "type": [_objective_type(outcome, _FHIR)]}
    description = "\n\n".join(part for part in parts if part)
    return {**measure, "description": description} if description else measure


def _objective_type(outcome: Outcome, base: str) -> Resource:
    display = _OBJECTIVES.get(outcome.type)
    if display is None:
        return {"text": outcome.type}
    system = f"{base}/research-study-objective-type"
    return _coded([{"system": system, "code": outcome.type, "display": display}])


def _page(number: str, naming: Naming) -> Resource:
    url = f"https://clinicaltrials.gov/study/{number}"
    place = {"url": url} if naming.is_r4 else {"document": {"url": url}}
    return {"type": "documentation", "display": f"ClinicalTrials.gov {number}", **place}


def _coded(coding: list[Resource], text: str | None = None) -> Resource:
    concept: Resource = {"coding": coding} if coding else {}
    return {**concept, "text": text} if text else concept


def _reference(resource_type: str, id_: str) -> Resource:
    return {"reference": f"{resource_type}/{id_}"}


def _without_none(element: Resource) -> Resource:
    return {name: value for name, value in element.items() if value is not None}
