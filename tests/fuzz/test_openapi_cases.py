"""Requests made from our own OpenAPI, and broken samples, at every operation there is: by ASGI and by a real process.

``FUZZ_CASES`` says how many for each operation; ``make fuzz`` asks 2,000.
"""

import datetime
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fuzz.mutants import mutants
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from service.served import served

import adapter
from adapter.service.app import create_app
from adapter.service.settings import read_settings
from adapter.store.ledger import Store

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
from schemathesis import checks  # noqa: E402 (after it is known to be there)
from schemathesis.specs.openapi.checks import (  # noqa: E402 (the same)
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CASES = int(os.environ.get("FUZZ_CASES", "20"))
CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
"""Not whether all that fits the schema is accepted: it says "JSON with a resourceType", and FHIR is more than that."""
PATIENCE_S = 60
"""Of one answer: a hang is a failure, a busy machine is none."""
PREFER = ("return=minimal", "return=representation", "handling=strict", "x")
LATER = {"by_asgi": PREFER, "by_socket": (*PREFER, "respond-async")}
"""By ASGI alone nobody does the jobs, and the twin of one would wait for it."""
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Accept": st.sampled_from(
            ("application/fhir+json; fhirVersion=5.0", "*/*", "text/html", "application/json;q=0")
        ),
        "Content-Type": st.sampled_from(("application/json", "text/plain", "application/fhir+json; fhirVersion=4.3")),
        "Idempotency-Key": st.sampled_from(("one", "two", "a b")),
        "X-Request-Id": st.sampled_from(("r-1", "a b", "x" * 65)),
        "If-None-Exist": st.just("identifier=a|b"),
    },
)
NOW = datetime.datetime(2026, 11, 1, 8, 30, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def by_asgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    database = f"sqlite:///{tmp_path_factory.mktemp('fuzz') / 'store.db'}"
    store = Store.open(database, lambda: NOW)
    given_ = read_settings(database=database, client_rate="1000000/second", max_outbox=10**9, max_later=10**9)
    app = create_app(given_, adapter.load_catalog(), store, lambda: NOW, io.StringIO())
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    store.close()


@pytest.fixture(scope="module")
def by_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("fuzz")
    with served(folder, client_rate="1000000/second", max_outbox=10**9, max_later=10**9) as running:
        yield schemathesis.openapi.from_url(f"{running.url}/openapi.json")
        assert running.process.poll() is None
        assert '"defect"' not in running.log.read_text(encoding="utf-8", errors="replace")


def asked(operation: Any, times: int, prefer: tuple[str, ...]) -> Callable[[], None]:  # noqa: ANN401 (schemathesis' own)
    """Give what sends so many cases to one operation, and holds each answer against what we say of ourselves."""
    takes_body = bool(operation.body)
    headers_ = st.tuples(HEADERS, st.none() | st.sampled_from(prefer))

    @settings(
        max_examples=times,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        database=None,
    )
    @given(case=operation.as_strategy(), headers=headers_, mutant=st.none() | mutants() if takes_body else st.none())
    def ask(case: Any, headers: tuple[dict[str, str], str | None], mutant: object) -> None:  # noqa: ANN401 (the same)
        sent = headers[0] | ({"Prefer": headers[1]} if headers[1] else {})
        if mutant is not None:
            case.body = mutant
            case.media_type = "application/fhir+json"
        case.call_and_validate(headers=sent, checks=CHECKS, timeout=PATIENCE_S)

    return ask


@pytest.mark.parametrize("door", ["by_asgi", "by_socket"])
def test_no_case_is_a_failure_of_ours(door: str, request: pytest.FixtureRequest) -> None:
    schema = request.getfixturevalue(door)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 14
    wrong = {}
    for operation in operations:
        try:
            asked(operation, CASES if door == "by_asgi" else max(8, CASES // 3), LATER[door])()
        except (Exception, BaseExceptionGroup) as failure:  # noqa: BLE001 (each is told, and the next is asked)
            wrong[operation.label] = "\n".join([str(failure), *map(str, getattr(failure, "exceptions", ()))])[:1500]
    assert wrong == {}, "\n\n".join(f"{name}: {said}" for name, said in wrong.items())
