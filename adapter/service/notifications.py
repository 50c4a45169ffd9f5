"""What a subscription tells: R4 as the backport guide has it, R4B and R5 by SubscriptionStatus.

A notification that brings its resources is a Bundle like any other.  One that only names them is answered at once and
followed later, and its events are counted, so that one that never came is known to be missing.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from adapter.errors import Issue, Severity
from adapter.service.keys import Key, digest_of, key_named
from adapter.service.outcomes import Refusal
from adapter.service.reading import part_of
from adapter.service.sources import TYPES, named_resource

_STATUS = {"history": ("Parameters", "SubscriptionStatus"), "subscription-notification": ("SubscriptionStatus",)}
_NUMBER = re.compile(r"[0-9]{1,18}")
_SILENT = ("handshake", "heartbeat", "query-status")


class Event(msgspec.Struct, frozen=True):
    """One event: its number, when it was, and what it is about."""

    number: int | None
    at: str
    names: tuple[str, ...]
    """References to what it is about, as they stand there."""


class Notice(msgspec.Struct, frozen=True):
    """What a notification says of its subscription."""

    subscription: str
    kind: str
    total: int | None
    """How many events there were since the subscription began."""
    events: tuple[Event, ...]

    @property
    def is_silent(self) -> bool:
        """Whether it tells of no event."""
        return self.kind in _SILENT

    @property
    def span(self) -> tuple[int, int] | None:
        """The first and the last event that it speaks of; where it tells of none, none stands before the next."""
        if self.is_silent:
            return None if self.total is None else (self.total + 1, self.total)
        return (self.numbers[0], self.numbers[-1]) if self.numbers else None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of its events, in order."""
        return tuple(sorted(each.number for each in self.events if each.number is not None))

    def key(self, operation: str, entries: list[dict[str, Any]], tenant: str) -> Key | None:
        """Give what makes it the same notification: subscription, events, and what it brings; None without a number.

        Not its own id and time, which a second attempt has anew.  What it brings counts, since a server that lost
        its count uses a number twice.
        """
        if not self.numbers:
            return None
        brought = msgspec.json.encode([entry.get("resource") or entry.get("request") for entry in entries[1:]])
        told = [self.subscription, self.kind, [(each.number, each.at, each.names) for each in self.events]]
        digest = digest_of(msgspec.json.encode([*told, msgspec.Raw(brought)]))
        return key_named(operation, f"notification|{digest}", digest, tenant)


def notice_of(kind: str, entries: list[dict[str, Any]]) -> Notice | None:
    """Read the status that a notification begins with; None where the Bundle is none."""
    status = entries[0].get("resource") if entries else None
    if not isinstance(status, dict) or part_of(status, "resourceType") not in _STATUS.get(kind, ()):
        return None
    if status["resourceType"] == "SubscriptionStatus":
        events = tuple(_event(each) for each in _dicts(status.get("notificationEvent")))
        subscription, total = part_of(status, "subscription", "reference"), status.get("eventsSinceSubscriptionStart")
        return Notice(subscription or "", part_of(status, "type") or "", _number(total), events)
    given = _parameters(status.get("parameter"))
    events = tuple(_event(_parameters(each)) for each in _parts(status, "notification-event"))
    subscription = part_of(given.get("subscription"), "reference")
    total, type_ = given.get("events-since-subscription-start"), given.get("type")
    return Notice(subscription or "", type_ if isinstance(type_, str) else "", _number(total), events)


def to_read(notice: Notice, entries: list[dict[str, Any]]) -> tuple[str, ...]:
    """Give the references to what is read here that a notification neither brings nor says to be deleted."""
    there = {named for entry in entries[1:] if brings(entry) for named in _names(entry)}
    wanted = dict.fromkeys(name for event in notice.events for name in event.names)
    return tuple(name for name in wanted if _is_missing(name, there))


def brings(entry: dict[str, Any]) -> bool:
    """Whether an entry holds a resource, or says that it is deleted."""
    return isinstance(entry.get("resource"), dict) or part_of(entry, "request", "method") == "DELETE"


def gap(missing: int) -> Issue:
    """Say that events never came."""
    said = f"{missing} earlier event{'' if missing == 1 else 's'} of this subscription never came; send that data again"
    return Issue(Severity.WARNING, "event-gap", said, expression="Bundle.entry[0].resource")


def unfollowed() -> Refusal:
    """Refuse a notification whose resources are neither in it nor to be read."""
    said = "the notification neither brings resources nor names any; set the subscription's content to full-resource"
    return Refusal.of(422, "unfollowed-notification", said, expression="Bundle.entry[0].resource")


def _is_missing(name: str, there: set[str]) -> bool:
    named = named_resource(name)
    if named is None:
        return True  # whatever it is, it is not passed over in silence
    return named[1] not in there and named[1].partition("/")[0] in TYPES


def _names(entry: dict[str, Any]) -> Iterator[str]:
    resource = entry.get("resource")
    if isinstance(resource, dict) and part_of(resource, "id"):
        yield f"{part_of(resource, 'resourceType')}/{part_of(resource, 'id')}"
    for text in (part_of(entry, "fullUrl"), part_of(entry, "request", "url")):
        named = named_resource(text or "")
        if named is not None:
            yield named[1]


def _event(event: dict[str, Any]) -> Event:
    number = event.get("eventNumber", event.get("event-number"))
    at = event.get("timestamp")
    contexts = event.get("additionalContext", event.get("additional-context"))
    about = [event.get("focus"), *(contexts if isinstance(contexts, list) else [contexts])]
    names = tuple(name for each in about if (name := part_of(each, "reference")))
    return Event(_number(number), at if isinstance(at, str) else "", names)


def _number(value: object) -> int | None:
    text = str(value) if isinstance(value, str | int) else ""
    return int(text) if _NUMBER.fullmatch(text) else None


def _parts(status: dict[str, Any], name: str) -> Iterator[object]:
    for each in _dicts(status.get("parameter")):
        if part_of(each, "name") == name:
            yield each.get("part")


def _parameters(listed: object) -> dict[str, Any]:
    """Give parameters as a dictionary; one that stands more than once as a list of its values."""
    made: dict[str, Any] = {}
    for each in _dicts(listed):
        name = part_of(each, "name") or ""
        value = next((value for key, value in each.items() if key.startswith("value")), None)
        made[name] = [*_list(made[name]), value] if name in made else value
    return made


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _dicts(value: object) -> Iterable[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
