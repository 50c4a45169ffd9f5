"""Writing trials to a server: what is written, in how many requests, and what happens when things go wrong."""

import io
from typing import Any

import pytest
from delivery_server import FakeServer, Json, Reply, outcome
from exported import Heard, copied, export
from small_trial import shared_value_set, small_trial

from adapter.delivery.export import run_server_export
from adapter.errors import AdapterError
from adapter.fhir.versions import FhirVersion

TRIALS = {"T1": small_trial("t1"), "T2": small_trial("t2")}
EITHER_WAY = pytest.mark.parametrize("conditional", [False, True], ids=["by our ids", "conditional"])


def once(reply: Reply, *, nth: int = 1, when: str = "transaction") -> Any:  # noqa: ANN401 (a function)
    """Answer the nth transaction (or other request) with ``reply``, and let all others be."""
    seen = 0

    def before(method: str, path: str, body: Json | None, _: dict[str, str]) -> Reply | None:
        nonlocal seen
        kind = (body or {}).get("type") if body else path
        seen += kind == when or (when == "write" and method == "PUT")
        is_it = (kind == when or (when == "write" and method == "PUT")) and seen == nth
        return reply if is_it else None

    return before


class TestWhatIsWritten:
    @EITHER_WAY
    def test_each_trial_is_one_transaction_and_the_second_export_writes_nothing(
        self, server: FakeServer, *, conditional: bool
    ) -> None:
        first = export(server.url, TRIALS, conditional=conditional)
        assert first.lines() == [
            "T1: 4 created, 0 updated, 0 unchanged",
            "T2: 3 created, 0 updated, 1 unchanged",
            "total: 7 created, 0 updated, 1 unchanged; 7 written",
        ]
        transactions = [body for _, _, body, _ in server.requests if body and body.get("type") == "transaction"]
        assert [len(each["entry"]) for each in transactions] == [4, 3]
        held = dict(server.held)
        server.requests.clear()
        second = export(server.url, TRIALS, conditional=conditional)
        assert second.lines()[-1] == "total: 0 created, 0 updated, 8 unchanged; 0 written"
        assert server.writes == []
        assert server.held == held

    @EITHER_WAY
    def test_only_what_changed_is_written_and_says_which_version_it_replaces(
        self, server: FakeServer, *, conditional: bool
    ) -> None:
        export(server.url, TRIALS, conditional=conditional)
        server.requests.clear()
        changed = {**TRIALS, "T1": copied(TRIALS["T1"], PlanDefinition={"title": "Another title"})}
        report = export(server.url, changed, conditional=conditional)
        assert report.lines()[0] == "T1: 0 created, 1 updated, 3 unchanged"
        (write,) = server.writes
        assert write["method"] == "PUT"
        assert write["url"].startswith("PlanDefinition/")
        assert write["ifMatch"] == 'W/"1"'

    def test_references_hold_where_the_server_gives_the_ids(self, server: FakeServer) -> None:
        server.gives_ids = True
        export(server.url, TRIALS, conditional=True)
        assert all(name.partition("/")[2].startswith("given-") for name in server.held)
        for name, each in server.held.items():
            if name.startswith("ResearchStudy/"):
                assert each["enrollment"][0]["reference"] in server.held
                assert each["protocol"][0]["reference"] in server.held

    @EITHER_WAY
    def test_reading_takes_one_request_a_trial(self, server: FakeServer, *, conditional: bool) -> None:
        export(server.url, TRIALS, conditional=conditional)
        server.requests.clear()
        export(server.url, TRIALS, conditional=conditional)
        assert [(method, path, (body or {}).get("type")) for method, path, body, _ in server.requests] == [
            ("GET", "metadata", None),
            ("POST", "", "batch"),
            ("POST", "", "batch"),
        ]

    def test_a_server_of_r5_takes_r5(self, server: FakeServer) -> None:
        server.fhir_version = "5.0.0"
        assert export(server.url, TRIALS, version=FhirVersion.R5).lines()[-1].endswith("7 written")

    @EITHER_WAY
    def test_a_dry_run_shows_the_changes_and_writes_nothing(self, server: FakeServer, *, conditional: bool) -> None:
        export(server.url, {"T1": TRIALS["T1"]}, conditional=conditional)
        server.requests.clear()
        changed = {"T1": copied(TRIALS["T1"], PlanDefinition={"title": "Another title"}), "T2": TRIALS["T2"]}
        report = export(server.url, changed, conditional=conditional, dry_run=True)
        assert report.plan_lines() == [
            "T1:",
            "  update PlanDefinition/t1-eligibility",
            '    PlanDefinition.title: "A trial" → "Another title"',
            "T2:",
            "  create Group/t2-eligibility",
            "  create PlanDefinition/t2-eligibility",
            "  create ResearchStudy/t2",
        ]
        assert report.lines()[-1] == "total: 3 to create, 1 to update, 4 unchanged; 0 written"
        assert server.writes == []


