"""A site's folder: local codes, expansions and upper limits, without Python and without a changed mapping."""

import json
from pathlib import Path
from typing import Any

import cases
import pytest

from adapter.catalog.catalog import Catalog
from adapter.catalog.checks import check
from adapter.catalog.load import load_catalog, read_catalog
from adapter.cli import main
from adapter.eligibility.finding import Finding
from adapter.errors import Severity

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
LAB = "https://hospital.example.org/lab"


def concept_map(*targets: dict[str, Any], target: str = LOINC) -> dict[str, Any]:
    """Map the local code HBA1C of the hospital."""
    group = {"source": LAB, "target": target, "element": [{"code": "HBA1C", "target": list(targets)}]}
    return {"resourceType": "ConceptMap", "status": "active", "group": [group]}


def value_set(name: str, *codes: str, system: str = SNOMED) -> dict[str, Any]:
    contains = [{"system": system, "code": code} for code in codes]
    return {"resourceType": "ValueSet", "name": name, "status": "active", "expansion": {"contains": contains}}


class Site:
    """A site folder in the making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: object) -> "Site":
        text = content if isinstance(content, str) else json.dumps(content, indent="\t")
        (self.folder / name).write_text(text, encoding="utf-8")
        return self

    def catalog(self) -> Catalog:
        return load_catalog(site=self.folder)

    def said(self) -> list[tuple[str, str, str]]:
        """What check says of it: code, severity, file."""
        sources, catalog = read_catalog(site=self.folder)
        issues = check(sources, catalog)
        return [(issue.code, issue.severity.value, Path(issue.file or "").name) for issue in issues]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def screened(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, **case: object) -> dict[str, Finding]:
    monkeypatch.setattr(cases, "catalog", lambda: catalog)
    return cases.findings(dict(case))


def answer(finding: Finding) -> tuple[str, str | None]:
    judgement = finding.judgement
    return judgement.truth.word, judgement.reason.value if judgement.reason else None


LOCAL_HBA1C = [{"code": f"{LAB} HBA1C", "value": "8.1 %", "date": "2026-10-01"}]


@pytest.mark.parametrize(
    "how", [{"equivalence": "equivalent"}, {"equivalence": "equal"}, {"relationship": "equivalent"}]
)
def test_a_local_code_that_is_equivalent_counts_as_its_standard_code(
    site: Site, monkeypatch: pytest.MonkeyPatch, how: dict[str, str]
) -> None:
    site.write("map.json", concept_map({"code": "4548-4", **how}))
    assert site.said() == []
    found = screened(site.catalog(), monkeypatch, labs=LOCAL_HBA1C)
    assert answer(found["BMMSC-I5b"]) == ("met", None)


def test_without_the_map_a_local_code_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = screened(load_catalog(), monkeypatch, labs=LOCAL_HBA1C)
    assert answer(found["BMMSC-I5b"]) == ("unknown", "NODATA")


@pytest.mark.parametrize(
    "how",
    [
        {"equivalence": "wider"},
        {"equivalence": "narrower"},
        {"equivalence": "inexact"},
        {"equivalence": "relatedto"},
        {"relationship": "source-is-narrower-than-target"},
        {"relationship": "source-is-broader-than-target"},
        {"relationship": "related-to"},
        {},
    ],
)
def test_a_target_that_is_not_equivalent_is_not_used_and_that_is_said(
    site: Site, monkeypatch: pytest.MonkeyPatch, how: dict[str, str]
) -> None:
    site.write("map.json", concept_map({"code": "4548-4", **how}))
    assert site.said() == [("not-equivalent", Severity.WARNING.value, "map.json")]
    found = screened(site.catalog(), monkeypatch, labs=LOCAL_HBA1C)
    assert answer(found["BMMSC-I5b"]) == ("unknown", "NODATA")


def test_a_warning_is_printed_and_is_no_failure(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.write("map.json", concept_map({"code": "4548-4", "equivalence": "wider"}))
    assert main(["check", "--site", str(site.folder)]) == 0
    printed = capsys.readouterr()
    assert printed.out.endswith(" no problem, 1 warning\n")
    assert "not-equivalent" in printed.err


def test_rows_that_are_not_used_are_counted_and_the_first_is_located(site: Site) -> None:
    targets = ({"code": "4548-4", "equivalence": "wider"}, {"code": "17856-6", "equivalence": "narrower"})
    site.write("map.json", concept_map(*targets))
    sources, _ = read_catalog(site=site.folder)
    (issue,) = sources.issues
    text = (site.folder / "map.json").read_text(encoding="utf-8").splitlines()
    assert "2, the first one here" in issue.message
    assert issue.expression == "group[0].element[0].target[0]"
    assert issue.line is not None
    assert "{" in text[issue.line - 1]
    assert '"4548-4"' in text[issue.line]


def test_an_unknown_target_system_is_said_with_its_place(site: Site) -> None:
    site.write("map.json", concept_map({"code": "1", "equivalence": "equal"}, target="https://codes.example.org"))
    assert site.said() == [("unknown-system", "error", "map.json")]


def test_an_expansion_adds_descendants_of_a_concept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    descendant = "1481000119100"  # diabetes mellitus type 2 without retinopathy
    condition = [{"code": f"snomed {descendant}"}]
    without = screened(load_catalog(), monkeypatch, conditions=condition)
    assert answer(without["BMMSC-I2a"]) == ("unknown", "NOEVIDENCE")
    site.write("t2dm.json", value_set("t2dm", descendant))
    assert site.said() == []
    found = screened(site.catalog(), monkeypatch, conditions=condition)
    assert answer(found["BMMSC-I2a"]) == ("met", None)


def test_a_code_added_to_a_set_belongs_to_the_sets_that_include_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("t2dm.json", value_set("t2dm", "1481000119100"))
    found = screened(
        site.catalog(),
        monkeypatch,
        conditions=[{"code": "snomed 1481000119100"}],
        labs=[
            {"code": "loinc 14771-0", "value": "8 mmol/L", "date": "2026-10-01"},
            {"code": "loinc 14771-0", "value": "9 mmol/L", "date": "2026-10-05"},
        ],
    )
    assert answer(found["NCT06751199-I1a"]) == ("met", None)


def test_an_expansion_does_not_make_a_suggesting_code_prove(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    stroke = [{"code": "icd10cm I21.4"}]
    before = answer(screened(load_catalog(), monkeypatch, conditions=stroke)["BMMSC-E1a"])
    site.write("heart.json", value_set("severe_heart", "I21.4", system="http://hl7.org/fhir/sid/icd-10-cm"))
    assert before == ("unknown", "SEVERITY")
    assert answer(screened(site.catalog(), monkeypatch, conditions=stroke)["BMMSC-E1a"]) == before


def test_codes_listed_by_compose_count_unless_it_excludes_them(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    compose = {
        "include": [{"system": SNOMED, "concept": [{"code": "1481000119100"}, {"code": "1491000119102"}]}],
        "exclude": [{"system": SNOMED, "concept": [{"code": "1491000119102"}]}],
    }
    site.write("t2dm.json", {"resourceType": "ValueSet", "id": "t2dm", "status": "active", "compose": compose})
    assert site.said() == []
    catalog = site.catalog()
    assert (
        answer(screened(catalog, monkeypatch, conditions=[{"code": "snomed 1481000119100"}])["BMMSC-I2a"])[0] == "met"
    )
    out = screened(catalog, monkeypatch, conditions=[{"code": "snomed 1491000119102"}])["BMMSC-I2a"]
    assert answer(out) == ("unknown", "NOEVIDENCE")


def test_a_filter_cannot_be_expanded_and_is_said(site: Site) -> None:
    part = {"system": SNOMED, "filter": [{"property": "concept", "op": "is-a", "value": "44054006"}]}
    resource = {"resourceType": "ValueSet", "name": "t2dm", "status": "active", "compose": {"include": [part]}}
    assert site.write("t2dm.json", resource).said() == [("not-expanded", "error", "t2dm.json")]


def test_an_unknown_value_set_and_an_unknown_system_of_one_are_said(site: Site) -> None:
    site.write("a.json", value_set("t2dn", "1")).write("b.json", value_set("t2dm", "1", system="urn:x"))
    assert site.said() == [("unknown-value-set", "error", "a.json"), ("unknown-system", "error", "b.json")]


def test_the_components_of_the_study_product_make_a_real_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    allergy = [{"code": "snomed 294847001", "date": "2026-01-01"}]
    before = screened(load_catalog(), monkeypatch, allergies=allergy)
    assert answer(before["CFMSC-E6b"]) == ("unknown", "CONFIG")
    site.write("components.json", value_set("study-product-components", "294847001"))
    catalog = site.catalog()
    assert answer(screened(catalog, monkeypatch, allergies=allergy)["CFMSC-E6b"]) == ("met", None)
    assert answer(screened(catalog, monkeypatch)["CFMSC-E6b"]) == ("unknown", "NOEVIDENCE")


LIMITS = """uln:
  - {code: "1742-6", high: 40, unit: "U/L", sex: male}
  - {code: "1742-6", high: 30, unit: "U/L", sex: female, laboratory: "Organization/central"}
