"""Does the service stay as it is: half its load for long, with memory, descriptors and the write-ahead log watched."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from service_process import HERE, Service, Watched, tree_of

_WARM_SHARE = 0.3
"""Of the time, until memory is looked at: caches fill, and the first connections are made."""
_LOOKS = 120


def soak(workers: int, seconds: float, rate: float) -> dict[str, Any]:
    """Load a service for so long at half of ``rate``; gives what was seen."""
    with tempfile.TemporaryDirectory() as folder, Service("whole", Path(folder), workers=workers) as service:
        command = [sys.executable, str(HERE / "load.py"), str(service.port), "--clients", "16"]
        command += ["--seconds", str(seconds), "--rate", str(rate / 2)]
        pids = tree_of(service.pid)
        seen: list[tuple[float, float, int, int]] = []
        began = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as load:
            while load.poll() is None:
                watched = Watched(pids)
                log = service.database.with_name("store.db-wal")
                size = log.stat().st_size if log.exists() else 0
                seen.append((time.monotonic() - began, watched.rss_mb(), watched.files(), size))
                time.sleep(max(0.5, seconds / _LOOKS))
            assert load.stdout is not None  # noqa: S101 (it was asked for)
            figures = json.loads(load.stdout.read())
        same = tree_of(service.pid) == pids
    late = [each for each in seen if each[0] >= _WARM_SHARE * seconds]
    slope = statistics.linear_regression([at / 60 for at, *_ in late], [rss for _, rss, *_ in late]).slope
    wal = max(size for *_, size in seen)
    told = (
        f"{seconds:.0f} s at {figures['per_second']:.0f} bundles/s, {workers} workers: memory {late[0][1]:.0f} to "
        f"{late[-1][1]:.0f} MB, {slope:+.2f} MB a minute; descriptors {late[0][2]} to {late[-1][2]}; write-ahead log "
        f"at most {wal / 1e6:.1f} MB; p50 {figures['p50_ms']:.0f}, p99 {figures['p99_ms']:.0f} ms; answers "
        f"{figures['statuses']}"
    )
    return {"told": told, "seen": seen, "load": figures, "slope_mb_a_minute": slope, "same_processes": same}
