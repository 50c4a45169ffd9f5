"""Everything we emit, as it is written to a file, is what HL7 defines; what needs a reason has one here."""

import functools
import json
import re
from collections.abc import Iterable
from decimal import Decimal

import pytest
from conformance.definitions import Json
from conformance.findings import Finding, Report, Weight
from conformance.invariants import RULES, Standing
from conformance.packages import RELEASES, checker
from conformance.references import Export, of_bundle, request_faults
from fhir.resources import get_fhir_model_class as model_r5
from fhir.resources.R4B import get_fhir_model_class as model_r4b

from adapter import load_catalog
from adapter.emission.bundle import conditional_transaction, transaction
from adapter.emission.emit import emit_trial
from adapter.emission.files import pretty
from adapter.emission.names import Naming
from adapter.fhir.versions import FhirVersion

CATALOG = load_catalog()
KEYS = sorted(CATALOG.files)
EVERYTHING = [(release, key) for release in RELEASES for key in KEYS]
STRUCTURES = "http://hl7.org/fhir/StructureDefinition/"
VALUE_SETS = "http://hl7.org/fhir/ValueSet/"
CQL_LIBRARY = "http://hl7.org/fhir/uv/cql/StructureDefinition/cql-library"
CQL_GROUP = "http://hl7.org/fhir/uv/cql/StructureDefinition/cql-groupdefinition"
CPG_PLAN = "http://hl7.org/fhir/uv/cpg/StructureDefinition/cpg-computableplandefinition"

EXPLAINED = {
    ("R4", "PlanDefinition.action.condition.expression.language", f"{VALUE_SETS}expression-language"): (
        "text/cql-identifier names a define, which R4 did not list yet; its text/cql engines read as CQL to run"
    ),
    ("R4", "Group.extension.valueExpression.language", f"{VALUE_SETS}expression-language"): "the same",
    ("R4", "ResearchStudy.location", f"{VALUE_SETS}jurisdiction"): "the source names countries in words, not in codes",
    ("R5", "ResearchStudy.region", f"{VALUE_SETS}jurisdiction"): "the same",
    ("R5", "ResearchStudy.progressStatus.state", f"{VALUE_SETS}research-study-status"): (
        "the source says no status, or one that has no code"
    ),
}
"""Why a coded element says what its extensible value set does not."""

NOT_LOOKED_INTO = {
    "R4": {
        ("binding-open", f"{VALUE_SETS}mimetypes|4.0.1"): "media types are listed by IANA",
        ("profile-open", CQL_LIBRARY): "a profile of the CQL guide; what it asks is asked below",
        ("profile-open", CQL_GROUP): "the same",
        ("profile-open", CPG_PLAN): "a profile of the CPG guide; what it asks is asked below",
        ("extension-open", "http://hl7.org/fhir/6.0/StructureDefinition/extension-Group.characteristic.description"): (
            "an element of R6, carried as HL7's cross-version extensions are named"
        ),
    },
    "R5": {
        ("binding-open", f"{VALUE_SETS}mimetypes|5.0.0"): "media types are listed by IANA",
        ("extension-open", "http://hl7.org/fhir/6.0/StructureDefinition/extension-Group.characteristic.description"): (
            "an element of R6, carried as HL7's cross-version extensions are named"
        ),
    },
}
"""What the checker could not hold our resources against, and why."""

OUTSIDE = {
    "R4": {CQL_LIBRARY, CQL_GROUP, CPG_PLAN},
    "R5": {"http://loinc.org", "http://unitsofmeasure.org"},
}
"""Canonicals that lead out of the export, to what others publish."""


@functools.cache
def emitted(release: str, key: str) -> tuple[Json, ...]:
    """Emit a trial and read back what would be written."""
    return tuple(written(each) for each in emit_trial(CATALOG, key, Naming(FhirVersion(release))))


def written(resource: object) -> Json:
    found: Json = json.loads(pretty(resource), parse_float=Decimal)
    return found


@functools.cache
def reports(release: str, key: str) -> tuple[Report, ...]:
    return tuple(checker(release).check(each) for each in emitted(release, key))


def all_reports(release: str) -> list[Report]:
    return [each for key in KEYS for each in reports(release, key)]


def followed(release: str, key: str) -> list[Finding]:
    links = [link for each in reports(release, key) for link in each.links]
    return list(Export(emitted(release, key)).findings(links, checker(release).package))


def heavy(findings: Iterable[Finding]) -> list[Finding]:
    return [each for each in findings if each.weight is not Weight.OPEN]


@pytest.mark.parametrize(("release", "key"), EVERYTHING)
def test_nothing_we_emit_is_wrong(release: str, key: str) -> None:
    wrong = [
        (resource["resourceType"], resource["id"], each)
        for resource, report in zip(emitted(release, key), reports(release, key), strict=True)
        for each in report.errors
    ]
    assert wrong == []


