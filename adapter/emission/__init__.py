"""Trials as FHIR: ResearchStudy, eligibility Group, PlanDefinition, Library and their support, in R4 and R5."""
