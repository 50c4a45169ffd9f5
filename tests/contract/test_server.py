"""Trials on a real FHIR server: written once, whole, and the same whatever happens on the way.

The server is FHIR_BASE_URL, else Medplum's router; a proxy in front of it counts what is asked and does the harm.
"""

import random
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from contract_server import RealServer, every, without_terminology
from fault_proxy import Fault, FaultProxy, Request

from adapter.delivery.client import Client
from adapter.delivery.export import ExportReport, Trials, export_to_server
from adapter.delivery.identity import name_of
from adapter.delivery.meaning import same_meaning
from adapter.delivery.references import referred_to
from adapter.delivery.settings import Server
from adapter.errors import AdapterError
from adapter.fhir.versions import FhirVersion

EXPORTER = Path(__file__).with_name("exporter.py")
KILLS = 20
EXPORTERS = 20
EITHER_WAY = pytest.mark.parametrize("conditional", [False, True], ids=["by our ids", "conditional"])


class Heard:
    """Remembers what was said, and does not really wait."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.waits: list[float] = []

    def at(self, key: str, done: int, total: int) -> None:
        """Remember nothing of it."""

    def say(self, line: str) -> None:
        self.lines.append(line)

    def close(self) -> None:
        """Nothing to close."""


def export(url: str, trials: Trials, heard: Heard | None = None, **options: Any) -> ExportReport:  # noqa: ANN401
    heard = heard or Heard()
    server = Server(url=url, timeout_s=options.pop("timeout_s", 60.0))
    client = Client(server, heard.say, sleep=heard.waits.append)
    chosen: dict[str, Any] = {"version": FhirVersion.R4, "conditional": False, "dry_run": False, **options}
    return export_to_server(trials, server, progress=heard, client=client, **chosen)


def small(trials: Trials) -> Trials:
    """Give the first trial alone, without its terminology."""
    key = next(iter(trials))
    return {key: without_terminology(trials)[key]}


def changed(trials: Trials, key: str, resource_type: str, **elements: object) -> Trials:
    """Give the trials with the first resource of a type in one of them changed."""
    first = next(each for each in trials[key] if each["resourceType"] == resource_type)
    other = {**first, **elements}
    return {**trials, key: tuple(other if each is first else each for each in trials[key])}


def started(url: str, file: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(EXPORTER), url, str(file), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said


class TestTwiceIsOnce:
    @EITHER_WAY
    def test_the_second_export_writes_nothing(self, proxy: FaultProxy, trials: Trials, *, conditional: bool) -> None:
        first = export(proxy.url, trials, conditional=conditional)
        assert sum(each.written for each in first.trials.values()) == len(every(trials))
        proxy.requests.clear()
        second = export(proxy.url, trials, conditional=conditional)
        assert sum(each.written for each in second.trials.values()) == 0
        assert proxy.writes == 0

    @EITHER_WAY
    def test_only_what_changed_is_written(self, proxy: FaultProxy, trials: Trials, *, conditional: bool) -> None:
        export(proxy.url, trials, conditional=conditional)
        key = next(iter(trials))
        proxy.requests.clear()
        report = export(proxy.url, changed(trials, key, "PlanDefinition", title="Other"), conditional=conditional)
        assert [name.type for name in report.trials[key].updated] == ["PlanDefinition"]
        assert proxy.writes == 1
        assert next(each.body for each in proxy.requests if each.is_transaction and each.body)["entry"][0]["request"][
            "ifMatch"
        ]

    @EITHER_WAY
    def test_a_dry_run_writes_nothing(
        self, proxy: FaultProxy, real: RealServer, trials: Trials, *, conditional: bool
    ) -> None:
        report = export(proxy.url, trials, conditional=conditional, dry_run=True)
        assert proxy.writes == 0
        assert not any(real.state(trials).values())
        assert sum(line.startswith("  create ") for line in report.plan_lines()) == len(every(trials))

    @EITHER_WAY
    def test_what_is_read_back_means_what_was_emitted(
        self, real: RealServer, trials: Trials, *, conditional: bool
    ) -> None:
        export(real.base, trials, conditional=conditional)
        found = real.found(trials)
        ids = {}
        for each in every(trials):
            (copy,) = found[str(name_of(each))]
            ids[str(name_of(each))] = f"{copy['resourceType']}/{copy['id']}"
            if not conditional:
                assert same_meaning(each, copy), name_of(each)
                assert real.read(str(name_of(each)))["id"] == each["id"]
        for each in every(trials):
            (copy,) = found[str(name_of(each))]
            wanted = Counter(ids.get(reference, reference) for reference in referred_to(each))
            assert Counter(referred_to(copy)) == wanted, name_of(each)


class TestInterrupted:
    @pytest.mark.parametrize("transactions", [True, False], ids=["transactions", "one by one"])
    def test_killed_at_any_moment_and_run_again_it_ends_the_same(
        self,
        proxy: FaultProxy,
        real: RealServer,
        trials: Trials,
        file_of: Path,
        small_file: Path,
        *,
        transactions: bool,
    ) -> None:
        if not transactions:
            trials, file_of = without_terminology(trials), small_file
            proxy.metadata, proxy.decide = without_transactions, refuse_transactions
        began = time.monotonic()
        finish(started(proxy.url, file_of))
        lasts_s = time.monotonic() - began
        uninterrupted = real.state(trials)
        assert all(len(copies) == 1 for copies in uninterrupted.values())
        moments = random.Random(20)  # noqa: S311 (the same moments on every run)
        left_open = 0
        for _ in range(KILLS):
            real.clear(trials)
            proxy.requests.clear()
            killed = started(proxy.url, file_of)
            while not proxy.requests and killed.poll() is None:
                time.sleep(0.005)
            time.sleep(moments.uniform(0, lasts_s * 0.6))
            killed.kill()
            killed.communicate()
            proxy.settle()
            before = real.state(trials)
            left_open += before != uninterrupted
            if transactions:
                assert_no_half_trial(before, trials)
            finish(started(proxy.url, file_of))
            assert real.state(trials) == uninterrupted
        assert left_open > 0, "no export was killed before its end, so nothing was shown"

    @EITHER_WAY
    def test_twenty_at_once_leave_one_copy_of_everything(
        self, proxy: FaultProxy, real: RealServer, trials: Trials, file_of: Path, small_file: Path, *, conditional: bool
    ) -> None:
        options = ["--conditional"] if conditional else []
        if conditional:
            trials, file_of = without_terminology(trials), small_file
        running = [started(proxy.url, file_of, *options) for _ in range(EXPORTERS)]
        for each in running:
            finish(each)
        assert {len(copies) for copies in real.state(trials).values()} == {1}
        proxy.requests.clear()
        export(proxy.url, trials, conditional=conditional)
        assert proxy.writes == 0

    def test_two_that_disagree_both_end_and_leave_one_of_their_versions(self, real: RealServer, trials: Trials) -> None:
        one = small(trials)
        key = next(iter(one))
        export(real.base, one)
        versions = [changed(one, key, "PlanDefinition", title=title) for title in ("a", "b", "c", "d")]
        with ThreadPoolExecutor(len(versions)) as pool:
            list(pool.map(lambda each: export(real.base, each), versions))
        plan = next(each for each in one[key] if each["resourceType"] == "PlanDefinition")
        assert real.read(str(name_of(plan)))["title"] in {"a", "b", "c", "d"}


def assert_no_half_trial(state: dict[str, list[dict[str, Any]]], trials: Trials) -> None:
    """Hold that of what is a trial's own, besides terminology, all is there or nothing."""
    shared = Counter(name_of(each) for resources in trials.values() for each in resources)
    for resources in trials.values():
        own = [
            str(name_of(each))
            for each in resources
            if shared[name_of(each)] == 1 and each["resourceType"] not in {"ValueSet", "ConceptMap"}
        ]
        there = [name for name in own if state[name]]
        assert there in ([], own)


