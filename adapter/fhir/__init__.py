"""The FHIR boundary: bytes to records on the way in, screenings to resources on the way out."""
