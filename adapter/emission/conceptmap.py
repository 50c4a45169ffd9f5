"""Which UCUM units fit which LOINC code of an input, as ConceptMaps: where one input comes as mass, moles or a share.

A map says what the mappings know and no more: the unit that was sent decides how a result is read, and a code whose
LOINC property is not known is related to every unit its input reads.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from adapter.catalog.catalog import Catalog
from adapter.catalog.dimensions import dimension_of
from adapter.cql.mappings import mapping_version
from adapter.eligibility.trial import Trial
from adapter.emission.licences import UCUM, copyright_of
from adapter.emission.names import Naming, input_value_set_id, pascal
from adapter.emission.narrative import narrative
from adapter.emission.reading import inputs_read
from adapter.emission.valueset import displayed, read_codes
from adapter.mapping.extract import Mappings
from adapter.mapping.table import Code, Input, Measure, System, Vocabulary

Resource = dict[str, Any]

_UCUM = "http://unitsofmeasure.org"
_LOINC: System = "loinc"


def concept_map_id(name: str) -> str:
    """Give the id of the ConceptMap of an input."""
    return f"units-of-{name.replace('_', '-')}"


def concept_maps_of(trial: Trial, catalog: Catalog, naming: Naming) -> list[Resource]:
    """Give the ConceptMap of every input of a trial whose codes do not all carry one kind of unit, sorted by id."""
    mappings = catalog.mappings
    names = inputs_read(trial, mappings)
    made = (concept_map(name, mappings.inputs[name], mappings, naming) for name in names)
    return sorted((each for each in made if each is not None), key=lambda each: str(each["id"]))


def concept_map(name: str, input_: Input, mappings: Mappings, naming: Naming) -> Resource | None:
    """Give the ConceptMap of one input's LOINC codes to units; None where there is nothing to choose."""
    vocabulary = mappings.vocabulary
    if not _has_a_choice(input_, vocabulary):
        return None
    elements = [each for each in _elements(input_, vocabulary, is_r4=naming.is_r4) if each["target"]]
    if not elements:
        return None
    id_, version = concept_map_id(name), mapping_version(mappings)
    title = f"Units of {input_.title} by LOINC code"
    rows = [(f"{each['code']}", ", ".join(str(unit["code"]) for unit in each["target"])) for each in elements]
    scope = naming.canonical("ValueSet", input_value_set_id(name), version)
    return {
        "resourceType": "ConceptMap",
        "id": id_,
        "text": narrative(title, rows),
        "url": naming.url("ConceptMap", id_),
        "identifier": _identifier(id_, naming),
        "version": version,
        "name": f"UnitsOf{pascal(name)}",
        "title": title,
        "status": "active",
        "experimental": False,
        "publisher": naming.publisher,
        "description": (
            f"Units in which a result of {input_.title} is read, for each LOINC code by its property. A code is no "
            "unit: the two are only related, and the unit that was sent decides how a result is read. A code whose "
            "property is not known is related to every unit that is read."
        ),
        "copyright": " ".join(said for said in (copyright_of([_LOINC]), UCUM) if said),
        ("sourceCanonical" if naming.is_r4 else "sourceScopeCanonical"): scope,
        "group": [{"source": vocabulary.systems[_LOINC][0], "target": _UCUM, "element": elements}],
    }


def _identifier(id_: str, naming: Naming) -> Resource | list[Resource]:
    """R4 allows one identifier of a ConceptMap, R5 several."""
    one: Resource = dict(naming.identifier("concept-map", id_))
    return one if naming.is_r4 else [one]


def _has_a_choice(input_: Input, vocabulary: Vocabulary) -> bool:
    """Whether codes carry different kinds of units, or one code different units that are not converted."""
    codes = (code for codes in read_codes(input_).values() for code in codes)
    kinds = {code.property for code in codes if code.property in vocabulary.properties}
    kept = (sum(factor is None for factor in measure.ucum.values()) for measure in input_.measures)
    return bool(input_.measures) and (len(kinds) > 1 or any(count > 1 for count in kept))


def _elements(input_: Input, vocabulary: Vocabulary, *, is_r4: bool) -> Iterator[Resource]:
    for role, codes in read_codes(input_).items():
        measures = [each for each in input_.measures if role in each.roles]
        for code in codes:
            if code.system == _LOINC:
                target = [
                    _target(unit, factor, measure, is_r4=is_r4)
                    for measure in measures
                    for unit, factor in measure.ucum.items()
                    if _carries(code, unit, vocabulary)
                ]
                yield {**displayed(code), "target": target}


def _target(unit: str, factor: Decimal | None, measure: Measure, *, is_r4: bool) -> Resource:
    if factor is None:
        said = "compared as reported"
    elif unit == measure.unit:
        said = "the unit results are compared in"
    else:
        said = f"multiplied by {factor:f} gives {measure.unit}"
    relation = {"equivalence": "relatedto"} if is_r4 else {"relationship": "related-to"}
    return {"code": unit, **relation, "comment": said}


def _carries(code: Code, unit: str, vocabulary: Vocabulary) -> bool:
    """Whether results of a code can come in a unit; of a property that is not known, in any."""
    carried = vocabulary.properties.get(code.property or "")
    if carried is None or unit in carried:
        return True
    kind = dimension_of(_spelled(unit, vocabulary))
    return kind is None or kind in [dimension_of(_spelled(each, vocabulary)) for each in carried]


def _spelled(unit: str, vocabulary: Vocabulary) -> str:
    """Give a unit in the spelling of the same unit that is listed first."""
    for head, *others in vocabulary.same_units:
        for other in others:
            if re.search(rf"(?<![A-Za-z\[]){re.escape(other)}(?![A-Za-z\]])", unit):
                return unit.replace(other, head)
    return unit
