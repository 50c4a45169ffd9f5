"""Inclusions that ask for what an exclusion refuses: nobody can pass, unless the trial file says so aloud."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from adapter.catalog.catalog import PlacedAtom, Sources
from adapter.catalog.checks_limits import in_words
from adapter.catalog.checks_mappings import points
from adapter.catalog.clauses import Implication, Simple, alternatives, sets_of
from adapter.catalog.compile import measure_of
from adapter.eligibility.kinds.quantity import Age, Quantity
from adapter.eligibility.kinds.record import AllClause, Record
from adapter.eligibility.kinds.sustained import Sustained
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Bounds, Limits
from adapter.errors import Issue
from adapter.mapping.codes import CodeIndex

_REMEDY = "Correct one, or list both under contradictions"


class Stance(msgspec.Struct, frozen=True):
    """What an atom's truth does for the patient."""

    placed: PlacedAtom
    asks: bool
    """Whether its being true speaks for the patient."""
    alone: bool
    """Whether it must be so: asked without an alternative, or enough to refuse."""


def contradiction_issues(sources: Sources) -> Iterator[Issue]:
    """Say every inclusion that lies wholly inside what the same trial excludes."""
    implied = None
    if sources.vocabulary is not None:
        index = CodeIndex(sources.inputs, sources.value_sets, sources.vocabulary)
        implied = Implication(sources.value_sets, sources.vocabulary, index)
    for _, trial in sources.trials:
        stances = [
            stance
            for criterion in trial.criteria
            for stance in _stances([each for each in sources.atoms if each.criterion is criterion])
        ]
        said_aloud = {(one, other) for each in trial.contradictions for one in each.includes for other in each.excludes}
        for asking in (each for each in stances if each.asks):
            # What the sentence itself carves out is no contradiction: insulin, but not with a GLP-1 agonist.
            criterion = asking.placed.criterion
            refusing = [
                each for each in stances if not each.asks and each.alone and each.placed.criterion is not criterion
            ]
            yield from _by_numbers(asking.placed, refusing, said_aloud, sources)
            if implied is not None:
                yield from _by_codes(asking, refusing, stances, said_aloud, implied)


def _stances(atoms: list[PlacedAtom]) -> Iterator[Stance]:
    """Read from the logic of one criterion what each of its atoms does."""
    if not atoms:
        return
    criterion = atoms[0].criterion
    by_id = {each.entry.id: each for each in atoms}
    pending: list[tuple[object, bool, bool]] = [(criterion.logic, criterion.type == "inclusion", True)]
    while pending:
        node, asks, alone = pending.pop(0)
        if isinstance(node, str) and node in by_id:
            yield Stance(by_id[node], asks, alone)
        for key, inside in node.items() if isinstance(node, dict) else ():
            if key == "not":
                pending.append((inside, not asks, alone))
            elif key in ("all", "any") and isinstance(inside, list):
                still = alone and (len(inside) == 1 or (key == "all") == asks)
                pending.extend((each, asks, still) for each in inside)


def _numbers(placed: PlacedAtom, sources: Sources) -> tuple[object, Limits] | None:
    """Give what an atom's limits are about, and the limits in the unit of comparison."""
    kind = placed.kind
    if isinstance(kind, Age):
        return Age, kind.limits
    if not isinstance(kind, Quantity | Sustained):
        return None
    if isinstance(kind, Quantity) and kind.times_uln:
        return (kind.input, "times the upper limit"), kind.limits
    mapped = sources.inputs.get(kind.input)
    measure = measure_of(mapped) if mapped is not None else None
    factor = measure.ucum.get(kind.unit) if measure is not None else None
    return (kind.input, kind.unit if factor is None else ""), kind.limits.map(lambda end: end * (factor or Decimal(1)))


def _by_numbers(
    asking: PlacedAtom, refusing: list[Stance], said_aloud: set[tuple[str, str]], sources: Sources
) -> Iterator[Issue]:
    asked = _numbers(asking, sources)
    if asked is None:
        return
    others: list[tuple[str, Limits, Limits]] = []
    for each in refusing:
        kind, found = each.placed.kind, _numbers(each.placed, sources)
        for_all = not isinstance(kind, Quantity) or kind.only in (None, getattr(asking.kind, "only", None))
        if found is not None and found[0] == asked[0] and for_all and isinstance(kind, Age | Quantity):
            others.append((each.placed.entry.id, found[1], kind.limits))
    wanted = [Bounds.exactly(p) for p in points(asked[1], *(limits for _, limits, _ in others))]
    wanted = [each for each in wanted if asked[1].hold(each) is Truth.MET]
    if not wanted or any(all(limits.hold(each) is not Truth.MET for _, limits, _ in others) for each in wanted):
        return
    meeting = [
        (name, printed) for name, limits, printed in others if any(limits.hold(each) is Truth.MET for each in wanted)
    ]
    if any((asking.entry.id, name) in said_aloud for name, _ in meeting):
        return
    kind = asking.kind
    words = in_words(kind.limits) if isinstance(kind, Age | Quantity | Sustained) else ""
    excluded = " and ".join(f"{name} excludes {in_words(printed)}" for name, printed in meeting)
    said = f"{asking.entry.id} asks for {words}, and {excluded}: nobody can pass. {_REMEDY}"
    yield asking.loaded.issue("contradiction", said, (*asking.path, "judge", "limits"))


def _by_codes(
    asking: Stance,
    others: list[Stance],
    stances: list[Stance],
    said_aloud: set[tuple[str, str]],
    implied: Implication,
) -> Iterator[Issue]:
    placed = asking.placed
    if not isinstance(placed.kind, Record):
        return
    given = [
        fact
        for each in stances
        if each.asks and each.alone and each.placed is not placed and isinstance(each.placed.kind, Record)
        for fact in _certain(each.placed.kind)
    ]
    for refusing in (each.placed for each in others):
        pair = (placed.entry.id, refusing.entry.id)
        if pair in said_aloud or not isinstance(refusing.kind, Record):
            continue
        name = _shared_set(placed.kind, refusing.kind, given, implied)
        if name is not None:
            said = f"{pair[0]} asks for {name}, each code of which meets {pair[1]}: nobody can pass by it. {_REMEDY}"
            yield placed.loaded.issue("contradiction", said, (*placed.path, "judge"))


def _certain(kind: Record) -> list[Simple]:
    """Give the clauses that hold by whichever clause a sentence is met."""
    ways = [[msgspec.structs.replace(each, gives=None) for each in alternatives(clause)] for clause in kind.any]
    return [each for each in ways[0] if all(each in other for other in ways)] if ways else []


def _shared_set(asked: Record, refused: Record, given: list[Simple], implied: Implication) -> str | None:
    """Give a value set by which the one is met and then the other."""
    for clause in asked.any:
        for fact in alternatives(clause):
            for name in sets_of(fact):
                beside = [each for each in alternatives(clause) if each is not fact]
                for other in refused.any:
                    parts = alternatives(other) if isinstance(other, AllClause) else [other]
                    by_it = [implied.holds(fact, (name,), part) for part in parts]
                    rest = [
                        here or any(implied.holds(each, sets_of(each), part) for each in (*beside, *given))
                        for here, part in zip(by_it, parts, strict=True)
                    ]
                    if any(by_it) and all(rest) and implied.decides(other):
                        return name
    return None
