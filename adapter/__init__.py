"""The adapter between clinical trials and hospital data, in FHIR."""

__version__ = "0.1.0"