class TestWhenAnswersFail:
    @EITHER_WAY
    def test_a_lost_answer_is_found_by_reading_and_nothing_is_sent_twice(
        self, server: FakeServer, *, conditional: bool
    ) -> None:
        server.lose_answers = 1
        report = export(server.url, TRIALS, conditional=conditional)
        assert report.lines()[-1] == "total: 7 created, 0 updated, 1 unchanged; 7 written"
        assert set(server.versions.values()) == {1}

    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_a_busy_server_is_waited_for(self, server: FakeServer, status: int) -> None:
        heard = Heard()
        server.before = once((status, {"Retry-After": "7"}, outcome("busy")))
        assert export(server.url, TRIALS, heard).lines()[-1].endswith("7 written")
        (wait,) = heard.waits
        assert 7 <= wait <= 8
        assert any(f"HTTP {status}" in line for line in heard.lines)

    def test_reading_is_waited_for_too(self, server: FakeServer) -> None:
        heard = Heard()
        server.before = once((503, {}, None), when="metadata")
        export(server.url, TRIALS, heard)
        assert len(heard.waits) == 1

    def test_a_server_that_stays_busy_is_given_up(self, server: FakeServer) -> None:
        heard = Heard()
        server.before = lambda method, *_: (503, {}, None) if method == "POST" else None
        with pytest.raises(AdapterError, match="stays busy"):
            export(server.url, TRIALS, heard)
        assert len(heard.waits) == 5

    def test_a_server_that_asks_for_an_hour_is_not_waited_for(self, server: FakeServer) -> None:
        heard = Heard()
        server.before = once((503, {"Retry-After": "3600"}, None))
        with pytest.raises(AdapterError, match="asks for 3600 s"):
            export(server.url, TRIALS, heard)
        assert heard.waits == []

    def test_a_version_that_moved_is_read_again(self, server: FakeServer) -> None:
        export(server.url, TRIALS)
        changed = {"T1": copied(TRIALS["T1"], PlanDefinition={"title": "Ours"})}
        server.before = once((412, {}, outcome("another version")))
        assert export(server.url, changed).lines()[0] == "T1: 0 created, 1 updated, 3 unchanged"

    @pytest.mark.parametrize("status", [409, 412])
    def test_what_another_wrote_meanwhile_is_not_written_again(self, server: FakeServer, status: int) -> None:
        def other_first(*request: Any) -> Reply | None:  # noqa: ANN401 (a request)
            if request[2] and request[2].get("type") == "transaction":
                server.before = lambda *_: None
                server.answer("POST", "/fhir", request[2], {})
                return status, {}, outcome("another was faster")
            return None

        server.before = other_first
        report = export(server.url, {"T1": TRIALS["T1"]})
        assert report.lines()[0] == "T1: 0 created, 0 updated, 4 unchanged"
        assert set(server.versions.values()) == {1}

    @pytest.mark.parametrize("status", [409, 412])
    def test_a_conflict_that_stays_is_said(self, server: FakeServer, status: int) -> None:
        heard = Heard()
        server.before = lambda _m, _p, body, _h: (
            (status, {}, outcome("no")) if (body or {}).get("type") == "transaction" else None
        )
        with pytest.raises(AdapterError, match=rf"trial T1: .*HTTP {status}.*run the export again"):
            export(server.url, TRIALS, heard)
        assert 3 <= len(heard.waits) <= 6

    @pytest.mark.parametrize(
        ("expression", "place"),
        [
            ("Bundle.entry[2].resource.action[0].title", "PlanDefinition.action[0].title"),
            ("PlanDefinition.action[0]", "PlanDefinition.action[0]"),
            ("Bundle.entry[2].resource/*PlanDefinition/t1-eligibility*/.action[0]", "PlanDefinition.action[0]"),
        ],
    )
    def test_a_refusal_is_located_in_our_resource(self, server: FakeServer, expression: str, place: str) -> None:
        server.before = once((422, {}, outcome("title is \x1b[31mbad", expression=expression)))
        with pytest.raises(AdapterError) as refused:
            export(server.url, TRIALS)
        (issue,) = refused.value.issues
        assert (issue.file, issue.expression, issue.code) == ("PlanDefinition/t1-eligibility", place, "server-refused")
        assert "title is \\x1b[31mbad" in issue.message
        assert server.held == {}


