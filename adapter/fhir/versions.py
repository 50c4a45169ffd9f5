"""The FHIR versions the adapter speaks."""

import enum


class FhirVersion(enum.Enum):
    """A FHIR version by its name; R4B is read as R4, since nothing the adapter reads changed between them."""

    R4 = "R4"
    R5 = "R5"
