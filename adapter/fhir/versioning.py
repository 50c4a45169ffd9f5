"""Which version of a resource counts: the newest, none that was deleted, and none we wrote ourselves."""

from collections import defaultdict

import msgspec

from adapter.errors import Issue, Severity
from adapter.fhir import resources as fhir
from adapter.fhir.dates import parse_moment
from adapter.fhir.wire import Entered

OUR_TAG = "https://fhir-trial-adapter.org/fhir/CodeSystem/tags"
"""The system of the tag on everything we write; tagged resources are never read back as patient data."""

_HISTORY = "/_history/"
_CHANGES = frozenset(("DELETE", "PATCH"))
_ABOUT_DEATH = frozenset(
    ("deceased_boolean", "deceased_date_time", "deceased_boolean_extended", "deceased_date_time_extended")
)
_Key = tuple[type[fhir.Resource], str]


def current_url(reference: str) -> str:
    """Give a URL or reference without the version it may name."""
    return reference.split(_HISTORY, 1)[0] if _HISTORY in reference else reference


def latest_versions(entries: list[Entered], issues: list[Issue]) -> list[Entered]:
    """Keep the newest version of each resource.

    Where two versions stand without anything that says which is the newer, neither decides anything.
    """
    return entries if _is_each_once(entries) else _weighed(entries, issues)


def _is_each_once(entries: list[Entered]) -> bool:
    """Whether there is nothing to weigh, as in most documents: every resource stands once, is a patient's and stays."""
    resources = [each.resource for each in entries if isinstance(each.resource, fhir.Resource)]
    if len(resources) < len(entries) or not _CHANGES.isdisjoint([each.method for each in entries]):
        return False
    names = {each.id or entered.full_url for each, entered in zip(resources, entries, strict=True)}
    if len(names) < len(entries) or None in names or fhir.Bundle in set(map(type, resources)):
        return False
    metas = [each.meta for each in resources if each.meta is not None]
    return OUR_TAG not in {tag.system for meta in metas for tag in meta.tag}


def _weighed(entries: list[Entered], issues: list[Issue]) -> list[Entered]:
    kept: list[Entered | None] = []
    same: dict[_Key, list[int]] = defaultdict(list)
    changes: dict[_Key, list[Entered]] = {}
    for entered in entries:
        resource = entered.resource
        if not isinstance(resource, fhir.Resource):  # a type that is only known by name
            continue
        if isinstance(resource, fhir.Bundle):
            issue = Issue(Severity.WARNING, "nested-bundle", "a Bundle inside a Bundle is not read", entered.expression)
            issues.append(issue)
            continue
        if resource.meta is not None and any(tag.system == OUR_TAG for tag in resource.meta.tag):
            continue
        key = (type(resource), resource.id or entered.full_url or "")
        if entered.method in _CHANGES:
            changes.setdefault(key, []).append(entered)
            if entered.method == "DELETE":
                _delete(entered, same[key], kept)
            continue
        if changes and _is_deleted(entered, changes.get(key, [])):
            continue
        if not key[1] or not _meets(entered, same[key], kept, issues):
            same[key].append(len(kept))
            kept.append(entered)
    if changes:
        _patch(changes, same, kept, issues)
    return [each for each in kept if each is not None]


def _meets(entered: Entered, places: list[int], kept: list[Entered | None], issues: list[Issue]) -> bool:
    """Weigh an entry against an earlier one of the same resource; False where there is none, or both must stay."""
    for place in places:
        other = kept[place]
        if other is None or not _is_same(entered, other):
            continue
        if other.resource == entered.resource:
            other.unreadable = other.unreadable or entered.unreadable
            return True
        order = _is_newer(entered, other)
        if order is not None:
            kept[place] = entered if order else other
            return True
        said = "the same resource stands here twice, differently, and nothing says which is the newer"
        issues.append(Issue(Severity.WARNING, "two-versions", said, entered.expression))
        if isinstance(other.resource, fhir.Patient) and isinstance(entered.resource, fhir.Patient):
            kept[place] = common(other, entered)
            return True
        other.unreadable += ("meta",)
        entered.unreadable += ("meta",)
    return False


def _is_same(one: Entered, other: Entered) -> bool:
    """Whether two entries of one type and id are one resource: the same fullUrl, or one has none."""
    if one.full_url is None or other.full_url is None:
        return True
    return current_url(one.full_url) == current_url(other.full_url)


def _is_newer(one: Entered, other: Entered) -> bool | None:
    """Whether ``one`` is the later version; None where nothing says which."""
    first, second = one.resource, other.resource
    if not isinstance(first, fhir.Resource) or not isinstance(second, fhir.Resource):
        return None
    mine, theirs = first.meta, second.meta
    if mine is None or theirs is None:
        return None
    one_id, other_id = mine.version_id or "", theirs.version_id or ""
    if one_id.isdecimal() and other_id.isdecimal() and one_id != other_id:
        one_id, other_id = one_id.lstrip("0"), other_id.lstrip("0")
        return (len(one_id), one_id) > (len(other_id), other_id)
    updated = [parse_moment(each.last_updated) if each.last_updated else None for each in (mine, theirs)]
    instants = [each.instant if each is not None else None for each in updated]
    if instants[0] is None or instants[1] is None or instants[0] == instants[1]:
        return None
    return instants[0] > instants[1]


def _is_deleted(entered: Entered, changes: list[Entered]) -> bool:
    """A history stands newest first, so what comes after its deletion is older, unless it says otherwise."""
    deletions = (each for each in changes if each.method == "DELETE" and _is_same(entered, each))
    return any(_is_newer(entered, each) is not True for each in deletions)


def _delete(deletion: Entered, places: list[int], kept: list[Entered | None]) -> None:
    """Take out what stands before its deletion and yet is older."""
    for place in places:
        other = kept[place]
        if other is not None and _is_same(deletion, other) and _is_newer(deletion, other):
            kept[place] = None


def _patch(
    changes: dict[_Key, list[Entered]], same: dict[_Key, list[int]], kept: list[Entered | None], issues: list[Issue]
) -> None:
    """A PATCH is not carried out: what it changes can no longer be relied on."""
    for key, found in changes.items():
        for patch in found:
            if patch.method != "PATCH":
                continue
            said = "a PATCH is not carried out: nothing rests on the resource that it changes"
            issues.append(Issue(Severity.WARNING, "patch", said, patch.expression))
            for place in same.get(key, ()):
                other = kept[place]
                if other is not None and _is_same(patch, other):
                    other.unreadable += ("meta",)


def common(one: Entered, other: Entered) -> Entered:
    """Give the Patient that two contradicting copies agree on; where they differ nothing can be read."""
    lost = list(one.unreadable + other.unreadable)
    changed: dict[str, object] = {}
    for field in msgspec.structs.fields(fhir.Patient):
        if getattr(one.resource, field.name) != getattr(other.resource, field.name) and field.name not in (
            "id",
            "meta",
        ):
            changed[field.name] = field.default if field.default is not msgspec.NODEFAULT else None
            lost.append("deceasedBoolean" if field.name in _ABOUT_DEATH else field.encode_name)
    if changed.keys() & _ABOUT_DEATH:
        changed.update(dict.fromkeys(_ABOUT_DEATH))
    resource = msgspec.structs.replace(one.resource, **changed)
    return Entered(resource, one.full_url, one.expression, tuple(dict.fromkeys(lost)), one.method)
