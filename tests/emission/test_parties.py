"""Sponsor and sites, in the words of the source."""

from collections.abc import Callable
from typing import Any

from adapter.catalog.catalog import Catalog
from adapter.emission.names import Naming
from adapter.emission.parties import locations, organizations
from adapter.emission.study import research_study

Problems = Callable[[dict[str, Any]], list[str]]


def test_sponsors_and_sites_keep_to_their_version_of_fhir(catalog: Catalog, naming: Naming, problems: Problems) -> None:
    emitted = [
        each for file in catalog.files.values() for each in (*organizations(file, naming), *locations(file, naming))
    ]
    assert {each["id"]: problems(each) for each in emitted} == {
        "nct01157403-sponsor": [],
        "nct01157403-site-1": [],
        "nct02302599-sponsor": [],
        "nct02302599-site-1": [],
        "nct06751199-sponsor": [],
    }


def test_a_site_has_as_much_address_as_the_source_prints(catalog: Catalog, naming: Naming) -> None:
    (site,) = locations(catalog.files["NCT01157403"], naming)
    assert site["name"] == "Endocrine Department, the south west Hospital of the Third Military Medical University"
    assert site["address"] == {"city": "Chongqing", "country": "China"}


def test_a_sponsor_who_is_a_person_is_said_to_be_one(catalog: Catalog, naming: Naming) -> None:
    file = catalog.files["NCT01157403"]
    (sponsor,) = organizations(file, naming)
    assert "A person, not an organisation." in sponsor["text"]["div"]
    (trial,) = catalog.only((file.key,))
    notes = [each["text"] for each in research_study(trial, file, naming)["note"]]
    assert "Sponsor (Lu Debin): A person, not an organisation." in notes


def test_the_study_points_to_each_of_them(catalog: Catalog, naming: Naming) -> None:
    for trial in catalog.trials:
        file = catalog.files[trial.key]
        emitted = research_study(trial, file, naming)
        sites = [f"Location/{each['id']}" for each in locations(file, naming)]
        assert [each["reference"] for each in emitted.get("site", [])] == sites
        party = emitted["sponsor"] if naming.is_r4 else emitted["associatedParty"][0].get("party", {})
        sponsors = [f"Organization/{each['id']}" for each in organizations(file, naming)]
        assert ([party["reference"]] if "reference" in party else []) == sponsors
