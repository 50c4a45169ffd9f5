"""What a delivery will write, once it is known what the server holds."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from adapter.delivery.client import Answer
from adapter.store.rows import Due
from adapter.store.standing import (
    Group,
    Known,
    Resource,
    digest_of,
    is_a_persons,
    merged,
    name_of,
    state_of,
    version_of,
    without_target,
)
from adapter.store.verdict import Refused, Verdict

_NOT_THERE = frozenset({404, 410})
Knows = Callable[[Sequence[str]], dict[str, Known]]


class Change(msgspec.Struct, frozen=True):
    """One resource to be written, over ``version`` where the server holds one."""

    name: str
    resource: Resource
    version: str | None = None
    group: int = 0
    """Which trial of the delivery it belongs to."""


class Answered(msgspec.Struct):
    """What is told of a delivery beside what is written."""

    kept: list[tuple[str, str, str]] = []
    """Subject, state held, state proposed: a person's, left alone."""
    superseded: int = 0
    aside: int = 0
    """How many resources went into a file instead."""

    @property
    def note(self) -> str:
        """How the delivery ended."""
        told = (("kept-by-person", self.kept), ("superseded", self.superseded), ("in-file", self.aside))
        return ", ".join(word for word, count in told if count) or "written"


class Plan(msgspec.Struct):
    """What is written and what is kept in mind."""

    answered: Answered
    changes: list[Change] = []
    intended: dict[str, Known] = {}
    """What the store must know before anything is sent."""


class Decision(msgspec.Struct, frozen=True):
    """What becomes of one subject."""

    wanted: Resource
    is_kept: bool = False
    """A person's: left alone."""
    is_there: bool = False
    """Nothing is to be written: an attempt whose answer was lost wrote it, or nothing changed."""


class Reads(Protocol):
    """Where what is held is read."""

    def read(self, path: str) -> Answer:
        """Read a resource."""


def plan_for(groups: Sequence[Group], due: Due, server: Reads, known: Knows, learnt: dict[str, Known]) -> Plan:
    """Read what is there and decide what is written; raises Refused, NoAnswer.

    What reading tells of an earlier attempt, whose answer was lost, goes into ``learnt``.
    """
    names = [name_of(each.subject) for each in groups if each.subject is not None]
    memory = known(names) if names else {}
    plan = Plan(Answered())
    for number, group in enumerate(groups):
        if group.subject is None:
            plan.changes += [Change(name_of(each), each, group=number) for each in group.others]
            continue
        name = name_of(group.subject)
        mine = learnt.get(name) or memory.get(name) or Known()
        if mine.order is not None and mine.order > due.order:
            plan.answered.superseded += 1
            continue
        held = held_as(server, name)
        if is_nothing_to_tell(group.subject, mine, held):
            continue
        decision = decided(group.subject, mine, held)
        others = group.others
        if decision.is_kept:
            plan.answered.kept.append(kept(name, group.subject, held))
            others = [without_target(each, name) for each in others]
        elif decision.is_there and held is not None:
            learnt[name] = written(mine, digest_of(decision.wanted), version_of(held), due)
        else:
            version = None if held is None else version_of(held)
            plan.changes.append(Change(name, decision.wanted, version, number))
            plan.intended[name] = msgspec.structs.replace(mine, sent_digest=digest_of(decision.wanted))
        plan.changes += [Change(name_of(each), each, group=number) for each in others]
    return plan


def decided(subject: Resource, mine: Known, held: Resource | None) -> Decision:
    """Say what becomes of a subject, by what we wrote last and what the server holds."""
    if held is None:
        return Decision(subject, is_kept=mine.digest is not None)
    found, wanted = digest_of(held), merged(subject, held)
    # Where our memory was lost, it may be word for word what we write.
    is_ours = mine.digest is None and mine.sent_digest is None and found == digest_of(subject)
    if not is_ours and is_a_persons(held, mine):
        return Decision(wanted, is_kept=True)
    return Decision(wanted, is_there=found == digest_of(wanted))


def kept(name: str, subject: Resource, held: Resource | None) -> tuple[str, str, str]:
    """Say which subject is a person's, the state it is held in, and the one we would have given it."""
    return (name, "deleted" if held is None else state_of(held) or "none", state_of(subject) or "")


def is_nothing_to_tell(subject: Resource, mine: Known, held: Resource | None) -> bool:
    """Whether this would be a task without anything to do: someone is not eligible, and nobody was told otherwise."""
    is_new = held is None and mine.digest is None
    return subject["resourceType"] == "Task" and is_new and state_of(subject) == "ineligible"


def written(known: Known, digest: str | None, version: str | None, due: Due) -> Known:
    """Give what is known after a subject was written."""
    told_at, as_of = due.order
    return msgspec.structs.replace(known, version=version, digest=digest, told_at=told_at, as_of=as_of)


def held_as(server: Reads, name: str) -> Resource | None:
    """Read what is held under a name, None where nothing is; raises Refused, NoAnswer."""
    said = server.read(name)
    if said.status in _NOT_THERE:
        return None
    if not said.is_success:
        raise Refused.by(said)
    if said.body is None or said.body.get("resourceType") != name.partition("/")[0]:
        raise Refused(Verdict.LATER, "answer-is-no-subject")
    return said.body
