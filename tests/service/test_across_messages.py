"""What earlier messages said of a patient meets what comes today; two people are never taken for one."""

import datetime
from typing import Any

import pytest
from service.known_desk import (
    C_PEPTIDE,
    MRN,
    START,
    Desk,
    bundle,
    codes,
    condition,
    evidence,
    identified,
    patient,
    result,
    truths,
)

from adapter.catalog.catalog import Catalog
from adapter.service.evaluation import Evaluation, Evaluator
from adapter.service.outcomes import Refusal

HOUR = datetime.timedelta(hours=1)
Bundle = dict[str, Any]


@pytest.fixture(scope="module")
def evaluator(catalog: Catalog) -> Evaluator:
    return Evaluator(catalog, "test", "https://trials.example.org/fhir", "")


@pytest.fixture
def desk(catalog: Catalog, evaluator: Evaluator) -> Desk:
    return Desk(catalog, evaluator=evaluator)


def seen(found: Evaluation) -> set[str]:
    """Give what the one patient's findings rest on, the Patient left out."""
    (one,) = found.patients
    return {each for each in evidence(one) if not each.startswith("Patient/")}


def value_of(found: Evaluation, reference: str) -> str:
    """Give what was sent of a result, as the findings show it."""
    (one,) = found.patients
    said = {
        " ".join(each.sent.split()[-2:])
        for screening in one.screenings
        for finding in screening.findings
        for each in finding.judgement.evidence
        if each.source.reference == reference
    }
    return ", ".join(sorted(said))


def test_todays_result_meets_last_months(desk: Desk) -> None:
    desk.send(bundle(patient(), condition("t2"), result("c-1", 0.1, C_PEPTIDE, on="2026-10-02")))
    found = desk.send(bundle(patient(), result("a-1", 8.1, on="2026-10-30")))
    assert {"Observation/a-1", "Observation/c-1", "Condition/t2"} <= seen(found)


def test_a_message_without_its_patient_is_judged_with_the_patient_kept(desk: Desk) -> None:
    first = desk.send(bundle(patient()))
    found = desk.send(bundle(result("a-1", 8.1)))
    assert seen(found) == {"Observation/a-1"}
    assert not codes(found) - {"atom-changed", "verdict-changed"}
    before, after = ({each.subject for each in one.patients[0].told if each.subject} for one in (first, found))
    assert before <= after


def test_what_comes_before_its_patient_counts_when_the_patient_comes(desk: Desk) -> None:
    early = desk.send(bundle(result("a-1", 8.1)))
    assert (early.patients, codes(early)) == ((), {"patient-not-sent"})
    assert seen(desk.send(bundle(patient()))) == {"Observation/a-1"}


def test_every_trial_is_judged_again_since_windows_move(desk: Desk) -> None:
    desk.send(bundle(patient(), result("a-1", 8.1, on="2026-10-30")))
    desk.clock += datetime.timedelta(days=200)
    found = desk.send(bundle(result("w", 70, "29463-7", on="2027-05-01")))
    assert any("NCT02302599-I5a was met and is unknown" in each.message for each in found.issues)
    assert "NCT02302599-I5a met unknown" in found.flips


def test_the_answer_says_which_datum_flipped_which_atom(desk: Desk) -> None:
    desk.send(bundle(patient(), result("a-1", 8.1)))
    found = desk.send(bundle(result("a-2", 5.0, on="2026-10-28")))
    changed = [each for each in found.issues if each.code == "atom-changed"]
    assert "NCT02302599: NCT02302599-I5a was met and is not-met, resting on Observation/a-2" in [
        each.message for each in changed
    ]
    assert {each.expression for each in changed} == {"Bundle.entry[0].resource"}
    assert "NCT02302599: the verdict was potential-candidate and is ineligible" in [
        each.message for each in found.issues if each.code == "verdict-changed"
    ]
    told = found.remarks()
    assert told["changes"] == len(found.flips) > 0
    assert "Observation" not in str(told), "the audit names atoms, and no resource"