class TestWhatTheServerCannotDo:
    def test_without_transactions_each_is_written_alone_in_order_and_aloud(self, server: FakeServer) -> None:
        server.transactions = False
        heard = Heard()
        report = export(server.url, TRIALS, heard)
        assert report.lines()[-1].endswith("7 written")
        first = [each["url"].split("/")[0] for each in server.writes][:4]
        assert first == ["ValueSet", "Group", "PlanDefinition", "ResearchStudy"]
        assert any("no transactions" in line for line in heard.lines)
        server.requests.clear()
        assert export(server.url, TRIALS).lines()[-1].endswith("0 written")

    def test_without_transactions_an_update_still_says_what_it_replaces(self, server: FakeServer) -> None:
        server.transactions = False
        export(server.url, TRIALS)
        server.requests.clear()
        export(server.url, {"T1": copied(TRIALS["T1"], Group={"name": "new"})})
        ((_, _, _, headers),) = [each for each in server.requests if each[0] == "PUT"]
        assert headers["if-match"] == 'W/"1"'

    def test_without_transactions_the_servers_ids_are_learnt_on_the_way(self, server: FakeServer) -> None:
        server.transactions, server.gives_ids = False, True
        export(server.url, TRIALS, conditional=True)
        study = next(each for name, each in server.held.items() if name.startswith("ResearchStudy/"))
        assert study["enrollment"][0]["reference"] in server.held
        assert export(server.url, TRIALS, conditional=True).lines()[-1].endswith("0 written")

    def test_two_that_refer_to_each_other_are_written_without_transactions_too(self, server: FakeServer) -> None:
        server.transactions, server.gives_ids = False, True
        back = {
            "relatedArtifact": [{"resource": "x", "extension": [{"valueReference": {"reference": "ResearchStudy/t1"}}]}]
        }
        trials = {"T1": copied(TRIALS["T1"], PlanDefinition=back)}
        assert export(server.url, trials, conditional=True).lines()[0] == "T1: 4 created, 0 updated, 0 unchanged"
        held = {name.partition("/")[0]: each for name, each in server.held.items()}
        extension = held["PlanDefinition"]["relatedArtifact"][0]["extension"][0]
        assert extension == {"valueReference": {"reference": f"ResearchStudy/{held['ResearchStudy']['id']}"}}
        assert sorted(server.versions.values()) == [1, 1, 1, 2]
        assert export(server.url, trials, conditional=True).lines()[-1].endswith("0 written")

    def test_a_server_that_says_it_has_transactions_and_has_none_is_written_to_all_the_same(
        self, server: FakeServer
    ) -> None:
        server.before = lambda _m, _p, body, _h: (405, {}, None) if (body or {}).get("type") == "transaction" else None
        assert export(server.url, TRIALS).lines()[-1].endswith("7 written")

    def test_without_batches_each_is_read_alone(self, server: FakeServer) -> None:
        server.batches = False
        export(server.url, TRIALS)
        assert export(server.url, TRIALS).lines()[-1].endswith("0 written")

    def test_a_batch_that_is_refused_after_all_is_read_alone(self, server: FakeServer) -> None:
        server.before = lambda _m, _p, body, _h: (400, {}, None) if (body or {}).get("type") == "batch" else None
        assert export(server.url, TRIALS).lines()[-1].endswith("7 written")

    @pytest.mark.parametrize("said", [True, False], ids=["said in metadata", "found out"])
    def test_a_server_that_gives_ids_itself_is_told_of_with_the_way_out(
        self, server: FakeServer, *, said: bool
    ) -> None:
        server.gives_ids = True
        if said:
            types = ("ResearchStudy", "PlanDefinition", "Group", "ValueSet")
            server.types = [{"type": each, "updateCreate": False} for each in types]
        with pytest.raises(AdapterError, match="--conditional"):
            export(server.url, TRIALS)
        assert server.held == {}

    def test_conditional_creates_stand_in_where_conditional_updates_are_not_taken(self, server: FakeServer) -> None:
        types = ("ResearchStudy", "PlanDefinition", "Group", "ValueSet")
        server.types = [{"type": each, "conditionalUpdate": False, "conditionalCreate": True} for each in types]
        export(server.url, TRIALS, conditional=True)
        assert {each["method"] for each in server.writes} == {"POST"}
        assert all(each["ifNoneExist"] for each in server.writes)
        assert export(server.url, TRIALS, conditional=True).lines()[-1].endswith("0 written")

    def test_a_transaction_that_is_too_large_is_divided_aloud(self, server: FakeServer) -> None:
        many = tuple({**shared_value_set(), "id": f"v{n}", "url": f"https://a.example.org/v{n}"} for n in range(60))
        server.before = lambda _m, _p, body, _h: (
            (413, {}, None) if (body or {}).get("type") == "transaction" and len((body or {})["entry"]) > 50 else None
        )
        heard = Heard()
        assert export(server.url, {"T1": many}, heard).lines()[-1].endswith("60 written")
        assert any("parts of 50" in line for line in heard.lines)

    def test_another_fhir_version_is_refused_before_anything_is_written(self, server: FakeServer) -> None:
        server.fhir_version = "5.0.0"
        with pytest.raises(AdapterError, match=r"speaks FHIR 5\.0\.0, and R4 .*--fhir-version R5"):
            export(server.url, TRIALS)
        assert [path for _, path, _, _ in server.requests] == ["metadata"]

    @pytest.mark.parametrize("reply", [(404, {}, None), (200, {}, b"<html>"), (401, {}, None)])
    def test_what_is_no_fhir_server_is_told(self, server: FakeServer, reply: Reply) -> None:
        server.before = lambda *_: reply
        with pytest.raises(AdapterError, match="no CapabilityStatement"):
            export(server.url, TRIALS)

    def test_a_type_the_server_does_not_know_is_told_before_anything_is_written(self, server: FakeServer) -> None:
        server.types = [{"type": "Patient"}]
        with pytest.raises(AdapterError, match="type-not-supported"):
            export(server.url, TRIALS)
        assert server.writes == []

    def test_what_a_server_does_not_keep_is_told(self, server: FakeServer) -> None:
        server.after = lambda each: {key: value for key, value in each.items() if key != "action"}
        heard = Heard()
        export(server.url, {"T1": TRIALS["T1"]}, heard)
        assert any("the server holds something else: PlanDefinition.action" in line for line in heard.lines)


