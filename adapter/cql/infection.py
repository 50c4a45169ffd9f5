"""Infections as CQL: a positive lasts, a negative must be fresh."""

from adapter.cql.clauses import condition, found_of, reason, results
from adapter.cql.text import STRING, boolean, call, listed, null, since, string
from adapter.cql.types import spelled
from adapter.eligibility.kinds.infection import Infection, Presumptive, Tests


def infection(kind: Infection) -> str:
    """Write an infection sentence as the expression of its outcome."""
    positives = [call('Judge."Positive Says"', _tests(each), null(STRING)) for each in kind.conclusive]
    positives += [_presumptive(each) for each in kind.presumptive]
    suggestive = [call('Judge."Positive Says"', _tests(each), string("VERIFY")) for each in kind.suggestive]
    names = sorted({name for clause in kind.conditions for name in clause.condition})
    groups = (kind.conclusive, tuple(rule.positive for rule in kind.presumptive), kind.suggestive, *kind.ruled_out_by)
    return call(
        'Judge."Infection Says"',
        _weighed(map(condition, kind.conditions)),
        _weighed(positives),
        _weighed(suggestive),
        _weighed(map(condition, kind.suggested_by)),
        listed((_ruled_out(kind, group) for group in kind.ruled_out_by), spelled("$RuledOut")),
        boolean(value=kind.open_ended or not kind.ruled_out_by),
        found_of(names),
        _all_of(list(dict.fromkeys(each for group in groups for each in group))),
    )


def _weighed(outcomes: object) -> str:
    found = list(outcomes)  # type: ignore[call-overload]
    return call('Judge."Weigh"', listed(found, STRING)) if found else null(STRING)


def _tests(tests: Tests) -> str:
    return results(tests.input, tests.roles)


def _all_of(tests: list[Tests]) -> str:
    if len(tests) == 1:
        return _tests(tests[0])
    return call("Flatten", listed((f"({_tests(each)})" for each in tests), f"List<{spelled('$Result')}>"))


def _presumptive(rule: Presumptive) -> str:
    return call(
        'Judge."Presumptive Says"',
        _tests(rule.positive),
        _all_of(list(rule.against)),
        boolean(value=rule.later),
        reason(rule.gives),
        reason(rule.rebutted),
    )


def _ruled_out(kind: Infection, group: tuple[Tests, ...]) -> str:
    known = [*kind.conclusive, *(rule.positive for rule in kind.presumptive), *kind.suggestive]
    known += [each for tests in kind.ruled_out_by for each in tests]
    same_input = [each for each in dict.fromkeys(known) if each.input == group[0].input]
    choices = [call('Judge."Newest"', call('Judge."Is Negative"', _tests(each)), since(kind.window)) for each in group]
    return call('Judge."Ruled Out"', listed(choices, spelled("$Choice")), _all_of(same_input))
