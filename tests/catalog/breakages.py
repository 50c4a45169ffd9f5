"""Ways to break the shipped files, one rule at a time, and what ``trial-adapter check`` must say of each."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from adapter.catalog.checks import check
from adapter.catalog.load import read_catalog, shipped
from adapter.errors import Issue


@dataclass(frozen=True)
class Said:
    """An issue as expected: its code, and the text that stands on its line (None: the first changed line)."""

    code: str
    path: str | None
    at: str | None = None


@dataclass(frozen=True)
class Breakage:
    """One text replaced in a copy of one file."""

    what: str
    file: str
    old: str
    new: str
    said: tuple[Said, ...]


def copy_of_shipped(folder: Path) -> Path:
    for name in ("trials", "mappings"):
        shutil.copytree(shipped(name), folder / name)
    return folder


def apply(folder: Path, breakage: Breakage) -> list[tuple[str, str, int | None, str | None]]:
    """Break the copy; give the issues expected: code, file, line, path."""
    path = folder / breakage.file
    before = path.read_text(encoding="utf-8")
    assert before.count(breakage.old) >= 1, f"{breakage.file} no longer holds {breakage.old!r}"
    after = before.replace(breakage.old, breakage.new, 1)
    path.write_text(after, encoding="utf-8")
    place = before.index(breakage.old)
    same = 0
    while same < min(len(breakage.old), len(breakage.new)) and breakage.old[same] == breakage.new[same]:
        same += 1
    changed = after.count("\n", 0, place + same) + 1
    found = []
    for each in breakage.said:
        line = changed if each.at is None else after.count("\n", 0, after.index(each.at, max(0, place - 600))) + 1
        found.append((each.code, path.as_posix(), line, each.path))
    return found


def issues_of(folder: Path) -> list[Issue]:
    sources, catalog = read_catalog([folder / "trials"], [folder / "mappings"])
    return check(sources, catalog)


def seen(issues: list[Issue]) -> list[tuple[str, str, int | None, str | None]]:
    return [(issue.code, issue.file or "", issue.line, issue.expression) for issue in issues]


def one(what: str, file: str, old: str, new: str, code: str, path: str | None, at: str | None = None) -> Breakage:
    return Breakage(what, file, old, new, (Said(code, path, at),))


N2, N1, N6 = "trials/NCT02302599.yaml", "trials/NCT01157403.yaml", "trials/NCT06751199.yaml"
CF, BM = "trials/CFMSC.yaml", "trials/BMMSC.yaml"
LAB, VIT, REC = (
    "mappings/inputs/laboratory.yaml",
    "mappings/inputs/vitals-and-scores.yaml",
    "mappings/inputs/record.yaml",
)
PREG, INF = "mappings/inputs/pregnancy.yaml", "mappings/inputs/infection.yaml"
DIA, DRUG, TUM = (
    "mappings/value-sets/diabetes.yaml",
    "mappings/value-sets/drugs.yaml",
    "mappings/value-sets/tumors.yaml",
)
HEART, VOC, POL = "mappings/value-sets/cardiovascular.yaml", "mappings/vocabulary.yaml", "mappings/policy.yaml"

AGE = "{kind: age, limits: {at_least: 20, at_most: 65}}"
BMI = 'limits: {at_least: 24.0, at_most: 40.0}, unit: "kg/m2"}'
I1A, I3A, I5A = "criteria[0].atoms[0]", "criteria[2].atoms[0]", "criteria[4].atoms[0]"
EXTRA_INPUT = """  alt:
    # One ukat"""
NEW_INPUT = """  never_asked:
    title: never asked
    datatype: Quantity
    source: Observation
    resource: Observation
  alt:
    # One ukat"""

