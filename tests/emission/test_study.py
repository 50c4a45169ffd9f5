"""The ResearchStudy says all that the source says, in the elements of its version."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from adapter.catalog.catalog import Catalog
from adapter.catalog.trial_file import Metadata, Text, TrialFile
from adapter.emission.names import Naming
from adapter.emission.parties import locations, organizations
from adapter.emission.study import research_study
from adapter.fhir.versions import FhirVersion

ABSENT = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}
Problems = Callable[[dict[str, Any]], list[str]]
KEYS = ("BMMSC", "CFMSC", "NCT01157403", "NCT02302599", "NCT06751199")
R4, R5 = Naming(FhirVersion.R4), Naming(FhirVersion.R5)


def study(key: str, catalog: Catalog, naming: Naming) -> dict[str, Any]:
    (trial,) = catalog.only((key,))
    return research_study(trial, catalog.files[key], naming)


def leaves(node: object) -> Iterator[str]:
    """Give every text and number that stands in a tree."""
    if isinstance(node, dict):
        for value in node.values():
            yield from leaves(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from leaves(value)
    elif isinstance(node, str) or (isinstance(node, int) and not isinstance(node, bool)):
        yield str(node)


@pytest.mark.parametrize("key", KEYS)
def test_a_study_keeps_to_its_version_of_fhir(key: str, catalog: Catalog, naming: Naming, problems: Problems) -> None:
    assert problems(study(key, catalog, naming)) == []


@pytest.mark.parametrize("key", KEYS)
def test_nothing_the_source_says_is_lost(key: str, catalog: Catalog, naming: Naming) -> None:
    file = catalog.files[key]
    emitted = [study(key, catalog, naming), *organizations(file, naming), *locations(file, naming)]
    for resource in emitted:
        del resource["text"]
    words = "\n".join(leaves(emitted))
    metadata = file.metadata
    if naming.is_r4:
        metadata = msgspec.structs.replace(metadata, enrollment=None)  # R4 keeps it in the Group
    said = [*leaves(msgspec.to_builtins(metadata)), *file.notices, *(each.text for each in file.contradictions)]
    assert [each for each in said if each.rstrip(".") not in words] == []


@pytest.mark.parametrize(
    ("key", "r4", "r5"),
    [
        ("NCT02302599", {"status": "completed"}, {"code": "completed", "text": "COMPLETED"}),
        ("NCT06751199", {"status": "active"}, {"code": "recruiting", "text": "Recruiting"}),
        ("NCT01157403", {"_status": ABSENT}, {"text": "UNKNOWN"}),
        ("BMMSC", {"_status": ABSENT}, {"text": "Unknown status"}),
        ("CFMSC", {"_status": ABSENT}, None),
    ],
)
def test_the_state_of_a_study_stands_where_its_version_keeps_it(
    key: str, r4: dict[str, Any], r5: dict[str, str] | None, catalog: Catalog
) -> None:
    emitted = study(key, catalog, R4)
    assert {name: value for name, value in emitted.items() if name in ("status", "_status")} == r4
    ((state),) = (each["state"] for each in study(key, catalog, R5)["progressStatus"])
    system = "http://hl7.org/fhir/research-study-status"
    coding = {"coding": [{"system": system, "code": r5["code"]}]} if r5 and "code" in r5 else {}
    assert state == ({**coding, "text": r5["text"]} if r5 else ABSENT)


def test_the_status_of_an_r5_record_is_not_that_of_the_study(catalog: Catalog) -> None:
    assert {key: study(key, catalog, R5)["status"] for key in KEYS} == {
        "BMMSC": "unknown",
        "CFMSC": "unknown",
        "NCT01157403": "unknown",
        "NCT02302599": "active",
        "NCT06751199": "active",
    }


@pytest.mark.parametrize(
    ("key", "element"), [("CFMSC", "phase"), ("CFMSC", "period"), ("NCT02302599", "phase"), ("NCT06751199", "period")]
)
def test_what_the_source_leaves_out_is_said_to_be_absent(
    key: str, element: str, catalog: Catalog, naming: Naming
) -> None:
    assert study(key, catalog, naming)[element] == ABSENT


def test_an_unnamed_sponsor_is_said_to_be_absent(catalog: Catalog) -> None:
    assert study("CFMSC", catalog, R4)["sponsor"] == ABSENT
    (party,) = study("CFMSC", catalog, R5)["associatedParty"]
    assert party["_name"] == ABSENT
    assert "party" not in party


def test_a_study_points_to_its_criteria_and_its_logic(catalog: Catalog, naming: Naming) -> None:
    emitted = study("CFMSC", catalog, naming)
    assert emitted["protocol"] == [{"reference": "PlanDefinition/cfmsc-eligibility"}]
    group = {"reference": "Group/cfmsc-eligibility"}
    if naming.is_r4:
        assert emitted["enrollment"] == [group, {"reference": "Group/cfmsc-cohort"}]
    else:
        assert emitted["recruitment"] == {"eligibility": group}


def test_a_trial_is_known_by_its_number_where_it_has_one(catalog: Catalog, naming: Naming) -> None:
    ours = {"use": "secondary", "system": "https://trials.example.org/fhir/identifier/study"}
    nct = {"use": "official", "system": "https://clinicaltrials.gov/nctid", "value": "NCT01157403"}
    assert study("NCT01157403", catalog, naming)["identifier"] == [nct, {**ours, "value": "NCT01157403"}]
    assert study("CFMSC", catalog, naming)["identifier"] == [{**ours, "value": "CFMSC"}]


def test_arms_and_outcomes_keep_their_kinds(catalog: Catalog) -> None:
    r4, r5 = study("NCT02302599", catalog, R4), study("NCT02302599", catalog, R5)
    for arms in (r4["arm"], r5["comparisonGroup"]):
        assert [arm["type"]["coding"][0]["code"] for arm in arms] == ["experimental", "placebo-comparator"]
    assert [each["type"]["coding"][0]["code"] for each in r4["objective"]] == ["primary", "secondary", "secondary"]
    assert [each["type"][0]["coding"][0]["code"] for each in r5["outcomeMeasure"]] == [
        "primary",
        "secondary",
        "secondary",
    ]
    assert all("Time frame: 48 weeks from baseline" in each["description"] for each in r5["outcomeMeasure"])


def test_words_of_ours_are_marked_as_ours(catalog: Catalog, naming: Naming) -> None:
    notes = [each["text"] for each in study("CFMSC", catalog, naming)["note"]]
    title = "Clonal fetal mesenchymal stem cells in type II diabetes mellitus"
    assert f"Title: these words are ours: {title}" in notes


def test_a_study_of_which_nothing_but_its_title_is_known_is_fhir_too(
    catalog: Catalog, naming: Naming, problems: Problems
) -> None:
    (trial,) = catalog.only(("CFMSC",))
    bare = TrialFile("CFMSC", "1.0.0", Metadata(Text("A title")), catalog.files["CFMSC"].source, ())
    emitted = research_study(trial, bare, naming)
    assert problems(emitted) == []
    assert "note" not in emitted
    assert organizations(bare, naming) == locations(bare, naming) == []


def test_markup_in_the_words_of_a_trial_stays_text(catalog: Catalog, naming: Naming) -> None:
    (trial,) = catalog.only(("CFMSC",))
    file = catalog.files["CFMSC"]
    metadata = msgspec.structs.replace(file.metadata, conditions=(Text("<script>alert(1)</script> & more"),))
    emitted = research_study(trial, msgspec.structs.replace(file, metadata=metadata), naming)
    assert "<script>" not in emitted["text"]["div"]
    assert emitted["condition"] == [{"text": "<script>alert(1)</script> & more"}]
    assert json.dumps(emitted)
