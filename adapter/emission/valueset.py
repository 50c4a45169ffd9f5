"""The code lists of the mappings as ValueSets: which codes are meant, how they match, and which only suggest.

No ValueSet carries an expansion: of a classification only the roots are listed, and what lies below them is said by a
filter that a terminology server expands.
"""

from typing import Any

from adapter.catalog.catalog import Catalog
from adapter.cql.mappings import mapping_version
from adapter.eligibility.trial import Trial
from adapter.emission.licences import copyright_of
from adapter.emission.names import Naming, input_value_set_id, pascal, value_set_id
from adapter.emission.narrative import narrative
from adapter.emission.patterns import range_pattern
from adapter.emission.reading import inputs_read, value_sets_read, with_included
from adapter.mapping.codes import undotted
from adapter.mapping.extract import Mappings
from adapter.mapping.table import Code, Input, System, ValueSet

Resource = dict[str, Any]

REJECT = "reject"
"""The role of codes that look like an input and never count."""
_PROFILE = "http://hl7.org/fhir/StructureDefinition/shareablevalueset"
_COMMENT = "http://hl7.org/fhir/StructureDefinition/valueset-concept-comments"
_CHECKED = {
    "verified-secondary": "checked in single public sources only",
    "exists-only": "the code exists, its exact meaning is not checked",
    "weak": "weakly checked",
    "unverified": "not checked",
}
"""How a code was checked, where that is less than in an official source."""
_SHOWN = ("verified", "verified-secondary")
"""How a code was checked whose display a source shows."""


def value_set(name: str, value_set: ValueSet, mappings: Mappings, naming: Naming) -> Resource:
    """Give the ValueSet of a mapping's value set."""
    version = mapping_version(mappings)
    systems = sorted(_systems(name, mappings))
    rows = [
        (f"{system} {code.code}", "; ".join((code.display, *_comments(system, code, value_set))))
        for system, codes in value_set.codes.items()
        for code in codes
    ]
    rows += [(f"{system} {code}", "left out") for system, codes in value_set.excluding.items() for code in codes]
    rows += [("includes", mappings.value_sets[each].title) for each in value_set.includes]
    resource = _shareable(value_set_id(name), pascal(name), value_set.title, version, rows, naming)
    resource["description"] = " ".join(_told(value_set, mappings))
    resource["purpose"] = f"What the mappings call {name}: read where eligibility criteria are judged."
    include = _include(value_set, mappings)
    include += [
        {"valueSet": [naming.canonical("ValueSet", value_set_id(each), version)]} for each in value_set.includes
    ]
    exclude = [
        {"system": mappings.vocabulary.systems[system][0], "filter": [_below(code)]}
        for system, codes in value_set.excluding.items()
        for code in codes
    ]
    compose = {"include": include, "exclude": exclude} if exclude else {"include": include}
    return resource | _owed(systems) | ({"compose": compose} if include else {})


def input_value_set(name: str, input_: Input, mappings: Mappings, naming: Naming) -> Resource | None:
    """Give the ValueSet of the codes an input is read from; None for what is not read from coded results.

    Codes that look like the input and never count are left out and named, so that nobody adds them in good faith.
    """
    rows: list[tuple[str, str]] = []
    by_system: dict[System, dict[str, Resource]] = {}
    for role, codes in read_codes(input_).items():
        for code in codes:
            comments = [*_of_role(role, input_), *_checked(code)]
            by_system.setdefault(code.system, {}).setdefault(code.code, _concept(code, comments))
            rows.append((f"{code.system} {code.code}", "; ".join((code.display, *comments))))
    if not by_system:
        return None
    never = () if REJECT in input_.needs_fasting else input_.codes.get(REJECT, ())
    rows += [(f"{code.system} {code.code}", f"{code.display}; never counts") for code in never]
    told = [f"Codes from which {input_.title} is read ({input_.source})."]
    if never:
        told.append(f"Not part of it, though alike: {', '.join(code.code for code in never)}.")
    if input_.note:
        told.append(input_.note)
    title = f"Codes of {input_.title}"
    version = mapping_version(mappings)
    resource = _shareable(input_value_set_id(name), f"Input{pascal(name)}", title, version, rows, naming)
    resource["description"] = " ".join(told)
    resource["purpose"] = f"What the mappings call the input {name}: which results to ask for and to read."
    urls = mappings.vocabulary.systems
    include = [{"system": urls[system][0], "concept": list(each.values())} for system, each in by_system.items()]
    return resource | _owed(sorted(by_system)) | {"compose": {"include": include}}


