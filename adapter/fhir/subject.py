"""A patient's screenings as FHIR: ResearchSubject, GuidanceResponse and Provenance for each trial, in one transaction.

Layout: docs/adr/0006.  ``passes`` means "does not stand in the way": for an inclusion that it holds, for an exclusion
that it is shown absent.  Ids are uuid5 of trial, patient and site secret, so that writing twice is writing once and no
id gives a patient away.
"""

import hashlib
import uuid
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from adapter.eligibility.decide import Screening, Verdict, favour
from adapter.eligibility.facts import Result, Source
from adapter.eligibility.finding import Finding
from adapter.eligibility.reason import Reason
from adapter.eligibility.trial import Criterion
from adapter.eligibility.truth import Truth, negation
from adapter.eligibility.values import AsOf
from adapter.fhir.record import OUR_TAG
from adapter.fhir.versions import FhirVersion

_encode = msgspec.json.Encoder(decimal_format="number").encode


def _encoded(constant: object) -> msgspec.Raw:
    """Encode once what stands in every result."""
    return msgspec.Raw(_encode(constant))


_NAMESPACE = uuid.UUID("6f2d3a52-6c0e-5d6b-9a57-3f4c6f0a7b11")
_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_ABSENT = _encoded({"extension": [{"url": _ABSENT_REASON, "valueCode": "unknown"}]})
_META = _encoded({"tag": [{"system": OUR_TAG, "code": "trial-adapter"}]})
_ASSEMBLER = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_UCUM = "http://unitsofmeasure.org"
_STATE_TYPE = "http://terminology.hl7.org/CodeSystem/research-subject-state-type"
_STATE = "http://terminology.hl7.org/CodeSystem/research-subject-state"
_STATE_REASON = "http://terminology.hl7.org/CodeSystem/state-change-reason"
_ASKABLE = frozenset((Reason.NODATA, Reason.STALE, Reason.STATUS, Reason.UNIT, Reason.ABSENT_REASON, Reason.NOEVIDENCE))


class Requirement(msgspec.Struct, frozen=True):
    """What to ask for when an input is missing: a resource type and the codes that would answer."""

    resource: str
    codes: tuple[tuple[str, str], ...]
    """(system, code)."""


class Publisher(msgspec.Struct, frozen=True):
    """Who writes, and under which names."""

    software: str
    """Name and versions of adapter and mappings: the Device that every result names."""
    base: str = "https://trials.example.org/fhir"
    """Canonical base of everything minted here."""
    secret: str = ""
    """A site's secret, mixed into ids so that they cannot be guessed from a patient's id."""
    conditional: bool = False
    """Whether to write by conditional operations, for servers that refuse ids set by a client."""


