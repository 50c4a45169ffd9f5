"""Each invariant that no broken resource stands for is kept by one element and broken by another."""

import pytest
from conformance import checker  # noqa: F401 - brings in all rules
from conformance.breaks import BREAKS
from conformance.breaks_of_invariants import INVARIANTS
from conformance.definitions import Json
from conformance.invariants import RULES, Standing
from conformance.packages import RELEASES

UCUM = "http://unitsofmeasure.org"
CQL = {"contentType": "text/cql"}
DELETE, PUT = {"method": "DELETE"}, {"method": "PUT"}
NOTICE = "subscription-notification"


def bundle(type_: str, **entry: object) -> Json:
    return {"type": type_, "entry": [entry]}


def of(type_: str) -> Json:
    return {"resourceType": type_}


ROWS: list[tuple[str, Json, Json]] = [
    ("age-1", {"value": 5, "code": "a", "system": UCUM}, {"value": 0, "code": "a", "system": UCUM}),
    ("av-1", {"allDay": True}, {"allDay": True, "availableStartTime": "08:00:00"}),
    ("bdl-10", {"type": "document", "timestamp": "2026-01-01T00:00:00Z"}, {"type": "document"}),
    ("bdl-11", bundle("document", resource=of("Composition")), bundle("document", resource=of("Patient"))),
    ("bdl-12", bundle("message", resource=of("MessageHeader")), bundle("message", resource=of("Patient"))),
    ("bdl-13", bundle(NOTICE, resource=of("SubscriptionStatus")), bundle(NOTICE, resource=of("Patient"))),
    ("bdl-14", bundle("batch", request={"method": "PATCH"}), bundle("history", request={"method": "PATCH"})),
    ("bdl-15", bundle("collection", fullUrl="urn:uuid:1"), bundle("collection")),
    ("bdl-16", {"issues": {"issue": [{"severity": "warning"}]}}, {"issues": {"issue": [{"severity": "error"}]}}),
    ("bdl-17", {"type": "collection", "issues": {}}, {"type": "document", "issues": {}}),
    ("bdl-3b", bundle("history", request=DELETE, response={}), bundle("history", request=PUT, response={})),
    ("clb-1", {"content": [CQL]}, {"content": [CQL, CQL]}),
    ("cmd-0", {"name": "Map"}, {"name": "a map"}),
    ("cmd-10", {"mode": "other-map", "otherMap": "x"}, {"mode": "fixed", "otherMap": "x"}),
    ("cmd-11", {"type": "code", "system": "x"}, {"type": "code"}),
    ("cmd-2", {"mode": "fixed", "code": "x"}, {"mode": "fixed"}),
    ("cmd-3", {"mode": "other-map", "url": "x", "otherMap": "x"}, {"mode": "other-map"}),
    ("cmd-6", {"valueCode": "x"}, {"valueCode": "x", "valueSet": "y"}),
    ("cmd-7", {"code": "x"}, {}),
    ("cmd-8", {"mode": "fixed", "code": "x"}, {"mode": "use-source-code", "code": "x"}),
    ("cmd-9", {"mode": "fixed", "relationship": "equivalent"}, {"mode": "fixed"}),
    ("cod-1", {"code": "x", "display": "X"}, {"display": "X"}),
    ("cpt-2", {"value": "1", "system": "phone"}, {"value": "1"}),
    ("cvs-1", {"compose": {}}, {}),
    ("dom-2", {"contained": [{"id": "a"}]}, {"contained": [{"contained": [{"id": "a"}]}]}),
    ("dom-4", {"contained": [{"meta": {"profile": ["x"]}}]}, {"contained": [{"meta": {"versionId": "1"}}]}),
    ("dom-5", {"contained": [{"meta": {"tag": []}}]}, {"contained": [{"meta": {"security": []}}]}),
    ("drq-1", {"path": "code"}, {"path": "code", "searchParam": "code"}),
    ("drq-2", {"path": "code"}, {}),
    ("drt-1", {"value": 1, "code": "d", "system": UCUM}, {"value": 1, "code": "d"}),
    ("evv-0", {"name": "Variable"}, {"name": "variable"}),
    ("ident-1", {"system": "x", "value": "1"}, {"system": "x"}),
    ("lib-0", {"name": "Library"}, {"name": "my-library"}),
    ("org-2", {"use": "work"}, {"use": "home"}),
    ("org-4", {"address": {"use": "work"}}, {"address": {"use": "home"}}),
    ("pld-1", {"requirement": {}}, {"requirement": {}, "relatedData": "x"}),
    ("que-0", {"name": "Review"}, {"name": "my review"}),
    ("que-11", {"initial": [{"valueInteger": 1}]}, {"initial": [{"valueInteger": 1}], "answerOption": [{}]}),
    ("que-14", {"answerConstraint": "optionsOnly", "answerOption": [{}]}, {"answerConstraint": "optionsOnly"}),
    ("que-1c", {"type": "group", "item": [{}]}, {"type": "display", "item": [{}]}),
    ("sqty-1", {"value": 1}, {"value": 1, "comparator": "<"}),
    ("tim-1", {"duration": 1, "durationUnit": "d"}, {"duration": 1}),
    ("tim-10", {"when": ["MORN"]}, {"when": ["MORN"], "timeOfDay": ["08:00:00"]}),
    ("tim-2", {"period": 1, "periodUnit": "d"}, {"period": 1}),
    ("tim-4", {"duration": 0}, {"duration": -1}),
    ("tim-5", {"period": 0}, {"period": -1}),
    ("tim-6", {"period": 1, "periodMax": 2}, {"periodMax": 2}),
    ("tim-7", {"duration": 1, "durationMax": 2}, {"durationMax": 2}),
    ("tim-8", {"count": 1, "countMax": 2}, {"countMax": 2}),
    ("tim-9", {"offset": 30, "when": ["AC"]}, {"offset": 30, "when": ["C"]}),
    ("trd-1", {"data": [{}]}, {"data": [{}], "timingDate": "2026-01-01"}),
    ("trd-2", {"data": [{}], "condition": {}}, {"condition": {}}),
    ("trd-3", {"type": "named-event", "name": "x"}, {"type": "data-added"}),
    ("vsd-0", {"name": "Codes"}, {"name": "my codes"}),
    ("vsd-10", {"code": "x", "system": "y"}, {"code": "x"}),
    ("vsd-11", {"additionalUse": [{}], "use": {}}, {"additionalUse": [{}]}),
    ("vsd-6", {"display": "X"}, {}),
    ("vsd-9", {"abstract": True}, {"display": "X"}),
]
WITH_RELEASE: list[tuple[str, str, Json, Json]] = [
    ("org-3", "R4", {"use": "work"}, {"use": "home"}),
    ("org-3", "R5", {"telecom": [{"use": "work"}]}, {"telecom": [{"use": "home"}]}),
    ("pdf-0", "R4", {"name": "Plan"}, {"name": "plan"}),
]
CASES: list[tuple[str, str, Json, Json]] = [
    *((key, release, keeps, breaks) for key, keeps, breaks in ROWS for release in RELEASES if (key, release) in RULES),
    *WITH_RELEASE,
]


@pytest.mark.parametrize(("key", "release", "keeps", "breaks"), CASES)
def test_an_invariant_is_kept_by_one_element_and_broken_by_another(
    key: str, release: str, keeps: Json, breaks: Json
) -> None:
    assert RULES[key, release](keeps, Standing(keeps, keeps))
    assert not RULES[key, release](breaks, Standing(breaks, breaks))


def test_a_link_id_has_255_characters_at_most() -> None:
    holds = RULES["que-15", "R5"]
    assert holds("x" * 255, Standing({}, {}))
    assert not holds("x" * 256, Standing({}, {}))


def test_a_complete_questionnaire_has_no_empty_group() -> None:
    holds, group = RULES["que-1a", "R5"], {"type": "group"}
    assert holds(group, Standing({"status": "active"}, {}))
    assert not holds(group, Standing({"status": "complete"}, {}))


def test_every_invariant_is_seen_broken_somewhere() -> None:
    broken = {(each.key, release) for each in [*BREAKS, *INVARIANTS] for release in each.releases}
    broken |= {(key, release) for key, release, *_ in CASES} | {("que-15", "R5"), ("que-1a", "R5")}
    assert RULES.keys() <= broken
