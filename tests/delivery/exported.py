"""Export to a test's server without waiting, with everything that was said on the way."""

from typing import Any

from adapter.delivery.client import Client
from adapter.delivery.export import ExportReport, Trials, export_to_server
from adapter.delivery.settings import Server
from adapter.fhir.versions import FhirVersion


class Heard:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.waits: list[float] = []

    def at(self, key: str, done: int, total: int) -> None:
        """Remember nothing of it."""

    def say(self, line: str) -> None:
        self.lines.append(line)

    def close(self) -> None:
        """Nothing to close."""


def export(
    url: str,
    trials: Trials,
    heard: Heard | None = None,
    *,
    settings: dict[str, Any] | None = None,
    **options: Any,  # noqa: ANN401 (the options of export_to_server)
) -> ExportReport:
    heard = heard or Heard()
    server = Server(url=url, timeout_s=5.0, **(settings or {}))
    chosen: dict[str, Any] = {"version": FhirVersion.R4, "conditional": False, "dry_run": False, **options}
    client = Client(server, heard.say, sleep=heard.waits.append)
    return export_to_server(trials, server, progress=heard, client=client, **chosen)


def copied(trial: tuple[dict[str, Any], ...], **changes: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Give a trial with some of its resources changed, by type."""
    return tuple({**each, **changes.get(each["resourceType"], {})} for each in trial)
