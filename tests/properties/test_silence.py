"""Laws of silence: what is answered without judging, because nothing is on record for it, is what judging answers."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cases import AS_OF, bundle_of, cases, catalog
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.eligibility.case import Case
from adapter.eligibility.decide import Screening, screen
from adapter.eligibility.facts import ALLERGIES, CONSENTS, OTHER_STUDIES, Facts, Sex
from adapter.eligibility.kinds import judge
from adapter.eligibility.kinds.human import SameAs
from adapter.eligibility.trial import All, Atom, AtomIs, Criterion, Not, Premise
from adapter.eligibility.values import AsOf
from adapter.fhir.dates import parse_as_of, parse_moment
from adapter.screen import read_records

SAMPLES = sorted((Path(__file__).parents[2] / "sample_bundles").glob("*.json"))
TABLES: dict[str, list[dict[str, Any]]] = defaultdict(list)
for _name, _case in cases():
    TABLES[_name.partition(":")[0].rsplit("-", 1)[0]].append(_case)
ATOMS = [atom for trial in catalog().trials for criterion in trial.criteria for atom in criterion.atoms]
CAN_BE_SILENT = [atom for atom in ATOMS if atom.reads is not None]


def records(name: str) -> Iterator[tuple[Facts, AsOf]]:
    """Give the facts of every patient of a table or of the samples, with the instant of the question."""
    documents = [(json.dumps(bundle_of(case)).encode(), case.get("as_of", AS_OF)) for case in TABLES.get(name, ())]
    if name == "samples":
        documents = [(path.read_bytes(), "2026-11-01T00:00:00Z") for path in SAMPLES]
    for data, as_of in documents:
        for record in read_records(data)[0]:
            yield catalog().extractor.facts(record), parse_as_of(as_of)


def decided(facts: Facts, as_of: AsOf) -> list[Screening]:
    known = catalog()
    return list(screen(known.trials, facts, as_of, known.rules, attestation_lasts=known.attestation_lasts))


@pytest.mark.parametrize("name", [*TABLES, "samples"])
def test_what_is_not_judged_is_found_as_if_it_were(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patients = list(records(name))
    quick = [decided(*patient) for patient in patients]
    for kind in (Atom, Criterion):
        monkeypatch.setattr(kind, "reads", property(lambda _: None))
    for patient, screenings in zip(patients, quick, strict=True):
        for one, other in zip(screenings, decided(*patient), strict=True):
            assert one.findings == other.findings
            assert one.by_atom == other.by_atom
            assert one.criteria == other.criteria
            assert one.verdict is other.verdict
            assert one.contradictions == other.contradictions


def test_without_the_shortcut_every_atom_is_judged_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    (patient,) = [(facts, as_of) for facts, as_of in records("samples")][:1]
    silent = {atom.id: atom.silent for atom in CAN_BE_SILENT}
    quick = {
        finding.atom for each in decided(*patient) for finding in each.findings if finding is silent.get(finding.atom)
    }
    assert quick
    for kind in (Atom, Criterion):
        monkeypatch.setattr(kind, "reads", property(lambda _: None))
    judged = [finding for each in decided(*patient) for finding in each.findings]
    assert not [finding for finding in judged if finding is silent.get(finding.atom)]


@pytest.mark.parametrize("premise", ["male", "childbearing_potential"])
def test_a_criterion_that_asks_about_the_person_is_always_judged(premise: str) -> None:
    atom = CAN_BE_SILENT[0]
    alone = Criterion("c", "inclusion", "", AtomIs(atom.id), (atom,))
    both = Criterion("c", "inclusion", "", All((Not(Premise(premise)), AtomIs(atom.id))), (atom,))
    assert alone.reads is not None
    assert both.reads is None


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(Sex),
    st.sampled_from((None, "1950", "1980-05", "2015-02-28")),
    st.datetimes().map(lambda moment: f"{moment.date()}T00:00:00Z"),
)
def test_what_can_be_silent_says_the_same_of_everyone_of_whom_nothing_is_on_record(
    sex: Sex, born: str | None, as_of: str
) -> None:
    data = json.dumps(bundle_of({})).encode()
    (record,), _ = read_records(data)
    nothing = catalog().extractor.facts(record)
    person = msgspec.structs.replace(nothing.person, sex=sex, birth=parse_moment(born) if born else None)
    case = Case(msgspec.structs.replace(nothing, person=person), parse_as_of(as_of), catalog().rules)
    for atom in CAN_BE_SILENT:
        if not isinstance(atom.kind, SameAs):
            assert judge(atom.kind, case) == atom.silent.judgement, atom.id


class Watched(dict[str, list[Any]]):
    """Facts by name that write down the names that are asked for."""

    def __init__(self, facts: dict[str, list[Any]], asked: set[str]) -> None:
        super().__init__(facts)
        self.asked = asked

    def get(self, name: str, default: object = None) -> Any:  # noqa: ANN401 (as dict says)
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> list[Any]:
        self.asked.add(name)
        return super().__getitem__(name)

    def keys(self) -> "Watched":  # type: ignore[override]  # it answers what is asked of keys
        return self

    def isdisjoint(self, names: tuple[str, ...]) -> bool:
        self.asked.update(names)
        return not any(name in self for name in names)


class WatchedList(list[Any]):
    """Facts without a name of their own that write down that they were looked at."""

    def __init__(self, name: str, facts: list[Any], asked: set[str]) -> None:
        super().__init__(facts)
        self.name, self.asked = name, asked

    def __iter__(self) -> Iterator[Any]:
        self.asked.add(self.name)
        return super().__iter__()


def watched(facts: Facts, asked: set[str]) -> Facts:
    named = ("results", "conditions", "medications", "procedures", "encounters")
    changes: dict[str, Any] = {field: Watched(getattr(facts, field), asked) for field in named}
    nameless = {"allergies": ALLERGIES, "other_studies": OTHER_STUDIES, "consents": CONSENTS}
    changes.update({field: WatchedList(name, getattr(facts, field), asked) for field, name in nameless.items()})
    return msgspec.structs.replace(facts, **changes)


@pytest.mark.parametrize("name", [*TABLES, "samples"])
def test_a_kind_looks_at_nothing_that_it_does_not_name(name: str) -> None:
    asked: set[str] = set()
    kinds = {id(atom.kind): (atom.kind, atom.reads) for atom in CAN_BE_SILENT}
    for facts, as_of in records(name):
        for kind, reads in kinds.values():
            asked.clear()
            kind.judge(Case(watched(facts, asked), as_of, catalog().rules))  # type: ignore[union-attr]  # SameAs reads nothing
            assert asked <= reads, type(kind).__name__