class TestFaults:
    def test_an_answer_lost_after_the_commit_is_found_and_nothing_is_written_twice(
        self, proxy: FaultProxy, real: RealServer, trials: Trials
    ) -> None:
        one = small(trials)
        proxy.decide = first(Fault(cut_after=True))
        heard = Heard()
        report = export(proxy.url, one, heard)
        assert sum(each.written for each in report.trials.values()) == len(every(one))
        assert sum(each.is_transaction for each in proxy.requests) == 1
        assert {len(copies) for copies in real.state(one).values()} == {1}

    def test_a_connection_cut_before_the_server_is_tried_again(
        self, proxy: FaultProxy, real: RealServer, trials: Trials
    ) -> None:
        one = small(trials)
        proxy.decide = first(Fault(cut=True))
        export(proxy.url, one)
        assert sum(each.is_transaction for each in proxy.requests) == 2
        assert {len(copies) for copies in real.state(one).values()} == {1}

    def test_an_answer_that_comes_too_late_is_not_waited_for_and_nothing_is_written_twice(
        self, proxy: FaultProxy, real: RealServer, trials: Trials
    ) -> None:
        one = small(trials)
        proxy.decide = first(Fault(delay_after_s=3))
        heard = Heard()
        export(proxy.url, one, heard, timeout_s=1.5)
        assert any("no answer within 1.5 s; read back, and it was written" in line for line in heard.lines)
        assert sum(each.is_transaction for each in proxy.requests) == 1
        assert {len(copies) for copies in real.state(one).values()} == {1}

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_busy_server_is_waited_for_as_long_as_it_asks(
        self, proxy: FaultProxy, trials: Trials, status: int
    ) -> None:
        proxy.decide = first(Fault(status=status, retry_after="3"))
        heard = Heard()
        export(proxy.url, small(trials), heard)
        assert len(heard.waits) == 1
        assert heard.waits[0] >= 3

    def test_a_resource_changed_by_another_between_reading_and_writing_is_read_again(
        self, proxy: FaultProxy, real: RealServer, trials: Trials
    ) -> None:
        one = small(trials)
        key = next(iter(one))
        export(real.base, one)
        plan = next(each for each in one[key] if each["resourceType"] == "PlanDefinition")
        meddled: list[int] = []

        def meddle(request: Request) -> None:
            if request.is_transaction and not meddled:
                meddled.append(1)
                real.put({**plan, "title": "someone else's"})

        proxy.decide = meddle
        wanted = changed(one, key, "PlanDefinition", title="ours")
        report = export(proxy.url, wanted)
        assert sum(each.is_transaction for each in proxy.requests) == 2, "the first must be refused by If-Match"
        assert len(report.trials[key].updated) == 1
        assert real.read(str(name_of(plan)))["title"] == "ours"

    @pytest.mark.parametrize("status", [409, 412])
    def test_a_conflict_that_stays_is_an_error(self, proxy: FaultProxy, trials: Trials, status: int) -> None:
        proxy.decide = lambda request: Fault(status=status) if request.is_transaction else None
        with pytest.raises(AdapterError, match=f"HTTP {status}.*run the export again"):
            export(proxy.url, small(trials))

    def test_what_the_server_refuses_is_located_and_nothing_of_the_trial_is_written(
        self, real: RealServer, trials: Trials
    ) -> None:
        one = small(trials)
        key = next(iter(one))
        bad = changed(one, key, "PlanDefinition", title=["not", "a", "text"])
        with pytest.raises(AdapterError) as refused:
            export(real.base, bad)
        plan = next(each for each in one[key] if each["resourceType"] == "PlanDefinition")
        assert str(name_of(plan)) in {issue.file for issue in refused.value.issues}
        assert any("PlanDefinition.title" in str(issue) for issue in refused.value.issues)
        assert not any(real.state(one).values())

    def test_a_422_says_what_the_server_said(self, proxy: FaultProxy, trials: Trials) -> None:
        issue = {
            "severity": "error",
            "code": "processing",
            "diagnostics": "too long",
            "expression": ["Bundle.entry[0].resource.url"],
        }
        proxy.decide = first(Fault(status=422, body={"resourceType": "OperationOutcome", "issue": [issue]}))
        with pytest.raises(AdapterError, match=r"Library/\w+: Library\.url: error: .*HTTP 422: too long"):
            export(proxy.url, small(trials))

    def test_a_redirect_is_not_followed(self, proxy: FaultProxy, real: RealServer, trials: Trials) -> None:
        proxy.decide = lambda _: Fault(status=307, location=f"{real.base}/metadata")
        with pytest.raises(AdapterError, match="redirects are not followed"):
            export(proxy.url, small(trials))
        assert not any(real.state(small(trials)).values())