class ResultWriter:
    """Writes screenings as transaction Bundles of one FHIR version."""

    def __init__(self, version: FhirVersion, publisher: Publisher, requirements: dict[str, Requirement]) -> None:
        self._version = version
        self._is_r4 = version is FhirVersion.R4
        self._publisher = publisher
        self._kept: dict[str, tuple[Finding, bytes]] = {}
        """By atom, its latest finding without evidence: nearly always the one object that says it of everyone."""
        self._requirements = {name: _encoded(_data_requirement(each)) for name, each in requirements.items()}
        device = {
            "type": "Device",
            "identifier": {"system": f"{publisher.base}/identifier/software", "value": publisher.software},
        }
        assembler = {"coding": [{"system": _ASSEMBLER, "code": "assembler"}]}
        system, code = (
            ("http://terminology.hl7.org/CodeSystem/v3-DataOperation", "CREATE")
            if self._is_r4
            else ("http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "originate")
        )
        self._device = _encoded(device)
        self._agent = _encoded([{"type": assembler, "who": device}])
        self._activity = _encoded({"coding": [{"system": system, "code": code}]})

    def bundle(
        self,
        patient: str,
        source: Source,
        screenings: Iterable[Screening],
        as_of: AsOf,
        again: Collection[str] = (),
    ) -> bytes:
        """Give one patient's transaction Bundle as JSON bytes; the same input gives the same bytes.

        Of a trial in ``again`` something was said before: its subject is written although nothing can be said now.
        """
        entries = self._all(patient, source, screenings, as_of, again)
        return _encode({"resourceType": "Bundle", "type": "transaction", "entry": list(entries)})

    def resources(
        self,
        patient: str,
        source: Source,
        screenings: Iterable[Screening],
        as_of: AsOf,
        again: Collection[str] = (),
    ) -> list[tuple[str, bytes]]:
        """Give what ``bundle`` holds one by one: where each is written to, and its JSON bytes."""
        entries = self._all(patient, source, screenings, as_of, again)
        return [(each["request"]["url"], _encode(each["resource"])) for each in entries]

    def _all(
        self, patient: str, source: Source, screenings: Iterable[Screening], as_of: AsOf, again: Collection[str]
    ) -> Iterator[dict[str, Any]]:
        for screening in screenings:
            yield from self._entries(patient, source, screening, as_of, again=screening.trial.key in again)

    def _id(self, *parts: str) -> str:
        return str(uuid.uuid5(_NAMESPACE, "|".join((self._publisher.secret, self._publisher.base, *parts))))

    def _entries(
        self, patient: str, source: Source, screening: Screening, as_of: AsOf, *, again: bool
    ) -> list[dict[str, Any]]:
        trial = screening.trial
        subject_id = self._id("subject", trial.key, patient)
        criteria, evidence = self._criteria(screening)
        digest = hashlib.sha256(b"".join((self._publisher.software.encode(), trial.version.encode(), *criteria)))
        guidance_id = self._id("guidance", trial.key, patient, as_of.text, digest.hexdigest())
        provenance_id = self._id("provenance", guidance_id)
        nothing = _count_open(screening) == len(screening.findings) and not screening.deceased
        key = f"{trial.key}-{subject_id[:18].replace('-', '')}"
        plan = f"{self._publisher.base}/PlanDefinition/{trial.key.lower()}-eligibility|{trial.version}"
        entries = []
        targets = [guidance_id]
        if again or not nothing:
            subject = self._subject(subject_id, guidance_id, key, source, screening, as_of)
            entries.append(self._entry("ResearchSubject", subject_id, subject, "eligibility-subject", key))
            targets.insert(0, subject_id)
        evaluation = f"{key}-{as_of.date.isoformat().replace('-', '')}-{digest.hexdigest()[:12]}"
        guidance = self._guidance(guidance_id, evaluation, plan, source, screening, as_of, criteria, nothing=nothing)
        entries.append(self._entry("GuidanceResponse", guidance_id, guidance, "eligibility-evaluation", evaluation))
        provenance = self._provenance(provenance_id, targets, plan, source, evidence, as_of)
        entries.append(self._entry("Provenance", provenance_id, provenance, None, ""))
        return entries

    def _entry(self, kind: str, id_: str, resource: dict[str, Any], system: str | None, value: str) -> dict[str, Any]:
        if not self._publisher.conditional:
            request = {"method": "PUT", "url": f"{kind}/{id_}"}
            return {"fullUrl": f"urn:uuid:{id_}", "resource": resource, "request": request}
        resource.pop("id")
        identifier = f"identifier={self._publisher.base}/identifier/{system}|{value}"
        if kind == "ResearchSubject":
            request = {"method": "PUT", "url": f"{kind}?{identifier}"}
        elif system is not None:
            request = {"method": "POST", "url": kind, "ifNoneExist": identifier}
        else:
            request = {"method": "POST", "url": kind}
        return {"fullUrl": f"urn:uuid:{id_}", "resource": resource, "request": request}

    def _subject(
        self, id_: str, guidance_id: str, key: str, source: Source, screening: Screening, as_of: AsOf
    ) -> dict[str, Any]:
        base = self._publisher.base
        state = screening.verdict.value
        extensions: list[dict[str, Any]] = [
            {
                "url": f"{base}/StructureDefinition/eligibility-assessment",
                "valueReference": {"reference": f"urn:uuid:{guidance_id}"},
            }
        ]
        study = {"reference": f"ResearchStudy/{screening.trial.key.lower()}"}
        failure = {"coding": [{"system": _STATE_REASON, "code": "screening-failure"}], "text": _why(screening)}
        is_failure = screening.verdict is Verdict.INELIGIBLE
        resource: dict[str, Any] = {
            "resourceType": "ResearchSubject",
            "id": id_,
            "meta": _META,
            "extension": extensions,
        }
        resource["identifier"] = [{"system": f"{base}/identifier/eligibility-subject", "value": key}]
        if self._is_r4:
            if is_failure:
                url = "http://hl7.org/fhir/StructureDefinition/workflow-statusReason"
                extensions.append({"url": url, "valueCodeableConcept": failure})
            return {**resource, "status": state, "study": study, "individual": {"reference": source.reference}}
        progress: dict[str, Any] = {
            "type": {"coding": [{"system": _STATE_TYPE, "code": "Enrollment"}]},
            "subjectState": {"coding": [{"system": _STATE, "code": state}]},
            "startDate": as_of.text,
        }
        if is_failure:
            progress["reason"] = failure
        subject = {"reference": source.reference}
        return {**resource, "status": "active", "progress": [progress], "study": study, "subject": subject}

    def _guidance(
        self,
        id_: str,
        evaluation: str,
        plan: str,
        source: Source,
        screening: Screening,
        as_of: AsOf,
        criteria: list[bytes],
        *,
        nothing: bool,
    ) -> dict[str, Any]:
        counts = _counts(screening)
        summary = [
            {"name": "subjectState", "valueCode": screening.verdict.value},
            {"name": "evaluatedOn", "valueDateTime": as_of.text},
            {"name": "criteriaPassed", "valueInteger": counts[Truth.MET]},
            {"name": "criteriaFailed", "valueInteger": counts[Truth.NOT_MET]},
            {"name": "criteriaUnknown", "valueInteger": counts[Truth.UNKNOWN]},
        ]
        parameters = msgspec.Raw(b"[%b]" % b",".join((*map(_encode, summary), *criteria)))
        contained: list[dict[str, Any]] = [{"resourceType": "Parameters", "id": "result", "parameter": parameters}]
        remarks = _remarks(screening)
        if remarks:
            contained.append({"resourceType": "OperationOutcome", "id": "msg", "issue": remarks})
        is_open = nothing or screening.verdict is Verdict.POTENTIAL_CANDIDATE
        requirements = self._missing(screening) if is_open else []
        asks = screening.verdict is Verdict.POTENTIAL_CANDIDATE and bool(requirements)
        status = "data-required" if nothing else "data-requested" if asks else "success"
        base = self._publisher.base
        resource: dict[str, Any] = {
            "resourceType": "GuidanceResponse",
            "id": id_,
            "meta": _META,
            "contained": contained,
            "identifier": [{"system": f"{base}/identifier/eligibility-evaluation", "value": evaluation}],
            "moduleCanonical": plan,
            "status": status,
            "subject": {"reference": source.reference},
            "occurrenceDateTime": as_of.text,
            "performer": self._device,
        }
        reason = {"text": "Clinical trial eligibility screening"}
        if self._is_r4:
            resource["reasonCode"] = [reason]
        else:
            resource["reason"] = [{"concept": reason}]
        if remarks:
            resource["evaluationMessage"] = [{"reference": "#msg"}] if self._is_r4 else {"reference": "#msg"}
        resource["outputParameters"] = {"reference": "#result"}
        if status != "success" and requirements:
            resource["dataRequirement"] = requirements
        return resource

    def _criteria(self, screening: Screening) -> tuple[list[bytes], dict[str, None]]:
        """Encode one ``criterion`` parameter per atom, and collect every resource the findings rest on."""
        made: list[bytes] = []
        sources: dict[str, None] = {}
        for criterion in screening.trial.criteria:
            for atom in criterion.atoms:
                finding = screening.by_atom[atom.id]
                kept = self._kept.get(atom.id)
                if kept is not None and kept[0] is finding:
                    made.append(kept[1])
                    continue
                rests_on = dict.fromkeys([item.source.versioned for item in finding.judgement.evidence])
                sources.update(rests_on)
                written = _encode(_criterion(criterion, finding, rests_on, positive=criterion.signs[atom.id]))
                made.append(written)
                if not rests_on:
                    self._kept[atom.id] = (finding, written)
        return made, sources

    def _missing(self, screening: Screening) -> list[msgspec.Raw]:
        """Give what would help decide: the inputs of computable atoms that are unknown for want of data."""
        names: dict[str, None] = {}
        for criterion, truth in zip(screening.trial.criteria, screening.criteria, strict=True):
            if truth is not Truth.UNKNOWN:
                continue
            for atom in criterion.atoms:
                if screening.by_atom[atom.id].judgement.reason in _ASKABLE:
                    names.update(dict.fromkeys(atom.inputs))
        return [self._requirements[name] for name in names if name in self._requirements]

    def _provenance(
        self, id_: str, targets: list[str], plan: str, source: Source, evidence: dict[str, None], as_of: AsOf
    ) -> dict[str, Any]:
        used = {source.versioned: None, **evidence}
        entities: list[dict[str, Any]] = [
            {"role": "source", "what": {"reference": each}} for each in used if _is_reference(each)
        ]
        resource: dict[str, Any] = {
            "resourceType": "Provenance",
            "id": id_,
            "meta": _META,
            "target": [{"reference": f"urn:uuid:{each}"} for each in targets],
            "occurredDateTime": as_of.text,
            "recorded": as_of.text,
            "policy": [plan],
            "activity": self._activity,
            "agent": self._agent,
        }
        if not self._is_r4:
            resource["patient"] = {"reference": source.reference}
            entities.append({"role": "instantiates", "what": {"identifier": {"value": plan}}})
        if entities:
            resource["entity"] = entities
        return resource


def _criterion(criterion: Criterion, finding: Finding, rests_on: Iterable[str], *, positive: bool) -> dict[str, Any]:
    judgement = finding.judgement
    passes = judgement.truth if positive else negation(judgement.truth)
    parts: list[dict[str, Any]] = [
        {"name": "id", "valueString": finding.atom},
        {"name": "kind", "valueCode": criterion.type},
    ]
    if passes is Truth.UNKNOWN:
        parts.append({"name": "passes", "_valueBoolean": _ABSENT})
    else:
        parts.append({"name": "passes", "valueBoolean": passes is Truth.MET})
    observed = _observed(judgement.observed)
    if observed is not None:
        parts.append({"name": "observed", "valueQuantity": observed})
    parts += [{"name": "evidence", "valueReference": {"reference": each}} for each in rests_on if _is_reference(each)]
    if judgement.reason is not None:
        parts.append({"name": "reason", "valueCode": judgement.reason.value})
    parts.append({"name": "message", "valueString": judgement.message})
    return {"name": "criterion", "part": parts}


def _is_reference(text: str) -> bool:
    return "/" in text or text.startswith("urn:")


def _observed(result: Result | None) -> dict[str, Any] | None:
    """Give the compared number as a Quantity; an interval keeps its comparator."""
    if result is None or result.bounds is None or result.unit is None:
        return None
    low, high = result.bounds.low, result.bounds.high
    number = low if low is not None else high
    if number is None:
        return None
    quantity: dict[str, Any] = {"value": _short(number)}
    if low != high:
        strict = result.bounds.high_open if low is None else result.bounds.low_open
        quantity["comparator"] = ("<" if low is None else ">") + ("" if strict else "=")
    return {**quantity, "unit": result.unit, "system": _UCUM, "code": result.unit}


def _short(number: Decimal) -> Decimal:
    """FHIR decimals carry at most 18 significant digits; what is shown needs far fewer."""
    return Decimal(format(number.normalize(), ".12g")) if len(number.as_tuple().digits) > 12 else number  # noqa: PLR2004


def _counts(screening: Screening) -> dict[Truth, int]:
    counts = dict.fromkeys(Truth, 0)
    for criterion, truth in zip(screening.trial.criteria, screening.criteria, strict=True):
        counts[favour(criterion, truth)] += 1
    return counts


def _against(screening: Screening) -> list[str]:
    """Name the criteria that stand against the patient."""
    said = []
    for criterion, truth in zip(screening.trial.criteria, screening.criteria, strict=True):
        if favour(criterion, truth) is Truth.NOT_MET:
            said.append(f"{criterion.id} {'not met' if criterion.type == 'inclusion' else 'present'}")
    return said


def _why(screening: Screening) -> str:
    return "; ".join((["patient is deceased"] if screening.deceased else []) + _against(screening))


def _count_open(screening: Screening) -> int:
    return [each.judgement.truth for each in screening.findings].count(Truth.UNKNOWN)


def _remarks(screening: Screening) -> list[dict[str, Any]]:
    issues: list[dict[str, Any]] = []
    unknown = _count_open(screening)
    if unknown:
        text = f"{unknown} of {len(screening.findings)} atoms are unknown; the criterion parameters say why"
        issues.append({"severity": "warning", "code": "incomplete", "details": {"text": text}})
    issues.extend(
        {"severity": "warning", "code": "business-rule", "details": {"text": f"CONTRADICTION: {each.text}"}}
        for each in screening.contradictions
    )
    issues.extend(
        {"severity": "information", "code": "informational", "details": {"text": each}}
        for each in screening.trial.notices
    )
    return issues


def _data_requirement(requirement: Requirement) -> dict[str, Any]:
    made: dict[str, Any] = {"type": requirement.resource}
    if requirement.codes:
        codes = [{"system": system, "code": code} for system, code in requirement.codes]
        made["codeFilter"] = [{"path": "code", "code": codes}]
    if requirement.resource == "Observation":
        made["mustSupport"] = ["status", "value", "effective"]
    return made