BREAKAGES = [
    # The shape of files
    one("an unknown key of a trial", N2, "version:", "versoin:", "unknown-key", "versoin").__class__(
        "an unknown key of a trial, and the key that is missing then",
        N2,
        "version:",
        "versoin:",
        (Said("missing-key", None, "key: NCT02302599"), Said("unknown-key", "versoin")),
    ),
    one(
        "an unknown key of a kind",
        N2,
        "kind: quantity, input: bmi",
        "window_: P1D, kind: quantity, input: bmi",
        "unknown-key",
        f"{I3A}.judge.window_",
    ),
    one(
        "an unknown key of a mapping",
        LAB,
        "    title: creatinine",
        "    titel: x\n    title: creatinine",
        "unknown-key",
        "inputs.creatinine.titel",
    ),
    one("an unknown kind", N2, "kind: age", "kind: aeg", "schema", f"{I1A}.judge.kind"),
    one("a kind that is missing", N2, "{kind: age, limits", "{limits", "missing-key", f"{I1A}.judge"),
    one(
        "a key that is missing in a kind",
        N2,
        ", limits: {at_least: 24.0, at_most: 40.0}",
        "",
        "missing-key",
        f"{I3A}.judge",
    ),
    one("a number that is none", N2, "at_least: 24.0", "at_least: twenty", "schema", f"{I3A}.judge.limits.at_least"),
    one(
        "a length of time that is none",
        N2,
        "stable: P3M",
        "stable: 3 months",
        "schema",
        "criteria[3].atoms[2].judge.stable",
    ),
    one("a negative window", N2, "stable: P3M", "stable: P-3M", "schema", "criteria[3].atoms[2].judge.stable"),
    one(
        "units of a length in the wrong order",
        N2,
        "stable: P3M",
        "stable: P3D1M",
        "schema",
        "criteria[3].atoms[2].judge.stable",
    ),
    one(
        "a class that is none",
        N2,
        "class: C\n        inputs: [consent",
        "class: D\n        inputs: [consent",
        "schema",
        "criteria[6].atoms[0].class",
    ),
    one(
        "a list where text belongs",
        LAB,
        "    title: creatinine",
        "    title: [creatinine]",
        "schema",
        "inputs.creatinine.title",
    ),
    one(
        "a reason that is none",
        HEART,
        "      VERIFY:\n        # Superficial",
        "      VERFIY:\n        # Superficial",
        "unknown-key",
        "value_sets.thrombosis.suggests.VERFIY",
    ),
    one(
        "logic of two keys",
        N2,
        "logic: {all: [NCT02302599-I2a, NCT02302599-I2b]}",
        "logic: {any: [NCT02302599-I2a], all: [NCT02302599-I2b]}",
        "unknown-key",
        "criteria[1].logic.all",
    ).__class__(
        "logic of two keys",
        N2,
        "logic: {all: [NCT02302599-I2a, NCT02302599-I2b]}",
        "logic: {all: [NCT02302599-I2a], some: [NCT02302599-I2b]}",
        (
            Said("unknown-key", "criteria[1].logic.some"),
            Said("unused-atom", "criteria[1].atoms[1].id", "      - id: NCT02302599-I2b"),
        ),
    ),
    one("a file that is not YAML", N2, "version: ", "version: [", "not-yaml", None).__class__(
        "a file that is not YAML", POL, "policy:", "policy: [", (Said("not-yaml", None, "  fresh.cbc"),)
    ),
    # Names that stand twice
    one(
        "a key that stands twice",
        N2,
        "        class: A\n        inputs: [age]",
        "        class: A\n        class: A\n        inputs: [age]",
        "duplicate-key",
        f"{I1A}.class",
    ).__class__(
        "a key that stands twice",
        N2,
        "        class: A\n        inputs: [age]\n",
        "        class: A\n        inputs: [age]\n        class: A\n",
        (Said("duplicate-key", f"{I1A}.class"),),
    ),
    one(
        "an input that another file has too",
        VIT,
        "inputs:\n",
        "inputs:\n  creatinine: {title: x, datatype: x, source: x, resource: Observation}\n",
        "duplicate-key",
        "inputs.creatinine",
    ),
    one(
        "a value set that another file has too",
        TUM,
        "value_sets:\n",
        "value_sets:\n  t2dm: {title: x}\n",
        "duplicate-key",
        "value_sets.t2dm",
    ),
    one(
        "a policy that another file has too",
        REC,
        "inputs:\n",
        "policy:\n  adult: {value: 18, basis: ours, means: x}\ninputs:\n",
        "duplicate-key",
        "policy.adult",
        "  adult: {value",
    ),
    one(
        "an atom's id that stands twice",
        N2,
        "      - id: NCT02302599-I4f",
        "      - id: NCT02302599-I4e",
        "duplicate-id",
        "criteria[3].atoms[5].id",
    ).__class__(
        "an atom's id that stands twice",
        N2,
        "      - id: NCT02302599-I4f",
        "      - id: NCT02302599-I4e",
        (
            Said("unknown-atom", "criteria[3].logic.all[3].not.any[2]", "- {not: {any: [NCT02302599-I4d"),
            Said("duplicate-id", "criteria[3].atoms[5].id"),
        ),
    ),
    # Names that nothing defines
    one("an unknown input of a kind", N2, "input: bmi", "input: bmj", "unknown-input", f"{I3A}.judge.input"),
    one(
        "an unknown input of an atom",
        N2,
        "inputs: [bmi, height, weight]",
        "inputs: [bmi, hight, weight]",
        "unknown-input",
        f"{I3A}.inputs[1]",
    ),
    one(
        "an unknown input of a derivation",
        VIT,
        "      height: height\n",
        "      height: heigth\n",
        "unknown-input",
        "inputs.bmi.derive.height",
    ),
    one(
        "an unknown input of a clause",
        N1,
        "- value: hba1c\n              limits",
        "- value: hba1\n              limits",
        "unknown-input",
        "criteria[1].atoms[1].judge.any[1].value",
    ),
    one(
        "an unknown value set of a clause",
        N1,
        "{condition: [acute_renal_failure]",
        "{condition: [acute_renal_fail]",
        "unknown-value-set",
        "criteria[3].atoms[3].judge.any[0].condition[0]",
    ).__class__(
        "an unknown value set of a clause",
        N1,
        "doubtful: {t1dm_presymptomatic: VERIFY, t1dm_lada: VERIFY}",
        "doubtful: {t1dm_presymptomatic: VERIFY, t1dm_lade: VERIFY}",
        (Said("unknown-value-set", "criteria[1].atoms[0].judge.any[0].doubtful.t1dm_lade"),),
    ),
    one(
        "an unknown value set that is included",
        DRUG,
        "includes: [rx_insulin, rx",
        "includes: [rx_insulins, rx",
        "unknown-value-set",
        "value_sets.rx_antidiabetic.includes[0]",
    ),
    one(
        "an unknown value set of answers",
        PREG,
        "{positive: lactation}",
        "{positive: lactating}",
        "unknown-value-set",
        "inputs.breastfeeding_status.answers.value_sets.positive",
    ),
    one(
        "an unknown value set of the vocabulary",
        VOC,
        "of: [rx_insulin, rx_insulin_glp1_combo]",
        "of: [rx_insulin, x]",
        "unknown-value-set",
        "vocabulary.dosage.of[1]",
    ),
    one(
        "an unknown policy",
        N2,
        "gap_days: $treatment.gap",
        "gap_days: $treatment.gaps",
        "unknown-policy",
        "criteria[3].atoms[0].judge.any[0].gap_days",
    ),
    one(
        "an unknown policy of a mapping",
        LAB,
        "freshness: $fresh.hba1c",
        "freshness: $fresh.hba1",
        "unknown-policy",
        "inputs.hba1c.freshness",
    ).__class__(
        "an unknown policy of a mapping, which nothing uses then",
        LAB,
        "freshness: $fresh.hba1c",
        "freshness: $fresh.hba1",
        (Said("unknown-policy", "inputs.hba1c.freshness"),),
    ),
    one(
        "a system without a URL",
        VOC,
        '    cpt: ["http://www.ama-assn.org/go/cpt"]\n',
        "",
        "unknown-system",
        "value_sets.dialysis_proc.codes.cpt",
    ).__class__(
        "a system that is none",
        VOC,
        "hierarchical: [icd10cm, icd10, atc]",
        "hierarchical: [icd10cm, icd11, atc]",
        (Said("schema", "vocabulary.hierarchical[1]"),),
    ),
    one(
        "an unknown role of tests",
        N1,
        "suggestive: [{input: hiv_test, roles: [other]}]",
        "suggestive: [{input: hiv_test, roles: [others]}]",
        "unknown-role",
        "criteria[5].atoms[0].judge.suggestive[0].roles[0]",
    ).__class__(
        "an unknown role of tests, and the role that nothing shows then",
        N1,
        "conclusive: [{input: hbv_test, roles: [hbsag, dna, e_ag]}]",
        "conclusive: [{input: hbv_test, roles: [hbsag, dns, e_ag]}]",
        (Said("unknown-role", "criteria[5].atoms[1].judge.conclusive[0].roles[1]"),),
    ),
    one(
        "an unknown role that decides",
        LAB,
        "decides: [primary, ifcc, accept]",
        "decides: [primary, ifc, accept]",
        "unknown-role",
        "inputs.hba1c.decides[1]",
    ),
    one(
        "an unknown role of a measure",
        VIT,
        "      - roles: [hr]",
        "      - roles: [pulse]",
        "unknown-role",
        "inputs.vitals.measures[2].roles[0]",
    ),
    one(
        "an unknown role of a derivation",
        LAB,
        "percent: [percent, bands]",
        "percent: [percent, band]",
        "unknown-role",
        "inputs.anc.derive.percent[1]",
    ),
    one(
        "an unknown atom in the logic",
        N2,
        "logic: NCT02302599-I3a",
        "logic: NCT02302599-I3b",
        "unknown-atom",
        "criteria[2].logic",
    ).__class__(
        "an unknown atom in the logic, and the one that is left out",
        N2,
        "logic: NCT02302599-I3a",
        "logic: NCT02302599-I3b",
        (
            Said("unknown-atom", "criteria[2].logic"),
            Said("unused-atom", "criteria[2].atoms[0].id", "      - id: NCT02302599-I3a"),
        ),
    ),
    one(
        "an atom that is not in the logic",
        N2,
        "[NCT02302599-I4d, NCT02302599-I4e, NCT02302599-I4f]",
        "[NCT02302599-I4d, NCT02302599-I4e]",
        "unused-atom",
        "criteria[3].atoms[5].id",
        "      - id: NCT02302599-I4f",
    ),
    one(
        "a criterion that same-as does not find",
        N6,
        "criterion: NCT06751199-I3}",
        "criterion: NCT06751199-I9}",
        "unknown-criterion",
        "criteria[3].atoms[6].judge.criterion",
    ),
    one(
        "a criterion that comes later than same-as",
        N6,
        "criterion: NCT06751199-I3}",
        "criterion: NCT06751199-I5}",
        "unknown-criterion",
        "criteria[3].atoms[6].judge.criterion",
    ),
    one("another trial's key", CF, "this: CFMSC", "this: BMMSC", "unknown-trial", "criteria[16].atoms[0].judge.this"),
    one(
        "a contradiction of an unknown atom",
        N6,
        "excludes: [NCT06751199-E6f]",
        "excludes: [NCT06751199-E6z]",
        "unknown-atom",
        "contradictions[0].excludes[0]",
    ).__class__(
        "a contradiction of an unknown atom",
        N6,
        "includes: [NCT06751199-I4iii-b]",
        "includes: [NCT06751199-I4iii-z]",
        (Said("unknown-atom", "contradictions[2].includes[0]"),),
    ),
    one(
        "a contradiction of the wrong side",
        N6,
        "includes: [NCT06751199-I4iii-b]",
        "includes: [NCT06751199-E10b]",
        "contradiction-side",
        "contradictions[2].includes[0]",
    ),
    one(
        "a criterion's id of another type",
        N1,
        "  - id: NCT01157403-E1\n    type: exclusion",
        "  - id: NCT01157403-E1\n    type: inclusion",
        "criterion-id",
        "criteria[2].id",
        "  - id: NCT01157403-E1\n",
    ),
    one(
        "an atom's id of another criterion",
        N2,
        "logic: NCT02302599-I3a\n    atoms:\n      - id: NCT02302599-I3a",
        "logic: NCT02302599-I9a\n    atoms:\n      - id: NCT02302599-I9a",
        "atom-id",
        "criteria[2].atoms[0].id",
        "      - id: NCT02302599-I9a",
    ),
    # Rows that nothing uses
    one(
        "an input that nothing asks for",
        LAB,
        EXTRA_INPUT,
        NEW_INPUT,
        "unused-input",
        "inputs.never_asked",
        "  never_asked:",
    ),
    one(
        "a value set that nothing names",
        TUM,
        "value_sets:\n",
        'value_sets:\n  never_named: {title: x, codes: {icd10cm: [{code: "C00", display: x, verified: weak}]}}\n',
        "unused-value-set",
        "value_sets.never_named",
    ),
    one(
        "a policy that nothing refers to",
        POL,
        "policy:\n",
        "policy:\n  never.used: {value: 1, basis: ours, means: x}\n",
        "unused-policy",
        "policy.never.used",
        "  never.used",
    ),
    one(
        "a role that nothing decides by",
        LAB,
        "decides: [qualitative, quantitative]",
        "decides: [qualitative]",
        "unused-role",
        "inputs.ketones_urine.codes.quantitative",
        "      quantitative:",
    ),
    one(
        "a value set without codes",
        N1,
        "{condition: [malignancy_insitu], gives: VERIFY}",
        "{condition: [malignancy_insitu, study_product_components], gives: VERIFY}",
        "empty-value-set",
        "value_sets.study_product_components",
    ).__class__(
        "a value set without codes",
        TUM,
        "value_sets:\n",
        "value_sets:\n  nothing_in_it: {title: x}\n",
        (Said("unused-value-set", "value_sets.nothing_in_it"),),
    ),
]
