"""What this process did with its deliveries since it started, for whoever watches it; no patient value."""

import threading
from collections import Counter
from collections.abc import Mapping


class Tally:
    """Counts by word, from many threads."""

    def __init__(self) -> None:
        self._counts = Counter[str]()
        self._lock = threading.Lock()

    def add(self, word: str, count: int = 1) -> None:
        """Count something."""
        with self._lock:
            self._counts[word] += count

    def counts(self) -> Mapping[str, int]:
        """Give what was counted."""
        with self._lock:
            return dict(self._counts)
