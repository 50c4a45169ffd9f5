"""Does a FHIR server hold the trials as they are meant: read, compared, and written where it differs."""
