"""What stands on stderr while a population is screened: now and then, and no flood."""

import pytest

from adapter.errors import Issue, Severity
from adapter.population import progress as telling
from adapter.population.progress import Lines, OnTerminal, Remarks, Silent, progress


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(telling, "time", made)
    return made


def test_a_line_every_ten_seconds_says_how_far_how_fast_and_how_long_yet(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Lines(1000)
    for now, size in ((5, 100), (9.9, 100), (10, 50), (12, 0), (20, 250)):
        clock.now = now
        told.step(size, 30)
    assert capsys.readouterr().err.splitlines() == [
        "25%, 90 patients, 9 a second, 0:00:10 passed, about 0:00:30 left",
        "50%, 150 patients, 8 a second, 0:00:20 passed, about 0:00:20 left",
    ]


def test_nothing_is_told_who_asks_for_quiet_and_a_bar_only_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = progress(10, quiet=True)
    quiet.step(10, 1)
    quiet.close()
    assert isinstance(quiet, Silent)
    assert not isinstance(quiet, Lines)
    assert isinstance(progress(10, quiet=False), Lines)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bar = progress(10, quiet=False)
    bar.close()
    assert isinstance(bar, OnTerminal)
    capsys.readouterr()


def test_the_bar_draws_without_a_thread_that_a_fork_would_copy(capsys: pytest.CaptureFixture[str]) -> None:
    bar = OnTerminal(100)
    assert bar._bar.live._refresh_thread is None
    bar.step(50, 7)
    bar.write("a.json: error: [x] is no markup")
    bar.close()
    assert "a.json: error: [x] is no markup" in capsys.readouterr().err


def test_of_one_kind_of_remark_only_so_many_are_written_and_all_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    remarks = Remarks(Silent())
    flood = [Issue(Severity.WARNING, "stranger", "said") for _ in range(100)]
    remarks.show([*flood, Issue(Severity.WARNING, "other", "said")])
    remarks.sum_up({"stranger": 100, "other": 1})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 22
    assert lines[-1] == "100 remarks [stranger] in all; 20 at most are written out"
