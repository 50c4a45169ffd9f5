"""What of the data could not be used: codes no mapping reads, units nothing converts, ranked by what they hold up."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from adapter.eligibility.decide import Screening, Verdict
from adapter.eligibility.facts import Facts
from adapter.eligibility.reason import Reason
from adapter.fhir import resources as fhir
from adapter.fhir.record import PatientRecord
from adapter.mapping.codes import CodeIndex
from adapter.population.disclosure import Count, Disclosure

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,31}", re.ASCII)
_SYSTEM = re.compile(r"(?:https?://|urn:(?:oid|uuid|iso):)[A-Za-z0-9._/:#-]{1,120}", re.ASCII)
_UNIT = re.compile(r"[^\W_][\w %/.*^\[\]{}()'\u00b5\u03bc\u00b0-]{0,23}|%")
_MOST_KINDS = 20_000
"""Of codes and units that are told apart; a hospital has thousands."""
_MOST_TOLD = 100


class Hindrance(msgspec.Struct, frozen=True):
    """One code or unit that could not be used."""

    kind: str
    """``code`` or ``unit``."""
    what: str
    """Resource type or input."""
    said: str
    """``system|code``, or the unit; of unusual shape it could be anything and is not told."""
    patients: Count
    verdicts: Count
    """Of these patients' verdicts so many wait for data: of a unit, for this input."""


_Key = tuple[str, str, str]


class Tally(msgspec.Struct):
    """Counts of hindrances, to be added up over parts and processes."""

    patients: Counter[_Key] = msgspec.field(default_factory=Counter)
    verdicts: Counter[_Key] = msgspec.field(default_factory=Counter)

    def add(self, facts: Facts, screenings: Iterable[Screening], unmapped: Iterable[tuple[str, str]] = ()) -> None:
        """Count one patient; ``unmapped`` are resource types and codes that no mapping reads (``unread``)."""
        waiting = [each for each in screenings if each.verdict is Verdict.POTENTIAL_CANDIDATE]
        for kind, code in set(unmapped):
            self._count(("code", kind, code), len(waiting))
        for name, unit in {(name, unit) for name, unit in _unusable(facts)}:
            self._count(("unit", name, unit), sum(_waits_for(each, name) for each in waiting))

    def of(self, key: _Key) -> tuple[int, int]:
        """Give of how many patients a hindrance is, and of how many verdicts."""
        return self.patients[key], self.verdicts[key]

    def told(self, disclosure: Disclosure) -> tuple[Hindrance, ...]:
        """Give the hindrances, first what holds up most; what stands at less than the smallest cell is left out."""
        ranked = sorted(self.patients, key=lambda key: (-self.verdicts[key], -self.patients[key], key))
        found = (
            Hindrance(*key, disclosure.count(self.patients[key]), disclosure.count(self.verdicts[key]))
            for key in ranked
            if disclosure.count(self.patients[key]) is not None
        )
        return tuple(each for _, each in zip(range(_MOST_TOLD), found, strict=False))

    def _count(self, key: _Key, verdicts: int) -> None:
        if key in self.patients or len(self.patients) < _MOST_KINDS:
            self.patients[key] += 1
            self.verdicts[key] += verdicts


def _unusable(facts: Facts) -> Iterator[tuple[str, str]]:
    for name, results in facts.results.items():
        for each in results:
            if each.problem is Reason.UNIT and each.role != "reject":
                unit = each.sent.partition(" ")[2]
                yield name, unit if _UNIT.fullmatch(unit) else "none, or of unusual shape"


def _waits_for(screening: Screening, name: str) -> bool:
    atoms = (atom for criterion in screening.trial.criteria for atom in criterion.atoms if name in atom.inputs)
    return any(screening.by_atom[atom.id].judgement.reason is Reason.UNIT for atom in atoms)


def unread(record: PatientRecord, index: CodeIndex) -> Iterator[tuple[str, str]]:
    """Give the resource types and codes of a record that no mapping reads."""
    for kind, entries in record.resources.items():
        for entered in entries:
            for concept in _concepts(entered.resource):
                if not index.targets(concept) and not index.memberships(concept):
                    yield from _codes(kind.__name__, concept)


def _concepts(resource: fhir.Tagged) -> Iterator[fhir.CodeableConcept]:
    found: list[fhir.CodeableConcept | None] = []
    if isinstance(resource, fhir.Observation):
        found = [resource.code] if not resource.component else [part.code for part in resource.component]
    elif isinstance(resource, fhir.Condition | fhir.Procedure | fhir.AllergyIntolerance):
        found = [resource.code]
    elif isinstance(resource, fhir.MedicationRecord):
        found = [resource.medication_codeable_concept, resource.medication.concept if resource.medication else None]
    yield from (each for each in found if each is not None)


def _codes(kind: str, concept: fhir.CodeableConcept) -> Iterator[tuple[str, str]]:
    for coding in concept.coding:
        system, code = coding.system or "", coding.code or ""
        if _CODE.fullmatch(code) and (not system or _SYSTEM.fullmatch(system)):
            yield kind, f"{system}|{code}"
            return
    yield kind, "no code, or one of unusual shape"
