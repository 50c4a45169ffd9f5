"""What the service says of itself and of the trials is there, valid, and found."""

import json
from typing import Any

import pytest
from service.conftest import FHIR, Asked, sample

from adapter.fhir.versions import FhirVersion
from adapter.validate import validate

VERSIONS = {"4.0": FhirVersion.R4, "5.0": FhirVersion.R5}


def accept(version: str) -> dict[str, str]:
    return {"Accept": f"application/fhir+json; fhirVersion={version}"}


def is_valid(data: bytes, version: FhirVersion) -> bool:
    report = validate(data, version)
    assert report.is_valid, [str(each) for each in report.issues if each.severity.value == "error"]
    return True


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_is_declared_is_there(service: Asked, version: str) -> None:
    answer = service("GET", "/fhir/metadata", **accept(version))
    assert is_valid(answer.content, VERSIONS[version])
    (rest,) = answer.json()["rest"]
    operations = [("", each) for each in rest["operation"]]
    for resource in rest["resource"]:
        kind = resource["type"]
        operations += [(f"/{kind}", each) for each in resource.get("operation", ())]
        interactions = {each["code"] for each in resource.get("interaction", ())}
        assert service("GET", f"/fhir/{kind}", **accept(version)).status_code == (200 if interactions else 404)
        if not interactions:
            continue
        for parameter in resource["searchParam"]:
            found = service("GET", f"/fhir/{kind}?{parameter['name']}=x", Prefer="handling=strict", **accept(version))
            assert found.json()["total"] == 0
    for at, operation in operations:
        assert service("POST", f"/fhir{at}/${operation['name']}", b"{}", **accept(version)).status_code == 400
        own = operation["definition"].removeprefix("https://trials.example.org/fhir")
        if own != operation["definition"]:
            definition = service("GET", f"/fhir{own}", **accept(version))
            assert definition.json()["url"] == operation["definition"]
            assert is_valid(definition.content, VERSIONS[version])


def test_every_address_is_declared(service: Asked) -> None:
    (rest,) = service("GET", "/fhir/metadata").json()["rest"]
    declared = {f"/{each['type']}/${of['name']}" for each in rest["resource"] for of in each.get("operation", ())}
    declared |= {f"/${each['name']}" for each in rest["operation"]}
    paths = service("GET", "/openapi.json").json()["paths"]
    served = {path.removeprefix("/fhir").replace("/{study}", "") for path in paths if "$" in path}
    assert served == declared


def test_the_trials_are_read_and_searched_in_both_versions(service: Asked) -> None:
    for version, fhir in VERSIONS.items():
        study = service("GET", "/fhir/ResearchStudy/cfmsc", **accept(version))
        assert is_valid(study.content, fhir)
        url = service("GET", "/fhir/PlanDefinition/cfmsc-eligibility", **accept(version)).json()["url"]
        found = service("GET", f"/fhir/PlanDefinition?url={url}", **accept(version)).json()
        assert [each["fullUrl"] for each in found["entry"]] == [url]
    assert "protocol" in service("GET", "/fhir/ResearchStudy/cfmsc", **accept("5.0")).text


@pytest.mark.parametrize("token", ["NCT02302599", "https://clinicaltrials.gov|NCT02302599", "x|NCT02302599"])
def test_a_study_is_found_by_its_registry_number(service: Asked, token: str) -> None:
    systems = [
        each["system"]
        for each in service("GET", "/fhir/ResearchStudy/nct02302599").json()["identifier"]
        if each["value"] == "NCT02302599"
    ]
    token = token.replace("https://clinicaltrials.gov", systems[0])
    found = service("GET", f"/fhir/ResearchStudy?identifier={token}").json()
    assert found["total"] == (0 if token.startswith("x|") else 1)


def test_pages_are_whole_together(service: Asked) -> None:
    seen: list[str] = []
    url: str | None = "/fhir/ValueSet?_count=50"
    while url:
        page = service("GET", url).json()
        seen += [each["resource"]["id"] for each in page["entry"]]
        links = {each["relation"]: each["url"] for each in page["link"]}
        url = links.get("next", "").replace("https://trials.example.org", "") or None
    assert len(seen) == len(set(seen)) == page["total"]
    assert "entry" not in service("GET", "/fhir/ValueSet?_count=0").json()


def test_an_unknown_parameter_is_passed_over_unless_the_client_is_strict(service: Asked) -> None:
    lenient = service("GET", "/fhir/ResearchStudy?colour=red")
    assert "colour" not in lenient.json()["link"][0]["url"]
    assert service("GET", "/fhir/ResearchStudy?colour=red", Prefer="handling=strict").status_code == 400
    assert service("GET", "/fhir/ResearchStudy?_count=many").status_code == 400


def test_a_match_gives_trials_with_nothing_against_best_first(service: Asked) -> None:
    answer = service("POST", "/fhir/ResearchStudy/$match", sample("CFMSC-candidate"))
    assert is_valid(answer.content, FhirVersion.R4)
    first, *others = answer.json()["entry"]
    assert (first["resource"]["id"], first["search"]["extension"][0]["valueCode"]) == ("cfmsc", "probable")
    assert {each["search"]["extension"][0]["valueCode"] for each in others} <= {"possible"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("path", "body", "prefer"),
    [
        ("/fhir", "shape-r5-collection", ""),
        ("/fhir", "shape-r5-collection", "return=representation"),
        ("/fhir", "shape-message", ""),
        ("/fhir", "shape-message", "return=representation"),
        ("/fhir/ResearchStudy/$evaluate-eligibility", "CFMSC-candidate", ""),
        ("/fhir/Bundle/$validate", "careless-malformed", ""),
    ],
)
def test_answers_are_fhir(service: Asked, version: str, path: str, body: str, prefer: str) -> None:
    answer = service("POST", path, sample(body), Prefer=prefer, **accept(version))
    assert answer.status_code == 200
    assert is_valid(answer.content, VERSIONS[version])


@pytest.mark.parametrize("name", ["shape-transaction", "shape-batch"])
def test_responses_are_fhir_but_for_being_responses(service: Asked, name: str) -> None:
    answer: dict[str, Any] = service("POST", "/fhir", sample(name), Prefer="return=representation").json()
    resources = [each["resource"] for each in answer["entry"] if "resource" in each]
    bag = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}
    assert resources
    assert is_valid(json.dumps(bag).encode(), FhirVersion.R4)
    assert all(set(each) <= {"fullUrl", "resource", "response"} for each in answer["entry"])


def test_the_validator_answers_as_the_command_does(service: Asked) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": {"resourceType": "Bundle"}}]}
    answer = service("POST", "/fhir/Bundle/$validate", body, **FHIR)
    assert answer.json()["issue"][-1]["severity"] == "error"