def test_the_first_message_of_a_patient_changes_nothing(desk: Desk) -> None:
    assert not codes(desk.send(bundle(patient(), result("a-1", 8.1))))


def updated(at: str) -> Bundle:
    return {"meta": {"lastUpdated": at}}


def numbered(version: str) -> Bundle:
    return {"meta": {"versionId": version}}


LONG_AGO, BEFORE, LATELY = (START - hours * HOUR for hours in (3, 2, 1))
NEWER: list[tuple[str, Bundle, Bundle, datetime.datetime | None, datetime.datetime | None]] = [
    ("version", numbered("2"), numbered("10"), None, None),
    ("lastUpdated", updated("2026-10-20T10:00:00Z"), updated("2026-10-20T11:00:00+00:30"), None, None),
    ("the message's time", {}, {}, LONG_AGO, BEFORE),
    ("version, whatever the message says", numbered("1"), numbered("2"), LATELY, BEFORE),
    ("lastUpdated against the message's time", {}, updated("2026-10-31T22:30:00Z"), BEFORE, LATELY),
]


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize(("old", "new", "said", "then"), [each[1:] for each in NEWER], ids=[each[0] for each in NEWER])
def test_a_newer_version_supersedes_and_an_older_one_that_is_late_does_not(
    desk: Desk, old: Bundle, new: Bundle, said: datetime.datetime, then: datetime.datetime, *, is_late: bool
) -> None:
    older = bundle(patient(), result("a-1", 9.9, **old), at=said)
    newer = bundle(patient(), result("a-1", 6.6, **new), at=then)
    first, second = (newer, older) if is_late else (older, newer)
    desk.send(first)
    assert value_of(desk.send(second), "Observation/a-1") == "6.6 %"


def test_without_any_time_the_order_of_arrival_counts(desk: Desk) -> None:
    desk.send(bundle(patient(), result("a-1", 9.9)))
    assert value_of(desk.send(bundle(patient(), result("a-1", 6.6))), "Observation/a-1") == "6.6 %"


def test_a_step_backwards_in_a_results_life_is_not_trusted_on_arrival_alone(desk: Desk) -> None:
    desk.send(bundle(patient(), result("a-1", 6.6, status="corrected")))
    found = desk.send(bundle(patient(), result("a-1", 9.9)))
    assert {each.word for each in _truths_on(found, "Observation/a-1")} == {"unknown"}
    again = desk.send(bundle(patient(), result("a-1", 6.6, status="corrected")))
    assert value_of(again, "Observation/a-1") == "6.6 %", "said once more, it is clear again"


def _truths_on(found: Evaluation, reference: str) -> set[Any]:
    (one,) = found.patients
    return {
        finding.truth
        for screening in one.screenings
        for finding in screening.findings
        for each in finding.judgement.evidence
        if each.source.reference == reference
    }


def test_two_copies_that_differ_and_are_equally_new_decide_nothing(desk: Desk) -> None:
    at = START - HOUR
    desk.send(bundle(patient(), result("a-1", 6.6), at=at))
    found = desk.send(bundle(patient(), result("a-1", 9.9), at=at))
    assert {each.word for each in _truths_on(found, "Observation/a-1")} == {"unknown"}


@pytest.mark.parametrize("meta", [{}, {"versionId": "1"}])
def test_what_was_entered_in_error_does_not_count_any_more(desk: Desk, meta: Bundle) -> None:
    desk.send(bundle(patient(), result("a-1", 9.9, meta=meta), at=START - 2 * HOUR))
    after = {"versionId": "2"} if meta else {}
    found = desk.send(bundle(result("a-1", 9.9, status="entered-in-error", meta=after), at=START - HOUR))
    assert {each.word for each in _truths_on(found, "Observation/a-1")} <= {"unknown"}


