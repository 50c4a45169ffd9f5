"""A ValueSet holds exactly the codes that the adapter reads as its concept, and says how they match."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adapter.catalog.catalog import Catalog
from adapter.catalog.load import load_catalog
from adapter.cql.mappings import mapping_version
from adapter.emission.conceptmap import concept_map, concept_maps_of
from adapter.emission.names import Naming, value_set_id
from adapter.emission.patterns import range_pattern
from adapter.emission.reading import inputs_read, value_sets_read
from adapter.emission.valueset import input_value_set, value_set, value_sets_of
from adapter.fhir import resources as fhir
from adapter.fhir.versions import FhirVersion
from adapter.mapping.codes import _Prefix, undotted
from adapter.mapping.table import ValueSet

Problems = Callable[[dict[str, Any]], list[str]]
R4, R5 = Naming(FhirVersion.R4), Naming(FhirVersion.R5)
SNOMED = "http://snomed.info/sct"
ICD = st.from_regex(r"[A-D][0-9][0-9A-C][0-9]?", fullmatch=True)


def shipped(name: str, catalog: Catalog, naming: Naming = R5) -> dict[str, Any]:
    return value_set(name, catalog.mappings.value_sets[name], catalog.mappings, naming)


def of_input(name: str, catalog: Catalog, naming: Naming = R5) -> dict[str, Any]:
    made = input_value_set(name, catalog.mappings.inputs[name], catalog.mappings, naming)
    assert made is not None
    return made


def holds(emitted: dict[str, dict[str, Any]], url: str, system: str, code: str) -> bool:
    """Say whether a terminology server would find a code in a ValueSet, reading ``is-a`` as a classification does."""
    compose = emitted[url].get("compose", {"include": []})
    inside = any(_in_part(emitted, part, system, code) for part in compose["include"])
    return inside and not any(_in_part(emitted, part, system, code) for part in compose.get("exclude", []))


def _in_part(emitted: dict[str, dict[str, Any]], part: dict[str, Any], system: str, code: str) -> bool:
    if "valueSet" in part:
        return all(holds(emitted, url, system, code) for url in part["valueSet"])
    if part["system"] != system:
        return False
    if "concept" in part:
        return any(each["code"] == code for each in part["concept"])
    return all(_passes(each, code) for each in part["filter"])


def _passes(filter_: dict[str, str], code: str) -> bool:
    match filter_["property"], filter_["op"]:
        case "concept", "is-a":
            return undotted(code).startswith(undotted(filter_["value"]))
        case "code", "regex":
            return re.fullmatch(filter_["value"], code) is not None
        case _:
            raise AssertionError(filter_)


def probes(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Give every listed code, ends of ranges and codes beside and below them, with their systems."""
    vocabulary = catalog.mappings.vocabulary
    for each in catalog.mappings.value_sets.values():
        for system, codes in each.codes.items():
            url = vocabulary.systems[system][0]
            for code in codes:
                if system not in vocabulary.hierarchical:
                    yield url, code.code
                    continue
                for end in code.code.split("-"):
                    below = end[:-1] + chr(ord(end[-1]) - 1) if end[-1] not in "0A" else end
                    above = end[:-1] + chr(ord(end[-1]) + 1) if end[-1] not in "9Z" else end
                    for root in (end, below, above, end[:3]):
                        yield from ((url, root), (url, f"{root}.9" if len(root) == 3 else f"{root}9"))


def test_every_value_set_keeps_to_its_version_of_fhir(catalog: Catalog, naming: Naming, problems: Problems) -> None:
    made = {each["id"]: each for trial in catalog.trials for each in value_sets_of(trial, catalog, naming)}
    assert {id_: found for id_, each in made.items() if (found := problems(each))} == {}
    assert len(made) > 100


def test_every_concept_map_keeps_to_its_version_of_fhir(catalog: Catalog, naming: Naming, problems: Problems) -> None:
    made = {each["id"]: each for trial in catalog.trials for each in concept_maps_of(trial, catalog, naming)}
    assert {id_: found for id_, each in made.items() if (found := problems(each))} == {}
    assert "units-of-hba1c" in made


def test_a_value_set_holds_exactly_the_codes_that_are_read_as_its_concept(catalog: Catalog) -> None:
    version = mapping_version(catalog.mappings)
    emitted = {
        R5.canonical("ValueSet", value_set_id(name), version): shipped(name, catalog)
        for name in catalog.mappings.value_sets
    }
    wrong, asked = [], 0
    for system, code in sorted(set(probes(catalog))):
        members = {each.value_set for each in catalog.index.of_coding(fhir.Coding(system, code))}
        for name in catalog.mappings.value_sets:
            url = R5.canonical("ValueSet", value_set_id(name), version)
            asked += 1
            if holds(emitted, url, system, code) != (name in members):
                wrong.append((name, system, code))
    assert wrong == []
    assert asked > 50_000


