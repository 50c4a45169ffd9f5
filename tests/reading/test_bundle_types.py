"""Every Bundle type of FHIR, and what changes, deletes or repeats a resource inside one."""

import json

import pytest
from reading.chart import A1C, answered, bundle, codes, entry, newer, older, patient, word

from adapter.errors import AdapterError
from adapter.fhir.wire import ANSWERS, CARRIERS


@pytest.mark.parametrize("kind", sorted(CARRIERS))
def test_every_bundle_type_that_carries_resources_is_screened(kind: str) -> None:
    assert word(bundle(patient(), newer(), kind=kind)) == "met"


@pytest.mark.parametrize("kind", sorted(ANSWERS))
def test_a_response_bundle_is_refused_and_the_error_says_what_to_send(kind: str) -> None:
    with pytest.raises(AdapterError, match=r"response-bundle") as refused:
        answered(bundle(patient(), newer(), kind=kind))
    (issue,) = refused.value.issues
    assert issue.expression == "Bundle.type"
    assert "searchset" in issue.message


@pytest.mark.parametrize("kind", [None, "Collection", "", 7])
def test_a_bundle_type_that_is_none_of_fhirs_is_refused_with_what_was_expected(kind: object) -> None:
    document = bundle(patient(), newer())
    document["type"] = kind
    with pytest.raises(AdapterError, match=r"expected batch, collection"):
        answered(document)


@pytest.mark.parametrize("of", ["implicitRules", "modifierExtension"])
def test_a_bundle_whose_rules_are_not_understood_is_refused(of: str) -> None:
    document = bundle(patient(), newer())
    document[of] = "http://example.org/rules" if of == "implicitRules" else [{"url": "http://example.org/negated"}]
    with pytest.raises(AdapterError, match=r"not-understood"):
        answered(document)


@pytest.mark.parametrize("document", [b"null", b"[]", b"5", b'"text"', b"{}", b'{"resourceType":5}', b"[{}]"])
def test_json_that_is_no_resource_is_refused_with_what_was_expected(document: bytes) -> None:
    with pytest.raises(AdapterError, match=r"expected a Bundle") as refused:
        answered(document)
    assert refused.value.issues[0].code == "not-fhir"


@pytest.mark.parametrize("kind", ["Practitioner", "Parameters", "OperationOutcome", "patient", "Nonsense"])
def test_a_resource_that_is_about_no_patient_is_refused_with_what_was_expected(kind: str) -> None:
    with pytest.raises(AdapterError, match=r"expected a Bundle, or a resource about a patient"):
        answered({"resourceType": kind})


def test_a_single_patient_is_screened() -> None:
    assert word(patient(), "BMMSC-I3a") == "met"


def test_a_single_observation_has_no_patient_and_is_refused() -> None:
    with pytest.raises(AdapterError, match=r"no-patient"):
        answered(newer())


def test_a_page_of_a_search_warns_that_more_may_exist() -> None:
    document = bundle(patient(), newer(), kind="searchset")
    document["link"] = [{"relation": "self", "url": "http://a"}, {"relation": "next", "url": "http://b"}]
    assert codes(document) == ["partial-searchset"]


def test_what_a_search_says_about_itself_is_no_patient_data() -> None:
    document = bundle(patient(), older(), kind="searchset")
    document["entry"].append({**entry(newer()), "search": {"mode": "outcome"}})
    answer = next(f for s in answered(document).patients[0].screenings for f in s.findings if f.atom == A1C)
    assert [each.source.reference for each in answer.judgement.evidence] == ["Observation/older"]


def test_a_bundle_inside_a_bundle_is_reported_and_not_read() -> None:
    inner = {"resource": bundle(newer())}
    document = bundle(patient())
    document["entry"].append(inner)
    assert codes(document) == ["nested-bundle"]
    assert word(document) == "unknown"


def _history(*entries: object) -> dict[str, object]:
    return {"resourceType": "Bundle", "type": "history", "entry": [entry(patient()), *entries]}


def _version(number: int, value: float) -> dict[str, object]:
    resource = newer(meta={"versionId": str(number)})
    resource["valueQuantity"] = {**resource["valueQuantity"], "value": value}
    return entry(resource)


def _deletion(**response: str) -> dict[str, object]:
    request = {"method": "DELETE", "url": "Observation/newer"}
    return {"fullUrl": entry(newer())["fullUrl"], "request": request, "response": {"status": "204", **response}}


