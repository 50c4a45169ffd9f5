"""Everything the status page shows, gathered at one instant: of this process, and of the store that all share."""

import datetime
import os
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from adapter import __version__
from adapter.catalog.catalog import Catalog
from adapter.service.serving import Service
from adapter.service.settings import Settings
from adapter.service.unread import Counted, Noticing, Tally
from adapter.service.watching import Latency, Watched
from adapter.store.figures import StoreFigures, store_figures
from adapter.store.ledger import Store

_MOST = 30
_DAY_H, _WEEK_H = 24, 7 * 24


class Figures(msgspec.Struct, frozen=True):
    """What the page says."""

    at: datetime.datetime
    began: datetime.datetime
    process: int
    workers: int
    version: str
    mappings: str
    trials: tuple[tuple[str, str], ...]
    """Key and version."""
    storage: tuple[tuple[str, str], ...]
    """How data is kept: what, and how."""
    has_target: bool
    store: StoreFigures
    tallied: Mapping[str, int]
    """What the courier and the sweeper of this process did."""
    answers: Mapping[tuple[str, str], int]
    latencies: tuple[Latency, ...]
    verdicts_day: Counter[tuple[str, str]]
    verdicts_week: Counter[tuple[str, str]]
    codes: tuple[Counted, ...]
    units: tuple[Counted, ...]


class Desk(msgspec.Struct, frozen=True):
    """Where the figures come from."""

    settings: Settings
    catalog: Catalog
    store: Store
    metrics: Watched
    tally: Tally
    clock: Callable[[], datetime.datetime]

    @classmethod
    def of(cls, service: Service, settings: Settings) -> "Desk | None":
        """Take what a service counts; None where it was put together without counting."""
        catalog, store = service.evaluator.catalog, service.exchange.store
        metrics, extractor = service.metrics, catalog.extractor
        if not isinstance(metrics, Watched) or not isinstance(extractor, Noticing):
            return None
        return cls(settings, catalog, store, metrics, extractor.tally, service.exchange.clock)

    def figures(self) -> Figures:
        """Gather them; raises what the database raises."""
        now = self.clock()
        settings = self.settings
        return Figures(
            at=now,
            began=self.metrics.began,
            process=os.getpid(),
            workers=settings.workers,
            version=__version__,
            mappings=self.catalog.mappings.version,
            trials=tuple((each.key, each.version) for each in self.catalog.trials),
            storage=_storage(settings),
            has_target=settings.target is not None,
            store=store_figures(self.store.engine, now),
            tallied=self.store.tally.counts(),
            answers=self.metrics.answers(),
            latencies=tuple(self.metrics.latencies()),
            verdicts_day=self.metrics.verdicts_of(_DAY_H),
            verdicts_week=self.metrics.verdicts_of(_WEEK_H),
            codes=tuple(self.tally.codes(_MOST)),
            units=tuple(self.tally.units(_MOST)),
        )


def _storage(settings: Settings) -> tuple[tuple[str, str], ...]:
    kept = f"for {settings.retention_days} days" if settings.storage == "kept" else "not kept: each message for itself"
    key = "encrypted with the site's key" if settings.storage_key_file is not None else "not encrypted by the adapter"
    audit = "chained, with a key" if settings.audit_key_file is not None else "chained, without a key"
    return (("Facts across messages", kept), ("What is kept of patients", key), ("Audit", audit))
