"""What stands for data that was lost: resources that could have been anything of their type, and so decide nothing.

They are written as a sender would write something that cannot be read, and go through the same reading as all others;
so what rests on them is unknown by the same rules (docs/semantics.md, "Unreadable parts").
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.fhir import resources as fhir
from adapter.mapping.codes import with_included
from adapter.population.export import Lack

_encode = msgspec.json.encode
Json = dict[str, Any]


class StandIns:
    """Makes them for patients of an export of which something is lost."""

    def __init__(self, catalog: Catalog) -> None:
        concept = _covering(catalog)
        atoms = [atom.id for trial in catalog.trials for each in trial.criteria for atom in each.atoms]
        observed = [*_inputs(catalog), *({"code": atom} for atom in atoms)]
        acute = [{"code": each} for each in catalog.mappings.vocabulary.acute_encounter_classes[:1]]
        drug = {"medicationCodeableConcept": concept}
        self._made: dict[str, Json] = {
            "Observation": {"status": "final", "code": {"coding": observed}},
            "Condition": {"code": concept},
            "Procedure": {"status": "completed", "code": concept},
            "AllergyIntolerance": {"code": concept},
            "Encounter": {"status": "finished", "class": acute[0] if acute else {}, "reasonCode": [concept]},
            "MedicationRequest": {"status": "active", "intent": "order", **drug},
            "MedicationStatement": {"status": "active", **drug},
            "MedicationAdministration": {"status": "completed", **drug},
            "MedicationDispense": {"status": "completed", **drug},
            "QuestionnaireResponse": {
                "status": "completed",
                "item": [{"linkId": atom, "answer": [{}]} for atom in dict.fromkeys(atoms)],
            },
        }

    def of(self, lacks: Iterable[Lack], patient: str) -> list[tuple[bytes, Lack]]:
        """Give what stands for everything that one patient may lack, and the lack that each stands for."""
        by_type: dict[str, Lack] = {}
        for lack in lacks:
            for kind in lack.types:
                by_type.setdefault(kind, lack)
        about = {"reference": f"Patient/{patient}"}
        made = []
        for kind, lack in by_type.items():
            if kind in self._made:
                whose = {"patient": about} if kind == "AllergyIntolerance" else {"subject": about}
                made.append((undecided(_encode({"resourceType": kind, **whose, **self._made[kind]})), lack))
        return made


def outdated(lacks: Iterable[Lack]) -> frozenset[str]:
    """Name the types of which any line may have a newer version among what is lost, so that it decides nothing."""
    types = {kind for lack in lacks for kind in lack.types}
    return frozenset(types | {"ResearchSubject"} if "ResearchStudy" in types else types)


def undecided(line: bytes) -> bytes:
    """Write a resource as a careless sender would, inside a list: what it is about shows, and no more is sure."""
    return b"[%b]" % line


def _inputs(catalog: Catalog) -> list[Json]:
    """Give a code for every role of every input that is read from results."""
    systems = catalog.mappings.vocabulary.systems
    return [
        {"system": systems[codes[0].system][0], "code": codes[0].code}
        for each in catalog.mappings.inputs.values()
        for codes in each.codes.values()
        if codes
    ]


def _covering(catalog: Catalog) -> Json:
    """Give a concept whose codes belong to every value set between them."""
    vocabulary, sets = catalog.mappings.vocabulary, catalog.mappings.value_sets
    codings: list[Json] = []
    covered: set[str] = set()
    for name in sets:
        if name in covered:
            continue
        for system, code in _codes(name, catalog):
            coding = fhir.Coding(vocabulary.systems[system][0], code)
            hit = {each.value_set for each in catalog.index.of_coding(coding)}
            if name in hit:
                codings.append({"system": coding.system, "code": code})
                covered |= hit
                break
    return {"coding": codings}


def _codes(name: str, catalog: Catalog) -> Iterable[tuple[Any, str]]:
    """Give the codes of a value set; of a range in a classification its beginning."""
    sets, ranged = catalog.mappings.value_sets, catalog.mappings.vocabulary.hierarchical
    for member in with_included(name, sets):
        for system, codes in sets[member].codes.items():
            for code in codes:
                yield system, code.code.partition("-")[0] if system in ranged else code.code