def test_an_input_holds_exactly_the_codes_it_is_read_from(catalog: Catalog) -> None:
    systems = catalog.mappings.vocabulary.systems
    for name, mapped in catalog.mappings.inputs.items():
        read = {
            (systems[code.system][0], code.code)
            for role, codes in mapped.codes.items()
            for code in codes
            if role != "reject" or mapped.needs_fasting == ("reject",)
        }
        made = input_value_set(name, mapped, catalog.mappings, R5)
        parts = made["compose"]["include"] if made is not None else []
        assert {(part["system"], each["code"]) for part in parts for each in part["concept"]} == read


@given(ends=st.tuples(ICD, ICD), code=ICD)
def test_a_range_means_as_a_pattern_what_it_means_in_a_mapping(ends: tuple[str, str], code: str) -> None:
    low, high = sorted(ends)
    assume(low != high)
    assume(len(code) >= max(len(low), len(high)))  # a shorter code is wider than the ends of the range
    prefix = _Prefix(low, high, "", None, None, ())
    dotted = f"{code[:3]}.{code[3:]}" if len(code) > 3 else code
    for written in (code, dotted, f"{dotted[:3]}.{code[3:]}9"):
        assert (re.fullmatch(range_pattern(low, high), written) is not None) == prefix.holds(undotted(written))


@pytest.mark.parametrize(
    ("low", "high", "inside", "outside"),
    [
        ("K743", "K746", ["K74.3", "K745", "K74.69"], ["K74.2", "K74", "K74.7"]),
        ("O00", "O9A", ["O00", "O99.9", "O9A.1", "O9A"], ["N99", "O9B", "P00"]),
        ("C00", "D48", ["C7A.0", "D3A", "D48.9"], ["D49", "B99"]),
    ],
)
def test_a_pattern_reaches_from_end_to_end(low: str, high: str, inside: list[str], outside: list[str]) -> None:
    pattern = re.compile(range_pattern(low, high))
    assert [code for code in inside if not pattern.fullmatch(code)] == []
    assert [code for code in outside if pattern.fullmatch(code)] == []


def test_no_value_set_claims_an_expansion(catalog: Catalog) -> None:
    made = [each for trial in catalog.trials for each in value_sets_of(trial, catalog, R5)]
    assert not any("expansion" in each for each in made)


def test_every_row_that_something_uses_is_emitted(catalog: Catalog) -> None:
    mappings = catalog.mappings
    used = {name for trial in catalog.trials for name in value_sets_read(trial, mappings)}
    assert used == {name for name, each in mappings.value_sets.items() if not each.unused}
    assert {name for trial in catalog.trials for name in inputs_read(trial, mappings)} == set(mappings.inputs)


def test_a_trial_carries_what_its_atoms_read_and_nothing_else(catalog: Catalog) -> None:
    mappings = catalog.mappings
    for trial in catalog.trials:
        known = {*value_sets_read(trial, mappings), *inputs_read(trial, mappings)}
        names = {*mappings.value_sets, *mappings.inputs}
        for criterion in trial.criteria:
            for atom in criterion.atoms:
                assert (atom.reads or set()) & names <= known
    (small,) = catalog.only(("NCT01157403",))
    read = value_sets_read(small, mappings)
    assert "t1dm" in read
    assert "rx_sglt2" in read  # through what rx_antidiabetic includes
    assert "pregnancy" not in read
    assert "karnofsky" not in inputs_read(small, mappings)


def test_what_a_value_set_includes_is_carried_along(catalog: Catalog, naming: Naming) -> None:
    for trial in catalog.trials:
        made = value_sets_of(trial, catalog, naming)
        urls = {f"{each['url']}|{each['version']}" for each in made}
        parts = [part for each in made for part in each.get("compose", {}).get("include", [])]
        assert {url for part in parts for url in part.get("valueSet", [])} <= urls
        assert [each["id"] for each in made] == sorted(each["id"] for each in made)


def test_the_units_of_an_input_belong_to_its_codes(catalog: Catalog, naming: Naming) -> None:
    for trial in catalog.trials:
        urls = {f"{each['url']}|{each['version']}" for each in value_sets_of(trial, catalog, naming)}
        for each in concept_maps_of(trial, catalog, naming):
            assert each["sourceCanonical" if naming.is_r4 else "sourceScopeCanonical"] in urls


def test_members_that_only_suggest_are_named_as_such(catalog: Catalog) -> None:
    hbv = shipped("hbv", catalog)
    meaning = "not confirmed, a code that does not prove it, or a rival diagnosis"
    assert f"Members that only suggest it and leave it open ({meaning}): Z22.51, Z22.5." in hbv["description"]
    concepts = shipped("severe_heart", catalog)["compose"]["include"][0]["concept"]
    said = {each["code"]: each["extension"][0]["valueString"] for each in concepts if "extension" in each}
    assert said["22298006"] == "only suggests it: the record does not show the severity the text asks for"
    assert "84114007" not in said