def test_a_subject_that_was_written_is_written_again_when_nothing_can_be_said_any_more(desk: Desk) -> None:
    nobody = {"resourceType": "Patient", "id": "1"}
    first = desk.send(bundle(nobody, result("a-1", 5.0)))
    after = desk.send(bundle(nobody, result("a-1", 5.0, status="entered-in-error")))
    subjects = {each.trial: each.subject for each in first.patients[0].told if each.subject}
    assert subjects
    again = {each.trial: (each.subject, each.verdict.value) for each in after.patients[0].told if each.subject}
    assert again == {trial: (subject, "potential-candidate") for trial, subject in subjects.items()}


def test_what_was_deleted_is_gone_also_where_the_deletion_comes_alone_or_first(desk: Desk) -> None:
    entry = [{"request": {"method": "DELETE", "url": "Observation/a-1"}}]
    gone = bundle(at=START - HOUR, entry=entry) | {"type": "history"}
    said = bundle(patient(), result("a-1", 9.9), at=START - 2 * HOUR)
    desk.send(said)
    assert desk.send(gone).others[0].told, "the patient is judged again, and delivered"
    assert seen(desk.send(bundle(patient()))) == set()
    other = Desk(desk.evaluator.catalog, evaluator=desk.evaluator)
    other.send(gone)
    assert seen(other.send(said)) == set()


def test_a_patch_leaves_nothing_to_rest_on(desk: Desk) -> None:
    desk.send(bundle(patient(), result("a-1", 9.9)))
    entry = [{"request": {"method": "PATCH", "url": "Observation/a-1"}, "resource": {"resourceType": "Parameters"}}]
    desk.send(bundle(entry=entry) | {"type": "batch"})
    found = desk.send(bundle(patient()))
    assert {each.word for each in _truths_on(found, "Observation/a-1")} == {"unknown"}


def test_a_result_that_is_another_patients_now_is_taken_from_the_first(desk: Desk) -> None:
    desk.send(bundle(patient("1"), result("a-1", 9.9)))
    desk.send(bundle(patient("2", birthDate="1955-01-01")))
    moved = desk.send(bundle(result("a-1", 9.9, of="Patient/2")))
    assert "moved" in codes(moved)
    assert seen(moved) == {"Observation/a-1"}
    assert [evidence(each) - {"Patient/1"} for each in moved.others] == [set()]
    assert seen(desk.send(bundle(patient("1")))) == set()


def test_a_code_that_no_criterion_reads_any_more_takes_the_old_result_away(desk: Desk) -> None:
    newer = bundle(patient(), result("a-1", 9.9, "11111-1"), at=START - HOUR)
    older = bundle(patient(), result("a-1", 9.9), at=START - 2 * HOUR)
    desk.send(newer)
    assert seen(desk.send(older)) == set(), "the older one is known to be old although the newer was not kept"


def test_a_late_message_counts_and_its_evaluation_is_the_newest(desk: Desk) -> None:
    desk.send(bundle(patient(), result("a-1", 8.1), at=START - HOUR))
    desk.send(bundle(patient(), condition("t2"), at=START - 5 * HOUR))
    orders = [order for order, _ in desk.written.values()]
    assert {order[0] for order in orders} == {START - HOUR}, "it is as new as the newest that it rests on"


SAME = [
    ("the same id of the same sender", patient("1"), "lab", True),
    ("the same id of another sender", patient("1"), "ward", False),
    ("another id of the same sender", patient("2"), "lab", False),
    ("the same identifier, of another sender", identified("7", "9"), "ward", True),
    ("the same identifier without an id", identified("7"), "ward", True),
    ("the same value in another system", patient("9", identifier=[{"system": "urn:x", "value": "7"}]), "ward", False),
    ("a value without its system", patient("9", identifier=[{"value": "7"}]), "ward", False),
    ("a coarser birth date", patient("1", birthDate="1970"), "lab", True),
    ("no birth date", {"resourceType": "Patient", "id": "1"}, "lab", True),
    ("another birth date", patient("1", birthDate="1970-05-02"), "lab", False),
    ("another sex", patient("1", gender="male"), "lab", False),
    ("a sex that is not told", patient("1", gender="unknown"), "lab", True),
    ("the identifier, another birth date", identified("7", "9", birthDate="1971-05-01"), "ward", False),
]  # fmt: skip


