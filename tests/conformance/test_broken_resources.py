"""A sound resource has nothing wrong; broken in one place, it is found wrong there and for that reason."""

import pytest
from conformance.breaks import BREAKS, CRITERION, Break, put
from conformance.breaks_of_invariants import INVARIANTS
from conformance.invariants import BUILT_IN, RULES, Standing
from conformance.packages import RELEASES, checker
from conformance.references import Export, of_bundle, request_faults
from conformance.sound_resources import BASE, sound

ROWS = [(release, each) for each in [*BREAKS, *INVARIANTS] for release in each.releases]


@pytest.mark.parametrize(
    ("release", "row"), ROWS, ids=[f"{release}-{each.key}-{each.type}.{each.at}" for release, each in ROWS]
)
def test_a_broken_resource_is_found_wrong_where_it_is_broken(release: str, row: Break) -> None:
    resource = sound(release)[row.type]
    put(resource, row.at, row.value)
    found = checker(release).check(resource).of(row.weight)
    assert (row.place, row.key) in {(each.path, each.key) for each in found}, found


@pytest.mark.parametrize("release", RELEASES)
def test_a_sound_resource_has_nothing_wrong(release: str) -> None:
    for name, resource in sound(release).items():
        report = checker(release).check(resource)
        assert report.errors == []
        narrative = {("dom-6", "Bundle")} if name == "Bundle" else set()
        assert {(each.key, each.path.partition(".")[0]) for each in report.warnings} == narrative


SITE = "ResearchStudy/study: ResearchStudy.site[0].reference"
LIBRARY = "PlanDefinition/plan: PlanDefinition.library[0]"
CODE = "Group/criteria: Group.characteristic[0].code"
UNKNOWN = "urn:uuid:00000000-0000-4000-8000-000000000000"
EXPORT_BREAKS = [
    ("ResearchStudy", "site.0.reference", "Location/elsewhere", "unresolved", SITE),
    ("ResearchStudy", "site.0.reference", f"{BASE}/Location/elsewhere", "unresolved", SITE),
    ("ResearchStudy", "site.0.reference", UNKNOWN, "unresolved", SITE),
    ("PlanDefinition", "library.0", f"{BASE}/Library/Other|1.0.0", "unresolved", LIBRARY),
    ("PlanDefinition", "library.0", f"{BASE}/Library/Logic|2.0.0", "version", LIBRARY),
    ("PlanDefinition", "library.0", f"{BASE}/Library/Logic", "unversioned", LIBRARY),
    ("PlanDefinition", "library.0", "https://elsewhere.example.org/Library/X|1", "outside", LIBRARY),
    (
        "Group",
        f"{CRITERION}.code.extension.0.valueCanonical",
        f"{BASE}/ValueSet/other|1.0.0",
        "unresolved",
        f"{CODE}.extension[0].valueCanonical",
    ),
    ("Group", f"{CRITERION}.code.coding.0.system", f"{BASE}/CodeSystem/ours", "unresolved", f"{CODE}.coding[0]"),
]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("type_", "at", "value", "key", "path"), EXPORT_BREAKS)
def test_a_pointer_that_leads_nowhere_is_found(
    release: str, type_: str, at: str, value: str, key: str, path: str
) -> None:
    check = checker(release)
    resources = [each for name, each in sound(release).items() if name != "Bundle"]
    broken = next(each for each in resources if each["resourceType"] == type_)
    put(broken, at, value)
    links = [link for each in resources for link in check.check(each).links]
    found = list(Export(resources).findings(links, check.package))
    assert (path, key) in {(each.path, each.key) for each in found}, found


def test_what_stands_twice_in_an_export_is_found() -> None:
    library = sound("R4")["Library"]
    other = library | {"id": "Other"}
    found = [each.path for each in Export([library, other, other]).doubles]
    assert found == ["Library/Other", "Library/Other", "Library/Other"]


@pytest.mark.parametrize("release", RELEASES)
def test_a_sound_export_and_a_sound_transaction_point_only_inside(release: str) -> None:
    check = checker(release)
    resources = [each for name, each in sound(release).items() if name != "Bundle"]
    links = [link for each in resources for link in check.check(each).links]
    found = list(Export(resources).findings(links, check.package))
    assert {each.said for each in found} <= {"http://loinc.org"}
    bundle = sound(release)["Bundle"]
    assert list(of_bundle(bundle).findings(check.check(bundle).links, check.package)) == []
    assert list(request_faults(bundle)) == []


@pytest.mark.parametrize(("url", "where"), [("Location/sponsor", 0), ("Organization/other", 0), ("Location?name=x", 0)])
def test_a_request_that_does_not_fit_its_resource_is_found(url: str, where: int) -> None:
    bundle = sound("R4")["Bundle"]
    bundle["entry"][where]["request"]["url"] = url
    assert [each.path for each in request_faults(bundle)] == [f"Bundle.entry[{where}].request.url"]


def test_a_uuid_reference_in_a_transaction_leads_to_the_type_that_the_element_allows() -> None:
    check, bundle = checker("R4"), sound("R4")["Bundle"]
    name = "urn:uuid:00000000-0000-4000-8000-000000000000"
    bundle["entry"][1]["resource"]["managingOrganization"]["reference"] = name
    bundle["entry"][0]["fullUrl"] = name
    assert list(of_bundle(bundle).findings(check.check(bundle).links, check.package)) == []
    bundle["entry"][0]["fullUrl"], bundle["entry"][1]["fullUrl"] = f"{BASE}/Organization/sponsor", name
    found = list(of_bundle(bundle).findings(check.check(bundle).links, check.package))
    assert [each.key for each in found] == ["target"]


def test_what_cannot_be_looked_into_is_counted() -> None:
    resource = sound("R4")["Library"]
    resource["meta"]["profile"].append("http://hl7.org/fhir/uv/cql/StructureDefinition/cql-library")
    resource["extension"] = [{"url": "https://elsewhere.example.org/ext", "valueString": "x"}]
    found = {(each.key, each.said) for each in checker("R4").check(resource).open}
    assert found == {
        ("profile-open", "http://hl7.org/fhir/uv/cql/StructureDefinition/cql-library"),
        ("extension-open", "https://elsewhere.example.org/ext"),
        ("binding-open", "http://hl7.org/fhir/ValueSet/mimetypes|4.0.1"),
    }


@pytest.mark.parametrize("release", RELEASES)
def test_every_invariant_of_what_we_emit_has_a_predicate(release: str) -> None:
    package = checker(release).package
    stated = {
        each.key
        for name in sound(release)
        for element in package.type(name).elements.values()
        for each in element.constraints
    }
    assert {key for key in stated if (key, release) not in RULES} <= BUILT_IN


def test_one_content_of_a_cql_library_is_its_source() -> None:
    holds = RULES["clb-1", "R4"]
    for contents, answer in [([], False), (["text/cql"], True), (["text/cql", "application/elm+json"], True)]:
        library = {"content": [{"contentType": each} for each in contents]}
        assert holds(library, Standing(library, library)) is answer
