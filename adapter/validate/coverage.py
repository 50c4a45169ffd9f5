"""Which codes of a document no mapping reads: a code that nobody maps is data that no criterion ever sees."""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from adapter.fhir import resources as fhir
from adapter.fhir.wire import Entered, type_name
from adapter.mapping.codes import CodeIndex
from adapter.mapping.extract import Mappings
from adapter.validate.remark import Remark

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,31}", re.ASCII)
_SYSTEM = re.compile(r"(?:https?://|urn:(?:oid|uuid|iso):)[A-Za-z0-9._/:#-]{1,120}", re.ASCII)


class Unread(NamedTuple):
    """A concept that no mapping reads, and where it stands."""

    kind: str
    concept: fhir.CodeableConcept | None
    place: str
    refused: str = ""
    """The title of the mapping that names it as another quantity."""


class Coverage:
    """Tells of every concept of an entry whether the mappings read it, and if not, what would help."""

    def __init__(self, mappings: Mappings, index: CodeIndex) -> None:
        self._index = index
        self._inputs = mappings.inputs
        self._fasting = mappings.vocabulary.fasting_status

    def remarks(self, entered: Entered, known: Collection[str]) -> Iterator[Remark]:
        """Give a remark for each concept nothing reads; ``known`` names the resources something else has read."""
        return map(self._remark, self.unread(entered, known))

    def unread(self, entered: Entered, known: Collection[str] = ()) -> Iterator[Unread]:
        """Give each concept nothing reads, as ``remarks`` tells of it."""
        resource = entered.resource
        if isinstance(resource, fhir.Observation):
            if entered.expression not in known:
                yield from self._of_observation(entered, resource)
            return
        for concept, place in _concepts(resource):
            if "code" not in entered.unreadable and not self._index.memberships(concept):
                kind = "Medication" if ".contained[" in place else type_name(resource)
                yield Unread(kind, concept, f"{entered.expression}{place}")

    def _of_observation(self, entered: Entered, resource: fhir.Observation) -> Iterator[Unread]:
        parts = [
            (part.code, f"{entered.expression}.component[{index}].code")
            for index, part in enumerate(resource.component)
            if part.code is not None and not self._is_fasting_status(part.code)
        ]
        # The code of a panel whose components are read needs no mapping of its own.
        if resource.code is not None and not any(self._is_read(concept) for concept, _ in parts):
            parts.insert(0, (resource.code, f"{entered.expression}.code"))
        for concept, place in parts:
            targets = self._index.targets(concept)
            if not targets:
                if not self._index.memberships(concept):
                    yield Unread("Observation", concept, place)
            elif all(each.role == "reject" for each in targets):
                mapped = self._inputs[targets[0].input]
                if "reject" not in mapped.needs_fasting:
                    yield Unread("Observation", concept, place, mapped.title)

    def _is_read(self, concept: fhir.CodeableConcept) -> bool:
        return bool(self._index.targets(concept) or self._index.memberships(concept))

    def _is_fasting_status(self, concept: fhir.CodeableConcept) -> bool:
        fasting = self._fasting
        return any(
            each.code == fasting.code and self._index.system_of(each.system) == fasting.system
            for each in concept.coding
        )

    def _remark(self, unread: Unread) -> Remark:
        kind, concept, place, refused = unread
        if refused and concept is not None:
            said = (
                f"Observation with {shown(concept.coding)}, which the mapping of {refused} names as "
                "another quantity; send another code only if that was measured"
            )
            return Remark("code-refused", said, place)
        codings = [each for each in concept.coding if each.code] if concept is not None else []
        if not codings:
            said = f"{kind} without a code, in words at most, which nothing matches; code it"
            return Remark("uncoded", said, place)
        if not any(each.system for each in codings):
            said = f"{kind} with a code whose system is not said, which nothing matches; send Coding.system"
            return Remark("code-without-system", said, place)
        known = [each for each in codings if self._index.system_of(each.system) is not None]
        if known:
            said = f"{kind} with {shown(known)}, which no mapping reads; map it for the site if it means an input"
            return Remark("code-unmapped", said, place)
        said = (
            f"{kind} with {shown([each for each in codings if each.system])}, of a system no mapping reads; "
            "add a standard code, or a ConceptMap for the site"
        )
        return Remark("system-unmapped", said, place)


def _concepts(resource: fhir.Tagged) -> Iterator[tuple[fhir.CodeableConcept | None, str]]:
    """Give what an entry (other than an Observation) is matched by, each with its place in it."""
    if isinstance(resource, fhir.Condition | fhir.Procedure | fhir.AllergyIntolerance):
        yield resource.code, ".code"
    elif isinstance(resource, fhir.Medication):
        # One that says its ingredients may leave its own code out.
        if resource.code is not None or not resource.ingredient:
            yield resource.code, ".code"
    elif isinstance(resource, fhir.MedicationRecord):
        if resource.medication_codeable_concept is not None:
            yield resource.medication_codeable_concept, ".medicationCodeableConcept"
        if resource.medication is not None and resource.medication.concept is not None:
            yield resource.medication.concept, ".medication.concept"
        for index, contained in enumerate(resource.contained):
            for concept, place in _concepts(contained):
                if isinstance(contained, fhir.Medication):
                    yield concept, f".contained[{index}]{place}"


def shown(codings: Collection[fhir.Coding]) -> str:
    """Write the first code with its system; what does not look like a code could be anything and is not repeated."""
    first = next(iter(codings))
    system, code = first.system or "", first.code or ""
    if _CODE.fullmatch(code) is None:
        code = "a code of unusual shape"
    return f"{system}|{code}" if _SYSTEM.fullmatch(system) else f"{code} of a system of unusual shape"
