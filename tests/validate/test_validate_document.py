"""Versions told by shape, lines of NDJSON, OperationOutcomes, further checks, and what a report never says."""

import ast
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole import PATIENT, R4_REQUEST, R5_REQUEST, bundle

import adapter.validate as validation
from adapter.errors import Issue, Severity
from adapter.fhir.definitions import check_resource
from adapter.fhir.versions import FhirVersion
from adapter.validate import Report, issue_type, operation_outcome, validate, validate_lines
from adapter.validate.readiness import PROBLEMS
from adapter.validate.report import ISSUE_TYPES

R4, R5 = FhirVersion.R4, FhirVersion.R5
SUBJECT_R4 = {"resourceType": "ResearchSubject", "status": "candidate", "study": {"reference": "ResearchStudy/1"},
              "individual": {"reference": "Patient/1"}}  # fmt: skip
SUBJECT_R5 = {"resourceType": "ResearchSubject", "status": "active", "study": {"reference": "ResearchStudy/1"},
              "subject": {"reference": "Patient/1"}}  # fmt: skip

ENCOUNTER_R5 = {"resourceType": "Encounter", "status": "planned", "class": [{"text": "ambulatory"}]}
# Nothing but a code that R4 does not have.
NOTIFICATION_R5 = {"resourceType": "Bundle", "type": "subscription-notification", "entry": [
    {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "SubscriptionStatus", "type": "heartbeat",
                                           "subscription": {"reference": "Subscription/1"}}}]}  # fmt: skip


def dumped(tree: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps(tree).encode()


@pytest.mark.parametrize(
    ("tree", "version", "code", "expression"),
    [
        (bundle(R4_REQUEST), R4, "version-inferred", "Bundle.entry[5].resource.medicationReference"),
        (bundle(R5_REQUEST), R5, "version-inferred", "Bundle.entry[5].resource.medication"),
        (SUBJECT_R4, R4, "version-inferred", "ResearchSubject.individual"),
        (SUBJECT_R5, R5, "version-inferred", "ResearchSubject.subject"),
        (PATIENT, R4, "version-assumed", None),
        (ENCOUNTER_R5, R5, "version-inferred", "Encounter.class"),
        (NOTIFICATION_R5, R5, "version-inferred", None),
    ],
)
def test_the_version_is_told_by_shape_and_said(
    tree: dict[str, Any], version: FhirVersion, code: str, expression: str | None
) -> None:
    report = validate(dumped(tree))
    assert report.version is version
    assert [(issue.code, issue.expression) for issue in report.issues] == [(code, expression)]


def test_a_resource_only_r4b_has_is_accepted_and_said_to_be_unchecked() -> None:
    status = {"resourceType": "SubscriptionStatus", "type": "heartbeat"}
    entry = {"fullUrl": "urn:uuid:1", "resource": status}
    tree = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
    report = validate(dumped(tree))
    assert report.version is R4
    assert [issue.code for issue in report.issues] == ["version-assumed", "r4b-only"]
    assert report.is_valid


def test_every_line_of_ndjson_is_judged_and_named() -> None:
    lines = [dumped(PATIENT), b"", b'{"resourceType": "Patient",', dumped({**PATIENT, "gender": "f"}), dumped([1])]
    report = validate_lines(b"\n".join(lines), R4)
    assert [(issue.line, issue.code) for issue in report.issues] == [
        (3, "truncated"), (4, "not-a-code"), (5, "not-fhir"),
    ]  # fmt: skip
    assert report.resource_count == 2
    assert validate_lines((line + b"\n" for line in lines), R4) == report


def test_ndjson_has_one_version_whatever_line_tells_it() -> None:
    report = validate_lines(b"\n".join([dumped(PATIENT), dumped(SUBJECT_R5)]))
    assert report.version is R5
    assert [issue.code for issue in report.issues] == ["version-inferred"]


def test_a_hopeless_document_ends_with_a_count_of_what_is_not_listed() -> None:
    tree = {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "x"}] * 1500}
    report = validate(dumped(tree), R4)
    assert len(report.issues) == validation.MAX_ISSUES + 1
    assert report.issues[-1].code == "issues-left-out"


