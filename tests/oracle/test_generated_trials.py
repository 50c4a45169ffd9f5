"""On trials nobody wrote, of every kind, bound and nesting, our judge and the CQL say the same."""

import os
import random
from pathlib import Path

import pytest
from cases import catalog
from generated.trials import generate
from oracle.engine import why_not

if why_not():
    pytest.skip(f"the oracle cannot be asked: {why_not()}", allow_module_level=True)
if os.environ.get("ORACLE") != "whole":
    pytest.skip("takes minutes: run by make oracle", allow_module_level=True)

import msgspec
from oracle.comparison import Compared, Oracle
from oracle.differences import hold, known
from oracle.table_cases import questions

from adapter.catalog.load import load_catalog

TRIALS, PATIENTS = 12, 150

pytestmark = pytest.mark.xdist_group("oracle")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Compared]:
    """Ask the trials of one seed about a drawn part of all patients; ORACLE_SEED draws others."""
    seed = int(os.environ.get("ORACLE_SEED", "7"))
    folder = tmp_path_factory.mktemp("generated")
    generate(folder, TRIALS, seed, catalog())
    made = load_catalog([Path(folder)])
    oracle = Oracle.of(made, made.trials, tmp_path_factory.mktemp("elm-generated"))
    patients = random.Random(seed).sample(sorted(questions(), key=lambda each: each.case), PATIENTS)  # noqa: S311 (a sample)
    asked = [msgspec.structs.replace(each, libraries=None) for each in patients if " R5 " not in each.case]
    return list(oracle.compare(asked, asked[0].as_of or ""))


def test_they_agree(found: list[Compared], capsys: pytest.CaptureFixture[str]) -> None:
    differ = hold(found, known()).unexplained
    with capsys.disabled():
        said = {each.ours for each in found if each.what == "atom"}
        pairs = sum(each.what == "atom" for each in found)
        print(f"\noracle: {pairs} pairs of generated atoms and patients, {len(differ)} differ without a reason")
    assert said == {"met", "not-met", "unknown"}
    lines = [f"{each.define}: we say {each.ours}, CQL says {each.cql}; {each.case}" for each in differ[:40]]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)