@pytest.mark.parametrize(("release", "key"), EVERYTHING)
def test_fhir_resources_takes_all_we_emit(release: str, key: str) -> None:
    model = model_r4b if release == "R4" else model_r5  # R4B stands in for R4, which the library does not have
    for each in emit_trial(CATALOG, key, Naming(FhirVersion(release))):
        model(each["resourceType"]).model_validate_json(pretty(each))


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_beyond_a_value_set_or_against_a_recommendation_has_a_reason(release: str) -> None:
    found = {
        (release, re.sub(r"(\.action)+", ".action", re.sub(r"\[\d+\]", "", each.path)), each.said)
        for report in all_reports(release)
        for each in report.warnings
    }
    assert found == {each for each in EXPLAINED if each[0] == release}


@pytest.mark.parametrize("release", RELEASES)
def test_what_could_not_be_looked_into_is_known(release: str) -> None:
    found = {(each.key, each.said) for report in all_reports(release) for each in report.open}
    assert found == NOT_LOOKED_INTO[release].keys()


@pytest.mark.parametrize(("release", "key"), EVERYTHING)
def test_every_reference_and_canonical_resolves_inside_its_trial(release: str, key: str) -> None:
    found = followed(release, key)
    assert heavy(found) == []
    assert {each.said for each in found} <= OUTSIDE[release]


@pytest.mark.parametrize("release", RELEASES)
def test_what_trials_share_is_the_same_in_each(release: str) -> None:
    by_name: dict[str, Json] = {}
    shared = 0
    for key in KEYS:
        for each in emitted(release, key):
            name = f"{each['resourceType']}/{each['id']}"
            shared += name in by_name
            assert by_name.setdefault(name, each) == each, name
    assert shared > 0


@pytest.mark.parametrize(("release", "key"), EVERYTHING)
def test_the_transaction_of_a_trial_is_sound_and_points_inside(release: str, key: str) -> None:
    naming = Naming(FhirVersion(release))
    sent = [
        transaction(emitted(release, key), naming.base),
        conditional_transaction(emitted(release, key), naming.base, lambda each: f"_id={each['id']}"),
    ]
    for bundle in map(written, sent):
        report = checker(release).check(bundle)
        assert report.errors == []
        assert heavy(of_bundle(bundle).findings(report.links, checker(release).package)) == []
        assert list(request_faults(bundle)) == []
        assert len(bundle["entry"]) == len(emitted(release, key))


def claiming(profile: str) -> list[Json]:
    found = [each for key in KEYS for each in emitted("R4", key) if profile in each.get("meta", {}).get("profile", [])]
    assert found
    return found


@pytest.mark.parametrize("release", RELEASES)
def test_every_library_has_its_cql_source_once(release: str) -> None:
    found = [each for key in KEYS for each in emitted(release, key) if each["resourceType"] == "Library"]
    assert found
    assert all(RULES["clb-1", release](each, Standing(each, each)) for each in found)


def test_libraries_that_claim_the_cql_guides_profile_keep_it() -> None:
    for each in claiming(CQL_LIBRARY):
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,63}", each["name"])
        assert each["url"].endswith(f"/Library/{each['name']}")


def test_groups_that_claim_the_cql_guides_profile_keep_it() -> None:
    for each in claiming(CQL_GROUP):
        urls = [extension["url"] for extension in each["extension"]]
        assert [urls.count(f"{STRUCTURES}{name}") for name in ("cqf-library", "characteristicExpression")] == [1, 1]
        assert not {"characteristic", "member"} & each.keys()


def test_plans_that_claim_the_cpg_guides_profile_keep_it() -> None:
    for each in claiming(CPG_PLAN):
        assert each["type"]
        assert each["action"]
        assert len(each.get("library", [])) <= 1


@pytest.mark.parametrize(("release", "key"), EVERYTHING)
def test_every_expression_names_a_define_of_the_library(release: str, key: str) -> None:
    resources = emitted(release, key)
    plan = next(each for each in resources if each["resourceType"] == "PlanDefinition")
    library = next(each for each in resources if each.get("url") == plan["library"][0].partition("|")[0])
    defines = {each["name"] for each in library["parameter"] if each["use"] == "out"}
    named = {each["expression"] for one in resources for each in expressions(one)}
    assert named
    assert named <= defines


def expressions(part: object) -> Iterable[Json]:
    """Give every Expression that names a define, however deep."""
    if isinstance(part, dict):
        if part.get("language") == "text/cql-identifier":
            yield part
        for each in part.values():
            yield from expressions(each)
    elif isinstance(part, list):
        for each in part:
            yield from expressions(each)
