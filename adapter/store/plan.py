"""What a delivery will write, once it is known what the server holds."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from adapter.delivery.client import Answer
from adapter.store.rows import Due
from adapter.store.standing import (
    Group,
    Known,
    Resource,
    digest_of,
    groups,
    is_a_persons,
    merged,
    state_of,
    version_of,
    without_target,
)
from adapter.store.verdict import Verdict, told, verdict

_NOT_THERE = frozenset({404, 410})


class Refused(Exception):  # noqa: N818 (it names what the server did)
    """The server did not take it; what to do, and codes that say why."""

    def __init__(self, verdict: Verdict, code: str, asked_s: float | None = None) -> None:
        self.verdict = verdict
        self.code = code
        self.asked_s = asked_s
        super().__init__(code)

    @classmethod
    def by(cls, said: Answer) -> "Refused":
        """Make it of an answer."""
        return cls(verdict(said), told(said), said.retry_after_s)


class Change(msgspec.Struct, frozen=True):
    """One resource to be written, over ``version`` where the server holds one."""

    name: str
    resource: Resource
    version: str | None = None


class Answered(msgspec.Struct):
    """What is told of a delivery beside what is written."""

    kept: list[tuple[str, str, str]] = []
    """Subject, state held, state proposed: a person's, left alone."""
    superseded: int = 0
    written: int = 0

    @property
    def note(self) -> str:
        """How the delivery ended."""
        said = [word for word, count in (("kept-by-person", self.kept), ("superseded", self.superseded)) if count]
        return ", ".join(said) or "written"


class Plan(msgspec.Struct):
    """What is written and what is kept in mind."""

    answered: Answered
    changes: list[Change] = []
    intended: dict[str, Known] = {}
    """What the store must know before anything is sent."""


class Reads(Protocol):
    """Where what is held is read."""

    def read(self, path: str) -> Answer:
        """Read a resource."""


def plan_for(
    due: Due, server: Reads, known: Callable[[Sequence[str]], dict[str, Known]], learnt: dict[str, Known]
) -> Plan:
    """Read what is there and decide what is written; raises Refused, NoAnswer.

    What reading tells of an earlier attempt, whose answer was lost, goes into ``learnt``.
    """
    found = groups(due.resources)
    names = [_name(each.subject) for each in found if each.subject is not None]
    memory = known(names) if names else {}
    plan = Plan(Answered())
    for group in found:
        if group.subject is None:
            plan.changes += [Change(_name(each), each) for each in group.others]
            continue
        name = _name(group.subject)
        mine = learnt.get(name) or memory.get(name) or Known()
        if mine.order is not None and mine.order > due.order:
            plan.answered.superseded += 1
            continue
        _decide(plan, group, mine, _held(server, name), due, learnt)
    plan.answered.written = len(plan.changes)
    return plan


def _decide(plan: Plan, group: Group, mine: Known, held: Resource | None, due: Due, learnt: dict[str, Known]) -> None:
    subject = group.subject
    assert subject is not None  # noqa: S101 (the caller's own question)
    name = _name(subject)
    if held is None:
        is_taken_away = mine.digest is not None
        wanted = subject
    else:
        is_taken_away = is_a_persons(held, mine)
        wanted = merged(subject, held)
        if mine == Known() and digest_of(held) == digest_of(subject):
            is_taken_away = False  # Our memory was lost, but it is word for word what we write.
    if is_taken_away:
        plan.answered.kept.append(
            (name, "deleted" if held is None else state_of(held) or "none", state_of(subject) or "")
        )
        others = [without_target(each, name) for each in group.others]
        plan.changes += [Change(_name(each), each) for each in others]
        return
    digest = digest_of(wanted)
    if held is not None and digest_of(held) == digest:
        # It is there: written by an attempt whose answer was lost, or nothing changed.
        learnt[name] = written(mine, digest, version_of(held), due)
    else:
        version = None if held is None else version_of(held)
        plan.changes.append(Change(name, wanted, version))
        plan.intended[name] = msgspec.structs.replace(mine, sent_digest=digest)
    plan.changes += [Change(_name(each), each) for each in group.others]


def written(known: Known, digest: str | None, version: str | None, due: Due) -> Known:
    """Give what is known after a subject was written."""
    told_at, as_of = due.order
    return msgspec.structs.replace(known, version=version, digest=digest, told_at=told_at, as_of=as_of)


def _held(server: Reads, name: str) -> Resource | None:
    said = server.read(name)
    if said.status in _NOT_THERE:
        return None
    if not said.is_success:
        raise Refused.by(said)
    if said.body is None or said.body.get("resourceType") != "ResearchSubject":
        raise Refused(Verdict.LATER, "answer-is-no-subject")
    return said.body


def _name(resource: dict[str, Any] | None) -> str:
    return f"{resource['resourceType']}/{resource['id']}" if resource is not None else ""
