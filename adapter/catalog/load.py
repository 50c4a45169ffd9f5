"""Folders of trial and mapping files to a catalog: every problem of every file is found before anything is refused."""

import copy
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from adapter.catalog.catalog import Block, Catalog, PlacedAtom, Sources
from adapter.catalog.checks_references import reference_issues
from adapter.catalog.compile import Questions, compile_trial
from adapter.catalog.prepare import UNREAD, convert, policies_in
from adapter.catalog.schema import schema_issues
from adapter.catalog.site import Site, load_site
from adapter.catalog.trial_file import TrialFile
from adapter.catalog.yaml_file import Loaded, Path_, load_yaml
from adapter.eligibility.case import Rules
from adapter.eligibility.kinds import Kind
from adapter.eligibility.values import Period
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.mapping.codes import CodeIndex
from adapter.mapping.extract import Extractor, Mappings
from adapter.mapping.table import Input, MappingFile, ValueSet, Vocabulary

_PACKAGE = Path(__file__).resolve().parent.parent
ATTESTATION = "fresh.attestation"
"""The policy that the adapter itself reads: how long a reviewer's answer is believed."""
_TYPES: tuple[tuple[Block, type], ...] = (("inputs", Input), ("value_sets", ValueSet))


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
    _load_mappings(list(mappings) or [shipped("mappings")], sources)
    values = _values(sources)
    for path in _files(list(trials) or [shipped("trials")], sources.issues):
        _load_trial(path, values, sources)
    sources.issues.extend(reference_issues(sources))
    overlay = load_site(site, sources.issues) if site is not None else Site()
    compiled = []
    questions: Questions = {}
    by_file: dict[int, list[PlacedAtom]] = {}
    for each in sources.atoms:
        by_file.setdefault(id(each.loaded), []).append(each)
    for loaded, trial in sources.trials:
        mine = by_file.get(id(loaded), [])
        one = compile_trial(trial, mine, sources, overlay.value_sets, questions)
        if one is not None:
            compiled.append(one)
    lasts = sources.policy.get(ATTESTATION)
    if not sources.knows("policy", ATTESTATION):
        said = f"the policy {ATTESTATION} is missing: add how long a reviewer's answer is believed, such as P30D"
        sources.issues.append(Issue(Severity.ERROR, "missing-policy", said))
    if sources.vocabulary is None or lasts is None or sources.has_errors():
        return sources, None
    index = CodeIndex(sources.inputs, sources.value_sets, sources.vocabulary)
    overlay.apply(index, sources.inputs, sources.value_sets, sources.vocabulary, sources.issues)
    if sources.has_errors():
        return sources, None
    named = {path: name for loaded in sources.mappings for name, path in policies_in(loaded.content)}
    table = Mappings(sources.inputs, sources.value_sets, sources.policy, sources.vocabulary, sources.digest, named)
    rules = Rules(table.vocabulary.childbearing)
    extractor = Extractor(table, index, overlay.limits)
    files = {trial.key: trial for _, trial in sources.trials}
    order = tuple(compiled)
    return sources, Catalog(order, files, table, index, extractor, rules, Period.parse(str(lasts.value)))


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


def _load_mappings(folders: list[Path], sources: Sources) -> None:
    """Read every entry of every mapping file for itself, so that a broken one hides no other."""
    digest = hashlib.sha256()
    for path in _files(folders, sources.issues):
        loaded = load_yaml(path, sources.issues)
        if loaded is None:
            continue
        digest.update(path.read_bytes())
        sources.words.update(loaded.words)
        if loaded.content is not None:
            sources.mappings.append(loaded)
    sources.digest = digest.hexdigest()[:12]
    misfits = {loaded.file: _fitted(loaded, "mapping", sources) for loaded in sources.mappings}
    for loaded in sources.mappings:
        for name, content in _entries(loaded, "policy", sources):
            # "policy" is prose to ``convert``: a length of time stays as written here, and is read where it is used.
            made = _made({"policy": {name: content}}, MappingFile, ("policy", name), loaded, misfits, sources)
            if made is not None:
                sources.policy.update(made.policy)
    values = _values(sources)
    for loaded in sources.mappings:
        for block, kind in _TYPES:
            for name, content in _entries(loaded, block, sources):
                made = _made(content, kind, (block, name), loaded, misfits, sources, values)
                if made is not None:
                    (sources.inputs if block == "inputs" else sources.value_sets)[name] = made
        _load_vocabulary(loaded, misfits, sources, values)
    if sources.vocabulary_file() is None and "vocabulary" not in sources.words:
        sources.issues.append(Issue(Severity.ERROR, "missing-vocabulary", "no mapping file has a vocabulary"))


