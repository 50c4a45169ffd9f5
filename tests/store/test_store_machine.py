"""Whatever the order of claims, commits, failures, replays and restarts: one message, one evaluation, one reply."""

import shutil
import tempfile

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from store.kept import delivery, now, received, reply, row

from adapter.errors import AdapterError, Category
from adapter.store.ledger import KeyReused, Replayed, Store, verify_audit
from adapter.store.rows import Outbox

KEYS = st.sampled_from(["a", "b", "c"])
CONTENTS = st.sampled_from(["this", "that"])


class StoreMachine(RuleBasedStateMachine):
    """Two stores on one file against a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.url = f"sqlite:///{self.folder}/adapter.db"
        self.stores = [Store.open(self.url, now) for _ in range(2)]
        self.claimed: dict[str, tuple[int, str]] = {}
        self.answered: dict[str, str] = {}

    @rule(which=st.integers(0, 1), key=KEYS, content=CONTENTS)
    def claim(self, which: int, key: str, content: str) -> None:
        try:
            said = self.stores[which].claim(received(key, content), 0)
        except AdapterError as error:
            assert error.category is Category.BUSY  # noqa: PT017 (a rule has no raises)
            assert self.claimed[key][1] == content
            return
        if key in self.answered:
            assert said == (Replayed(reply(key)) if self.answered[key] == content else KeyReused())
        elif key in self.claimed:
            assert said == KeyReused()
            assert self.claimed[key][1] != content
        else:
            assert said is None
            self.claimed[key] = (which, content)

    @rule(key=KEYS)
    def commit(self, key: str) -> None:
        if key in self.claimed:
            which, content = self.claimed.pop(key)
            self.stores[which].commit(received(key, content), reply(key), row(key), [delivery("candidate", lane=key)])
            self.answered[key] = content

    @rule(key=KEYS)
    def release(self, key: str) -> None:
        if key in self.claimed:
            which, content = self.claimed.pop(key)
            self.stores[which].release(received(key, content))

    @rule(which=st.integers(0, 1), key=KEYS)
    def commit_what_is_not_claimed(self, which: int, key: str) -> None:
        if self.claimed.get(key, (-1, ""))[0] != which:
            try:
                self.stores[which].commit(received(key), reply("other"), row(key), [delivery("eligible")])
            except AdapterError as error:
                assert error.category is Category.CONFLICT  # noqa: PT017 (a rule has no raises)
            else:
                raise AssertionError("a commit without a claim was taken")

    @rule(which=st.integers(0, 1))
    def restart(self, which: int) -> None:
        self.stores[which].close()
        self.stores[which] = Store.open(self.url, now)
        self.claimed = {key: each for key, each in self.claimed.items() if each[0] != which}

    @invariant()
    def one_delivery_for_each_answer(self) -> None:
        counted = {each.state: each.count for each in Outbox(self.stores[0]).counts()}
        assert counted.get("pending", 0) == len(self.answered)
        assert verify_audit(self.stores[1]) is None

    def teardown(self) -> None:
        for each in self.stores:
            each.close()
        shutil.rmtree(self.folder)


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestStore = StoreMachine.TestCase
