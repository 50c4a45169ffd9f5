"""The PlanDefinition of a trial: an action for every criterion and atom, a proposal on the overall decision."""

from collections.abc import Iterator
from typing import Any

import pytest
from meaning import Problems

from adapter.catalog.catalog import Catalog
from adapter.emission.names import IS_ELIGIBLE, Naming
from adapter.emission.plan import plan_definition


def plan_of(key: str, catalog: Catalog, naming: Naming, unsaid: tuple[str, ...] = ()) -> dict[str, Any]:
    (trial,) = catalog.only((key,))
    return plan_definition(trial, catalog.files[key], catalog, naming, unsaid=unsaid)


def actions(inside: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in inside.get("action", ()):
        yield each
        yield from actions(each)


def action(id_: str, plan: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in actions(plan) if each["id"] == id_)


def condition(each: dict[str, Any]) -> str | None:
    """Name the define an action applies by."""
    if "condition" not in each:
        return None
    (one,) = each["condition"]
    assert one["kind"] == "applicability"
    assert one["expression"]["language"] == "text/cql-identifier"
    return str(one["expression"]["expression"])


def inputs(each: dict[str, Any], naming: Naming) -> list[dict[str, Any]]:
    found = each.get("input", [])
    return found if naming.is_r4 else [one["requirement"] for one in found]


def test_there_is_an_action_for_every_criterion_and_atom_in_its_place(catalog: Catalog, naming: Naming) -> None:
    for trial in catalog.trials:
        plan = plan_of(trial.key, catalog, naming)
        screen, propose = plan["action"]
        assert (screen["id"], propose["id"]) == ("screen", "propose")
        placed = {
            side["id"]: {one["id"]: [atom["id"] for atom in one["action"]] for one in side["action"]}
            for side in screen["action"]
        }
        assert placed == {
            side: {one.id: [atom.id for atom in one.atoms] for one in trial.criteria if one.type == side}
            for side in ("inclusion", "exclusion")
        }
        ids = [each["id"] for each in actions(plan)]
        assert len(ids) == len(set(ids))


def test_each_applies_by_the_define_of_its_name_but_what_only_people_answer(catalog: Catalog, naming: Naming) -> None:
    for trial in catalog.trials:
        plan = plan_of(trial.key, catalog, naming)
        for one in trial.criteria:
            for atom in one.atoms:
                assert condition(action(atom.id, plan)) == (None if atom.grade == "C" else atom.id)
            only_people = all(atom.grade == "C" for atom in one.atoms)
            assert condition(action(one.id, plan)) == (None if only_people else one.id)
        assert condition(action("propose", plan)) == IS_ELIGIBLE


def test_what_the_library_leaves_null_is_shown_to_people(catalog: Catalog, naming: Naming) -> None:
    plan = plan_of("CFMSC", catalog, naming, unsaid=("CFMSC-I4a",))
    assert condition(action("CFMSC-I4a", plan)) is None
    assert condition(action("CFMSC-I4", plan)) is None
    assert condition(action("CFMSC-I5a", plan)) == "CFMSC-I5a"


def test_the_sides_carry_the_codes_of_criteria(catalog: Catalog, naming: Naming) -> None:
    plan = plan_of("CFMSC", catalog, naming)
    for side, code in (("inclusion", "C25532"), ("exclusion", "C25370")):
        found = action(side, plan)["code"]
        (concept,) = found if naming.is_r4 else [found]
        assert [each["code"] for each in concept["coding"]] == [code]


def test_the_links_of_r5_are_the_ids(catalog: Catalog, naming: Naming) -> None:
    plan = plan_of("CFMSC", catalog, naming)
    for each in actions(plan):
        assert each.get("linkId") == (None if naming.is_r4 else each["id"])
    (related,) = action("propose", plan)["relatedAction"]
    assert related == {"actionId" if naming.is_r4 else "targetId": "screen", "relationship": "after"}


def value_set(name: str, catalog: Catalog, naming: Naming) -> str:
    return naming.canonical("ValueSet", name, f"1.0.0-m{catalog.mappings.version[:8]}")


@pytest.mark.parametrize(
    ("atom", "resource_type", "path", "name"),
    [
        ("CFMSC-I2a", "Condition", "code", "t2dm"),
        ("CFMSC-I2a", "Condition", "code", "t1dm"),  # a rival on record leaves it open
        ("CFMSC-I2b", "MedicationStatement", "medication", "rx-antidiabetic"),
        ("CFMSC-I2b", "Observation", "code", "input-fasting-glucose"),
        ("CFMSC-I2d", "Observation", "code", "input-hba1c"),
        ("CFMSC-I3b", "Observation", "code", "input-weight"),  # what the index is computed from
        ("CFMSC-E2a", "Procedure", "code", "dialysis-proc"),
        ("CFMSC-E4b", "Observation", "code", "input-hbv-test"),
        ("CFMSC-I9a", "Observation", "code", "input-pregnancy-test"),
        ("CFMSC-I9a", "Condition", "code", "postmenopausal"),  # whom the sentence speaks of
    ],
)
def test_an_atom_asks_for_the_data_it_is_judged_on(
    atom: str, resource_type: str, path: str, name: str, catalog: Catalog, naming: Naming
) -> None:
    asked = inputs(action(atom, plan_of("CFMSC", catalog, naming)), naming)
    wanted = {"path": path, "valueSet": value_set(name, catalog, naming)}
    assert resource_type in [each["type"] for each in asked if each.get("codeFilter") == [wanted]]


def test_one_code_is_asked_for_by_itself_and_a_list_by_its_code(catalog: Catalog, naming: Naming) -> None:
    plan = plan_of("CFMSC", catalog, naming)
    coded = [
        (each["type"], code["code"])
        for id_ in ("CFMSC-I5b", "CFMSC-I2a")
        for each in inputs(action(id_, plan), naming)
        for one in each.get("codeFilter", ())
        for code in one.get("code", ())
    ]
    assert coded == [("Observation", "96761-2"), ("List", "11450-4")]


def test_age_asks_for_the_birth_date_and_a_premise_for_the_sex(catalog: Catalog, naming: Naming) -> None:
    assert inputs(action("CFMSC-I3a", plan_of("CFMSC", catalog, naming)), naming) == [
        {"type": "Patient", "mustSupport": ["birthDate"]}
    ]
    plan = plan_of("NCT06751199", catalog, naming)
    assert inputs(action("NCT06751199-E4", plan), naming) == [{"type": "Patient", "mustSupport": ["gender"]}]


def test_every_atom_asks_for_something_or_follows_another_criterion(catalog: Catalog, naming: Naming) -> None:
    without = []
    for trial in catalog.trials:
        plan = plan_of(trial.key, catalog, naming)
        atoms = [atom for one in trial.criteria for atom in one.atoms]
        without += [(atom.id, type(atom.kind).__name__) for atom in atoms if not inputs(action(atom.id, plan), naming)]
    assert [kind for _, kind in without] == ["SameAs"]


def test_the_reviewer_reads_the_question_and_where_to_answer_it(catalog: Catalog, naming: Naming) -> None:
    found = action("CFMSC-I1a", plan_of("CFMSC", catalog, naming))
    assert found["textEquivalent"] == "Is the patient able to understand the study protocol?"
    (form,) = found["documentation"]
    assert form["resource"] == naming.canonical("Questionnaire", "cfmsc-review", "1.0.0")
    assert form["label"] == "CFMSC-I1a"


def test_the_words_of_the_source_stand_in_the_actions(catalog: Catalog, naming: Naming) -> None:
    for trial in catalog.trials:
        plan = plan_of(trial.key, catalog, naming)
        for one in trial.criteria:
            assert action(one.id, plan)["textEquivalent"] == one.text
            assert action(one.id, plan)["prefix"] == one.id.removeprefix(f"{trial.key}-")


def test_a_date_is_claimed_only_where_the_source_has_one(catalog: Catalog, naming: Naming) -> None:
    dated, undated = plan_of("BMMSC", catalog, naming), plan_of("CFMSC", catalog, naming)
    assert dated["date"] == "2010-06-11"
    assert "date" not in undated
    publishable = "http://hl7.org/fhir/StructureDefinition/publishableplandefinition"
    assert (publishable in dated["meta"]["profile"]) is not naming.is_r4
    assert publishable not in undated["meta"]["profile"]


def test_the_plans_are_fhir(catalog: Catalog, naming: Naming, problems: Problems) -> None:
    for trial in catalog.trials:
        assert problems(plan_of(trial.key, catalog, naming)) == []
