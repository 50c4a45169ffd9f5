"""Which of the versions of a resource counts, whatever the order in which messages brought them.

What is kept of one resource is a function of all its versions that came, never of their order: the newest of those that
number themselves (``meta.versionId``) and the newest of those that do not.  Where both exist, the later one counts.
Where two that differ are equally new, nothing can rest on either.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from adapter.fhir import resources as fhir
from adapter.fhir.record import server_of
from adapter.fhir.versioning import current_url
from adapter.fhir.wire import WHOLE, type_name
from adapter.store.told_once import ToldOnce

UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
"""An id that nobody gives twice: whoever sends it means the same resource."""
_STEP = {"registered": 0, "preliminary": 0, "amended": 2, "corrected": 2, "cancelled": 3, "entered-in-error": 3}
"""How far a status is in the life of a result; a final one, and any other status, is at 1."""
MOVED = "moved"
"""The place of what says that a resource is another patient's now."""
_Key = tuple[str, ...]
_UUID_LENGTH = 32


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """When a version was so; moments in microseconds since 1970."""

    version: int | None
    """``meta.versionId``, where it is a number."""
    time: int
    """``meta.lastUpdated``, else ``source``."""
    source: int
    """When the message says that it was so, else when it arrived."""
    is_told: bool
    """Whether the sender said a time; else only the order of arrival speaks."""

    def is_after(self, other: "Stamp") -> bool | None:
        """Whether this is the later version; None where both are equally new."""
        numbers = (self.version or 0, other.version or 0) if None not in (self.version, other.version) else (0, 0)
        mine = (numbers[0], self.time, self.source)
        theirs = (numbers[1], other.time, other.source)
        return None if mine == theirs else mine > theirs


class Version(msgspec.Struct, array_like=True, dict=True):
    """One version of a resource, as it came."""

    resource: fhir.AnyResource
    full_url: str | None
    sender: str
    stamp: Stamp
    place: str
    """Where it stood in its message."""
    unreadable: tuple[str, ...] = ()
    is_gone: bool = False
    """Whether it was deleted, is another patient's now, or says nothing any more that mappings read."""
    weak: str = ""
    """What tells it where it has no id: a digest of what does not change when a result is corrected."""
    others: tuple[str, ...] = ()
    """Who else sent the same resource."""

    def __setattr__(self, name: str, value: object) -> None:
        """Change it, and forget what was told of it before."""
        super().__setattr__(name, value)
        self.__dict__.clear()

    @ToldOnce
    def id(self) -> str | None:
        """Give its id, its own or that of the address it stands under."""
        own: str | None = getattr(self.resource, "id", None)
        return own or (current_url(self.full_url or "").rpartition("/")[2] if self.base else None)

    @ToldOnce
    def base(self) -> str | None:
        """Give the server that it stands on, where its fullUrl says so."""
        return server_of(self.full_url)

    @property
    def name(self) -> str:
        """Give ``Type/id``."""
        return f"{type_name(self.resource)}/{self.id}"

    @ToldOnce
    def key(self) -> _Key | None:
        """Give what it is known by; None where nothing could ever tell that another version of it came."""
        if self.base is not None:
            # With its type: what stands under another resource's address is no version of that.
            return ("url", type_name(self.resource), current_url(self.full_url or ""))
        if self.weak:
            return ("weak", self.sender, type_name(self.resource), self.weak)
        if self.id is None:
            return None
        return ("uuid", self.name) if self.is_unique else ("of", self.sender, self.name)

    @ToldOnce
    def names(self) -> tuple[str, ...]:
        """Give the names under which it can be met by another version of the same resource."""
        if self.id is None or self.weak:
            return ()
        found = (f"url|{current_url(self.full_url or '')}",) if self.base is not None else ()
        name = self.name
        if self.is_unique:
            return (*found, f"uuid|{name}")
        return (*found, *[f"of|{sender}|{name}" for sender in (self.sender, *self.others)])

    @property
    def is_unique(self) -> bool:
        """Whether its id means the same resource whoever sends it; of a Patient only its sender's word is taken."""
        id_ = self.id or ""
        return len(id_) >= _UUID_LENGTH and bool(UUID.fullmatch(id_)) and not isinstance(self.resource, fhir.Patient)

    @property
    def is_frail(self) -> bool:
        """Whether no later message could correct it or take it back: then nothing rests on it but in its own."""
        return self.weak.startswith("~")

    @property
    def url(self) -> str | None:
        """Give the address that references mean it by, made up by its sender where it has none."""
        if self.base is not None or self.weak or self.id is None:
            return self.full_url
        return f"{home_of(self.sender)}/{self.name}"

    def says_the_same(self, other: "Version") -> bool:
        """Whether two versions differ in nothing but when they were so."""
        return self.is_gone is other.is_gone and (self.is_gone or _content(self) == _content(other))


class Settled(msgspec.Struct):
    """What is kept of one resource, and what counts of it."""

    kept: list[Version]
    current: list[Version]
    """One; several where they contradict each other; none where it is gone."""
    is_contradicted: bool = False


def home_of(sender: str) -> str:
    """Give the server that stands for a sender who names none; no such host exists."""
    return f"https://{hashlib.sha256(sender.encode()).hexdigest()[:24]}.invalid"


def names_of(version: Version) -> list[str]:
    """Give the names under which a version can be met by another of the same resource."""
    return list(version.names)


