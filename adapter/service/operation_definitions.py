"""What our own operations take and give, as OperationDefinitions."""

from typing import Any

from adapter.emission.files import Resource
from adapter.emission.names import Naming

VERSION = "1.0.0"
"""Of what clients rely on here; it changes when they must."""


def operation_definitions(naming: Naming) -> tuple[Resource, ...]:
    """Give the definitions of our own operations."""
    evaluate = [
        _parameter(
            "study", "Identifier", "Type level only: business identifier of the trial; without it, every trial."
        ),
        _parameter("data", "Bundle", "The patients and their data; nothing is fetched.", least=1),
        _parameter("subject", "string", "References of patients in data; without it, every Patient in data.", most="*"),
        _parameter(
            "timestamp", "dateTime", "The instant of the question, for age and look-back windows; default: now."
        ),
        _parameter("persist", "boolean", "Whether the results are kept and delivered; default: false."),
        _returned("A collection Bundle of ResearchSubject, GuidanceResponse and Provenance."),
    ]
    match = [
        _parameter("trialMatchClinicalData", "Bundle", "One patient and the data about that patient.", least=1),
        _returned("A searchset Bundle of ResearchStudy: the trials that nothing stands against, the best match first."),
    ]
    return (
        _operation(naming, "evaluate-eligibility", "Evaluate trial eligibility", evaluate, affects=True, instance=True),
        _operation(naming, "match", "Match trials to a patient", match, affects=False, instance=False),
    )


def _operation(
    naming: Naming, code: str, title: str, parameters: list[dict[str, Any]], *, affects: bool, instance: bool
) -> Resource:
    id_ = f"ResearchStudy-{code}"
    return {
        "resourceType": "OperationDefinition",
        "id": id_,
        "url": naming.url("OperationDefinition", id_),
        "version": VERSION,
        "name": "ResearchStudy" + "".join(word.capitalize() for word in code.split("-")),
        "title": title,
        "status": "active",
        "kind": "operation",
        "publisher": naming.publisher,
        "affectsState": affects,
        "code": code,
        "resource": ["ResearchStudy"],
        "system": False,
        "type": True,
        "instance": instance,
        "parameter": parameters,
    }


def _parameter(name: str, kind: str, said: str, *, least: int = 0, most: str = "1") -> dict[str, Any]:
    return {"name": name, "use": "in", "min": least, "max": most, "documentation": said, "type": kind}


def _returned(said: str) -> dict[str, Any]:
    return {"name": "return", "use": "out", "min": 1, "max": "1", "documentation": said, "type": "Bundle"}