class TestOtherServers:
    def test_another_fhir_version_is_refused(self, proxy: FaultProxy, trials: Trials) -> None:
        with pytest.raises(AdapterError, match="export with --fhir-version R4"):
            export(proxy.url, trials, version=FhirVersion.R5)
        assert [each.path.rsplit("/", 1)[-1] for each in proxy.requests] == ["metadata"]

    @EITHER_WAY
    def test_without_transactions_resources_are_written_one_by_one_in_order(
        self, proxy: FaultProxy, real: RealServer, trials: Trials, *, conditional: bool
    ) -> None:
        proxy.metadata, proxy.decide = without_transactions, refuse_transactions
        heard = Heard()
        export(proxy.url, trials, heard, conditional=conditional)
        assert any("no transactions" in line for line in heard.lines)
        proxy.requests.clear()
        assert export(proxy.url, trials, conditional=conditional).lines()[-1].endswith("; 0 written")
        assert proxy.writes == 0
        for copies in real.found(trials).values():
            assert all(real.read(each) is not None for copy in copies for each in referred_to(copy) if "/" in each)

    def test_a_server_that_gives_ids_itself_is_told_of_and_takes_the_conditional_export(
        self, proxy: FaultProxy, real: RealServer, trials: Trials
    ) -> None:
        proxy.decide = refuse_our_ids(trials)
        with pytest.raises(AdapterError, match="--conditional"):
            export(proxy.url, trials)
        assert not any(real.state(trials).values())
        export(proxy.url, trials, conditional=True)
        assert {len(copies) for copies in real.state(trials).values()} == {1}


def first(fault: Fault) -> Any:  # noqa: ANN401 (a function)
    """Let the first transaction meet the fault, and no other request."""
    left = [fault]
    return lambda request: left.pop() if request.is_transaction and left else None


def without_transactions(said: dict[str, Any]) -> dict[str, Any]:
    rest = {**said["rest"][0], "interaction": [{"code": "batch"}]}
    return {**said, "rest": [rest]}


def refuse_transactions(request: Request) -> Fault | None:
    return Fault(status=405) if request.is_transaction else None


def refuse_our_ids(trials: Trials) -> Any:  # noqa: ANN401 (a function)
    ours = {str(name_of(each)) for each in every(trials)}

    def decide(request: Request) -> Fault | None:
        asked = [each["request"] for each in (request.body or {}).get("entry", [])]
        if any(each["method"] == "PUT" and each["url"] in ours for each in asked):
            return Fault(status=405)
        return Fault(status=405) if request.method == "PUT" and request.path.split("/R4/")[-1] in ours else None

    return decide
