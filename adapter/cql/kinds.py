"""Every kind of criterion as CQL; a new kind is named here by the type checker."""

from typing import assert_never

import msgspec

from adapter.cql.clauses import asked, clause, condition, found_of, reason, results
from adapter.cql.infection import infection
from adapter.cql.mappings import codes_of, results_of
from adapter.cql.text import (
    DATE,
    INTEGER,
    STRING,
    boolean,
    call,
    decimal,
    limits,
    limits_by_unit,
    listed,
    name,
    null,
    since,
    string,
    strings,
    tupled,
)
from adapter.cql.types import spelled
from adapter.eligibility.kinds import Kind
from adapter.eligibility.kinds.allergy import AllergyTo, SevereAllergy
from adapter.eligibility.kinds.condition import ConditionClause, State
from adapter.eligibility.kinds.derivation import BodyMassIndex, CountFromPercent
from adapter.eligibility.kinds.dose import DailyDosePerWeight
from adapter.eligibility.kinds.duration import Duration
from adapter.eligibility.kinds.events import Events
from adapter.eligibility.kinds.human import Ask, Consent, OtherStudy, SameAs
from adapter.eligibility.kinds.infection import Infection
from adapter.eligibility.kinds.medication import OnlyReplacement
from adapter.eligibility.kinds.pregnancy import Lactation, NegativePregnancyTest, Pregnancy
from adapter.eligibility.kinds.quantity import Age, Quantity
from adapter.eligibility.kinds.record import Record
from adapter.eligibility.kinds.result import ResultIs
from adapter.eligibility.kinds.sustained import Sustained
from adapter.eligibility.reason import Reason
from adapter.eligibility.values import Period

FERTILE, SEX, BIRTH = 'Mappings."Can Become Pregnant"', 'Mappings."Sex"', 'Mappings."Birth"'


class Unsaid(msgspec.Struct, frozen=True):
    """A sentence that CQL does not compute."""

    why: str
    is_asked: bool = False
    """Whether a person alone answers it: then a reviewer's answer settles it in CQL too.

    Where the record can decide what CQL does not say, an answer must not stand in for it: the define is always null.
    """


def truth_of(kind: Kind) -> str | Unsaid:
    """Write a kind as a CQL expression of three values, or say why it is not said."""
    match kind:
        case Age():
            return call('Judge."Age Says"', BIRTH, limits(kind.limits))
        case SameAs():
            return name(kind.criterion)
        case Ask() | Consent():
            return Unsaid("a person answers it", is_asked=True)
        case AllergyTo():
            return Unsaid("the list of substances is the site's, and a library carries none")
        case OtherStudy():
            return Unsaid("which study a ResearchSubject means is told by names that CQL cannot follow")
        case DailyDosePerWeight():
            return Unsaid("a dose added up over products and days, with what makes it uncertain, is not said in CQL")
        case OnlyReplacement():
            return Unsaid("whether a drug is given as a replacement is a reviewer's judgement")
        case _:
            return call('Judge."Truth"', outcome_of(kind))


Weighed = (
    Quantity
    | Sustained
    | ResultIs
    | Duration
    | Record
    | Events
    | Infection
    | Pregnancy
    | Lactation
    | NegativePregnancyTest
    | SevereAllergy
)
"""Kinds whose outcome CQL gives with its reason."""


def outcome_of(kind: Weighed) -> str:
    """Write a kind as the CQL expression of its outcome: met, not-met, or the reason."""
    match kind:
        case Quantity():
            return _quantity(kind)
        case Sustained():
            return _sustained(kind)
        case ResultIs():
            return _result_is(kind)
        case Duration():
            return _duration(kind)
        case Record():
            return _record(kind)
        case Events():
            return _events(kind)
        case Infection():
            return infection(kind)
        case Pregnancy():
            return _pregnancy(kind)
        case Lactation():
            said = _said(kind.status, kind.status_roles, kind.window)
            return call(
                'Judge."Lactation Says"', condition(kind.diagnosis), condition(kind.delivery), said, FERTILE, SEX
            )
        case NegativePregnancyTest():
            return call('Judge."Negative Test Says"', _said(kind.test, kind.test_roles, kind.window), FERTILE)
        case SevereAllergy():
            return _severe_allergy(kind)
        case _:
            assert_never(kind)


def _within(kind: Quantity) -> str:
    found = results(kind.input, kind.roles)
    if kind.times_uln:
        return call('Judge."Within Multiples"', found, limits(kind.limits), SEX, BIRTH)
    return call('Judge."Within Limits"', found, limits_by_unit({kind.unit: kind.limits, **kind.equivalent}))


def _quantity(kind: Quantity) -> str:
    newest = call('Judge."Newest"', _within(kind), since(kind.window))
    match kind.derive:
        case None:
            said = f"{newest}.outcome"
        case BodyMassIndex() as rule:
            how = tupled(
                {
                    "weightOpens": since(rule.weight_window),
                    "heightOpens": since(rule.height_window),
                    "childOpens": since(rule.child_height_window),
                    "adult": str(rule.adult_age),
                    "digits": str(-int(rule.step.as_tuple().exponent)),
                    "low": decimal(rule.plausible[0]),
                    "high": decimal(rule.plausible[1]),
                }
            )
            index = call(
                'Judge."Index Says"',
                results(rule.weight, rule.weight_roles),
                results(rule.height, rule.height_roles),
                limits(kind.limits),
                BIRTH,
                how,
            )
            said = call('Judge."Or Computed"', newest, index)
        case CountFromPercent() as rule:
            how = tupled(
                {
                    "total": string(rule.total),
                    "percent": strings(rule.percent),
                    "opens": since(rule.window),
                    "low": decimal(rule.plausible[0]),
                    "high": decimal(rule.plausible[1]),
                }
            )
            counts = call('Judge."Counts"', f"Mappings.{results_of(rule.input)}", how)
            said = call('Judge."Later Of"', newest, counts, limits(kind.limits))
        case _:
            assert_never(kind.derive)
    return said if kind.only is None else call('Judge."Only For"', said, string(kind.only), SEX)


