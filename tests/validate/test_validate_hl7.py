"""HL7's own examples, and 40 synthetic patients of real size, are flagged only where they deserve it."""

import gzip
import os
import re
from pathlib import Path

import pytest

from adapter.fhir.resources import READ
from adapter.fhir.versions import FhirVersion
from adapter.fhir.wire import type_name
from adapter.validate import validate

R4, R5 = FhirVersion.R4, FhirVersion.R5
READ_TYPES = [type_name(each()) for each in READ]
LARGEST = 1_000_000
"""Leaves out HL7's Bundles of all definitions, value sets and code systems; hl7_flagged.md tells of those."""
ROW = re.compile(r"\| (R[45]) \| (\S+) \| (\S+) \| (\S+) \| (.+) \|")


def listed(version: FhirVersion) -> set[tuple[str, str, str]]:
    text = Path(__file__).with_name("hl7_flagged.md").read_text(encoding="utf-8")
    rows = [found.groups() for found in ROW.finditer(text)]
    assert all(reason.strip() for *_, reason in rows)
    return {(file, code, where) for said, file, code, where, _ in rows if said == version.value}


@pytest.mark.parametrize(("version", "variable"), [(R4, "HL7_R4_EXAMPLES"), (R5, "HL7_R5_EXAMPLES")])
def test_hl7s_examples_are_flagged_only_where_the_list_says_why(version: FhirVersion, variable: str) -> None:
    folder = os.environ.get(variable)
    if folder is None:
        pytest.skip(f"{variable} does not name the folder of HL7's example package")
    files = [
        path for each in READ_TYPES for path in Path(folder).glob(f"{each}-*.json") if path.stat().st_size < LARGEST
    ]
    assert len(files) > 300
    found = {
        (path.name, issue.code, issue.expression or "")
        for path in files
        for issue in validate(path.read_bytes(), version).issues
    }
    assert found == listed(version)


def test_synthetic_patients_of_real_size_have_no_error() -> None:
    folder = os.environ.get("REAL_BUNDLES")
    files = sorted(Path(folder).glob("*.json.gz")) if folder else []
    if not files:
        pytest.skip("REAL_BUNDLES does not name a folder of .json.gz bundles")
    for path in files:
        report = validate(gzip.decompress(path.read_bytes()))
        assert [issue.code for issue in report.issues] == ["version-inferred"], path.name
