"""What the tests of delivery share: a clock that is moved, couriers, and results as an evaluation gives them."""

import datetime
import functools
from pathlib import Path

import msgspec
import pytest
from delivery.delivery_server import FakeServer
from sqlalchemy import text
from store.kept import START, SUBJECT

import adapter
from adapter.catalog.catalog import Catalog
from adapter.eligibility.values import AsOf
from adapter.fhir.subject import Publisher, ResultWriter
from adapter.fhir.versions import FhirVersion
from adapter.screen import PatientScreening, screen_bundle
from adapter.store.ledger import Delivery, Store
from adapter.store.outbox import Courier, Manner
from adapter.store.rows import Outbox, Shown

NAME = f"ResearchSubject/{SUBJECT}"
BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql")))
SAMPLES = Path(__file__).parents[2] / "sample_bundles"
CANDIDATE = "CFMSC-candidate-every-negative-said"
INELIGIBLE = "CFMSC-ineligible-hepatitis-b-cytopenia-and-prednisone"
POTENTIAL = "CFMSC-potential-candidate-one-hba1c-stale-chemistry-old-pregnancy-test"
BASE = "https://trials.example.org/fhir"


class Clock:
    """The store's clock, moved by the test."""

    def __init__(self) -> None:
        self.now = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)

    def __call__(self) -> datetime.datetime:
        return self.now

    def later(self, seconds: float = 3600) -> None:
        self.now += datetime.timedelta(seconds=seconds)


def courier(store: Store, fhir: FakeServer, manner: Manner | None = None) -> Courier:
    return Courier(store, fhir.url, manner=manner)


def drain(one: Courier) -> int:
    count = 0
    while one.deliver_one():
        count += 1
    return count


def states(store: Store) -> dict[str, int]:
    return {each.state: each.count for each in Outbox(store).counts()}


def shown(store: Store, id_: int = 1) -> Shown:
    found = Outbox(store).show(id_)
    assert found is not None
    return found


def run_sql(store: Store, statement: str) -> None:
    store.writer.run(lambda step: step.execute(text(statement), {}))


def told(fhir: FakeServer, method: str, path: str = "") -> list[str]:
    return [where for said, where, *_ in fhir.requests if said == method and where.startswith(path)]


class _Entry(msgspec.Struct):
    resource: msgspec.Raw
    request: dict[str, str]


class _Transaction(msgspec.Struct):
    entry: list[_Entry]


@functools.cache
def catalog() -> Catalog:
    return adapter.load_catalog()


@functools.cache
def _screened(sample: str, number: int, trials: tuple[str, ...]) -> tuple[PatientScreening, AsOf]:
    moment = START + datetime.timedelta(seconds=number)
    as_of = adapter.parse_as_of(moment.isoformat().replace("+00:00", "Z"))
    chosen = tuple(each for each in catalog().trials if each.key in trials)
    (screened,) = screen_bundle((SAMPLES / f"{sample}.json").read_bytes(), catalog(), as_of, chosen).patients
    return screened, as_of


@functools.cache
def _writer(*, r5: bool) -> ResultWriter:
    version = FhirVersion.R5 if r5 else FhirVersion.R4
    return ResultWriter(version, Publisher("adapter/test", BASE, "a secret"), catalog().requirements())


def result(
    sample: str = CANDIDATE,
    number: int = 1,
    *,
    patient: str = "p1",
    r5: bool = False,
    trials: tuple[str, ...] = ("CFMSC",),
    source_s: int | None = None,
) -> Delivery:
    """Give the results of a sample bundle, as if it were about ``patient`` and asked for ``number`` seconds later."""
    screened, as_of = _screened(sample, number, trials)
    made = _writer(r5=r5).bundle(patient, screened.facts.person.source, screened.screenings, as_of)
    resources = []
    for each in msgspec.json.decode(made, type=_Transaction).entry:
        kind, _, id_ = each.request["url"].partition("/")
        resources.append((kind, id_, bytes(each.resource)))
    source = None if source_s is None else START + datetime.timedelta(seconds=source_s)
    return Delivery(patient, tuple(resources), START + datetime.timedelta(seconds=number), source)


def subject_of(delivery: Delivery) -> str:
    return next(f"{type_}/{id_}" for type_, id_, _ in delivery.resources if type_ == "ResearchSubject")
