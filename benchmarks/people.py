"""Made-up patients of any number: drawn from the mappings themselves, so that no code stands here.

A patient has a birth date, a sex, results over ten years (most within the plausible range, some old, some without a
unit), conditions, medications and procedures of the value sets, and resources nobody reads, as real records do.
"""

import datetime
import json
import random
from collections.abc import Iterator
from typing import Any

from adapter.catalog.catalog import Catalog

TODAY = datetime.date(2026, 11, 1)
_UCUM = "http://unitsofmeasure.org"
_STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
Resource = dict[str, Any]


class People:
    """Draws patients; the same seed and number give the same patient."""

    def __init__(self, catalog: Catalog, seed: int = 1, filler: int = 20) -> None:
        """``filler`` resources of a patient are of types that nothing reads."""
        systems = catalog.mappings.vocabulary.systems
        self._seed = seed
        self._filler = filler
        self._results = [
            (systems[code.system][0], code, measure)
            for each in catalog.mappings.inputs.values()
            for measure in each.measures
            if measure.unit in measure.plausible
            for role in measure.roles
            for code in each.codes.get(role, ())[:1]
        ]
        sets = catalog.mappings.value_sets.values()
        exact = [
            (systems[system][0], code)
            for each in sets
            for system, codes in each.codes.items()
            if system == "snomed"
            for code in codes[:2]
        ]
        drugs = [
            (systems[system][0], code)
            for each in sets
            for system, codes in each.codes.items()
            if system == "rxnorm"
            for code in codes[:2]
        ]
        self._conditions, self._drugs = exact, drugs

    def patient(self, number: int, id_: str | None = None) -> list[Resource]:
        """Give the resources of one patient, the Patient first; ``id_`` in place of the number's own."""
        draw = random.Random(f"{self._seed}|{number}")  # noqa: S311 (made-up data needs no secrecy)
        id_ = id_ or f"p{number}"
        reference = {"reference": f"Patient/{id_}"}
        birth = TODAY - datetime.timedelta(days=draw.randint(15 * 365, 85 * 365))
        found: list[Resource] = [
            {"resourceType": "Patient", "id": id_, "gender": draw.choice(["male", "female"]), "birthDate": str(birth)}
        ]
        for kind in draw.sample(self._results, draw.randint(3, len(self._results))):
            for _ in range(draw.choice([1, 1, 2, 4])):
                found.append(self._observation(draw, f"{id_}-o{len(found)}", reference, *kind))
        for system, code in draw.sample(self._conditions, draw.randint(1, 4)):
            found.append(_condition(draw, f"{id_}-c{len(found)}", reference, system, code))
        for system, code in draw.sample(self._drugs, min(len(self._drugs), draw.randint(0, 3))):
            found.append(_order(draw, f"{id_}-m{len(found)}", reference, system, code))
        found.extend(_claim(draw, f"{id_}-e{place}", reference) for place in range(self._filler))
        return found

    def bundle(self, number: int) -> bytes:
        """Give one patient as a collection Bundle, on one line."""
        entries = [
            {"fullUrl": f"https://ehr.example.org/fhir/{each['resourceType']}/{each['id']}", "resource": each}
            for each in self.patient(number)
        ]
        return dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})

    def _observation(
        self,
        draw: random.Random,
        id_: str,
        subject: Resource,
        system: str,
        code: Any,
        measure: Any,
    ) -> Resource:
        low, high = (float(end) for end in measure.plausible[measure.unit])
        middle, spread = low + (high - low) * 0.12, (high - low) * 0.07
        value = round(min(max(draw.gauss(middle, spread), low), high), 1)
        quantity: Resource = {"value": value, "unit": measure.unit, "system": _UCUM, "code": measure.unit}
        if draw.random() < 0.02:
            quantity = {"value": value, "unit": "arb"}
        return {
            "resourceType": "Observation",
            "id": id_,
            "status": "final" if draw.random() < 0.97 else "preliminary",
            "code": {"coding": [{"system": system, "code": code.code, "display": code.display}]},
            "subject": subject,
            "effectiveDateTime": str(_day(draw)),
            "valueQuantity": quantity,
            "referenceRange": [{"high": {"value": round(middle, 1), "unit": measure.unit, "code": measure.unit}}],
        }


def _day(draw: random.Random) -> datetime.date:
    back = draw.randint(0, 80) if draw.random() < 0.6 else draw.randint(0, 3650)
    return TODAY - datetime.timedelta(days=back)


def _condition(draw: random.Random, id_: str, subject: Resource, system: str, code: Any) -> Resource:
    made: Resource = {
        "resourceType": "Condition",
        "id": id_,
        "clinicalStatus": {"coding": [{"system": _STATUS, "code": draw.choice(["active", "active", "resolved"])}]},
        "verificationStatus": {"coding": [{"system": _VERIFIED, "code": draw.choice(["confirmed", "refuted"])}]},
        "code": {"coding": [{"system": system, "code": code.code, "display": code.display}]},
        "subject": subject,
    }
    if draw.random() < 0.8:
        made["onsetDateTime"] = str(_day(draw))
    return made


def _order(draw: random.Random, id_: str, subject: Resource, system: str, code: Any) -> Resource:
    return {
        "resourceType": "MedicationRequest",
        "id": id_,
        "status": draw.choice(["active", "completed"]),
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": system, "code": code.code, "display": code.display}]},
        "subject": subject,
        "authoredOn": str(_day(draw)),
    }


def _claim(draw: random.Random, id_: str, subject: Resource) -> Resource:
    lines = [{"sequence": place, "productOrService": {"text": "visit"}, "net": {"value": 12.5}} for place in range(5)]
    return {
        "resourceType": "ExplanationOfBenefit",
        "id": id_,
        "status": "active",
        "patient": subject,
        "created": str(_day(draw)),
        "item": lines,
    }


def dumps(resource: Resource) -> bytes:
    """Write a resource on one line."""
    return json.dumps(resource, separators=(",", ":")).encode()


def resources(people: People, numbers: range) -> Iterator[tuple[str, bytes]]:
    """Give the type and the line of every resource of some patients, as a Bulk Data export holds them."""
    for number in numbers:
        for each in people.patient(number):
            yield each["resourceType"], dumps(each)
