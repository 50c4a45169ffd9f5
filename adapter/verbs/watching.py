"""Several processes on one port: the first holds the port and watches; where one ends unasked, another begins.

The first process runs nothing else and has no thread, so it can be copied (forked) at any time.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

from adapter.errors import AdapterError, Category

Work = Callable[[], int]
_SETTLED_S = 10.0
"""Who ends by itself sooner than this could not begin: another would not either."""
_AGAIN_S = 0.5
"""Between one that was killed early and the next, so that none is begun in a loop without a breath."""
_GRACE_S = 2.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def bound(host: str, port: int, backlog: int) -> socket.socket:
    """Listen; raises AdapterError where the port is taken or not ours."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.create_server(address[:2], family=family, backlog=backlog)
    except OSError:
        raise AdapterError.of(Category.UNAVAILABLE, "listen", "the port cannot be listened on") from None
    made.set_inheritable(True)
    return made


def watch(works: Sequence[Work], stop_s: float) -> int:
    """Do each work in a process of its own until told to stop; gives the exit code.

    In a process that does one of them, gives what that work gave: what stands after the call is done by all.
    """
    if not hasattr(os, "fork"):
        said = "the setting workers must be 1 on this system: it cannot copy a process"
        raise AdapterError.of(Category.UNSUPPORTED, "setting", said)
    return _Watch(works, stop_s).run()


class _Watch:
    def __init__(self, works: Sequence[Work], stop_s: float) -> None:
        self._works = works
        self._stop_s = stop_s
        self._alive: dict[int, tuple[Work, float]] = {}
        self._is_stopping = False
        self._code = 0
        # Nothing is ever written to it: whoever reads its other end learns that this process is gone.
        self._gone, self._here = os.pipe()

    def run(self) -> int:
        before = {number: signal.signal(number, self._told) for number in _SIGNALS}
        alarm = signal.signal(signal.SIGALRM, self._too_late)
        try:
            for work in self._works:
                if not self._begin(work):
                    return self._own(work)
            while self._alive:
                again = self._ended(*os.waitpid(-1, 0))
                if again is not None and not self._begin(again):
                    return self._own(again)
            return self._code
        finally:
            if self._here >= 0:
                signal.setitimer(signal.ITIMER_REAL, 0)
                for number, handler in [*before.items(), (signal.SIGALRM, alarm)]:
                    signal.signal(number, handler)

    def _begin(self, work: Work) -> bool:
        """Copy this process; false in the copy."""
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal between the copying and the end of this is told once it is known to whom.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = 0 if self._is_stopping else os.fork()
            if pid == 0 and not self._is_stopping:
                for number in (*_SIGNALS, signal.SIGALRM):
                    signal.signal(number, signal.SIG_DFL)
                os.close(self._here)
                self._here = -1
                return False
            if pid:
                self._alive[pid] = (work, time.monotonic())
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        return True

    def _own(self, work: Work) -> int:
        """Do the work of this copy, and not beyond the first process' end."""
        os.setpgid(0, 0)  # Ctrl-C is for the first process, which tells the others
        threading.Thread(target=self._end_with, name="watched", daemon=True).start()
        return work()

    def _end_with(self) -> None:
        os.read(self._gone, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    def _ended(self, pid: int, status: int) -> Work | None:
        """Take note of one that ended; gives the work that is to be begun again."""
        work, began = self._alive.pop(pid)
        if self._is_stopping:
            return None
        code = os.waitstatus_to_exitcode(status)
        was_short = time.monotonic() - began < _SETTLED_S
        if code >= 0 and was_short:
            self._code = code or 1
            self._stop()
            return None
        sys.stderr.write(f"process {pid} ended unasked ({code}); another begins\n")
        if was_short:
            time.sleep(_AGAIN_S)
        return None if self._is_stopping else work

    def _told(self, _number: int, _frame: FrameType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            signal.setitimer(signal.ITIMER_REAL, self._stop_s + _GRACE_S)
        self._tell(signal.SIGTERM)

    def _too_late(self, _number: int, _frame: FrameType | None) -> None:
        self._tell(signal.SIGKILL)

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._alive:
            os.kill(pid, number)