def _sustained(kind: Sustained) -> str:
    by_unit = {kind.unit: kind.limits, **kind.equivalent}
    how = tupled(
        {
            "opens": since(kind.window),
            "reach": since(kind.reach),
            "refuting": since(kind.refuted_in),
            "apart": str(kind.apart),
        }
    )
    answers = call('Judge."Within Limits"', results(kind.input, kind.roles), limits_by_unit(by_unit))
    return call('Judge."Sustained Says"', answers, how)


def _result_is(kind: ResultIs) -> str:
    answers = call('Judge."Says"', results(kind.input, kind.roles), string(kind.answer))
    newest = call('Judge."Newest"', answers, since(kind.window))
    if not kind.or_condition:
        return f"{newest}.outcome"
    active = ConditionClause(condition=kind.or_condition, state=State.ACTIVE, dated_in=kind.window)
    return call('Judge."Or Condition"', newest, condition(active))


def _duration(kind: Duration) -> str:
    period = kind.more_than or kind.at_most or kind.less_than
    edge = since(period) + (" + 1 day" if kind.less_than is not None else "")
    earlier = kind.earlier
    conditions, drugs = found_of(earlier.conditions), 'Mappings."Drugs"'
    signs = [call('Judge."Condition Signs"', conditions)] if earlier.conditions else []
    doubtful = [call('Judge."Doubtful Signs"', conditions)] if earlier.conditions else []
    if earlier.medications:
        about = asked(earlier.medications)
        signs.append(call('Judge."Drug Signs"', drugs, about, strings(("taken", "ordered"))))
        doubtful.append(call('Judge."Drug Signs"', drugs, about, strings(("unclear",))))
    for value in earlier.values:
        found = results(value.value, value.roles)
        signs.append(call('Judge."Value Signs"', found, limits_by_unit(value.limits)))
    spans = f"List<{spelled('$Span')}>"
    return call(
        'Judge."Duration Says"',
        found_of(kind.condition),
        call("Flatten", listed(signs, spans)),
        call("Flatten", listed(doubtful, spans)),
        edge,
        boolean(value=kind.more_than is not None),
    )


def _record(kind: Record) -> str:
    rivals = [each.rivals for each in kind.any if isinstance(each, ConditionClause) and each.rivals]
    if not rivals and kind.empty_list is None:
        return call('Judge."Record Alone Says"', listed(map(clause, kind.any), STRING), reason(kind.silence))
    rival = " or ".join(call('Judge."Has Rival"', found_of(names)) for names in rivals)
    return call(
        'Judge."Record Says"',
        listed(map(clause, kind.any), STRING),
        reason(kind.silence),
        *_empty(kind.empty_list, kind.empty_list_within),
        rival or "false",
    )


def _empty(kind: str | None, within: Period | None) -> tuple[str, str]:
    if kind is None or within is None:
        return "{} as List<System.DateTime>", null(DATE)
    return f"Mappings.{name(f'Known Empty {kind}')}", since(within)


def _events(kind: Events) -> str:
    numbers = [
        call('Judge."Events Of"', found_of(names), str(kind.apart_days)) + ".number" for names in kind.certain.values()
    ]
    seen = sorted({each for names in kind.certain.values() for each in names}.union(kind.possible))
    silence = call('Judge."Silent"', string(Reason.NOEVIDENCE.value), *_empty("problem-list", kind.empty_list_within))
    return call('Judge."Events Say"', listed(numbers, INTEGER), str(kind.at_least), found_of(seen), silence)


def _said(input_name: str, roles: tuple[str, ...], window: Period) -> str:
    return call('Judge."Said"', results(input_name, roles), since(window))


def _pregnancy(kind: Pregnancy) -> str:
    said = call(
        'Judge."Pregnancy Says"',
        condition(kind.diagnosis),
        null(STRING) if kind.denied_by is None else condition(kind.denied_by),
        condition(kind.doubtful),
        _said(kind.status, kind.status_roles, kind.status_lasts),
        _said(kind.test, kind.test_roles, kind.positive_window),
        _said(kind.test, kind.test_roles, kind.negative_window),
        since(kind.negative_window),
        FERTILE,
    )
    return call('Judge."Or Wish"', said, SEX) if kind.wish else said


def _severe_allergy(kind: SevereAllergy) -> str:
    def rows(names: tuple[str, ...]) -> str:
        sets = [f"Mappings.{codes_of(each)}" for each in names]
        if len(sets) == 1:
            return sets[0]
        return call("Flatten", listed(sets, f"List<{spelled('$Row')}>"))

    constitution = kind.constitution
    return call(
        'Judge."Severe Allergy Says"',
        'Mappings."Allergies"',
        rows(kind.none_known),
        rows(kind.none_of_a_kind),
        rows(kind.severe),
        condition(kind.condition),
        null(STRING) if kind.belied_by is None else condition(kind.belied_by),
        null(STRING) if constitution is None else condition(constitution),
        rows(constitution.condition if constitution is not None else ()),
        null(INTEGER) if constitution is None else str(kind.unrelated),
        call('Judge."Silent"', string(Reason.NOEVIDENCE.value), *_empty("allergy-list", kind.list_within)),
    )
