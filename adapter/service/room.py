"""Whether there is room for one more: what waits is counted once a second, and never for each message."""

import time
from collections.abc import Callable

import anyio.to_thread
import msgspec

from adapter.errors import AdapterError
from adapter.service.observing import Metrics
from adapter.service.outcomes import Refusal
from adapter.store.room import Waiting

_FRESH_S = 1.0
_RETRY_S = "30"


class Caps(msgspec.Struct, frozen=True):
    """How much may wait."""

    deliveries: int | None
    """None where nothing is delivered: then nobody waits for them."""
    messages: int


class Room:
    """The door: shut while more waits than may."""

    def __init__(
        self,
        count: Callable[[int, int], Waiting],
        caps: Caps,
        metrics: Metrics,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._caps = caps
        self._metrics = metrics
        self._now = now
        self._counted_at = float("-inf")
        self._deliveries = self._messages = 0

    async def check(self) -> None:
        """Let a message in, or raise Refusal (503)."""
        await self.refresh()
        if self.is_full:
            said = "more waits to be delivered or answered than may; nothing was kept, send this again later"
            raise Refusal.of(503, "queue-full", said, headers={"Retry-After": _RETRY_S})

    @property
    def is_full(self) -> bool:
        """Whether no more is taken, as far as was counted."""
        is_late = self._caps.deliveries is not None and self._deliveries > self._caps.deliveries
        return is_late or self._messages > self._caps.messages

    async def refresh(self) -> None:
        """Count again where the last count is old; others meanwhile go by that one."""
        if self._now() - self._counted_at < _FRESH_S:
            return
        self._counted_at = self._now()
        try:
            found = await anyio.to_thread.run_sync(self._count, self._caps.deliveries or 0, self._caps.messages)
        except AdapterError:
            return  # the database is away, which is told when it is written to
        self._deliveries, self._messages = found.deliveries, found.messages
        self._metrics.waiting.labels("deliveries").set(found.deliveries)
        self._metrics.waiting.labels("messages").set(found.messages)

    def took(self, *, deliveries: int = 0, messages: int = 0) -> None:
        """Take note of what came in since the last count, so that a flood does not outrun it."""
        self._deliveries += deliveries
        self._messages += messages