@pytest.mark.parametrize(("second", "sender", "is_one"), [each[1:] for each in SAME], ids=[each[0] for each in SAME])
def test_who_is_the_same_patient(desk: Desk, second: Bundle, sender: str, *, is_one: bool) -> None:
    first = desk.send(bundle(identified("7", "1"), result("a-1", 8.1)))
    found = desk.send(bundle(second), sender)
    assert (seen(found) == {"Observation/a-1"}) is is_one
    subjects = [{each.subject for each in one.patients[0].told if each.subject} for one in (first, found)]
    if is_one:
        assert subjects[0] == subjects[1], "one patient has one subject for each trial"
        assert first.patients[0].lane == found.patients[0].lane


def test_the_same_server_is_the_same_whoever_sends_it(desk: Desk) -> None:
    desk.send(placed("http://ehr/fhir", patient(), result("a-1", 8.1)), "lab")
    assert seen(desk.send(placed("http://ehr/fhir", patient()), "ward")) == {"Observation/a-1"}
    assert seen(desk.send(placed("http://other/fhir", patient()), "lab")) == set()


def placed(server: str | None, *resources: Bundle) -> Bundle:
    """Give resources as they stand on a server, or nowhere."""
    entry: list[Bundle] = [{"resource": each} for each in resources]
    for each in entry if server else ():
        each["fullUrl"] = f"{server}/{each['resource']['resourceType']}/{each['resource']['id']}"
    return bundle(entry=entry)


WAITING = [
    ("http://a/fhir", "http://a/fhir", True),
    ("http://a/fhir", "http://b/fhir", False),
    ("http://a/fhir", None, True),
    (None, "http://a/fhir", True),
    (None, None, True),
]


@pytest.mark.parametrize(("result_at", "patient_at", "is_met"), WAITING)
@pytest.mark.parametrize("comes_first", ["result", "patient"])
def test_a_reference_is_to_the_patient_of_its_own_server(
    desk: Desk, result_at: str | None, patient_at: str | None, comes_first: str, *, is_met: bool
) -> None:
    sent = [placed(result_at, result("a-1", 8.1)), placed(patient_at, patient())]
    for each in sent if comes_first == "result" else reversed(sent):
        desk.send(each)
    assert (seen(desk.send(placed(patient_at, patient()))) == {"Observation/a-1"}) is is_met


def test_a_result_with_and_without_its_address_is_one(desk: Desk) -> None:
    desk.send(placed("http://a/fhir", patient(), result("a-1", 9.9)))
    found = desk.send(placed(None, patient(), result("a-1", 6.6)))
    assert value_of(found, "Observation/a-1") == "6.6 %"
    again = desk.send(placed("http://a/fhir", result("a-1", 3.3)), "ward")
    assert value_of(again, "Observation/a-1") == "3.3 %", "the address is not forgotten over a message without it"
    assert value_of(desk.send(placed(None, result("a-1", 4.4))), "Observation/a-1") == "4.4 %"


def test_what_waits_under_two_names_is_one_patients_when_the_patient_comes(desk: Desk) -> None:
    first, then = placed(None, result("a-1", 9.9)), placed("http://a/fhir", result("a-1", 6.6))
    desk.send(first | {"timestamp": BEFORE.isoformat()})
    desk.send(then | {"timestamp": LATELY.isoformat()})
    assert value_of(desk.send(placed("http://a/fhir", patient())), "Observation/a-1") == "6.6 %"
    assert {each.word for each in _truths_on(desk.send(bundle(patient())), "Observation/a-1")} != {"unknown"}


