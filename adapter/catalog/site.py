"""What a site adds without Python: local codes (ConceptMap), expansions (ValueSet), and settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from adapter.catalog.prepare import convert, meant
from adapter.catalog.yaml_file import Loaded, Path_, load_yaml
from adapter.errors import Issue, Severity
from adapter.fhir import resources as fhir
from adapter.mapping.codes import CodeIndex
from adapter.mapping.observations import SiteLimit
from adapter.mapping.table import Input, ValueSet, Vocabulary
from adapter.mapping.units import UCUM, UnitReader

_EQUAL = frozenset(("equal", "equivalent"))
"""Relationships under which a local code may stand in for a standard one, R4 and R5; wider or narrower will not do."""
_SEXES = ("male", "female")


class SiteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``settings.yaml`` of a site folder."""

    uln: tuple[SiteLimit, ...] = ()
    """Upper reference limits for results that bring none; their use shows in the evidence."""


class Mapped(msgspec.Struct, frozen=True):
    """A local code and the standard one it may stand in for."""

    system: str
    code: str
    target_system: str
    target: str
    loaded: Loaded
    path: Path_


class Member(msgspec.Struct, frozen=True):
    """A code that the site adds to a value set."""

    value_set: str
    system: str
    code: str
    loaded: Loaded
    path: Path_


class Site(msgspec.Struct):
    """Everything a site folder says, checked when it is applied."""

    limits: tuple[SiteLimit, ...] = ()
    mapped: list[Mapped] = msgspec.field(default_factory=list)
    members: list[Member] = msgspec.field(default_factory=list)
    settings: Loaded | None = None

    @property
    def value_sets(self) -> frozenset[str]:
        """The value sets this site fills."""
        return frozenset(each.value_set for each in self.members)

    def apply(
        self,
        index: CodeIndex,
        inputs: dict[str, Input],
        known: dict[str, ValueSet],
        vocabulary: Vocabulary,
        issues: list[Issue],
    ) -> None:
        """Add local codes and expansions to the index; unknown names, systems and units are problems."""
        for each in self.mapped:
            standard = index.system_of(each.target_system)
            if standard is None:
                said = f"the target system {each.target_system} is not one the mappings use"
                issues.append(each.loaded.issue("unknown-system", said, each.path))
            else:
                index.add_local(each.system, each.code, (standard, each.target))
        for member in self.members:
            self._add(member, index, known, issues)
        issues.extend(self._limit_issues(inputs, vocabulary))

    @staticmethod
    def _add(member: Member, index: CodeIndex, known: dict[str, ValueSet], issues: list[Issue]) -> None:
        """Add a code to a value set and to every set that includes it; one that is listed already stays as it is."""
        name = member.value_set
        if name not in known:
            said = f"no value set is named {name}{meant(name, known)}"
            issues.append(member.loaded.issue("unknown-value-set", said, member.path))
            return
        if index.system_of(member.system) is None:
            said = f"the system {member.system} of {name} is not one the mappings use"
            issues.append(member.loaded.issue("unknown-system", said, member.path))
            return
        belongs = {each.value_set for each in index.of_coding(fhir.Coding(system=member.system, code=member.code))}
        for owner in (name, *_owners(name, known)):
            if owner not in belongs:
                index.add_member(owner, member.system, member.code)

    def _limit_issues(self, inputs: dict[str, Input], vocabulary: Vocabulary) -> Iterator[Issue]:
        """A row of the table that can never be used is a mistake."""
        if self.settings is None:
            return
        loinc = vocabulary.systems.get("loinc", ())
        readers = {
            code.code: [UnitReader(measure, vocabulary) for measure in mapped.measures if role in measure.roles]
            for mapped in inputs.values()
            for role, codes in mapped.codes.items()
            for code in codes
        }
        for number, row in enumerate(self.limits):
            path: Path_ = ("uln", number)
            if row.sex is not None and row.sex not in _SEXES:
                yield self.settings.issue("schema", f"{row.sex} is not one of {', '.join(_SEXES)}", (*path, "sex"))
            if row.high <= 0:
                yield self.settings.issue("idle-limits", "an upper limit is more than 0", (*path, "high"))
            if row.system not in loinc:
                continue
            high = fhir.Quantity(value=row.high, code=row.unit, system=UCUM)
            if row.code not in readers:
                yield self.settings.issue("unknown-code", f"no input has the code {row.code}", (*path, "code"))
            elif all(reader.read(high).bounds is None for reader in readers[row.code]):
                said = f"the mapping of {row.code} does not read {row.high} {row.unit}: write a UCUM unit it lists"
                yield self.settings.issue("unit", said, (*path, "unit"))


