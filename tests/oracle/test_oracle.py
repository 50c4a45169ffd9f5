"""The emitted CQL and our judge say the same of every patient, or a difference stands explained in one file."""

import collections
import itertools
import os
import re
from pathlib import Path

import pytest
from cases import catalog
from golden.samples import AS_OF, FOLDER
from oracle.engine import why_not

if why_not():
    pytest.skip(f"the oracle cannot be asked: {why_not()}", allow_module_level=True)

from oracle.comparison import Compared, Oracle
from oracle.differences import Held, hold, known
from oracle.patients import of_files
from oracle.table_cases import questions

from adapter.fhir.versions import FhirVersion

_IN_R5 = re.compile(r"/shape-r5-|\bR5 ")
"""In the name of every sample and of every case that is R5."""
_EXPRESSED_OF_CLASS_A = 90
"""Of 95: the project's promise."""


WHOLE = os.environ.get("ORACLE") == "whole"
"""Whether all table cases are asked too: `make oracle`; else only the samples and outside patients."""

pytestmark = pytest.mark.xdist_group("oracle")  # what is found costs minutes: one worker finds it for all


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    return Oracle.of(catalog(), catalog().trials, tmp_path_factory.mktemp("elm"))


@pytest.fixture(scope="module")
def found(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> list[Compared]:
    """Ask about every patient we have, of R4 by the CQL for R4 and of R5 by that for R5."""
    five = Oracle.of(catalog(), catalog().trials, tmp_path_factory.mktemp("elm-r5"), FhirVersion.R5)
    ours = [*of_files([FOLDER], "sample"), *(questions() if WHOLE else ())]
    of_r5 = [each for each in ours if _IN_R5.search(each.case)]
    of_r4 = [each for each in ours if not _IN_R5.search(each.case)]
    real = os.environ.get("REAL_BUNDLES")
    outside = of_files([Path(real)], "real") if real else ()
    asked = itertools.chain(of_r4, outside)
    return [*oracle.compare(asked, AS_OF), *five.compare(of_r5, AS_OF)]


@pytest.fixture(scope="module")
def held(found: list[Compared]) -> Held:
    return hold(found, known())


def _some(differences: tuple[Compared, ...]) -> str:
    lines = (f"{each.define}: we say {each.ours}, CQL says {each.cql}; {each.case}" for each in differences[:40])
    return "\n".join((f"{len(differences)} differences without a reason; the first:", *lines))


def test_every_difference_is_explained(held: Held) -> None:
    if held.unexplained:
        pytest.fail(_some(held.unexplained), pytrace=False)


def test_every_explanation_is_still_needed(held: Held) -> None:
    assert held.stale == ()


def test_every_explanation_leads_to_the_docs() -> None:
    root = Path(__file__).parents[2]
    assert [each.link for each in known() if not (root / each.link.partition("#")[0]).is_file()] == []


def test_what_cql_does_not_say_is_null(found: list[Compared]) -> None:
    assert [(each.define, each.case) for each in found if each.what == "unsaid" and each.differs] == []


def test_nearly_every_computable_atom_is_expressed(oracle: Oracle) -> None:
    expressed = len(_computable(oracle) - _unsaid(oracle))
    assert expressed >= _EXPRESSED_OF_CLASS_A


def test_whatever_we_say_of_an_expressed_atom_the_cql_says_once(found: list[Compared]) -> None:
    """A define that is always null would agree with all that is unknown."""
    decided = {(each.define, each.ours) for each in found if each.what == "atom" and each.ours != "unknown"}
    assert len(decided) > 100
    assert decided - {(each.define, each.cql) for each in found} == set()


def test_counts(oracle: Oracle, found: list[Compared], held: Held, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = collections.Counter(each.case.partition("/")[0] for each in found if each.what == "atom")
    people = {each.case for each in found}
    atoms, unsaid, computable = _atoms(oracle), _unsaid(oracle), _computable(oracle)
    with capsys.disabled():
        print(f"\noracle: {sum(pairs.values())} atom and patient pairs compared ({len(people)} patients; ", end="")
        print(", ".join(f"{kind} {count}" for kind, count in sorted(pairs.items())), end=")\n")
        print(f"oracle: {len(atoms - unsaid)} of {len(atoms)} atoms expressed, ", end="")
        print(f"{len(computable - unsaid)} of {len(computable)} of class A")
        print(f"oracle: {len(held.explained)} differences explained, {len(held.unexplained)} not")
    assert set(pairs) >= ({"sample", "table"} if WHOLE else {"sample"})


def _atoms(oracle: Oracle) -> set[str]:
    return {atom.id for trial in oracle.trials for criterion in trial.criteria for atom in criterion.atoms}


def _computable(oracle: Oracle) -> set[str]:
    every = (atom for trial in oracle.trials for criterion in trial.criteria for atom in criterion.atoms)
    return {atom.id for atom in every if atom.grade == "A"}


def _unsaid(oracle: Oracle) -> set[str]:
    return {atom for library in oracle.libraries.values() for atom in library.unsaid}
