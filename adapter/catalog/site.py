"""What a site adds without Python: local codes (ConceptMap), expansions (ValueSet), and settings."""

from pathlib import Path
from typing import Any

import msgspec

from adapter.catalog.prepare import convert
from adapter.catalog.yaml_file import load_yaml
from adapter.errors import Issue, Severity
from adapter.mapping.codes import CodeIndex
from adapter.mapping.observations import SiteLimit
from adapter.mapping.table import ValueSet

_EQUAL = frozenset(("equal", "equivalent"))
"""Relationships under which a local code may stand in for a standard one, R4 and R5; wider or narrower will not do."""


class SiteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``settings.yaml`` of a site folder."""

    uln: tuple[SiteLimit, ...] = ()
    """Upper reference limits for results that bring none; their use shows in the evidence."""


class Site(msgspec.Struct):
    """Everything a site folder says, checked when it is applied."""

    limits: tuple[SiteLimit, ...] = ()
    mapped: list[tuple[str, str, str, str]] = msgspec.field(default_factory=list)
    """Local system and code, standard system and code."""
    members: list[tuple[str, str, str]] = msgspec.field(default_factory=list)
    """Value set, system, code."""

    @property
    def value_sets(self) -> frozenset[str]:
        """The value sets this site fills."""
        return frozenset(name for name, _, _ in self.members)

    def apply(self, index: CodeIndex, known: dict[str, ValueSet], issues: list[Issue]) -> None:
        """Add local codes and expansions to the index; unknown names and systems are problems."""
        for system, code, target_system, target in self.mapped:
            standard = index.system_of(target_system)
            if standard is None:
                said = f"ConceptMap: the target system {target_system} is not one mappings use"
                issues.append(Issue(Severity.ERROR, "unknown-system", said))
            else:
                index.add_local(system, code, (standard, target))
        for name, system, code in self.members:
            if name not in known:
                said = f"ValueSet: no value set is named {name}"
                issues.append(Issue(Severity.ERROR, "unknown-value-set", said))
            elif not index.add_member(name, system, code):
                said = f"ValueSet {name}: the system {system} is not one mappings use"
                issues.append(Issue(Severity.ERROR, "unknown-system", said))


def load_site(folder: Path, issues: list[Issue]) -> Site:
    """Read a site folder: ``settings.yaml``, and FHIR ConceptMap and ValueSet files in JSON."""
    site = Site()
    if not folder.is_dir():
        issues.append(Issue(Severity.ERROR, "not-found", "there is no such folder", file=folder.as_posix()))
        return site
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".json", ".yaml", ".yml"):
            continue
        loaded = load_yaml(path, issues)
        if loaded is None:
            continue
        content = loaded.content
        kind = content.get("resourceType") if isinstance(content, dict) else None
        if kind == "ConceptMap":
            site.mapped.extend(_concept_map(content))
        elif kind == "ValueSet":
            site.members.extend(_value_set(content))
        elif path.stem == "settings":
            settings = convert(content or {}, SiteSettings, loaded, issues, {})
            if settings is not None:
                site.limits = settings.uln
        else:
            said = "expected settings.yaml, a FHIR ConceptMap or a FHIR ValueSet"
            issues.append(loaded.issue("site-file", said))
    return site


def _concept_map(content: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    found = []
    for group in content.get("group", ()):
        source, target = str(group.get("source", "")), str(group.get("target", ""))
        for element in group.get("element", ()):
            for each in element.get("target", ()):
                relation = each.get("equivalence") or each.get("relationship")
                if relation in _EQUAL and each.get("code") and element.get("code"):
                    clean = target.split("|", 1)[0]
                    found.append((source.split("|", 1)[0], str(element["code"]), clean, str(each["code"])))
    return found


def _value_set(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    """A ValueSet's ``name`` or ``id`` is that of the value set it extends."""
    name = str(content.get("name") or content.get("id") or "").replace("-", "_")
    found = []
    pending = list(content.get("expansion", {}).get("contains", ()))
    while pending:
        each = pending.pop()
        pending.extend(each.get("contains", ()))
        if each.get("code") and each.get("system") and not each.get("abstract"):
            found.append((name, str(each["system"]), str(each["code"])))
    for include in content.get("compose", {}).get("include", ()):
        system = include.get("system")
        found.extend(
            (name, str(system), str(each["code"])) for each in include.get("concept", ()) if each.get("code") and system
        )
    return sorted(set(found))