def _owners(name: str, known: dict[str, ValueSet]) -> list[str]:
    """Give the value sets that include one, themselves or through others."""
    found = [name]
    for each in found:
        found.extend(owner for owner, value_set in known.items() if each in value_set.includes and owner not in found)
    return found[1:]


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
        if loaded is None or loaded.content is None:
            continue
        content = loaded.content
        kind = content.get("resourceType") if isinstance(content, dict) else None
        if kind == "ConceptMap":
            site.mapped.extend(_concept_map(loaded, issues))
        elif kind == "ValueSet":
            site.members.extend(_value_set(loaded, issues))
        elif path.stem == "settings":
            settings = convert(content, SiteSettings, loaded, issues, {})
            if settings is not None:
                site.limits, site.settings = settings.uln, loaded
        else:
            said = "expected settings.yaml, a FHIR ConceptMap or a FHIR ValueSet"
            issues.append(loaded.issue("site-file", said))
    return site


def _each(content: object, key: str, path: Path_) -> Iterator[tuple[dict[str, Any], Path_]]:
    """Give the objects of a list inside a resource, with their places; anything else is nothing."""
    inside = content.get(key) if isinstance(content, dict) else None
    for index, each in enumerate(inside if isinstance(inside, list) else ()):
        if isinstance(each, dict):
            yield each, (*path, key, index)


def _concept_map(loaded: Loaded, issues: list[Issue]) -> list[Mapped]:
    found = []
    unequal: list[Path_] = []
    for group, at in _each(loaded.content, "group", ()):
        source = str(group.get("source", "")).split("|", 1)[0]
        target_system = str(group.get("target", "")).split("|", 1)[0]
        for element, where in _each(group, "element", at):
            for target, path in _each(element, "target", where):
                relation = target.get("equivalence") or target.get("relationship")
                if not (target.get("code") and element.get("code")):
                    continue
                if relation in _EQUAL:
                    code, standard = str(element["code"]), str(target["code"])
                    found.append(Mapped(source, code, target_system, standard, loaded, path))
                else:
                    unequal.append(path)
    if unequal:
        said = f"rows not used because their target is not equal or equivalent: {len(unequal)}, the first one here"
        issue = loaded.issue("not-equivalent", said, unequal[0])
        issues.append(_warning(issue))
    return found


def _warning(issue: Issue) -> Issue:
    return Issue(Severity.WARNING, issue.code, issue.message, issue.expression, issue.file, issue.line)


def _value_set(loaded: Loaded, issues: list[Issue]) -> list[Member]:
    """A ValueSet's ``name`` or ``id`` is that of the value set it extends.

    Its expansion says what belongs to it; without one, the codes that ``compose`` lists and does not exclude.
    """
    content = loaded.content
    name = str(content.get("name") or content.get("id") or "").replace("-", "_")
    expansion = content.get("expansion")
    if isinstance(expansion, dict):
        return list(_contained(expansion, name, loaded, ("expansion",)))
    found: dict[tuple[str, str], Member] = {}
    compose = content.get("compose")
    for key in ("include", "exclude"):
        for part, at in _each(compose, key, ("compose",)):
            if part.get("filter") or part.get("valueSet") or not part.get("concept"):
                said = "a filter, another value set or a whole system is not expanded here: send an expansion"
                issues.append(loaded.issue("not-expanded", said, at))
            for concept, path in _each(part, "concept", at):
                if concept.get("code") and part.get("system"):
                    system, code = str(part["system"]), str(concept["code"])
                    if key == "include":
                        found[system, code] = Member(name, system, code, loaded, path)
                    else:
                        found.pop((system, code), None)
    return list(found.values())


def _contained(part: dict[str, Any], name: str, loaded: Loaded, path: Path_) -> Iterator[Member]:
    for each, at in _each(part, "contains", path):
        if each.get("code") and each.get("system") and not each.get("abstract"):
            yield Member(name, str(each["system"]), str(each["code"]), loaded, at)
        yield from _contained(each, name, loaded, at)
