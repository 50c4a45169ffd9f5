"""What stands in the way of screening is told once, counted, located, and without a value."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole import LOINC, R4_REQUEST, R5_REQUEST, SNOMED, Json, Mutation, both, bundle, coded, drop, put, quantity

from adapter.catalog.load import load_catalog
from adapter.errors import Issue, Severity
from adapter.validate.readiness import Reader, Readiness
from adapter.validate.remark import Ranking, Remark

LOCAL = "https://hospital.example.org/codes"
UNIT = "Zyxwvut"


@functools.cache
def reader() -> Reader:
    catalog = load_catalog()
    return Reader(catalog.mappings, catalog.index, catalog.extractor)


def dumped(tree: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps(tree).encode()


def whole(request: Json) -> Json:
    """Give a bundle with nothing in the way: every concept is one that mappings read."""
    tree = bundle(request)
    put("entry[4].resource.code", coded(SNOMED, "716186003"))(tree)
    put("entry[5].resource.contained[0].code", coded("http://www.nlm.nih.gov/research/umls/rxnorm", "6809"))(tree)
    put("entry[5].resource.authoredOn", "2026-01-01")(tree)
    return tree


def told(ready: Readiness) -> list[Issue]:
    return [*ready.issues, *(remark.issue() for remark in ready.remarks)]


ROWS: list[tuple[str, Mutation, str, str]] = [
    ("a unit nobody converts", put("entry[1].resource.valueQuantity", quantity(7.5, "[pt_us]")), "unit-unusable",
     "Bundle.entry[1].resource"),
    ("a printed unit nobody lists", put("entry[1].resource.valueQuantity", {"value": 7.5, "unit": UNIT}),
     "unit-unusable", "Bundle.entry[1].resource"),
    ("no unit", put("entry[1].resource.valueQuantity", {"value": 7.5}), "unit-unusable", "Bundle.entry[1].resource"),
    ("a value no patient has", put("entry[1].resource.valueQuantity", quantity(750, "%")), "value-implausible",
     "Bundle.entry[1].resource"),
    ("no value", drop("entry[1].resource.valueQuantity"), "value-absent", "Bundle.entry[1].resource"),
    ("a comparator nobody knows", put("entry[1].resource.valueQuantity.comparator", "~"), "comparator-unusable",
     "Bundle.entry[1].resource"),
    ("fasting glucose by a code that may be any glucose",
     both(put("entry[1].resource.code", coded(LOINC, "2339-0")),
          put("entry[1].resource.valueQuantity", quantity(100, "mg/dL"))), "fasting-not-shown",
     "Bundle.entry[1].resource"),
    ("an answer in words",
     both(put("entry[1].resource.code", coded(LOINC, "2514-8")), drop("entry[1].resource.valueQuantity"),
          put("entry[1].resource.valueString", UNIT)), "answer-in-words", "Bundle.entry[1].resource"),
    ("an answer that contradicts itself",
     both(put("entry[1].resource.code", coded(LOINC, "2514-8")), drop("entry[1].resource.valueQuantity"),
          put("entry[1].resource.valueString", "negative"),
          put("entry[1].resource.interpretation", [coded(SNOMED, "10828004")])), "answer-contradictory",
     "Bundle.entry[1].resource"),
    ("a preliminary result", put("entry[1].resource.status", "preliminary"), "status-unusable",
     "Bundle.entry[1].resource"),
    ("a result without a date", drop("entry[1].resource.effectiveDateTime"), "undated", "Bundle.entry[1].resource"),
    ("a result of no known day", put("entry[1].resource.effectiveDateTime", "05.01.2026"), "undated",
     "Bundle.entry[1].resource"),
    ("a result dated by issued",
     both(drop("entry[1].resource.effectiveDateTime"), put("entry[1].resource.issued", "2026-01-05T09:30:00Z")),
     "dated-by-issued", "Bundle.entry[1].resource"),
    ("a condition without a date", drop("entry[3].resource.onsetDateTime"), "undated", "Bundle.entry[3].resource"),
    ("a prescription without a date", drop("entry[5].resource.authoredOn"), "undated", "Bundle.entry[5].resource"),
    ("a LOINC code of no mapping", put("entry[1].resource.code", coded(LOINC, "8302-99")), "code-unmapped",
     "Bundle.entry[1].resource.code"),
    ("a component's code of no mapping", put("entry[2].resource.component[1]", {"code": coded(LOINC, "8302-99")}),
     "code-unmapped", "Bundle.entry[2].resource.component[1].code"),
    ("a code that is another quantity", put("entry[1].resource.code", coded(LOINC, "785-6")), "code-refused",
     "Bundle.entry[1].resource.code"),
    ("a condition's code of no mapping", put("entry[3].resource.code", coded(SNOMED, "444814009")), "code-unmapped",
     "Bundle.entry[3].resource.code"),
    ("a local code", put("entry[1].resource.code", coded(LOCAL, "GLYHB")), "system-unmapped",
     "Bundle.entry[1].resource.code"),
    ("a code without its system", put("entry[1].resource.code", {"coding": [{"code": "4548-4"}]}),
     "code-without-system", "Bundle.entry[1].resource.code"),
    ("a test in words", put("entry[1].resource.code", {"text": "HbA1c"}), "uncoded", "Bundle.entry[1].resource.code"),
    ("a drug in words", put("entry[5].resource.contained[0].code", {"text": "Metformin"}), "uncoded",
     "Bundle.entry[5].resource.contained[0].code"),
    ("nobody's result", drop("entry[1].resource.subject"), "no-subject", "Bundle.entry[1].resource"),
    ("a stranger's result", put("entry[1].resource.subject.reference", "Patient/p2"), "stranger",
     "Bundle.entry[1].resource"),
    ("no birth date", drop("entry[0].resource.birthDate"), "birth-date-missing", "Bundle.entry[0].resource"),
    ("no sex", drop("entry[0].resource.gender"), "sex-unclear", "Bundle.entry[0].resource"),
    ("a value that cannot be read", put("entry[1].resource.valueQuantity.value", UNIT), "unreadable",
     "Bundle.entry[1].resource.valueQuantity.value"),
    ("a page of a search",
     both(put("type", "searchset"), put("link", [{"relation": "next", "url": "https://fhir.example.org?page=2"}])),
     "partial-searchset", "Bundle.link"),
    ("one resource in two versions",
     put("entry[6]", {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000003",
                      "resource": {"resourceType": "Condition", "subject": {"reference": "Patient/p1"}}}),
     "two-versions", "Bundle.entry[6].resource"),
]  # fmt: skip


@pytest.mark.parametrize("request_", [R4_REQUEST, R5_REQUEST], ids=["R4", "R5"])
def test_a_bundle_that_can_be_screened_is_told_to_be_so(request_: Json) -> None:
    assert [str(issue) for issue in told(reader().read(dumped(whole(request_))))] == []


@pytest.mark.parametrize("request_", [R4_REQUEST, R5_REQUEST], ids=["R4", "R5"])
@pytest.mark.parametrize(("mutation", "code", "expression"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_what_stands_in_the_way_is_told_where_it_stands(
    request_: Json, mutation: Mutation, code: str, expression: str
) -> None:
    tree = whole(request_)
    mutation(tree)
    issues = told(reader().read(dumped(tree)))
    assert (code, expression) in [(issue.code, issue.expression) for issue in issues], [str(each) for each in issues]
    assert {issue.severity for issue in issues} == {Severity.INFORMATION}
    assert UNIT not in str(issues)


@pytest.mark.parametrize(
    "mutation",
    [
        put("entry[1].resource.status", "entered-in-error"),
        both(
            put("entry[1].resource.code", coded(LOINC, "1553-7")),
            put("entry[1].resource.valueQuantity", quantity(5, "?")),
        ),
        put("entry[2].resource.code", {"text": "a panel whose components are coded"}),
    ],
    ids=["what never was", "what is only shown to a reviewer", "a panel"],
)
def test_there_is_nothing_to_mend(mutation: Mutation) -> None:
    tree = whole(R4_REQUEST)
    mutation(tree)
    assert [str(issue) for issue in told(reader().read(dumped(tree)))] == []


def test_a_document_without_a_patient_says_so_and_its_values_are_read_all_the_same() -> None:
    tree = whole(R4_REQUEST)
    del tree["entry"][0]
    put("entry[0].resource.valueQuantity", {"value": 7.5})(tree)
    issues = told(reader().read(dumped(tree)))
    assert {issue.code for issue in issues} == {"no-patient", "unit-unusable"}


def test_the_units_that_would_do_are_named() -> None:
    tree = whole(R4_REQUEST)
    put("entry[1].resource.valueQuantity", {"value": 7.5})(tree)
    (remark,) = reader().read(dumped(tree)).remarks
    assert "HbA1c" in remark.said
    assert re.search(r"it is read in %, mmol/mol", remark.said)


def test_the_same_remark_is_counted_and_the_most_frequent_comes_first() -> None:
    tree = whole(R4_REQUEST)
    for index, code in enumerate(["111-1", "222-2", "222-2", "222-2", "111-1"]):
        observation = json.loads(json.dumps(tree["entry"][1]["resource"]))
        tree["entry"].append({"fullUrl": f"urn:uuid:{index}", "resource": {**observation, "code": coded(LOINC, code)}})
    remarks = reader().read(dumped(tree)).remarks
    assert [(remark.count, remark.expression) for remark in remarks] == [
        (3, "Bundle.entry[7].resource.code"), (2, "Bundle.entry[6].resource.code"),
    ]  # fmt: skip
    assert remarks[0].issue().message.endswith("(3 times)")


def test_a_run_adds_up_its_documents_and_puts_what_is_surely_lost_first() -> None:
    ranking = Ranking()
    ranking.add([Remark("code-unmapped", "x", "A", count=9), Remark("unit-unusable", "y", "B")], "one.json")
    ranking.add([Remark("code-unmapped", "x", "C", count=2)], "two.json")
    issues = [remark.issue() for remark in ranking.ranked()]
    assert [issue.code for issue in issues] == ["unit-unusable", "code-unmapped"]
    assert (issues[1].file, issues[1].expression) == ("one.json", "A")
    assert issues[1].message == "x (11 times, in 2 documents)"


@pytest.mark.parametrize(
    ("system", "code"), [(LOCAL, "Maria Muster, Zyxwvut"), ("Zyxwvut clinic", "1"), (f"{LOCAL}?{UNIT}", "1")]
)
def test_a_code_that_looks_like_none_is_not_repeated(system: str, code: str) -> None:
    tree = whole(R4_REQUEST)
    put("entry[1].resource.code", {"coding": [{"system": system, "code": code, "display": UNIT}], "text": UNIT})(tree)
    (issue,) = told(reader().read(dumped(tree)))
    assert issue.code == "system-unmapped"
    assert UNIT not in str(issue)


def test_what_validation_has_said_of_a_place_is_not_said_again() -> None:
    tree = whole(R4_REQUEST)
    put("entry[1].resource.valueQuantity.value", UNIT)(tree)
    place = "Bundle.entry[1].resource.valueQuantity.value"
    said = [Issue(Severity.ERROR, "wrong-type", "", place)]
    assert [issue.code for issue in reader().read(dumped(tree)).issues] == ["unreadable"]
    assert reader().read(dumped(tree), said).issues == ()


def test_lines_are_read_together_and_named_one_by_one() -> None:
    resources = [each["resource"] for each in whole(R4_REQUEST)["entry"]]
    for resource in resources:
        resource.update({name: {"reference": "Patient/p1"} for name in ("subject", "patient") if name in resource})
    resources[1]["code"] = coded(LOINC, "111-1")
    del resources[3]["subject"]
    lines = [
        b"",
        *(dumped(each) for each in resources[:3]),
        b'{"resourceType":',
        *(dumped(each) for each in resources[3:]),
    ]
    (ready,) = reader().read_lines(lines)
    assert [(issue.code, issue.line, issue.expression) for issue in told(ready)] == [
        ("no-subject", 6, "Condition"), ("code-unmapped", 3, "Observation.code"),
    ]  # fmt: skip


def test_a_line_that_is_a_bundle_is_a_document_of_its_own() -> None:
    tree = whole(R4_REQUEST)
    put("entry[1].resource.code", coded(LOINC, "111-1"))(tree)
    found = reader().read_lines([dumped(whole(R4_REQUEST)), dumped(tree)])
    assert [len(told(ready)) for ready in found] == [0, 1]
    assert (found[1].remarks[0].line, found[1].remarks[0].expression) == (2, "Bundle.entry[1].resource.code")


def test_every_remark_is_in_the_table() -> None:
    source = Path(__file__).resolve().parents[2] / "adapter" / "validate"
    told_of = {
        code
        for name in ("readiness.py", "coverage.py")
        for code in re.findall(r'Remark\(\s*"([a-z-]+)"', (source / name).read_text(encoding="utf-8"))
    }
    assert len(told_of) > 8
    assert told_of <= {row[2] for row in ROWS}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_shape_of_json_makes_it_fail(data: st.DataObject) -> None:
    tree = whole(data.draw(st.sampled_from([R4_REQUEST, R5_REQUEST])))
    entry = data.draw(st.sampled_from(tree["entry"]))["resource"]
    name = data.draw(st.sampled_from(sorted(entry)))
    entry[name] = data.draw(
        st.sampled_from([None, 1, -1e300, "", "#", "2020", True, [], {}, [{}], [None], {"coding": [{}]}, [{"code": 1}]])
    )
    for issue in told(reader().read(dumped(tree))):
        assert issue.severity is Severity.INFORMATION
