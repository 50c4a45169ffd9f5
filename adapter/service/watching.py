"""The metrics, with a memory of a week: which verdicts were given lately, hour by hour."""

import datetime
import threading
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from adapter.service.observing import Metrics

_HOUR_S = 3600
_WEEK = 7 * 24


class Latency(msgspec.Struct, frozen=True):
    """How long an operation takes: as far as its histogram tells, so ``at most``; None beyond its last bucket."""

    operation: str
    count: int
    median_s: float | None
    p95_s: float | None
    p99_s: float | None


class Watched(Metrics):
    """The figures of one process."""

    def __init__(self, clock: Callable[[], datetime.datetime]) -> None:
        super().__init__()
        self.began = clock()
        self._clock = clock
        self._hours: dict[int, Counter[tuple[str, str]]] = {}
        self._lock = threading.Lock()

    def count(self, verdicts: Iterable[tuple[str, str]]) -> None:
        """Count verdicts by trial, and in this hour."""
        found = list(verdicts)
        super().count(found)
        hour = self._hour()
        with self._lock:
            if hour not in self._hours:
                self._hours = {each: kept for each, kept in self._hours.items() if each > hour - _WEEK}
            self._hours.setdefault(hour, Counter()).update(found)

    def verdicts_of(self, hours: int) -> Counter[tuple[str, str]]:
        """Give the verdicts of the last hours, the one that runs included, by trial and verdict."""
        first = self._hour() - hours
        total = Counter[tuple[str, str]]()
        with self._lock:
            for hour, kept in self._hours.items():
                if hour > first:
                    total.update(kept)
        return total

    def answers(self) -> dict[tuple[str, str], int]:
        """Give how many requests were answered, by operation and status."""
        return {
            (sample.labels["operation"], sample.labels["status"]): int(sample.value)
            for family in self.requests.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    def latencies(self) -> list[Latency]:
        """Give how long each operation takes, the most frequent first."""
        buckets: dict[str, list[tuple[float, int]]] = {}
        for family in self.seconds.collect():
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    place = (float(sample.labels["le"]), int(sample.value))
                    buckets.setdefault(sample.labels["operation"], []).append(place)
        found = [_latency(operation, sorted(some)) for operation, some in buckets.items()]
        return sorted(found, key=lambda each: (-each.count, each.operation))

    def _hour(self) -> int:
        return int(self._clock().timestamp()) // _HOUR_S


def _latency(operation: str, buckets: list[tuple[float, int]]) -> Latency:
    count = buckets[-1][1]

    def within(share: float) -> float | None:
        bound = next(most for most, below in buckets if below >= share * count)
        return None if bound == float("inf") else bound

    return Latency(operation, count, within(0.5), within(0.95), within(0.99))