def test_the_newest_version_of_a_history_counts_wherever_it_stands() -> None:
    assert word(_history(_version(10, 8.4), _version(9, 6.0))) == "met"
    assert word(_history(_version(9, 6.0), _version(10, 8.4))) == "met"


def test_of_two_versions_the_later_instant_is_the_newer_whatever_its_zone() -> None:
    early = newer(meta={"lastUpdated": "2026-10-21T09:00:00+09:00"})
    late = newer(meta={"lastUpdated": "2026-10-21T01:00:00Z"})
    late["valueQuantity"] = {**late["valueQuantity"], "value": 6.0}
    assert word(_history(entry(early), entry(late))) == "not-met"
    assert word(_history(entry(late), entry(early))) == "not-met"


def test_two_versions_that_nothing_orders_decide_nothing() -> None:
    document = bundle(patient(), older(), newer(), newer(issued="2026-10-21T00:00:00Z"))
    assert word(document) == "unknown"
    assert codes(document) == ["two-versions"]


def test_the_same_resource_twice_is_one() -> None:
    document = bundle(patient(), newer(), newer())
    assert (word(document), codes(document)) == ("met", [])


def test_a_copy_of_which_a_part_cannot_be_read_is_not_the_same_resource() -> None:
    document = bundle(patient(), newer(), newer(issued=5))
    assert word(document) == "unknown"


def test_a_deleted_result_is_not_used() -> None:
    assert word(_history(_deletion(), _version(1, 8.4))) == "unknown"


def test_a_result_written_again_after_its_deletion_is_used() -> None:
    assert word(_history(_version(3, 8.4), _deletion(etag='W/"2"'), _version(1, 6.0))) == "met"


def test_a_history_that_stands_oldest_first_is_read_by_its_versions() -> None:
    assert word(_history(_version(1, 8.4), _deletion(etag='W/"2"'))) == "unknown"


def test_a_deleted_patient_is_nobody() -> None:
    request = {"method": "DELETE", "url": "Patient/p1"}
    with pytest.raises(AdapterError, match=r"no-patient"):
        answered({"resourceType": "Bundle", "type": "transaction", "entry": [{"request": request}, entry(patient())]})


def test_a_deletion_on_one_server_leaves_the_namesake_on_another() -> None:
    elsewhere = {**_deletion(), "fullUrl": "http://elsewhere.org/fhir/Observation/newer"}
    assert word(_history(elsewhere, entry(newer()))) == "met"


@pytest.mark.parametrize("body", [{"resourceType": "Parameters"}, {"resourceType": "Binary"}, None])
def test_nothing_rests_on_a_resource_that_a_patch_changes(body: object) -> None:
    patch = {"resource": body, "request": {"method": "PATCH", "url": "Observation/newer"}}
    document = bundle(patient(), older(), newer(), kind="transaction")
    document["entry"].append({key: value for key, value in patch.items() if value is not None})
    assert word(document) == "unknown"
    assert codes(document) == ["patch"]


def test_a_conditional_deletion_is_reported_since_what_it_takes_away_is_not_known() -> None:
    document = bundle(patient(), newer(), kind="transaction")
    document["entry"].append({"request": {"method": "DELETE", "url": "Observation?identifier=a|b"}})
    assert codes(document) == ["conditional-change"]


def test_one_full_url_for_everything_loses_no_resource() -> None:
    document = bundle(patient(meta={"lastUpdated": "2026-10-01T00:00:00Z"}), older(), newer())
    for each in document["entry"]:
        each["fullUrl"] = "urn:uuid:00000000-0000-0000-0000-000000000000"
        each["resource"]["meta"] = {"lastUpdated": f"2026-10-0{len(each['resource']['id']) % 9}T00:00:00Z"}
    used = [f for s in answered(document).patients[0].screenings for f in s.findings if f.atom == A1C]
    assert used[0].judgement.evidence[0].source.reference == "Observation/newer"


def test_resources_that_we_wrote_are_never_read_back() -> None:
    ours = newer(meta={"tag": [{"system": "https://fhir-trial-adapter.org/fhir/CodeSystem/tags", "code": "x"}]})
    assert word(bundle(patient(), ours)) == "unknown"


def test_a_bundle_without_full_urls_is_read_by_type_and_id() -> None:
    document = bundle(patient(), newer())
    for each in document["entry"]:
        del each["fullUrl"]
    assert word(json.loads(json.dumps(document))) == "met"