def test_a_thousand_warnings_hide_no_error() -> None:
    lost = {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": {"reference": "urn:uuid:none"}}  # fmt: skip
    entry = [{"fullUrl": f"urn:uuid:{index}", "resource": lost} for index in range(validation.MAX_ISSUES + 50)]
    entry.append({"fullUrl": "urn:uuid:last", "resource": {**lost, "status": "done"}})
    report = validate(dumped({"resourceType": "Bundle", "type": "collection", "entry": entry}), R4)
    assert not report.is_valid
    assert [issue.code for issue in report.issues if issue.severity is Severity.ERROR] == ["not-a-code"]
    assert (report.issues[-1].code, report.issues[-1].severity) == ("issues-left-out", Severity.WARNING)


@pytest.mark.parametrize("version", FhirVersion)
@pytest.mark.parametrize(
    "data", [dumped(PATIENT), b'{\n"resourceType": "Patient", "birthDate": "1", "birthDate": ""', dumped({"a": 1}),
             dumped({"resourceType": "Patient", "birthDate": "1", "contact": [{}], "x": None})],
)  # fmt: skip
def test_the_outcome_is_valid_fhir(version: FhirVersion, data: bytes) -> None:
    outcome = operation_outcome(validate(data, version))
    assert check_resource(outcome, version) == []
    assert validate(dumped(outcome), version).issues == ()


def test_an_outcome_locates_by_fhirpath_and_by_line() -> None:
    (issue,) = operation_outcome(validate_lines(dumped({**PATIENT, "gender": "f"}), R4))["issue"]
    assert issue["code"] == "code-invalid"
    assert issue["expression"] == ["Patient.gender"]
    assert issue["diagnostics"] == "line 1"
    assert issue["details"]["coding"][0]["code"] == "not-a-code"


def test_a_code_nobody_listed_is_still_an_outcome() -> None:
    issue = Issue(Severity.WARNING, "unit-missing", "no unit")
    assert issue_type(issue) == "processing"
    assert check_resource(operation_outcome(Report((issue,), R4, 1)), R4) == []


def test_every_code_has_its_issue_type_and_every_listed_code_is_used() -> None:
    root = Path(validation.__file__).parent.parent
    sources = [*root.joinpath("validate").glob("*.py"), *root.joinpath("fhir", "definitions").glob("*.py"),
               root / "verbs" / "validating.py", root / "inputs.py", root / "fhir" / "wire.py",
               *(root / "fhir" / f"{name}.py" for name in ("record", "versioning", "duplicates", "json_text")),
               root / "screen.py"]  # fmt: skip
    at = {"Issue": 1, "Remark": 0, "_error": 0, "_located": 2, "of": 1}
    used, words = set(), set()
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and path.name != "report.py":
                words.add(node.value)
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                argument = node.args[at[name]] if name in at and len(node.args) > at[name] else None
                if isinstance(argument, ast.Constant):
                    used.add(argument.value)
    assert len(used) > 40
    assert used | set(PROBLEMS.values()) <= set(ISSUE_TYPES)
    assert set(ISSUE_TYPES) - {"issues-left-out"} <= words


MARK = "Zyxwvut"


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterable[tuple[Any, ...]]:  # noqa: ANN401 - any JSON
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from _places(value, (*path, key))


PLACES = {version: list(_places(bundle(request))) for version, request in ((R4, R4_REQUEST), (R5, R5_REQUEST))}


@pytest.mark.parametrize("version", FhirVersion)
@pytest.mark.parametrize("shape", ["text", "reference", "date", "name", "object"])
def test_nothing_the_sender_wrote_is_repeated(version: FhirVersion, shape: str) -> None:
    for place in PLACES[version]:
        tree: Any = bundle(R4_REQUEST if version is R4 else R5_REQUEST)
        node = tree
        for step in place[:-1]:
            node = node[step]
        match shape:
            case "text":
                node[place[-1]] = MARK
            case "reference":
                node[place[-1]] = f"#{MARK}"
            case "date":
                node[place[-1]] = f"1961-04-05T{MARK}"
            case "name" if isinstance(node, dict):
                node[MARK] = node.pop(place[-1])
            case _:
                node[place[-1]] = {MARK: MARK, "resourceType": MARK, "reference": MARK, "type": MARK}
        report = validate(dumped(tree), version)
        assert MARK not in str(report) + str(operation_outcome(report)), place


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
    | st.sampled_from(["Patient", "#", "#m1", "2020", "Bundle", "urn:uuid:1", "Patient/1", "final"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["code", "coding", "resourceType", "contained", "reference", "value", "id",
                                       "entry", "resource", "extension", "start", "x"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_shape_of_json_makes_it_fail(data: st.DataObject) -> None:
    version = data.draw(st.sampled_from([R4, R5]))
    tree: Any = bundle(R4_REQUEST if version is R4 else R5_REQUEST)
    for _ in range(3):
        place = data.draw(st.sampled_from(PLACES[version]))
        node = tree
        try:
            for step in place[:-1]:
                node = node[step]
            node[place[-1]] = data.draw(JSON)
        except (KeyError, IndexError, TypeError):
            continue
    validate(dumped(tree), None)
    validate(dumped(tree), version)