def test_words_that_no_source_shows_are_no_display(catalog: Catalog) -> None:
    include = shipped("retinal_laser", catalog)["compose"]["include"]
    concepts = {each["code"]: each for part in include for each in part.get("concept", [])}
    assert "display" not in concepts["67228"]
    assert concepts["67228"]["extension"][0]["valueString"] == "panretinal photocoagulation (from memory); not checked"


def test_codes_that_only_look_like_an_input_are_left_out_and_named(catalog: Catalog) -> None:
    assert (
        "Not part of it, though alike: 62388-4, 41995-2, 55454-3, 86910-7." in of_input("hba1c", catalog)["description"]
    )


def test_glucose_of_any_time_counts_only_when_fasting_is_shown(catalog: Catalog) -> None:
    concepts = of_input("fasting_glucose", catalog)["compose"]["include"][0]["concept"]
    (any_time,) = (each for each in concepts if each["code"] == "2345-7")
    assert any_time["extension"][0]["valueString"] == "counts only where the result shows the fasting state"


def test_an_input_that_is_no_coded_result_has_no_value_set(catalog: Catalog) -> None:
    mappings = catalog.mappings
    assert input_value_set("age", mappings.inputs["age"], mappings, R5) is None


def test_owners_of_code_systems_are_named_where_their_codes_are_passed_on(catalog: Catalog) -> None:
    for name, each in catalog.mappings.value_sets.items():
        said = shipped(name, catalog).get("copyright", "")
        assert ("SNOMED CT" in said) == ("snomed" in each.codes), name
        assert ("LOINC" in said) == ("loinc" in each.codes), name
    assert "RxNorm" in shipped("rx_antidiabetic", catalog)["copyright"]
    assert "Regenstrief" in of_input("hba1c", catalog)["copyright"]


def test_an_empty_set_waits_for_its_site(catalog: Catalog, naming: Naming, problems: Problems) -> None:
    emitted = shipped("study_product_components", catalog, naming)
    assert "compose" not in emitted
    assert "It holds no code until a site supplies them." in emitted["description"]
    assert problems(emitted) == []


def test_what_falls_inside_a_range_by_spelling_only_is_left_out(catalog: Catalog) -> None:
    (left_out,) = shipped("tumor_uncertain", catalog)["compose"]["exclude"]
    assert left_out["filter"] == [{"property": "concept", "op": "is-a", "value": "D3A"}]


@pytest.mark.parametrize(
    ("input_", "code", "units"),
    [
        ("creatinine", "2160-0", ["mg/dL"]),
        ("creatinine", "14682-9", ["umol/L", "mmol/L"]),
        ("fasting_cpeptide", "13037-7", ["ng/mL", "ug/L"]),
        ("fasting_cpeptide", "42180-0", ["nmol/L", "pmol/L", "pmol/mL"]),
        ("fasting_glucose", "1558-6", ["mg/dL"]),
        ("hba1c", "4548-4", ["%", "mmol/mol"]),
    ],
)
def test_a_code_is_related_to_the_units_its_property_can_carry(
    input_: str, code: str, units: list[str], catalog: Catalog, naming: Naming
) -> None:
    made = concept_map(input_, catalog.mappings.inputs[input_], catalog.mappings, naming)
    assert made is not None
    (element,) = (each for each in made["group"][0]["element"] if each["code"] == code)
    assert [each["code"] for each in element["target"]] == units
    word = ("equivalence", "relatedto") if naming.is_r4 else ("relationship", "related-to")
    assert all(each[word[0]] == word[1] for each in element["target"])


@pytest.mark.parametrize("input_", ["weight", "alt", "age", "consent"])
def test_where_there_is_one_kind_of_unit_there_is_no_map(input_: str, catalog: Catalog, naming: Naming) -> None:
    assert concept_map(input_, catalog.mappings.inputs[input_], catalog.mappings, naming) is None


def test_another_content_of_the_mappings_is_another_version(catalog: Catalog) -> None:
    assert re.fullmatch(r"1\.0\.0-m[0-9a-f]{8}", mapping_version(catalog.mappings))
    again = load_catalog()
    assert mapping_version(again.mappings) == mapping_version(catalog.mappings)
    for trial, same in zip(catalog.trials, again.trials, strict=True):
        assert value_sets_of(trial, catalog, R4) == value_sets_of(same, again, R4)


def test_a_set_of_no_known_owner_owes_nothing(catalog: Catalog) -> None:
    assert "copyright" not in value_set("empty", ValueSet("Nothing"), catalog.mappings, R5)
