"""The adapter between clinical trials and hospital data, in FHIR.

>>> import adapter
>>> catalog = adapter.load_catalog()
>>> [trial.key for trial in catalog.trials]
['BMMSC', 'CFMSC', 'NCT01157403', 'NCT02302599', 'NCT06751199']

``screen_bundle(data, catalog, parse_as_of("2026-11-01T00:00:00Z"))`` screens the patients of a Bundle given as bytes.
``emit_trial(catalog, "CFMSC", Naming(FhirVersion.R4))`` gives a trial as FHIR resources.
Importing the package loads nothing heavy; each name is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapter.catalog.catalog import Catalog
    from adapter.catalog.load import load_catalog
    from adapter.eligibility.decide import Screening, Verdict
    from adapter.eligibility.finding import Evidence, Finding, Judgement
    from adapter.eligibility.reason import Reason
    from adapter.eligibility.truth import Truth
    from adapter.emission.emit import emit_trial
    from adapter.emission.names import Naming
    from adapter.errors import AdapterError, Issue
    from adapter.fhir.dates import parse_as_of
    from adapter.screen import DocumentScreening, PatientScreening, screen_bundle

__version__ = "0.1.0"

__all__ = [
    "AdapterError",
    "Catalog",
    "DocumentScreening",
    "Evidence",
    "Finding",
    "Issue",
    "Judgement",
    "Naming",
    "PatientScreening",
    "Reason",
    "Screening",
    "Truth",
    "Verdict",
    "emit_trial",
    "load_catalog",
    "parse_as_of",
    "screen_bundle",
]

_WHERE = {
    "AdapterError": "errors",
    "Catalog": "catalog.catalog",
    "DocumentScreening": "screen",
    "Evidence": "eligibility.finding",
    "Finding": "eligibility.finding",
    "Issue": "errors",
    "Judgement": "eligibility.finding",
    "Naming": "emission.names",
    "PatientScreening": "screen",
    "Reason": "eligibility.reason",
    "Screening": "eligibility.decide",
    "Truth": "eligibility.truth",
    "Verdict": "eligibility.decide",
    "emit_trial": "emission.emit",
    "load_catalog": "catalog.load",
    "parse_as_of": "fhir.dates",
    "screen_bundle": "screen",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    """Load a public name when it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module 'adapter' has no attribute {name!r}")
    return getattr(import_module(f"adapter.{_WHERE[name]}"), name)
