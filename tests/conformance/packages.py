"""Where HL7's packages are on this machine, and what is read from them once for all tests.

``npm ci`` in this folder (or a copy of its package files) unpacks them into ``node_modules``; HL7_R4_EXAMPLES,
HL7_R5_CORE and HL7_R5_EXAMPLES name three of them, the others lie beside.
"""

import functools
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from conformance.checker import Checker
from conformance.definitions import Json, Package

RELEASES = ("R4", "R5")
CORE = {"R4": "HL7_R4_EXAMPLES", "R5": "HL7_R5_CORE"}
EXAMPLES = {"R4": "HL7_R4_EXAMPLES", "R5": "HL7_R5_EXAMPLES"}
"""R4's example package holds its definitions too."""
BESIDE = {"R4": ("hl7.fhir.uv.extensions.r4",), "R5": ("hl7.fhir.uv.extensions.r5", "hl7.terminology.r5")}
"""R5 took its extensions and most of its code systems out of the core package."""


def folder(variable: str) -> Path:
    """Give the folder a variable names; skips the test where it names none."""
    named = os.environ.get(variable)
    if not named:
        pytest.skip(f"{variable} does not name the folder of HL7's package (tests/conformance/package.json)")
    return Path(named)


def checker(release: str) -> Checker:
    """Give the checker of a release; skips the test where a package is missing."""
    core = folder(CORE[release])
    others = [core.parent / each for each in BESIDE[release]]
    missing = [each.name for each in others if not each.is_dir()]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not beside {CORE[release]}")
    return _checker(core, *others)


@functools.cache
def _checker(*folders: Path) -> Checker:
    return Checker(Package(*folders))


def read(path: Path) -> Json:
    """Read a resource with exact decimals."""
    found: Json = json.loads(path.read_bytes(), parse_float=Decimal)
    return found
