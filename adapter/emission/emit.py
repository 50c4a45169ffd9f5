"""One trial as FHIR resources, each after those it refers to."""

from collections.abc import Mapping

from adapter.catalog.catalog import Catalog
from adapter.cql import trial_library
from adapter.emission.conceptmap import concept_maps_of
from adapter.emission.evidence import evidence_variables
from adapter.emission.group import cohort_group, eligibility_group
from adapter.emission.library import libraries
from adapter.emission.names import Naming
from adapter.emission.parties import locations, organizations
from adapter.emission.plan import plan_definition
from adapter.emission.questionnaire import questionnaire
from adapter.emission.statement import Element
from adapter.emission.study import research_study
from adapter.emission.valueset import value_sets_of


def emit_trial(
    catalog: Catalog, key: str, naming: Naming, *, elm: Mapping[str, bytes] | None = None
) -> tuple[Element, ...]:
    """Give every resource of one trial, dependencies first; raises KeyError for a key that is no trial's.

    ``elm`` gives the compiled form (ELM as JSON) of CQL libraries by their name, to stand beside their source.
    """
    (trial,) = catalog.only((key,))
    file = catalog.files[key]
    cql = trial_library(trial, catalog, naming.version)
    groups = [eligibility_group(trial, file, catalog, naming)]
    if naming.is_r4:
        groups.append(cohort_group(trial, naming))
    return (
        *organizations(file, naming),
        *locations(file, naming),
        *value_sets_of(trial, catalog, naming),
        *concept_maps_of(trial, catalog, naming),
        *libraries(trial, file, catalog, naming, cql, elm or {}),
        questionnaire(trial, file, naming),
        *evidence_variables(trial, catalog, naming),
        *groups,
        plan_definition(trial, file, catalog, naming, unsaid=cql.unsaid),
        research_study(trial, file, naming),
    )
