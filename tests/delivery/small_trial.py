"""A trial small enough to see at a glance, with what matters to writing: references, canonicals, ordered lists."""

from decimal import Decimal
from typing import Any

BASE = "https://trials.example.org/fhir"


def small_trial(key: str = "t1", *, title: str = "A trial") -> tuple[dict[str, Any], ...]:
    """Give a trial in the wrong order for writing: what refers stands before what it refers to."""

    def own(kind: str) -> list[dict[str, str]]:
        return [{"system": f"{BASE}/identifier/{kind}", "value": key}]

    plan = f"{key}-eligibility"
    return (
        {
            "resourceType": "ResearchStudy",
            "id": key,
            "identifier": [{"system": "https://clinicaltrials.gov/nctid", "value": "NCT00000000"}, *own("study")],
            "title": title,
            "status": "active",
            "enrollment": [{"reference": f"Group/{plan}"}],
            "protocol": [{"reference": f"PlanDefinition/{plan}"}],
        },
        {
            "resourceType": "PlanDefinition",
            "id": plan,
            "identifier": own("eligibility-plan"),
            "url": f"{BASE}/PlanDefinition/{plan}",
            "status": "active",
            "title": title,
            "action": [{"id": f"{key}-I1", "title": "first"}, {"id": f"{key}-I2", "title": "second"}],
        },
        {
            "resourceType": "Group",
            "id": plan,
            "identifier": own("eligibility-group"),
            "type": "person",
            "actual": False,
            "characteristic": [
                {
                    "code": {"text": "HbA1c"},
                    "valueRange": {"low": {"value": Decimal("7.0"), "unit": "%"}},
                    "exclude": False,
                }
            ],
        },
        shared_value_set(),
    )


def shared_value_set(title: str = "Shared") -> dict[str, Any]:
    return {
        "resourceType": "ValueSet",
        "id": "shared",
        "url": f"{BASE}/ValueSet/shared",
        "status": "active",
        "title": title,
    }