def _values(sources: Sources) -> dict[str, Any]:
    """Give the values of the policies; one that may stand in what could not be read is ``UNREAD``."""
    return {**dict.fromkeys(sources.words, UNREAD), **{name: each.value for name, each in sources.policy.items()}}


def _load_vocabulary(loaded: Loaded, misfits: dict[str, set[Path_]], sources: Sources, values: dict[str, Any]) -> None:
    if not isinstance(loaded.content, dict) or loaded.content.get("vocabulary") is None:
        return
    other = sources.vocabulary_file()
    if other is not None:
        said = f"the vocabulary is in {other.file} too: keep it in one file"
        sources.issues.append(loaded.issue("duplicate-key", said, ("vocabulary",)))
        return
    sources.places["vocabulary", ""] = loaded
    content = loaded.content["vocabulary"]
    sources.vocabulary = _made(content, Vocabulary, ("vocabulary",), loaded, misfits, sources, values)


def _entries(loaded: Loaded, block: Block, sources: Sources) -> list[tuple[str, object]]:
    """Give the entries of a block by name; one that another file has is reported."""
    part = loaded.content.get(block) if isinstance(loaded.content, dict) else None
    found = []
    for name, content in part.items() if isinstance(part, dict) else ():
        other = sources.places.setdefault((block, name), loaded)
        if other is not loaded:
            said = f"{name} is defined in {other.file}:{other.line((block, name))} too: keep one"
            sources.issues.append(loaded.issue("duplicate-key", said, (block, name)))
        else:
            found.append((name, content))
    return found


def _fitted(loaded: Loaded, kind: Any, sources: Sources) -> set[Path_]:  # noqa: ANN401 (the kind of file)
    """Hold a file against its schema; give the paths that do not fit, and leave unknown keys out of its content."""
    found = schema_issues(loaded, kind)
    sources.issues.extend(issue for _, issue in found)
    unknown = [path for path, issue in found if issue.code == "unknown-key" and "logic" not in path]
    if unknown:
        loaded.content = copy.deepcopy(loaded.content)
        for path in unknown:
            inside = loaded.content
            for step in path[:-1]:
                inside = inside[step]
            inside.pop(path[-1], None)
    return {path for path, issue in found if issue.code != "unknown-key"}


def _made(
    content: object,
    kind: type,
    at: Path_,
    loaded: Loaded,
    misfits: dict[str, set[Path_]],
    sources: Sources,
    values: dict[str, Any] | None = None,
) -> Any:  # noqa: ANN401 (what ``kind`` says)
    """Make the typed form of an entry; of one that cannot be read the words are kept."""
    made = None
    if not any(path[: len(at)] == at for path in misfits[loaded.file]):
        made = convert(content, kind, loaded, sources.issues, values or {}, at)
    if made is None:
        sources.words.update(_words(content))
    return made


def _words(content: object) -> set[str]:
    """Give every text of a part, keys and ``$names`` among them."""
    if isinstance(content, dict):
        return {str(key) for key in content}.union(*(_words(each) for each in content.values()))
    if isinstance(content, list):
        return set().union(*(_words(each) for each in content))
    return {content.removeprefix("$")} if isinstance(content, str) else set()


def _load_trial(path: Path, values: dict[str, Any], sources: Sources) -> None:
    loaded = load_yaml(path, sources.issues)
    if loaded is None:
        return
    sources.words.update(loaded.words)
    if loaded.content is None:
        return
    misfits = _fitted(loaded, "trial", sources)
    try:
        trial = msgspec.convert(loaded.content, TrialFile, strict=False)
    except msgspec.ValidationError as error:
        sources.words.update(_words(loaded.content))
        if not misfits:
            sources.issues.append(loaded.issue("shape", str(error)))
        return
    sources.trials.append((loaded, trial))
    for number, criterion in enumerate(trial.criteria):
        for index, entry in enumerate(criterion.atoms):
            at: Path_ = ("criteria", number, "atoms", index)
            kind: Kind | None = None
            if not any(path[: len(at)] == at for path in misfits):
                kind = convert(entry.judge, Kind, loaded, sources.issues, values, (*at, "judge"))
            if kind is None:
                sources.words.update(_words(entry.judge))
            sources.atoms.append(PlacedAtom(loaded, trial, criterion, entry, at, kind))
