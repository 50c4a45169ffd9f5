"""The Libraries of a trial: its CQL, what it decides, what it reads, and the libraries it includes."""

import base64
from typing import Any

import msgspec
import pytest
from meaning import Problems

from adapter.catalog.catalog import Catalog
from adapter.emission.library import libraries
from adapter.emission.names import Naming


class Sheet(msgspec.Struct, frozen=True):
    """A CQL library that only has what a Library shows of it."""

    name: str
    text: str
    version: str = "1.0.0"
    includes: tuple["Sheet", ...] = ()


BASE = Sheet("FHIRHelpers", "library FHIRHelpers version '4.0.1'", "4.0.1")
FACTS = Sheet("AdapterFacts", "library AdapterFacts version '2.0.0'", "2.0.0", (BASE,))
RULES = Sheet("AdapterRules", "library AdapterRules version '1.0.0'", "1.0.0", (FACTS, BASE))


def made(key: str, catalog: Catalog, naming: Naming, elm: dict[str, bytes] | None = None) -> list[dict[str, Any]]:
    (trial,) = catalog.only((key,))
    own = Sheet(f"{key.capitalize()}Eligibility", f"library {key}: µ ≥", includes=(RULES, BASE))
    return libraries(trial, catalog.files[key], catalog, naming, own, elm or {})


@pytest.fixture
def cfmsc(catalog: Catalog, naming: Naming) -> dict[str, Any]:
    """The Library of one trial."""
    return made("CFMSC", catalog, naming)[-1]


def test_what_is_included_comes_first_and_once(catalog: Catalog, naming: Naming) -> None:
    assert [each["id"] for each in made("CFMSC", catalog, naming)] == [
        "FHIRHelpers",
        "AdapterFacts",
        "AdapterRules",
        "CfmscEligibility",
    ]


def test_a_library_depends_on_those_it_includes_and_on_every_value_set_it_reads(
    cfmsc: dict[str, Any], naming: Naming
) -> None:
    needed = [each["resource"] for each in cfmsc["relatedArtifact"] if each["type"] == "depends-on"]
    assert naming.canonical("Library", "AdapterRules", "1.0.0") in needed
    read = {
        one["valueSet"] for each in cfmsc["dataRequirement"] for one in each.get("codeFilter", ()) if "valueSet" in one
    }
    assert read
    assert read <= set(needed)
    assert len(needed) == len(set(needed))


def test_the_source_is_carried_as_it_is(cfmsc: dict[str, Any]) -> None:
    (content,) = cfmsc["content"]
    assert content["contentType"] == "text/cql"
    assert base64.b64decode(content["data"]).decode() == "library CFMSC: µ ≥"


def test_compiled_logic_stands_beside_the_source_of_its_library_alone(catalog: Catalog, naming: Naming) -> None:
    found = made("CFMSC", catalog, naming, {"AdapterFacts": b'{"library":{}}', "Another": b"{}"})
    types = {each["id"]: [one["contentType"] for one in each["content"]] for each in found}
    assert types["AdapterFacts"] == ["text/cql", "application/elm+json"]
    assert types["CfmscEligibility"] == ["text/cql"]
    assert base64.b64decode(found[1]["content"][1]["data"]) == b'{"library":{}}'


def test_it_gives_every_criterion_atom_and_decision_out(cfmsc: dict[str, Any], catalog: Catalog) -> None:
    (trial,) = catalog.only(("CFMSC",))
    names = [each["name"] for each in cfmsc["parameter"]]
    assert names[:3] == ["CFMSC-I1", "CFMSC-I1a", "CFMSC-I1b"]
    assert names[-3:] == ["Meets Inclusion Criteria", "Meets Exclusion Criteria", "Is Eligible"]
    assert len(names) == len(set(names)) == len(trial.criteria) + sum(len(each.atoms) for each in trial.criteria) + 3
    assert {(each["use"], each["type"]) for each in cfmsc["parameter"]} == {("out", "boolean")}


def test_the_libraries_are_fhir(catalog: Catalog, naming: Naming, problems: Problems) -> None:
    for trial in catalog.trials:
        for each in made(trial.key, catalog, naming, {"AdapterFacts": b"{}"}):
            assert problems(each) == []