def test_tenants_share_nothing(desk: Desk) -> None:
    one = desk.send(bundle(identified("7", "1"), result("a-1", 8.1)), tenant="north")
    other = desk.send(bundle(identified("7", "1"), result("a-2", 8.1)), tenant="south")
    assert seen(other) == {"Observation/a-2"}
    assert one.patients[0].lane != other.patients[0].lane
    assert {each.subject for each in one.patients[0].told}.isdisjoint({each.subject for each in other.patients[0].told})


def test_two_patients_of_two_senders_with_one_id_have_results_of_their_own(desk: Desk) -> None:
    first = desk.send(bundle(patient("1"), result("a-1", 8.1)), "lab")
    second = desk.send(bundle(patient("1", birthDate="1955-01-01"), result("a-1", 8.1)), "ward")
    assert "same-id-elsewhere" in codes(second)
    subjects = [{each.subject for each in one.patients[0].told if each.subject} for one in (first, second)]
    assert subjects[0].isdisjoint(subjects[1])
    assert first.patients[0].lane != second.patients[0].lane


def test_an_identifier_that_meets_two_patients_joins_none(desk: Desk) -> None:
    desk.send(bundle(identified("7", "1"), result("a-1", 8.1)))
    desk.send(bundle(identified("8", "2"), result("a-2", 8.1, of="Patient/2")))
    both = patient("3", identifier=[{"system": MRN, "value": "7"}, {"system": MRN, "value": "8"}])
    found = desk.send(bundle(both))
    assert "several-patients-known" in codes(found)
    assert seen(found) == set()
    assert seen(desk.send(bundle(identified("7", "1")))) == {"Observation/a-1"}


def test_who_was_sent_as_two_people_is_judged_by_each_message_alone(desk: Desk) -> None:
    desk.send(bundle(patient(), result("a-1", 8.1)))
    contradicting = desk.send(bundle(patient(birthDate="1999-01-01"), result("a-2", 8.1)))
    assert "patient-contradicts" in codes(contradicting)
    assert seen(contradicting) == {"Observation/a-2"}
    again = desk.send(bundle(patient()))
    assert (codes(again), seen(again)) == ({"patient-disputed"}, set())
    without = desk.send(bundle(result("a-3", 8.1)))
    assert (codes(without), without.patients) == ({"patient-disputed"}, ())


def test_a_patient_without_a_name_to_be_known_by_is_not_kept(desk: Desk) -> None:
    entry = [
        {"fullUrl": "urn:uuid:aaaaaaaa-0000-4000-8000-000000000001", "resource": patient(None)},
        {"resource": result("a-1", 8.1, of="urn:uuid:aaaaaaaa-0000-4000-8000-000000000001")},
    ]
    assert codes(desk.send(bundle(entry=entry))) == {"patient-without-name"}
    other = [entry[0] | {"resource": patient(None)}]
    assert "Observation/a-1" not in seen(desk.send(bundle(entry=other))), "a urn:uuid means nothing in another message"


def test_the_id_of_what_is_posted_is_no_name(desk: Desk) -> None:
    def posted(*resources: Bundle) -> Bundle:
        made = [{"resource": each, "request": {"method": "POST", "url": each["resourceType"]}} for each in resources]
        return bundle(entry=made) | {"type": "batch"}

    desk.send(posted(identified("7", "tmp"), result("o-1", 8.1, of="Patient/tmp")))
    stranger = desk.send(posted(identified("8", "tmp"), result("o-1", 0.1, C_PEPTIDE, of="Patient/tmp")))
    assert value_of(stranger, "Observation/o-1") == "0.1 ng/mL"
    found = desk.send(posted(identified("7", "tmp"), result("o-1", 0.2, C_PEPTIDE, of="Patient/tmp")))
    assert {"8.1 %", "0.2 ng/mL"} == set(value_of(found, "Observation/o-1").split(", "))