"""


def alt(value: str, **more: object) -> dict[str, Any]:
    return {"code": "loinc 1742-6", "value": value, "date": "2026-10-20", **more}


def test_the_table_of_upper_limits_is_used_and_shown_where_a_result_has_none(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = screened(load_catalog(), monkeypatch, patient={"sex": "male"}, labs=[alt("90 U/L")])
    assert answer(before["CFMSC-I7b"]) == ("unknown", "ULN")
    catalog = site.write("settings.yaml", LIMITS).catalog()
    found = screened(catalog, monkeypatch, patient={"sex": "male"}, labs=[alt("90 U/L")])["CFMSC-I7b"]
    assert answer(found) == ("met", None)
    assert "the site's table" in found.judgement.message
    assert "40 U/L" in found.judgement.message
    above = screened(catalog, monkeypatch, patient={"sex": "male"}, labs=[alt("101 U/L")])["CFMSC-I7b"]
    assert answer(above) == ("not-met", None)


def test_a_range_of_the_result_itself_outweighs_the_table(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = site.write("settings.yaml", LIMITS).catalog()
    found = screened(catalog, monkeypatch, patient={"sex": "male"}, labs=[alt("90 U/L", uln="30 U/L")])["CFMSC-I7b"]
    assert answer(found) == ("not-met", None)
    assert "the site's table" not in found.judgement.message


def test_a_row_of_another_laboratory_or_sex_is_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = site.write("settings.yaml", LIMITS).catalog()
    woman = {"sex": "female"}
    found = screened(catalog, monkeypatch, patient=woman, labs=[alt("90 U/L")])
    assert answer(found["CFMSC-I7b"]) == ("unknown", "ULN")
    central = {"performer": [{"reference": "Organization/central"}]}
    found = screened(catalog, monkeypatch, patient=woman, labs=[alt("70 U/L", more=central)])
    assert answer(found["CFMSC-I7b"]) == ("met", None)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ('{code: "1742-6", high: 40, unit: "U/L", sex: men}', "schema"),
        ('{code: "1742-6", high: 0, unit: "U/L"}', "idle-limits"),
        ('{code: "1742-6", high: 40, unit: "mmol/L"}', "unit"),
        ('{code: "9999-1", high: 40, unit: "U/L"}', "unknown-code"),
        ('{code: "1742-6", high: forty, unit: "U/L"}', "shape"),
        ('{code: "1742-6", high: 40, units: "U/L"}', "shape"),
    ],
)
def test_a_row_that_can_never_be_used_is_said(site: Site, row: str, code: str) -> None:
    site.write("settings.yaml", f"uln:\n  - {row}\n")
    sources, catalog = read_catalog(site=site.folder)
    assert catalog is None
    found = [issue for issue in check(sources, catalog) if issue.code in (code, "idle-limits")]
    assert [(issue.code, issue.line) for issue in found] == [(code, 2)]


def test_a_file_that_is_none_of_a_sites_and_a_folder_that_is_not_there_are_said(site: Site) -> None:
    site.write("patient.json", {"resourceType": "Patient"}).write("odd.json", "[1, 2").write("map.json", {"group": 1})
    assert sorted(site.said()) == [
        ("not-yaml", "error", "odd.json"),
        ("site-file", "error", "map.json"),
        ("site-file", "error", "patient.json"),
    ]
    assert Site(site.folder / "none").said() == [("not-found", "error", "none")]


def test_a_map_of_another_shape_than_fhirs_does_no_harm(site: Site) -> None:
    site.write("a.json", {"resourceType": "ConceptMap", "group": {"element": 1}})
    site.write("b.json", {"resourceType": "ConceptMap", "group": [1, {"element": ["x", {"target": "y"}]}]})
    site.write("c.json", {"resourceType": "ValueSet", "name": "t2dm", "expansion": {"contains": ["x"]}, "compose": 1})
    assert site.said() == []
