"""A second reading of what is emitted: the truth of a Group and of an EvidenceVariable from their JSON alone.

It shares no code with the emission: a sentence is known by its value, as any reader of the JSON knows it.
"""

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from adapter.catalog.catalog import Catalog
from adapter.eligibility.facts import Sex
from adapter.eligibility.kinds.condition import ConditionClause
from adapter.eligibility.kinds.human import Ask
from adapter.eligibility.kinds.quantity import Quantity
from adapter.eligibility.kinds.record import AllClause, ProcedureClause, Record
from adapter.eligibility.trial import Atom, Criterion, Logic, Trial
from adapter.eligibility.truth import Truth, all_of, any_of, negation
from adapter.eligibility.values import Limits, Period
from adapter.emission.evidence import evidence_variables
from adapter.emission.group import eligibility_group
from adapter.emission.names import Naming

Problems = Callable[[dict[str, Any]], list[str]]
"""What a checker of resources gives: what is wrong with one."""
CODE_OPTIONS = "http://hl7.org/fhir/StructureDefinition/codeOptions"
PREMISE = "The patient is of childbearing potential"


def bmi(**ends: int) -> Quantity:
    limits = Limits(**{name: Decimal(end) for name, end in ends.items()})
    return Quantity("bmi", limits, "kg/m2", as_printed=limits, as_printed_unit="kg/m2", label="body-mass index")


ATOMS = {
    "T-words": Atom("T-words", "willing", "C", Ask()),
    "T-human": Atom("T-human", "serious", "B", Record((ConditionClause(("hiv",)),)), ask="Is it serious?"),
    "T-one": Atom("T-one", "BMI at least 19", "A", bmi(at_least=19)),
    "T-strict": Atom("T-strict", "BMI between 20 and 30, both outside", "A", bmi(more_than=20, less_than=30)),
    "T-either": Atom("T-either", "diabetes of either type", "A", Record((ConditionClause(("t1dm", "t2dm")),))),
    "T-both": Atom(
        "T-both",
        "angina beside heart failure",
        "A",
        Record((AllClause((ConditionClause(("angina",)), ConditionClause(("heart_failure",)))),)),
    ),
    "T-timed": Atom(
        "T-timed", "dialysis of late", "A", Record((ProcedureClause(("dialysis_proc",), Period("P90D", days=90)),))
    ),
}
"""An atom of every shape: words, words of a question, one value, both of two, either of two, a time."""
SENTENCES = {
    "T-words": (all_of, [("text", "willing")]),
    "T-human": (all_of, [("text", "Is it serious?")]),
    "T-one": (all_of, [(">=", 19)]),
    "T-strict": (all_of, [(">", 20), ("<", 30)]),
    "T-either": (any_of, [("set", "t1dm"), ("set", "t2dm")]),
    "T-both": (all_of, [("set", "angina"), ("set", "heart-failure")]),
    "T-timed": (all_of, [("set", "dialysis-proc")]),
}
"""What each atom comes to, and the sentences it is made of."""
EVERY_SENTENCE = [key for _, keys in SENTENCES.values() for key in keys]
Known = dict[tuple[str, object], Truth]


def criterion(side: str, logic: Logic, ids: list[str]) -> Criterion:
    return Criterion("T-X1", side, "the sentence as printed", logic, tuple(ATOMS[id_] for id_ in ids))


def trial(one: Criterion) -> Trial:
    return Trial("T", "1.0.0", "a trial", (one,))


def truths_of(known: Known) -> dict[str, Truth]:
    return {id_: fold([known[key] for key in keys]) for id_, (fold, keys) in SENTENCES.items()}


def favour(one: Criterion, known: Known, sex: Sex, childbearing: Truth) -> Truth:
    """What the criterion itself says: met where it speaks for the patient."""
    case: Any = SimpleNamespace(sex=sex, childbearing=lambda: childbearing)
    truth = one.logic.holds(truths_of(known), case)
    return truth if one.type == "inclusion" else negation(truth)


def emitted(one: Criterion, catalog: Catalog, naming: Naming) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The Group of a trial of one criterion, and its EvidenceVariables by reference."""
    group = eligibility_group(trial(one), catalog.files["CFMSC"], catalog, naming)
    variables = evidence_variables(trial(one), catalog, naming)
    return group, {f"EvidenceVariable/{each['id']}": each for each in variables}


def read_group(group: dict[str, Any], variables: dict[str, dict[str, Any]], known: Known) -> Truth:
    """All characteristics are true of whoever belongs, each turned round by ``exclude``."""
    found = []
    for each in group["characteristic"]:
        if "valueReference" in each:
            truth = read_variable(variables[each["valueReference"]["reference"]], known)
        else:
            truth = known[sentence(each["code"], each)]
        found.append(negation(truth) if each["exclude"] else truth)
    return all_of(found)


def read_variable(variable: dict[str, Any], known: Known) -> Truth:
    return all_of([read_characteristic(each, known) for each in variable["characteristic"]])


def read_characteristic(each: dict[str, Any], known: Known) -> Truth:
    defined = [name for name in each if name.startswith("definition")]
    assert len(defined) == 1  # evv-1
    match each:
        case {"definitionByCombination": {"code": code, "characteristic": inside}}:
            fold = {"all-of": all_of, "any-of": any_of}[code]
            truth = fold([read_characteristic(one, known) for one in inside])
        case {"definitionCodeableConcept": concept}:
            truth = known[("text", concept["text"])]
        case {"definitionByTypeAndValue": held}:
            truth = known[sentence(held["type"], held)]
        case _:
            raise AssertionError(defined)
    return negation(truth) if each["exclude"] else truth


def sentence(code: dict[str, Any], held: dict[str, Any]) -> tuple[str, object]:
    """Name the sentence that a code and a value state."""
    match held:
        case {"valueBoolean": True}:
            return "text", code["text"]
        case {"valueQuantity": {"comparator": comparator, "value": value}}:
            return comparator, value
        case {"valueCodeableConcept": {"extension": [{"url": url, "valueCanonical": canonical}]}}:
            assert url == CODE_OPTIONS
            return "set", canonical.rpartition("/")[2].partition("|")[0]
        case {"valueCodeableConcept": {"coding": [{"code": coded}]}}:
            return "code", coded
        case {"valueCodeableConcept": {"text": text}}:
            return "text", text
        case _:
            raise AssertionError(held)