def test_a_result_without_an_id_is_corrected_by_the_next_of_its_code_and_time(desk: Desk) -> None:
    desk.send(bundle(patient(), result(None, 9.9)))
    found = desk.send(bundle(patient(), result(None, 6.6, status="corrected")))
    (one,) = found.patients
    said = {e.sent for s in one.screenings for f in s.findings for e in f.judgement.evidence}
    assert "HbA1c 6.6 %" in said
    assert "HbA1c 9.9 %" not in said


def test_what_nothing_could_ever_take_back_decides_nothing_in_later_messages(desk: Desk) -> None:
    first = desk.send(bundle(patient(), condition(None)))
    assert "met" in {truth for truth, _, _ in truths(first.patients[0]).values()}
    later = desk.send(bundle(patient()))
    rests = {atom: found for atom, found in truths(later.patients[0]).items() if any("ondition" in e for e in found[2])}
    assert {found[0] for found in rests.values()} == {"unknown"}


def test_references_mean_what_they_mean_in_their_own_message(desk: Desk) -> None:
    def ordered(drug: str, code: str, request: str) -> Bundle:
        return bundle(
            entry=[
                {"resource": patient()},
                {"fullUrl": "urn:uuid:bbbbbbbb-0000-4000-8000-000000000001", "resource": _medication(drug, code)},
                {"resource": _request(request, "urn:uuid:bbbbbbbb-0000-4000-8000-000000000001")},
            ]
        )

    desk.send(ordered(None, "6809", "m-1"))  # type: ignore[arg-type]  # metformin, in a Medication without an id
    found = desk.send(ordered(None, "5640", "m-2"))  # type: ignore[arg-type]  # ibuprofen under the same urn
    drugs = {
        each.id: each.resource.contained[0].code.coding[0].code
        for each in desk.held().versions
        if each.id in ("m-1", "m-2")
    }  # type: ignore[attr-defined]
    assert drugs == {"m-1": "6809", "m-2": "5640"}
    assert found.patients


def test_a_medication_that_comes_after_its_request_is_found(desk: Desk) -> None:
    desk.send(bundle(patient(), _request("m-1", "Medication/d-1")))
    desk.send(bundle(patient(), _medication("d-1", "6809")))
    held = desk.held().versions
    assert [each.name for each in held] == ["Patient/1", "MedicationRequest/m-1", "Medication/d-1"]


def _medication(id_: str | None, code: str) -> Bundle:
    coding = [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code}]
    return {"resourceType": "Medication", "code": {"coding": coding}} | ({"id": id_} if id_ else {})


def _request(id_: str, drug: str) -> Bundle:
    return {
        "resourceType": "MedicationRequest",
        "id": id_,
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/1"},
        "medicationReference": {"reference": drug},
        "authoredOn": "2026-10-20",
    }


def test_what_no_mapping_reads_is_not_kept(desk: Desk) -> None:
    desk.send(bundle(patient(name=[{"family": "Zyxqvarnhagen"}]), result("u", 1, "11111-1"), result("a-1", 8.1)))
    held = desk.held()
    assert [each.name for each in held.versions] == ["Patient/1", "Observation/a-1"]
    assert "Zyxqvarnhagen" not in repr(held)
    assert all(getattr(each.resource, "subject", None) is None for each in held.versions)


def test_a_death_that_one_of_two_records_tells_counts(desk: Desk) -> None:
    desk.send(bundle(identified("7", "1", deceasedBoolean=True)), "lab")
    found = desk.send(bundle(identified("7", "9")), "ward")
    assert {each.verdict.value for each in found.patients[0].told} == {"ineligible"}


def test_a_document_with_nobody_in_it_is_refused(desk: Desk) -> None:
    with pytest.raises(Refusal) as refused:
        desk.send(bundle(_medication("d-1", "6809")))
    assert (refused.value.status, refused.value.code) == (422, "no-patient")


def test_a_reference_to_no_patient_waits_for_nobody(desk: Desk) -> None:
    found = desk.send(bundle(patient(), result("a-1", 8.1, of="Group/1")))
    assert codes(found) == {"stranger"}
