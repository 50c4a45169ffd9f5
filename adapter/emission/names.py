"""What every emitted resource is called: ids, canonical URLs and CQL names, the same on every run.

One trial gives fixed names, joined by the ids of its criteria and atoms (docs/export.md, "Names").
"""

import re

import msgspec

from adapter.fhir.versions import FhirVersion

DEFAULT_BASE = "https://trials.example.org/fhir"
IS_ELIGIBLE = "Is Eligible"
"""The define of the overall decision: true, false, or null where it cannot be told."""
MEETS_INCLUSION = "Meets Inclusion Criteria"
MEETS_EXCLUSION = "Meets Exclusion Criteria"


def trial_id(key: str) -> str:
    """Give the id of a trial's ResearchStudy, which begins the ids of all that belongs to it alone."""
    return key.lower()


def value_set_id(name: str) -> str:
    """Give the id of the ValueSet of a mapping's value set."""
    return name.replace("_", "-")


def input_value_set_id(name: str) -> str:
    """Give the id of the ValueSet that holds the codes an input is read from."""
    return f"input-{name.replace('_', '-')}"


def library_name(key: str) -> str:
    """Give the name of a trial's CQL library: letters and digits only, which is also its Library's id."""
    return f"{pascal(key)}Eligibility"


def pascal(words: str) -> str:
    """Write words as one name that FHIR and CQL both take: ``[A-Z][A-Za-z0-9]*``."""
    joined = "".join(part[:1].upper() + part[1:].lower() for part in re.split(r"[^A-Za-z0-9]+", words) if part)
    return joined if joined[:1].isalpha() else f"T{joined}"


class Naming(msgspec.Struct, frozen=True):
    """The canonical base of a site and the version of FHIR that is written."""

    version: FhirVersion
    base: str = DEFAULT_BASE
    publisher: str = "fhir-trial-adapter"
    """Who publishes the definitions: ``publisher`` of every canonical resource."""

    @property
    def is_r4(self) -> bool:
        """Whether R4 is written."""
        return self.version is FhirVersion.R4

    def url(self, resource_type: str, id_: str) -> str:
        """Give a canonical URL without a version."""
        return f"{self.base}/{resource_type}/{id_}"

    def canonical(self, resource_type: str, id_: str, version: str) -> str:
        """Give a canonical reference to one version."""
        return f"{self.base}/{resource_type}/{id_}|{version}"

    def identifier(self, kind: str, value: str) -> dict[str, str]:
        """Give a business identifier minted here, ``kind`` as in eligibility-plan."""
        return {"system": f"{self.base}/identifier/{kind}", "value": value}
