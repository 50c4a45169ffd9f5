"""Node compiles and runs CQL as the comparison needs it."""

from pathlib import Path

import pytest
from oracle.engine import Answer, Failed, NotCompiledError, Question, compile_library, evaluate, why_not

if why_not():
    pytest.skip(f"the oracle cannot be asked: {why_not()}", allow_module_level=True)

NOON = "2026-11-01T12:00:00Z"
PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1970-05"}
BUNDLE = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": PATIENT}]}
LIBRARIES = {
    "Kinds": 'context Patient define "A": true define "B": 1 define private "C": true '
    'define "D": null define "E": 1 = 2',
    "Throws": 'context Patient define "A": singleton from ({1, 2}) = 1 define "B": not "A" define "C": true',
    "Includes": 'include Other version \'1.0.0\'\ncontext Patient define "A": Other."Half"(5.0) = 2.5',
    "Other": 'define function "Half"(given Decimal): given / 2',
    "Today": 'context Patient define "A": Today() = @2026-11-01 define "B": Today() = @2026-10-31',
    "Age": 'context Patient define "A": AgeInYears() >= 62',
}


def _text(name: str, body: str, version: str = "4.0.1") -> str:
    return f"library {name} version '1.0.0'\nusing FHIR version '{version}'\n{body}"


@pytest.fixture(scope="module")
def elm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elm")
    compile_library({name: _text(name, body) for name, body in LIBRARIES.items()}, folder)
    return folder


def _answer(elm: Path, library: str, as_of: str = NOON) -> Answer:
    (answer,) = evaluate(elm, [library], as_of, [Question("one", BUNDLE)])
    return answer


def test_an_error_in_the_cql_is_located(tmp_path: Path) -> None:
    with pytest.raises(NotCompiledError, match=r"Wrong\.cql:4:\d+: error: Could not resolve"):
        compile_library({"Wrong": _text("Wrong", "context Patient\ndefine \"A\": 1 + 'a'")}, tmp_path)


def test_only_public_boolean_defines_are_answered(elm: Path) -> None:
    assert _answer(elm, "Kinds") == Answer("one", "Kinds", "p1", {"A": True, "D": None, "E": False})


def test_a_define_that_throws_costs_no_other(elm: Path) -> None:
    results = _answer(elm, "Throws").results
    assert results["C"] is True
    assert all(isinstance(results[each], Failed) for each in "AB")


def test_a_library_finds_another(elm: Path) -> None:
    assert _answer(elm, "Includes").results == {"A": True}


@pytest.mark.parametrize(
    ("as_of", "november"),
    [("2026-11-01T00:30:00Z", True), ("2026-11-01T00:30:00+02:00", True), ("2026-10-31T23:30:00-05:30", False)],
)
def test_the_zone_of_the_question_says_what_today_is(as_of: str, november: bool, elm: Path) -> None:  # noqa: FBT001
    assert _answer(elm, "Today", as_of).results == {"A": november, "B": not november}


def test_answers_come_in_the_order_of_the_questions(elm: Path) -> None:
    asked = [Question(str(year), BUNDLE, f"{year}-01-01T00:00:00Z") for year in range(2030, 2037)]
    found = evaluate(elm, ["Age"], NOON, asked)
    assert [each.case for each in found] == [str(year) for year in range(2030, 2037)]
    assert [each.results["A"] for each in found] == [False, False, False, True, True, True, True]


def test_r5_is_read_by_the_model_made_from_its_definitions(tmp_path: Path) -> None:
    text = """context Patient
        define "A": exists ([MedicationStatement] M where M.medication.concept.text.value = 'x'
            and (M.effective as FHIR.Period).start.value = @2026-05-01T00:00:00Z)
        define "B": (First([Observation]).value as FHIR.Quantity).value.value = 7.5"""
    period = {"start": "2026-05-01T00:00:00Z"}
    taken = {"resourceType": "MedicationStatement", "medication": {"concept": {"text": "x"}}, "effectivePeriod": period}
    measured = {"resourceType": "Observation", "valueQuantity": {"value": 7.5}}
    bundle = {**BUNDLE, "entry": [*BUNDLE["entry"], {"resource": taken}, {"resource": measured}]}
    compile_library({"Five": _text("Five", text, "5.0.0")}, tmp_path)
    (answer,) = evaluate(tmp_path, ["Five"], NOON, [Question("one", bundle)])
    assert answer.results == {"A": True, "B": True}
