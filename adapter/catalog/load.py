"""Folders of trial and mapping files to a catalog: every problem of every file is found before anything is refused."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from adapter.catalog.catalog import Catalog, Sources
from adapter.catalog.compile import Questions, compile_trial
from adapter.catalog.prepare import convert
from adapter.catalog.schema import schema_issues
from adapter.catalog.site import Site, load_site
from adapter.catalog.trial_file import TrialFile
from adapter.catalog.yaml_file import load_yaml
from adapter.eligibility.case import Rules
from adapter.eligibility.values import Period
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.mapping.codes import CodeIndex
from adapter.mapping.extract import Extractor, Mappings
from adapter.mapping.table import Input, MappingFile, Policy, ValueSet, Vocabulary

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(folder: str) -> Path:
    """Find the data that comes with the adapter: beside the package in a checkout, inside it when installed."""
    inside = _PACKAGE / "_data" / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


def load_catalog(trials: Iterable[Path] = (), mappings: Iterable[Path] = (), site: Path | None = None) -> Catalog:
    """Load the shipped trials and mappings, or other folders in their place, with a site's additions.

    Raises AdapterError that lists every problem of the files when they cannot be used.
    """
    sources, catalog = read_catalog(trials, mappings, site)
    if catalog is None:
        raise AdapterError(Category.MALFORMED, sources.issues)
    return catalog


def read_catalog(
    trials: Iterable[Path] = (), mappings: Iterable[Path] = (), site: Path | None = None
) -> tuple[Sources, Catalog | None]:
    """Load everything and say every problem; the catalog is None where a problem stands in its way."""
    sources = Sources([], [], [])
    table = _load_mappings(list(mappings) or [shipped("mappings")], sources)
    values = {name: each.value for name, each in table.policy.items()} if table is not None else {}
    for path in _files(list(trials) or [shipped("trials")], sources.issues):
        _load_trial(path, values, sources)
    overlay = load_site(site, sources.issues) if site is not None else Site()
    if sources.issues or table is None:
        return sources, None
    index = CodeIndex(table.inputs, table.value_sets, table.vocabulary)
    overlay.apply(index, table.value_sets, sources.issues)
    compiled = []
    questions: Questions = {}
    for loaded, trial in sources.trials:
        one = compile_trial(trial, loaded, table, values, sources.issues, overlay.value_sets, questions)
        if one is not None:
            compiled.append(one)
    lasts = values.get("fresh.attestation")
    if lasts is None:
        sources.issues.append(Issue(Severity.ERROR, "policy", "the policy fresh.attestation is missing"))
    if sources.issues:
        return sources, None
    rules = Rules(table.vocabulary.childbearing)
    extractor = Extractor(table, index, overlay.limits)
    files = {trial.key: trial for _, trial in sources.trials}
    order = tuple(compiled)
    return sources, Catalog(order, files, table, index, extractor, rules, Period.parse(str(lasts)))


def _files(folders: list[Path], issues: list[Issue]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        if folder.is_file():
            found.append(folder)
            continue
        if not folder.is_dir():
            issues.append(Issue(Severity.ERROR, "not-found", "there is no such folder", file=folder.as_posix()))
            continue
        files = sorted(path for kind in ("yaml", "yml", "json") for path in folder.rglob(f"*.{kind}"))
        if not files:
            issues.append(Issue(Severity.ERROR, "empty-folder", "no YAML or JSON file here", file=folder.as_posix()))
        found.extend(files)
    return found


def _load_mappings(folders: list[Path], sources: Sources) -> Mappings | None:
    inputs: dict[str, Input] = {}
    value_sets: dict[str, ValueSet] = {}
    policy: dict[str, Policy] = {}
    vocabulary: Vocabulary | None = None
    digest = hashlib.sha256()
    loaded_files = []
    for path in _files(folders, sources.issues):
        loaded = load_yaml(path, sources.issues)
        if loaded is None or loaded.content is None:
            continue
        digest.update(path.read_bytes())
        loaded_files.append(loaded)
        policy_part = loaded.content.get("policy") if isinstance(loaded.content, dict) else None
        if isinstance(policy_part, dict):
            part = convert({"policy": policy_part}, MappingFile, loaded, sources.issues, {})
            policy.update(part.policy if part is not None else {})
    values = {name: each.value for name, each in policy.items()}
    for loaded in loaded_files:
        before = len(sources.issues)
        sources.issues.extend(schema_issues(loaded, "mapping"))
        sources.mappings.append(loaded)
        if len(sources.issues) > before:
            continue
        part = convert(loaded.content, MappingFile, loaded, sources.issues, values)
        if part is None:
            continue
        for kind, known, new in (("inputs", inputs, part.inputs), ("value_sets", value_sets, part.value_sets)):
            for name in new:
                if name in known:
                    issue = loaded.issue("duplicate-key", f"{name} is defined in another file too", (kind, name))
                    sources.issues.append(issue)
        inputs.update(part.inputs)
        value_sets.update(part.value_sets)
        vocabulary = part.vocabulary or vocabulary
    if vocabulary is None:
        if not sources.issues:
            sources.issues.append(Issue(Severity.ERROR, "vocabulary", "no mapping file has a vocabulary"))
        return None
    return Mappings(inputs, value_sets, policy, vocabulary, digest.hexdigest()[:12])


def _load_trial(path: Path, values: dict[str, Any], sources: Sources) -> None:
    loaded = load_yaml(path, sources.issues)
    if loaded is None:
        return
    found = schema_issues(loaded, "trial")
    sources.issues.extend(found)
    if found:
        return
    trial = convert(loaded.content, TrialFile, loaded, sources.issues, values)
    if trial is not None:
        if any(trial.key == other.key for _, other in sources.trials):
            sources.issues.append(
                loaded.issue("duplicate-key", f"the trial {trial.key} is in another file too", ("key",))
            )
        sources.trials.append((loaded, trial))
