"""What is known of a patient against a trial: pure, synchronous, no clock, no I/O, no FHIR JSON."""