class TestWhatIsNotOurs:
    def test_another_resource_under_our_id_is_not_overwritten(self, server: FakeServer) -> None:
        theirs = {"resourceType": "ValueSet", "id": "shared", "url": "https://other.example.org", "status": "active"}
        server.held["ValueSet/shared"] = theirs
        with pytest.raises(AdapterError, match=r"ValueSet/shared: .*id-taken"):
            export(server.url, TRIALS)
        assert server.held == {"ValueSet/shared": theirs}

    def test_two_with_our_url_are_told(self, server: FakeServer) -> None:
        for id_ in ("a", "b"):
            server.held[f"ValueSet/{id_}"] = {**shared_value_set(), "id": id_}
        with pytest.raises(AdapterError, match=r"holds 2 of them \(ValueSet/a, ValueSet/b\)"):
            export(server.url, TRIALS, conditional=True)

    def test_a_server_that_ignores_the_search_is_told(self, server: FakeServer) -> None:
        server.held["ValueSet/x"] = {"resourceType": "ValueSet", "id": "x", "url": "https://other.example.org"}
        server._matches = lambda *_: True  # type: ignore[method-assign]  # such servers answer with everything
        with pytest.raises(AdapterError, match="does not search ValueSet by url"):
            export(server.url, TRIALS, conditional=True)

    def test_what_trials_share_must_be_the_same(self, server: FakeServer) -> None:
        other = copied(TRIALS["T2"], ValueSet={"title": "Another"})
        with pytest.raises(AdapterError, match="T1 and T2 share this and mean different things"):
            export(server.url, {"T1": TRIALS["T1"], "T2": other})
        assert server.requests == []


class TestTheCommand:
    def run(self, url: str, **options: bool) -> tuple[int, list[str], list[str]]:
        out, err = io.StringIO(), io.StringIO()
        chosen = {"conditional": False, "dry_run": False, **options}
        code = run_server_export(TRIALS, url=url, version=FhirVersion.R4, out=out, err=err, **chosen)
        return code, out.getvalue().splitlines(), err.getvalue().splitlines()

    def test_counts_go_to_stdout_and_progress_to_stderr(self, server: FakeServer) -> None:
        code, out, err = self.run(server.url)
        assert code == 0
        assert out[-1] == "total: 7 created, 0 updated, 1 unchanged; 7 written"
        assert err == ["T1 (1 of 2)", "T2 (2 of 2)"]
        assert self.run(server.url)[1][-1].endswith("0 written")

    def test_a_person_at_a_terminal_sees_a_bar_and_stdout_stays_clean(
        self, server: FakeServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TERM", "xterm")

        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        out, err = io.StringIO(), Terminal()
        server.transactions = False
        chosen = {"conditional": False, "dry_run": False}
        assert run_server_export(TRIALS, url=server.url, version=FhirVersion.R4, out=out, err=err, **chosen) == 0
        assert out.getvalue().splitlines()[-1].endswith("7 written")
        assert "no transactions" in err.getvalue()
        assert "2/2" in err.getvalue()

    def test_a_failure_is_one_located_line_and_exit_1(self, server: FakeServer) -> None:
        server.before = once((422, {}, outcome("bad", expression="Bundle.entry[1].resource.title")), nth=2)
        code, out, err = self.run(server.url)
        assert (code, out) == (1, [])
        assert "T1: 4 created, 0 updated, 0 unchanged" in err
        assert err[-1].startswith("PlanDefinition/t2-eligibility: PlanDefinition.title: error: trial T2: ")