def is_same(one: Version, other: Version) -> bool:
    """Whether two are versions of one resource: one address, else one id of one sender, or one that is unique."""
    if type(one.resource) is not type(other.resource):
        return False
    if one.base is not None and other.base is not None:
        return current_url(one.full_url or "") == current_url(other.full_url or "")
    if one.weak or other.weak:
        return one.weak == other.weak and one.sender == other.sender
    if one.id is None or one.id != other.id:
        return False
    if one.sender == other.sender or one.is_unique:
        return True
    return not {one.sender, *one.others}.isdisjoint((other.sender, *other.others))


def settled(versions: Iterable[Version]) -> list[Settled]:
    """Give what counts of each resource among the versions of one patient."""
    groups: dict[_Key, list[Version]] = defaultdict(list)
    for each in versions:
        groups[each.key or ("none", str(id(each)))].append(each)
    doubted = _joined(groups)
    made = []
    for key, group in groups.items():
        if len(group) > 1:
            _name_alike(group)
        one = _settled(group)
        if key in doubted:
            one.is_contradicted = True
        made.append(one)
    return made


def _joined(groups: dict[_Key, list[Version]]) -> set[_Key]:
    """Put what came without its address to that with one; give the keys of which it cannot be said which is meant."""
    doubted: set[_Key] = set()
    if not any(key[0] == "url" for key in groups):
        return doubted
    for key in [key for key in groups if key[0] in ("of", "uuid")]:
        sample = groups[key][0]
        meant = [
            other
            for other, group in groups.items()
            if other[0] == "url" and any(is_same(sample, each) for each in group)
        ]
        if len(meant) == 1:
            groups[meant[0]].extend(groups.pop(key))
        elif meant:
            doubted.update((key, *meant))
    return doubted


def _name_alike(group: list[Version]) -> None:
    """Let each version be known by all the names that any of them has, since only some are kept."""
    url = next((each.full_url for each in group if each.base is not None), None)
    senders = sorted({sender for each in group for sender in (each.sender, *each.others)})
    for each in group:
        if url is not None and each.base is None:
            each.full_url = url
        if len(senders) > 1:
            each.others = tuple(sender for sender in senders if sender != each.sender)


def _settled(group: list[Version]) -> Settled:
    if len(group) == 1:
        return Settled(group, [] if group[0].is_gone else group)
    numbered = _newest([each for each in group if each.stamp.version is not None])
    others = [each for each in group if each.stamp.version is None]
    plain = _newest(others)
    order = numbered[0].stamp.is_after(plain[0].stamp) if numbered and plain else None
    current = numbered if order is True else plain if order is False else _distinct([*numbered, *plain])
    kept = [*numbered, *plain]
    # Known by their arrival only, a step backwards (final after corrected) is rather a message that was late.
    furthest = _furthest([each for each in others if not each.stamp.is_told])
    if furthest is not None and furthest not in kept:
        if _step(furthest) > max(map(_step, current)) and not any(each.stamp.is_told for each in current):
            current = _distinct([*current, furthest])
        kept.append(furthest)
    is_contradicted = len(current) > 1
    return Settled(kept, [each for each in current if not each.is_gone], is_contradicted)


def _newest(group: list[Version]) -> list[Version]:
    newest: list[Version] = []
    for each in group:
        order = each.stamp.is_after(newest[0].stamp) if newest else True
        if order is True:
            newest = [each]
        elif order is None:
            newest.append(each)
    if not all(each.is_gone for each in newest):
        # Whoever it went to has turned out to be this very patient.
        newest = [each for each in newest if each.place != MOVED]
    return _distinct(newest)


def _distinct(group: list[Version]) -> list[Version]:
    """Take those together that say the same; what could not be read of one is doubtful of all."""
    found: list[Version] = []
    for each in sorted(group, key=lambda one: one.place) if len(group) > 1 else group:
        twin = next((other for other in found if other.says_the_same(each)), None)
        if twin is None:
            found.append(each)
        elif each.unreadable and each.unreadable != twin.unreadable:
            both = tuple(dict.fromkeys((*twin.unreadable, *each.unreadable)))
            found[found.index(twin)] = msgspec.structs.replace(twin, unreadable=both)
    return found


def _furthest(group: list[Version]) -> Version | None:
    return max(group, key=lambda each: (_step(each), each.stamp.source), default=None)


def _step(version: Version) -> int:
    if version.is_gone:
        return 3
    resource: Any = version.resource
    said = [getattr(resource, "status", None)]
    concept = getattr(resource, "verification_status", None)
    said += [each.code for each in concept.coding] if concept is not None else []
    return max((_STEP.get(each, 1) for each in said if each), default=1)


def _content(version: Version) -> fhir.Tagged:
    resource = version.resource
    return msgspec.structs.replace(resource, meta=None) if isinstance(resource, fhir.Resource) else resource


DOUBTED = (WHOLE, "meta")
"""What is unreadable of a version that another contradicts."""


def gone(version: Version, stamp: Stamp, place: str = "") -> Version:
    """Give what says that a resource is not here any more since ``stamp``; nothing of its content."""
    kind: Any = type(version.resource)
    at = place or version.place
    return Version(
        kind(id=version.id), version.full_url, version.sender, stamp, at, (), is_gone=True, weak=version.weak
    )
