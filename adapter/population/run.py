"""A run's folder: what was begun, how far it is, and results that appear whole when all of it is done.

While it runs everything lies in ``DIR/.screening``.  Results grow there, in the order of the parts; every few seconds
they are forced to disk, and then a line of the journal says how long each of them is.  Whatever ends the run, what lies
beyond the last line of the journal is cut off when it is resumed, so that no patient is there twice and none is lost.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, Self

import msgspec

from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.outputs import unwritable
from adapter.population.journal import (
    State,
    add_state,
    first_changed,
    force,
    last_state,
    locked,
    refused,
    write_list,
    write_whole,
)
from adapter.population.listing import WORK, File
from adapter.population.sinks import Sink
from adapter.population.work import Done, spooled

ASIDE = "set-aside.ndjson"
ABOUT = "run.json"
LOCK, JOURNAL, INPUTS = "lock", "journal", "inputs"
_COMMIT_S = 5.0
_encode = msgspec.json.encode
About = dict[str, Any]
Maker = Callable[[Path, int], None]
"""Makes something of the results in a folder; the number says how much was set aside."""


class Run:
    """Takes the results of parts in their order."""

    def __init__(self, out: Path, sinks: Iterable[Sink], about: About) -> None:
        self._out = out
        self._sinks = list(sinks)
        self._about = about
        self._streams: dict[str, IO[bytes]] = {}
        self._committed = time.monotonic()
        self.work = out / WORK
        self.state = State()
        self.is_resumed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams.values():
            with contextlib.suppress(OSError):
                stream.close()
        if self._lock is not None:
            self._lock.close()

    _lock: IO[bytes] | None = None

    def begin(self, files: Iterable[File], *, resume: bool) -> None:
        """Begin a run, or go on with one; raises AdapterError where what is there is not this run."""
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            self._lock = locked(self.work / LOCK, self._out)
            if (self.work / ABOUT).is_file():
                if not resume:
                    raise refused(
                        self._out,
                        "unfinished-run",
                        "a run is not finished here: go on with --resume, or remove .screening in it",
                    )
                self._check(files)
                self.is_resumed = True
                self.state = last_state(self.work / JOURNAL)
            else:
                _clear(self.work)
                write_list(self.work / INPUTS, files)
                write_whole(self.work / ABOUT, msgspec.json.format(_encode(self._about), indent=2) + b"\n")
            if not self.state.is_done:
                self._open()
        except OSError as error:
            raise unwritable(error, self._out) from None

    def _check(self, files: Iterable[File]) -> None:
        before = msgspec.json.decode((self.work / ABOUT).read_bytes())
        names = [name for name in self._about if before.get(name) != self._about[name]]
        names.extend(name for name in before if name not in self._about)
        if names:
            said = (
                f"the run in this folder was begun with other {', '.join(names)}; remove .screening in it to begin anew"
            )
            raise refused(self._out, "other-run", said)
        changed = first_changed(self.work / INPUTS, files)
        if changed is not None:
            said = "this is not as it was when the run began; remove .screening in the folder of --out to begin anew"
            raise AdapterError(Category.CONFLICT, [Issue(Severity.ERROR, "other-input", said, file=changed)])

    def _open(self) -> None:
        for name, head in self._files().items():
            path = self.work / name
            stream = path.open("r+b" if path.exists() else "w+b")
            self._streams[name] = stream
            stream.truncate(self.state.sizes.get(name, 0))
            stream.seek(0, os.SEEK_END)
            if not stream.tell():
                stream.write(head)
        for each in self._sinks:
            if each.is_folder:
                (self.work / each.file).mkdir(exist_ok=True)

    def _files(self) -> dict[str, bytes]:
        """Name the results that grow, and what they begin with."""
        return {each.file: each.head for each in self._sinks if not each.is_folder} | {ASIDE: b""}

    def take(self, done: Done, spool: Path, file: str, *, is_piece: bool) -> list[Issue]:
        """Add a part's results; gives its issues with their places in the whole file."""
        state = self.state
        if state.file != file:
            state.file, state.lines = file, 0
        before = state.lines if is_piece else 0
        state.lines += done.lines
        listed = [moved(each, before) for each in done.listed]
        shown = [moved(each, before) for each in done.shown]
        try:
            for each in self._sinks:
                path = spool / spooled(done.number, each.file)
                if done.is_lost:
                    path.unlink(missing_ok=True)
                elif each.is_folder:
                    with path.open("rb") as made:
                        force(made)
                    path.replace(self.work / each.file / part_name(done.number, each))
                else:
                    append(path, self._streams[each.file])
            self._list(listed)
        except OSError as error:
            raise unwritable(error, self._out) from None
        state.part = done.number
        state.patients += done.patients
        state.set_aside += done.set_aside
        for code, count in done.remarks.items():
            state.remarks[code] = state.remarks.get(code, 0) + count
        if time.monotonic() - self._committed > _COMMIT_S:
            self.commit()
        return listed + shown

    def survey(self, issues: Iterable[Issue], count: int) -> None:
        """Write down what was noticed of the exports as a whole."""
        self._list(issues)
        self.state.set_aside += count
        self.state.is_surveyed = True
        self.commit()

    def _list(self, issues: Iterable[Issue]) -> None:
        self._streams[ASIDE].writelines(aside(each) for each in issues)

    def commit(self) -> None:
        """Force everything to disk and then say so in the journal."""
        try:
            for name, stream in self._streams.items():
                force(stream)
                self.state.sizes[name] = stream.tell()
            add_state(self.work / JOURNAL, self.state)
        except OSError as error:
            raise unwritable(error, self._out) from None
        self._committed = time.monotonic()

    def complete(self) -> None:
        """Say that there is nothing more to come: from here on the results only have to appear."""
        self.state.is_done = True
        self.commit()

    def make(self, products: "Maker | None") -> None:
        """Have products made of the results before they appear; what was begun and ended half way is made anew."""
        if products is not None:
            products(self.work, self.state.set_aside)

    def finish(self) -> None:
        """Let the results appear, and remove everything else."""
        try:
            for stream in self._streams.values():
                stream.close()
            self._appear(ASIDE, needed=bool(self.state.sizes.get(ASIDE)))
            for each in self._sinks:
                if each.appears:
                    self._appear(each.file, needed=True)
            state = self.state
            counts = {
                "patients": state.patients,
                "set_aside": state.set_aside,
                "remarks": dict(sorted(state.remarks.items())),
            }
            write_whole(self._out / ABOUT, msgspec.json.format(_encode(self._about | counts), indent=2) + b"\n")
            (self.work / ABOUT).unlink(missing_ok=True)
            shutil.rmtree(self.work)
        except OSError as error:
            raise unwritable(error, self._out) from None

    def _appear(self, name: str, *, needed: bool) -> None:
        made, place = self.work / name, self._out / name
        if not made.exists():
            return
        if not needed:
            place.unlink(missing_ok=True)
        elif made.is_dir():
            if place.exists():
                place.rename(self.work / f"before-{name}-{time.time_ns()}")
            made.rename(place)
        else:
            made.replace(place)


def moved(issue: Issue, lines: int) -> Issue:
    """Give an issue with its line in the whole file, where it was counted from the start of a range."""
    return issue.located(line=issue.line + lines) if lines and issue.line is not None else issue


def part_name(part: int, sink: Sink) -> str:
    """Name a part's file of a result that is a folder."""
    return f"part-{part:06}{Path(sink.file).suffix}"


def aside(issue: Issue) -> bytes:
    """Write why something was set aside, without any value of a patient."""
    said = {"file": issue.file, "line": issue.line, "expression": issue.expression}
    return _encode({**said, "code": issue.code, "message": issue.message}) + b"\n"


def append(path: Path, stream: IO[bytes]) -> None:
    """Move the bytes of a file to the end of another."""
    with path.open("rb") as part:
        shutil.copyfileobj(part, stream, 1 << 20)
    path.unlink()


def _clear(work: Path) -> None:
    """Remove what an earlier run left; the lock is ours already."""
    for each in work.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name != LOCK:
            each.unlink()