def value_sets_of(trial: Trial, catalog: Catalog, naming: Naming) -> list[Resource]:
    """Give every ValueSet that a trial's atoms read, those that others include too, sorted by id."""
    mappings = catalog.mappings
    found = [value_set(name, mappings.value_sets[name], mappings, naming) for name in value_sets_read(trial, mappings)]
    for name in inputs_read(trial, mappings):
        made = input_value_set(name, mappings.inputs[name], mappings, naming)
        if made is not None:
            found.append(made)
    return sorted(found, key=lambda each: str(each["id"]))


def read_codes(input_: Input) -> dict[str, tuple[Code, ...]]:
    """Give an input's codes that are read, by role: all but those that never count."""
    return {role: codes for role, codes in input_.codes.items() if role != REJECT or role in input_.needs_fasting}


def _shareable(id_: str, name: str, title: str, version: str, rows: list[tuple[str, str]], naming: Naming) -> Resource:
    return {
        "resourceType": "ValueSet",
        "id": id_,
        "meta": {"profile": [_PROFILE]},
        "text": narrative(title, rows),
        "url": naming.url("ValueSet", id_),
        "identifier": [naming.identifier("value-set", id_)],
        "version": version,
        "name": name,
        "title": title,
        "status": "active",
        "experimental": False,
        "publisher": naming.publisher,
    }


def _include(value_set: ValueSet, mappings: Mappings) -> list[Resource]:
    """Give a set's own codes: of a classification a filter each, of any other system the codes as listed."""
    found: list[Resource] = []
    for system, codes in value_set.codes.items():
        url = mappings.vocabulary.systems[system][0]
        if system in mappings.vocabulary.hierarchical:
            found += [{"system": url, "filter": [_below(each.code)]} for each in codes]
            continue
        concepts = {each.code: _concept(each, _comments(system, each, value_set)) for each in codes}
        found.append({"system": url, "concept": list(concepts.values())})
    return found


def _told(value_set: ValueSet, mappings: Mappings) -> list[str]:
    """Say in sentences what the codes mean and how they match."""
    hierarchical = mappings.vocabulary.hierarchical
    told = [f"{value_set.title}."]
    if any(system in hierarchical for system in value_set.codes):
        told.append("A root of a classification stands for every code below it.")
    if any(system not in hierarchical for system in value_set.codes):
        told.append("Codes of other systems match exactly: a descendant is meant only where it is listed.")
    for reason, by_system in value_set.suggests.items():
        listed = dict.fromkeys(code for codes in by_system.values() for code in codes)
        told.append(f"Members that only suggest it and leave it open ({reason.meaning}): {', '.join(listed)}.")
    if not value_set.codes and not value_set.includes:
        told.append("It holds no code until a site supplies them.")
    return [*told, value_set.note] if value_set.note else told


def _systems(name: str, mappings: Mappings) -> set[System]:
    """Give the systems whose codes a value set holds, those of the sets it includes too."""
    sets = (mappings.value_sets[each] for each in with_included((name,), mappings) if each in mappings.value_sets)
    return {system for each in sets for system in each.codes}


def _owed(systems: list[System]) -> Resource:
    said = copyright_of(systems)
    return {"copyright": said} if said else {}


def _below(code: str) -> Resource:
    """Say every code below a root, itself included; of a range, every code whose beginning lies in it."""
    low, dash, high = code.partition("-")
    if not dash:
        return {"property": "concept", "op": "is-a", "value": code}
    return {"property": "code", "op": "regex", "value": range_pattern(undotted(low), undotted(high))}


def displayed(code: Code) -> Resource:
    """Give a code with its display; words that no source shows for the code are no display of it."""
    return {"code": code.code, "display": code.display} if code.verified in _SHOWN else {"code": code.code}


def _concept(code: Code, comments: list[str]) -> Resource:
    concept = displayed(code)
    comments = comments if "display" in concept else [code.display, *comments]
    return {"extension": [{"url": _COMMENT, "valueString": "; ".join(comments)}], **concept} if comments else concept


def _comments(system: System, code: Code, value_set: ValueSet) -> list[str]:
    reasons = (reason for reason, codes in value_set.suggests.items() if code.code in codes.get(system, ()))
    doubts = [f"only suggests it: {reason.meaning}" for reason in reasons]
    route = value_set.routes.get(code.code)
    return [*doubts, *([f"names its route: {route}"] if route else []), *_checked(code)]


def _of_role(role: str, input_: Input) -> list[str]:
    """Say of a code in which role it is read, where it does not simply decide."""
    if role in input_.needs_fasting:
        return ["counts only where the result shows the fasting state"]
    return [] if role in input_.decides or not input_.decides else [f"role {role}: does not decide by itself"]


def _checked(code: Code) -> list[str]:
    said = _CHECKED.get(code.verified)
    return [said] if said else []
