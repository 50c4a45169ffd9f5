"""What the owners of code systems ask to be said where their codes are passed on."""

from collections.abc import Iterable

from adapter.mapping.table import System

_STATEMENTS: dict[System, str] = {
    "snomed": (
        "This resource includes content from SNOMED Clinical Terms® (SNOMED CT®) which is copyright of the "
        "International Health Terminology Standards Development Organisation (IHTSDO). Implementers must have the "
        "appropriate SNOMED CT Affiliate licence: https://www.snomed.org/get-snomed."
    ),
    "loinc": (
        "This material contains content from LOINC (http://loinc.org). LOINC is copyright © Regenstrief Institute, "
        "Inc. and the Logical Observation Identifiers Names and Codes (LOINC) Committee and is available at no cost "
        "under the license at http://loinc.org/license. LOINC® is a registered United States trademark of Regenstrief "
        "Institute, Inc."
    ),
    "cpt": "CPT is copyright of the American Medical Association. CPT is a registered trademark of it.",
    "icd10": "ICD-10 is copyright of the World Health Organization.",
    "icd10cm": "ICD-10-CM is based on ICD-10, which is copyright of the World Health Organization.",
    "atc": (
        "This resource includes content from the Anatomical Therapeutic Chemical Classification System, which is "
        "copyright of the WHO Collaborating Centre for Drug Statistics Methodology."
    ),
    "rxnorm": (
        "This resource includes RxNorm codes, courtesy of the U.S. National Library of Medicine; NLM is not "
        "responsible for it and does not endorse it."
    ),
}
"""By code system; those that are left out ask for nothing."""
UCUM = (
    "UCUM is copyright of Regenstrief Institute, Inc. and The UCUM Organization and is available at no cost under the "
    "licence at https://ucum.org/license."
)


def copyright_of(systems: Iterable[System]) -> str | None:
    """Give the statements for some code systems, each once; None where none is owed."""
    said = (_STATEMENTS.get(each) for each in sorted(set(systems)))
    return " ".join(each for each in said if each) or None
