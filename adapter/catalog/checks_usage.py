"""Rows that nothing uses: an input, a value set, a policy or a role that no trial and no other row refers to."""

from collections.abc import Iterator
from pathlib import Path

from adapter.catalog.catalog import Block, Sources
from adapter.catalog.checks_references import names_in, parts
from adapter.catalog.compile import BORDERLINE
from adapter.catalog.load import ATTESTATION, shipped
from adapter.catalog.prepare import policies_in
from adapter.eligibility.kinds.allergy import AllergyTo
from adapter.eligibility.kinds.derivation import CountFromPercent
from adapter.eligibility.kinds.human import Ask
from adapter.eligibility.kinds.infection import Tests
from adapter.eligibility.kinds.quantity import Quantity
from adapter.eligibility.kinds.record import ValueClause
from adapter.eligibility.kinds.sustained import Sustained
from adapter.errors import Issue
from adapter.mapping.table import Input

READ_BY_NAME = frozenset((ATTESTATION, BORDERLINE))
"""Policies that the adapter itself reads."""
_CODES: dict[Block, tuple[str, str]] = {
    "inputs": ("unused-input", "input"),
    "value_sets": ("unused-value-set", "value set"),
    "policy": ("unused-policy", "policy"),
}


def usage_issues(sources: Sources) -> Iterator[Issue]:
    """Say every row of the mappings that nothing uses, and every set that is asked for and holds nothing.

    The shipped mappings may serve other trials than the shipped ones: what those do not use is then no problem.
    """
    read = {Path(loaded.file).resolve() for loaded, _ in sources.trials}
    all_shipped = all(path in read for path in shipped("trials").glob("*.yaml"))
    home = shipped("mappings")
    used: dict[Block, set[str]] = {
        "inputs": _inputs(sources),
        "value_sets": _value_sets(sources),
        "policy": _policies(sources),
    }
    found = []
    for (block, name), loaded in sources.places.items():
        if block not in used or name in sources.words:
            continue
        code, word = _CODES[block]
        row = (sources.value_sets if block == "value_sets" else sources.policy).get(name)
        kept_for = row.unused if row is not None else ""
        if name not in used[block] and not kept_for:
            said = f"nothing uses the {word} {name}: refer to it, remove it, or say under unused why it stands here"
            found.append(loaded.issue(code, said, (block, name)))
        if name in used[block] and kept_for:
            said = f"the {word} {name} is used after all: remove its key unused"
            found.append(loaded.issue("used-after-all", said, (block, name)))
    for issue in (*found, *_roles(sources)):
        if all_shipped or home not in Path(issue.file or "").resolve().parents:
            yield issue
    yield from _empty(sources)


def _inputs(sources: Sources) -> set[str]:
    used = {name for placed in sources.atoms for name in placed.entry.inputs}
    used |= {name for placed in sources.atoms for block, name, _ in names_in(placed.kind, ()) if block == "inputs"}
    for mapped in sources.inputs.values():
        if mapped.derive is not None:
            used |= {name for _, name, _ in names_in(mapped.derive, ())}
    return used


def _value_sets(sources: Sources) -> set[str]:
    used = {name for placed in sources.atoms for block, name, _ in names_in(placed.kind, ()) if block == "value_sets"}
    for mapped in sources.inputs.values():
        used.update(mapped.answers.value_sets.values() if mapped.answers is not None else ())
    if sources.vocabulary is not None:
        used.update(sources.vocabulary.childbearing.ended_by, sources.vocabulary.dosage.of)
    used.update(name for name in sources.value_sets if name in sources.words)
    pending = list(used)
    while pending:
        each = sources.value_sets.get(pending.pop())
        new = [name for name in each.includes if name not in used] if each is not None else []
        used.update(new)
        pending.extend(new)
    return used


def _policies(sources: Sources) -> set[str]:
    used = set(READ_BY_NAME)
    for loaded in (*sources.mappings, *(loaded for loaded, _ in sources.trials)):
        used.update(name for name, _ in policies_in(loaded.content))
    return used


def _roles(sources: Sources) -> Iterator[Issue]:
    """A role is used where it decides, keeps a code from counting, supports a derivation, or is shown."""
    for name, mapped in sources.inputs.items():
        used = _used_roles(name, mapped, sources)
        for role in mapped.codes:
            if used is not None and role not in used:
                said = (
                    f"nothing decides by, shows or rejects results of the role {role}: add it to decides, or reject it"
                )
                loaded = sources.places["inputs", name]
                yield loaded.issue("unused-role", said, ("inputs", name, "codes", role))


def _used_roles(name: str, mapped: Input, sources: Sources) -> set[str] | None:
    """Give the used roles of an input; None where all are, or may be in what could not be read."""
    if not mapped.decides or name in sources.words:
        return None  # where nothing decides, every code is one to ask for
    used = {"reject", *mapped.decides, *mapped.needs_fasting}
    if isinstance(mapped.derive, CountFromPercent):
        used.update((mapped.derive.total, *mapped.derive.percent))
    for placed in sources.atoms:
        for part, _ in parts(placed.kind, ()):
            match part:
                case Ask() if name in part.shows:
                    return None
                case Quantity() | Sustained() if part.input == name:
                    return None  # results of other roles are shown for review
                case Tests() if part.input == name:
                    used.update(part.roles)
                case ValueClause() if part.value == name:
                    used.update(part.roles)
                case _:
                    pass
    return used


def _empty(sources: Sources) -> Iterator[Issue]:
    """A value set without codes never matches; only substances, which a site may fill, can be empty."""
    asked = {
        name
        for placed in sources.atoms
        for part, _ in parts(placed.kind, ())
        if not isinstance(part, AllergyTo)
        for block, name, at in names_in(part, ())
        if block == "value_sets" and len(at) > 0
    }
    for name, each in sources.value_sets.items():
        if not each.codes and not each.includes and name in asked:
            said = f"{name} holds no code, so that it never matches: list its codes"
            yield sources.places["value_sets", name].issue("empty-value-set", said, ("value_sets", name))
