"""How a delivery is written to a server that gives ids itself: found by our identifiers, and never made twice.

Evaluations come first, then subjects that refer to them by the ids they were given, then what says where both come
from.  A subject is made only where nothing has its identifier (If-None-Exist), and changed only by the id it was read
under and the version it was read in: a conditional update would overwrite whatever was there a moment later.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from adapter.delivery.client import Answer
from adapter.delivery.identity import has_key, key_of
from adapter.store.plan import Answered, Decision, Knows, decided, held_as, is_nothing_to_tell, kept, written
from adapter.store.rows import Due
from adapter.store.sending import Entry, Writes, exchanged, place_in, version_in
from adapter.store.standing import (
    Group,
    Known,
    Resource,
    digest_of,
    name_of,
    referring,
    version_of,
    without_target,
)
from adapter.store.verdict import Refused, Verdict

_MADE = 201
_PROVENANCE = "Provenance"


class Server(Writes, Protocol):
    """A server as it is needed here."""

    def read(self, path: str) -> Answer:
        """Read a resource."""

    def search(self, type_: str, query: str) -> Answer:
        """Search for resources of a type."""


class _Subject(msgspec.Struct):
    group: Group
    name: str
    """Ours."""
    mine: Known
    held: Resource | None
    decision: Decision


class Conditional:
    """One delivery on its way."""

    def __init__(self, server: Server, known: Knows, learnt: dict[str, Known], *, transactions: bool) -> None:
        self._server = server
        self._known = known
        self._learnt = learnt
        self._transactions = transactions
        self._places: dict[str, str] = {}
        """Of what was written or found, by our names."""
        self.answered = Answered()

    def write(self, groups: Sequence[Group], due: Due, remember: Callable[[dict[str, Known]], None]) -> None:
        """Write a delivery; raises Refused, NoAnswer."""
        memory = self._memory(groups)
        current = [each for each in groups if not self._is_superseded(each, memory, due)]
        is_new = self._evaluations(current)
        found = [self._found(each, memory) for each in current if each.subject is not None]
        told = [each for each in found if not is_nothing_to_tell(each.group.subject or {}, each.mine, each.held)]
        self._subjects(told, due, remember)
        untold = {each.name for each in found} - {each.name for each in told}
        kept_names = {each.name for each in told if each.decision.is_kept} | untold
        self._sources(current, is_new, kept_names)

    def _memory(self, groups: Sequence[Group]) -> dict[str, Known]:
        names = [name_of(each.subject) for each in groups if each.subject is not None]
        return {**(self._known(names) if names else {}), **self._learnt}

    def _is_superseded(self, group: Group, memory: dict[str, Known], due: Due) -> bool:
        mine = Known() if group.subject is None else memory.get(name_of(group.subject), Known())
        is_older = mine.order is not None and mine.order > due.order
        self.answered.superseded += is_older
        return is_older

    def _evaluations(self, groups: Sequence[Group]) -> set[str]:
        """Write evaluations, each once; gives our names of those that were not there before."""
        entries = [
            _post(each, number)
            for number, group in enumerate(groups)
            for each in group.others
            if each["resourceType"] != _PROVENANCE
        ]
        new = set()
        for entry, said in exchanged([entry for _, entry in entries], self._server, transactions=self._transactions):
            name = next(name for name, each in entries if each is entry)
            self._places[name] = place_in(said) or self._place_of(entry)
            if said.status == _MADE:
                new.add(name)
        return new

    def _found(self, group: Group, memory: dict[str, Known]) -> _Subject:
        """Read what the server holds of a subject: where we wrote it, else where its identifier is."""
        assert group.subject is not None  # noqa: S101 (asked before)
        name = name_of(group.subject)
        mine = memory.get(name, Known())
        subject = referring(group.subject, self._places)
        held = self._one(subject) if mine.place is None else held_as(self._server, mine.place)
        if held is not None:
            place = self._places[name] = name_of(held)
            if mine.digest is None and mine.sent_digest is None:
                # After ``adopt`` it may be known by the name that the server gave it, which is all that it could see.
                mine = self._known([place]).get(place, mine)
            mine = msgspec.structs.replace(mine, place=place)
        decision = decided(subject, mine, held)
        return _Subject(group, name, mine, held, decision)

    def _one(self, resource: Resource) -> Resource | None:
        """Find what has a resource's identifier; raises Refused where several have."""
        key = key_of(resource)
        found = [each for each in self._searched(resource["resourceType"], key.query()) if has_key(each, key)]
        if len(found) > 1:
            raise Refused(Verdict.DEAD, f"multiple-matches: {resource['resourceType']}")
        return found[0] if found else None

    def _searched(self, type_: str, query: str) -> list[dict[str, Any]]:
        said = self._server.search(type_, query)
        if not said.is_success:
            raise Refused.by(said)
        if (said.body or {}).get("resourceType") != "Bundle":
            raise Refused(Verdict.LATER, "answer-is-no-bundle")
        listed = [each.get("resource") for each in (said.body or {}).get("entry") or () if isinstance(each, dict)]
        return [each for each in listed if isinstance(each, dict) and each.get("resourceType") == type_]

    def _subjects(self, found: Sequence[_Subject], due: Due, remember: Callable[[dict[str, Known]], None]) -> None:
        entries: dict[str, Entry] = {}
        intended: dict[str, Known] = {}
        for number, each in enumerate(found):
            decision = each.decision
            if decision.is_kept:
                self.answered.kept.append(kept(each.name, each.group.subject or {}, each.held))
            elif decision.is_there and each.held is not None:
                digest = digest_of(decision.wanted)
                self._learnt[each.name] = written(each.mine, digest, version_of(each.held), due)
            else:
                intended[each.name] = msgspec.structs.replace(each.mine, sent_digest=digest_of(decision.wanted))
                entries[each.name] = _entry(decision.wanted, each.held, number)
        if intended:
            remember(intended)
        for entry, said in exchanged(list(entries.values()), self._server, transactions=self._transactions):
            name = next(name for name, each in entries.items() if each is entry)
            if entry.method == "POST" and said.status != _MADE:
                # Someone else made it since we looked: what is there is read before anything is said of it.
                raise Refused(Verdict.CHANGED, "made-by-another", answer=said)
            self._places[name] = self._places.get(name) or place_in(said) or self._place_of(entry)
            mine = intended[name]
            mine = msgspec.structs.replace(mine, place=self._places[name])
            self._learnt[name] = written(mine, mine.sent_digest, version_in(said), due)

    def _sources(self, groups: Sequence[Group], is_new: set[str], kept_names: set[str]) -> None:
        """Write where evaluations come from; of one that was there before, only if that is not there."""
        entries = []
        for number, group in enumerate(groups):
            evaluations = [name_of(each) for each in group.others if each["resourceType"] != _PROVENANCE]
            for each in group.others:
                if each["resourceType"] != _PROVENANCE:
                    continue
                if evaluations and is_new.isdisjoint(evaluations) and self._has_source(evaluations[0]):
                    continue
                resource = each
                for name in kept_names:
                    resource = without_target(resource, name)
                entries.append(_unnamed(referring(resource, self._places), number))
        exchanged(entries, self._server, transactions=self._transactions)

    def _has_source(self, evaluation: str) -> bool:
        place = self._places[evaluation]
        said = self._server.search(_PROVENANCE, f"target={quote(place, safe='')}")
        refused = Refused.by(said)
        if refused.verdict is Verdict.LATER:
            raise refused
        # A server that cannot look for it gets no second one: better one that is missing after a crash than many.
        return not said.is_success or bool((said.body or {}).get("entry"))

    def _place_of(self, entry: Entry) -> str:
        """Find what was posted, where the answer did not say its place."""
        found = self._one(entry.resource)
        if found is None:
            raise Refused(Verdict.LATER, "answer-names-no-place")
        return name_of(found)


def _post(resource: Resource, group: int) -> tuple[str, Entry]:
    entry = _unnamed(resource, group)
    return name_of(resource), msgspec.structs.replace(entry, none_exist=key_of(resource).query())


def _entry(wanted: Resource, held: Resource | None, group: int) -> Entry:
    if held is None:
        return _post(wanted, group)[1]
    return Entry({**wanted, "id": held["id"]}, name_of(held), version_of(held), group=group)


def _unnamed(resource: Resource, group: int) -> Entry:
    body = {key: value for key, value in resource.items() if key != "id"}
    return Entry(body, resource["resourceType"], group=group)
