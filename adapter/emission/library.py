"""A trial's logic as Libraries: the CQL that decides each atom, criterion and the trial, and what it reads."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Protocol

from adapter.catalog.catalog import Catalog
from adapter.catalog.trial_file import TrialFile
from adapter.eligibility.trial import Trial
from adapter.emission.names import IS_ELIGIBLE, MEETS_EXCLUSION, MEETS_INCLUSION, Naming
from adapter.emission.narrative import narrative
from adapter.emission.plan import dated, program
from adapter.emission.requirement import once, premise_requirements, requirements
from adapter.emission.statement import Element
from adapter.emission.terms import Terms, resource_type_coding

_HL7 = "http://hl7.org/fhir/StructureDefinition"
_PROFILES_R4 = [f"{_HL7}/shareablelibrary", "http://hl7.org/fhir/uv/cql/StructureDefinition/cql-library"]
_PROFILES_R5 = [f"{_HL7}/shareablelibrary"]
_PUBLISHABLE_R5 = f"{_HL7}/publishablelibrary"
_TYPE = "http://terminology.hl7.org/CodeSystem/library-type"


class Cql(Protocol):
    """A CQL library as it is written: its source, and the libraries it includes."""

    @property
    def name(self) -> str:
        """Its name: letters and digits."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def text(self) -> str:
        """Its source."""

    @property
    def includes(self) -> Iterable["Cql"]:
        """The libraries it includes, which may include others."""


def libraries(
    trial: Trial, file: TrialFile, catalog: Catalog, naming: Naming, cql: Cql, elm: Mapping[str, bytes]
) -> list[Element]:
    """Give the Library of a trial, after those it includes, each once."""
    found: dict[str, Element] = {}
    for each in _included(cql):
        found.setdefault(each.name, _shared(each, naming, elm))
    return [*found.values(), _of_trial(trial, file, catalog, naming, cql, elm)]


def _of_trial(
    trial: Trial, file: TrialFile, catalog: Catalog, naming: Naming, cql: Cql, elm: Mapping[str, bytes]
) -> Element:
    terms = Terms(catalog, naming)
    needed = once(
        each
        for criterion in trial.criteria
        for part in (
            premise_requirements(criterion, terms),
            *(requirements(atom, terms) for atom in criterion.atoms),
        )
        for each in part
    )
    title = f"{trial.title}: eligibility logic"
    date = dated(file)
    rows = [(each.id, each.text) for each in trial.criteria]
    library = _library(cql, title, rows, naming, is_dated=date is not None)
    if date is not None:
        library["date"] = date
    return {
        **library,
        "description": (
            f"What decides the eligibility criteria of {trial.key}: a define for each criterion and atom, named by its "
            "id, true or false, null where the record does not tell. Of an exclusion, true means that it excludes."
        ),
        "useContext": [program(trial)],
        "relatedArtifact": _depends_on([*_canonicals(cql.includes, naming), *_value_sets(needed)]),
        "parameter": [_out(name) for name in _defines(trial)],
        "dataRequirement": list(needed),
        "content": _content(cql, elm),
    }


def _shared(cql: Cql, naming: Naming, elm: Mapping[str, bytes]) -> Element:
    """Give a Library that the libraries of trials include."""
    depends = _depends_on(_canonicals(cql.includes, naming))
    return {
        **_library(cql, f"{cql.name}: shared definitions", [("Name", cql.name)], naming, is_dated=False),
        "description": f"Definitions that the eligibility logic of trials includes as {cql.name}.",
        **({"relatedArtifact": depends} if depends else {}),
        "content": _content(cql, elm),
    }


def _library(cql: Cql, title: str, rows: list[tuple[str, str]], naming: Naming, *, is_dated: bool) -> Element:
    profiles = _PROFILES_R4 if naming.is_r4 else _PROFILES_R5 + [_PUBLISHABLE_R5] * is_dated
    return {
        "resourceType": "Library",
        "id": cql.name,
        "meta": {"profile": list(profiles)},
        "text": narrative(title, rows),
        "url": naming.url("Library", cql.name),
        "identifier": [naming.identifier("eligibility-library", cql.name)],
        "version": cql.version,
        "name": cql.name,
        "title": title,
        "status": "active",
        "experimental": False,
        "type": {"coding": [{"system": _TYPE, "code": "logic-library", "display": "Logic Library"}]},
        "subjectCodeableConcept": {"coding": [resource_type_coding("Patient", naming)]},
        "publisher": naming.publisher,
    }


def _included(cql: Cql) -> list[Cql]:
    """Give what a library includes, what that includes first."""
    return [inner for each in cql.includes for inner in (*_included(each), each)]


def _defines(trial: Trial) -> list[str]:
    names = [name for each in trial.criteria for name in (each.id, *(atom.id for atom in each.atoms))]
    return [*names, MEETS_INCLUSION, MEETS_EXCLUSION, IS_ELIGIBLE]


def _out(name: str) -> Element:
    return {"name": name, "use": "out", "min": 0, "max": "1", "type": "boolean"}


def _canonicals(cql: Iterable[Cql], naming: Naming) -> list[str]:
    return [naming.canonical("Library", each.name, each.version) for each in cql]


def _value_sets(needed: Iterable[Element]) -> list[str]:
    filters = (each for one in needed for each in one.get("codeFilter", ()))
    return sorted({each["valueSet"] for each in filters if "valueSet" in each})


def _depends_on(canonicals: Iterable[str]) -> list[Element]:
    return [{"type": "depends-on", "resource": each} for each in canonicals]


def _content(cql: Cql, elm: Mapping[str, bytes]) -> list[Element]:
    content = [{"contentType": "text/cql", "data": b64encode(cql.text.encode()).decode()}]
    if cql.name in elm:
        content.append({"contentType": "application/elm+json", "data": b64encode(elm[cql.name]).decode()})
    return content
