"""A service with a database of its own, whose jobs are done when a test says so."""

import datetime
import io
from pathlib import Path

import anyio.from_thread
from service.conftest import NOW, Asked
from sqlalchemy import select

from adapter.catalog.catalog import Catalog
from adapter.service.app import create_app, make_service
from adapter.service.jobs import Worker
from adapter.service.settings import read_settings
from adapter.store.ledger import Store
from adapter.store.tables import audit, outbox, receipt

SECRET = "a-token-of-thirty-two-characters"  # noqa: S105 (a test needs one)
OTHER = "b-token-of-thirty-two-characters"


class Lasting(Asked):
    def __init__(
        self, catalog: Catalog, portal: anyio.from_thread.BlockingPortal, folder: Path, **settings: object
    ) -> None:
        self.at = NOW
        self.kept = Store.open(f"sqlite:///{folder / 'store.db'}", lambda: self.at)
        self.log = io.StringIO()
        read = read_settings(**settings)
        self.service = make_service(read, catalog, self.kept, lambda: self.at)
        self.app = create_app(read, catalog, self.kept, lambda: self.at, self.log, self.service)
        self.worker = Worker(self.service, datetime.timedelta(days=read.later_days))
        self._portal = portal

    def work(self) -> int:
        """Do every job that is due; how many it was."""
        count = 0
        while self._portal.call(self.worker.do_one):
            count += 1
        return count

    def later(self, seconds: float) -> None:
        self.at += datetime.timedelta(seconds=seconds)

    def count(self, name: str) -> int:
        table = {"receipt": receipt, "outbox": outbox}[name]
        with self.kept.engine.connect() as connection:
            return len(connection.execute(select(table)).all())

    def audited(self, outcome: str) -> list[str]:
        asked = select(audit.c.action).where(audit.c.outcome == outcome).order_by(audit.c.seq)
        with self.kept.engine.connect() as connection:
            return [each for (each,) in connection.execute(asked)]
