"""Write trials to a FHIR server: each whole, only what differs, and the same end however often it is run."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TextIO

import msgspec

from adapter.delivery.capability import check_types, read_capability
from adapter.delivery.client import Client
from adapter.delivery.converge import Exporter, TrialReport
from adapter.delivery.difference import differences
from adapter.delivery.identity import Name, Resource, key_of, name_of
from adapter.delivery.meaning import canonical
from adapter.delivery.progress import Progress, progress_on
from adapter.delivery.reading import Reader
from adapter.delivery.references import ServerIds
from adapter.delivery.settings import Server, server_settings
from adapter.delivery.writing import Change, Writer, names_of
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir.versions import FhirVersion

Trials = Mapping[str, Sequence[Resource]]
"""The resources of each trial, by the trial's key; what trials share stands with each of them."""


class ExportReport(msgspec.Struct, frozen=True):
    """What an export did, trial by trial, in the order given."""

    trials: Mapping[str, TrialReport]
    is_dry: bool = False
    plan: Mapping[str, Sequence[Change]] = {}
    """What a dry run found to be written."""

    def lines(self) -> list[str]:
        """Say it: a line for each trial, then the total."""
        said = [f"{key}: {_counts([report], self.is_dry)}" for key, report in self.trials.items()]
        total = _counts(list(self.trials.values()), self.is_dry)
        written = sum(each.written for each in self.trials.values())
        return [*said, f"total: {total}; {'0' if self.is_dry else written} written"]

    def plan_lines(self) -> list[str]:
        """Say what a dry run would write, each changed element with what it was and would be."""
        said = []
        for key, changes in self.plan.items():
            said.append(f"{key}:")
            for each in changes:
                if each.held is None:
                    said.append(f"  create {each.name}")
                    continue
                said.append(f"  update {each.name}")
                said.extend(
                    f"    {line}" for one in differences(each.resource, each.held.resource) for line in one.lines()
                )
        return said


def export_to_server(
    trials: Trials,
    server: Server,
    *,
    version: FhirVersion,
    conditional: bool,
    dry_run: bool,
    progress: Progress,
    client: Client | None = None,
) -> ExportReport:
    """Write what differs of each trial to a server; raises AdapterError at the first that cannot be written.

    The trials before it are on the server then, whole; the one that failed is not, or, where the server has no
    transactions, in part.  Running it again goes on where it stopped.
    """
    _check_shared(trials)
    types = {each["resourceType"] for resources in trials.values() for each in resources}
    client = client or Client(server, progress.say)
    try:
        if server.backend is not None:
            from adapter.delivery.token import Tokens  # noqa: PLC0415 (heavy; only this kind of sign-in needs it)

            client.tokens = Tokens(client, server.backend, types)
        capability = read_capability(client, version)
        check_types(capability, types, conditional=conditional)
        if conditional:
            _check_keys(trials)
        ids = ServerIds(server.url)
        reader = Reader(client, capability, ids, conditional=conditional)
        exporter = Exporter(client, capability, reader, Writer(client, capability, ids, conditional=conditional))
        return _exported(trials, exporter, progress, dry_run=dry_run)
    finally:
        client.close()


def _exported(trials: Trials, exporter: Exporter, progress: Progress, *, dry_run: bool) -> ExportReport:
    reports: dict[str, TrialReport] = {}
    plan: dict[str, list[Change]] = {}
    settled: set[Name] = set()
    for number, (key, resources) in enumerate(trials.items()):
        progress.at(key, number, len(trials))
        open_ = [each for each in resources if name_of(each) not in settled]
        try:
            if dry_run:
                plan[key] = exporter.changes(open_)
                report = _planned(open_, plan[key])
            else:
                report = exporter.bring(open_)
        except AdapterError as error:
            for name, each in reports.items():
                progress.say(f"{name}: {_counts([each], dry_run)}")
            raise AdapterError(error.category, [_of_trial(issue, key) for issue in error.issues]) from None
        shared = tuple(name_of(each) for each in resources if name_of(each) in settled)
        reports[key] = msgspec.structs.replace(report, unchanged=(*report.unchanged, *shared))
        settled |= names_of(resources).keys()
    progress.at("", len(trials), len(trials))
    return ExportReport(reports, is_dry=dry_run, plan=plan)


def run_server_export(
    trials: Mapping[str, tuple[Resource, ...]],
    *,
    url: str,
    version: FhirVersion,
    conditional: bool,
    dry_run: bool,
    err: TextIO,
    out: TextIO,
) -> int:
    """Export with the settings of the environment, and say how it went; 0 done, 1 failed.

    Raises AdapterError only for a setting that cannot be used, before anything is asked of the server.
    """
    server = server_settings(url, os.environ)
    with progress_on(err) as progress:
        try:
            report = export_to_server(
                trials, server, version=version, conditional=conditional, dry_run=dry_run, progress=progress
            )
        except AdapterError as error:
            progress.close()
            err.writelines(f"{issue}\n" for issue in error.issues)
            return 1
    out.writelines(f"{line}\n" for line in (*report.plan_lines(), *report.lines()))
    return 0


def _planned(resources: Sequence[Resource], changes: Sequence[Change]) -> TrialReport:
    created = {each.name for each in changes if each.is_creation}
    updated = {each.name for each in changes if not each.is_creation}
    names = [name_of(each) for each in resources]
    return TrialReport(
        created=tuple(each for each in names if each in created),
        updated=tuple(each for each in names if each in updated),
        unchanged=tuple(each for each in names if each not in created | updated),
    )


def _counts(reports: Sequence[TrialReport], is_dry: bool) -> str:  # noqa: FBT001 (private)
    counted = [sum(len(getattr(each, kind)) for each in reports) for kind in ("created", "updated", "unchanged")]
    if is_dry:
        return f"{counted[0]} to create, {counted[1]} to update, {counted[2]} unchanged"
    return f"{counted[0]} created, {counted[1]} updated, {counted[2]} unchanged"


def _check_shared(trials: Trials) -> None:
    """Refuse two different resources of one name: the later trial would undo the earlier one, on every run."""
    seen: dict[Name, tuple[str, str]] = {}
    for key, resources in trials.items():
        for each in resources:
            said = canonical(each)
            other, before = seen.setdefault(name_of(each), (key, said))
            if before != said:
                message = f"the trials {other} and {key} share this and mean different things by it"
                issue = Issue(Severity.ERROR, "shared-differently", message, file=str(name_of(each)))
                raise AdapterError(Category.MALFORMED, [issue])


def _check_keys(trials: Trials) -> None:
    seen: dict[tuple[str, str, str], Name] = {}
    for resources in trials.values():
        for each in resources:
            name, key = name_of(each), key_of(each)
            if seen.setdefault((name.type, *key), name) != name:
                said = f"this has the same {key.parameter} as {seen[name.type, key.parameter, key.value]}"
                issue = Issue(Severity.ERROR, "same-identity", said, file=str(name))
                raise AdapterError(Category.MALFORMED, [issue])


def _of_trial(issue: Issue, key: str) -> Issue:
    return replace(issue, message=f"trial {key}: {issue.message}")
