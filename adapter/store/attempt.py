"""One attempt at one delivery: fitted to its server, read, decided and written, again where someone wrote meanwhile."""

from collections.abc import Callable

import msgspec

from adapter.store.ability import Ability, Manner
from adapter.store.conditional import Conditional
from adapter.store.fallback import fitted
from adapter.store.folder import put_aside
from adapter.store.plan import Answered, Knows, Plan, plan_for, written
from adapter.store.rehearsal import Rehearsal, Target
from adapter.store.rows import Due
from adapter.store.sending import TypeRefused, send
from adapter.store.standing import Known, groups
from adapter.store.verdict import Refused, Verdict

_IN_A_ROW = 4
"""How often a subject that changes under our hands is read again before others get their turn."""
_TOO_LARGE = 413
_NOT_BUILT = frozenset({405, 501})
Remember = Callable[[dict[str, Known]], None]


class Attempt:
    """What a delivery needs; ``ability`` is what the server turned out to take."""

    def __init__(self, target: Target, manner: Manner, ability: Ability, knows: Knows, remember: Remember) -> None:
        self._target = target
        self._manner = manner
        self._knows = knows
        self._remember: Remember = (lambda _: None) if manner.rehearses else remember
        self.ability = ability

    def delivered(self, due: Due, learnt: dict[str, Known]) -> Answered:
        """Deliver; what is known then goes into ``learnt``; raises Refused, NoAnswer, AdapterError."""
        transactions = True
        changes = 0
        while changes < _IN_A_ROW:
            try:
                return self._once(due, learnt, transactions=transactions and self.ability.transactions)
            except TypeRefused as refused:
                if self._manner.fallback == "refuse":
                    raise
                self.ability = self.ability.without(refused.type)
            except Refused as refused:
                if refused.verdict is Verdict.CHANGED:
                    changes += 1
                elif transactions and self.ability.transactions and _is_about_transactions(refused):
                    transactions = False
                    if refused.status in _NOT_BUILT:
                        self.ability = msgspec.structs.replace(self.ability, transactions=False)
                else:
                    raise
        raise Refused(Verdict.LATER, "changes-under-our-hands")

    def _once(self, due: Due, learnt: dict[str, Known], *, transactions: bool) -> Answered:
        found = fitted(groups(due.resources), self.ability, self._manner)
        if self._manner.conditional:
            conditional = Conditional(self._target, self._knows, learnt, transactions=transactions)
            conditional.write(found.groups, due, self._remember)
            answered = conditional.answered
        else:
            plan = plan_for(found.groups, due, self._target, self._knows, learnt)
            sent = send(plan, self._target, self._keep, transactions=transactions)
            learnt |= {name: written(each, each.digest, each.version, due) for name, each in sent.items()}
            answered = plan.answered
        if found.aside:
            # Last: the server may have refused more than it said it would, and a delivery is one file.
            self._put_aside(due, found.aside)
            answered.aside = len(found.aside)
        return answered

    def _keep(self, plan: Plan) -> None:
        self._remember(plan.intended)

    def _put_aside(self, due: Due, aside: list[dict[str, object]]) -> None:
        if isinstance(self._target, Rehearsal):
            self._target.written["write-file"] += 1
        elif self._manner.folder is not None:
            put_aside(self._manner.folder, due.id, aside)
        else:
            raise Refused(Verdict.LATER, "no-folder-is-set")


def _is_about_transactions(refused: Refused) -> bool:
    """Whether it may be taken one by one: the server makes no transactions, none so large, or none of such a type."""
    return refused.status == _TOO_LARGE or refused.is_for_the_type
