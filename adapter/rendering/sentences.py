"""A kind of criterion as a clinician reads it: what makes it met, what not met, what leaves it open and why."""

from typing import assert_never

from adapter.eligibility.kinds import Kind
from adapter.eligibility.kinds.allergy import AllergyTo, SevereAllergy
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
from adapter.rendering import sentences_numbers as numbers
from adapter.rendering import sentences_states as states
from adapter.rendering.clauses import asked, denials, leaves, opens_only
from adapter.rendering.wording import NEVER, Form, Left, Line, Words, left, line, listed, say

_YES = line("a reviewer answers yes")
_NO = line("a reviewer answers no")


def form_of(kind: Kind, words: Words) -> Form:
    """Say the computable form of an atom; ``words`` stands at its ``judge`` as the file writes it."""
    match kind:
        case Age():
            return numbers.age(kind, words)
        case Quantity():
            return numbers.quantity(kind, words)
        case Sustained():
            return numbers.sustained(kind, words)
        case ResultIs():
            return numbers.result_is(kind, words)
        case Duration():
            return numbers.duration(kind, words)
        case DailyDosePerWeight():
            return numbers.daily_dose(kind, words)
        case Record():
            return record(kind, words)
        case Events():
            return events(kind, words)
        case Infection():
            return states.infection(kind, words)
        case Pregnancy():
            return states.pregnancy(kind, words)
        case Lactation():
            return states.lactation(kind, words)
        case NegativePregnancyTest():
            return states.negative_test(kind, words)
        case SevereAllergy():
            return states.severe_allergy(kind, words)
        case AllergyTo():
            return states.allergy_to(kind, words)
        case OnlyReplacement():
            return only_replacement(kind, words)
        case Ask():
            return ask(kind, words)
        case Consent():
            return consent()
        case OtherStudy():
            return other_study(kind, words)
        case SameAs():
            same = line(f"as criterion {kind.criterion} of this trial was decided")
            return Form((same,), (same,), ())
        case _:
            assert_never(kind)


def record(kind: Record, words: Words) -> Form:
    """Say the form of a sentence about what the record shows."""
    met: list[Line] = []
    not_met: list[Line] = []
    unknown: list[Left] = []
    for index, clause in enumerate(kind.any):
        place = words.at("any", index)
        said, reason = asked(clause, place), opens_only(clause)
        if reason is None:
            met.append(said)
        else:
            parts = listed([each.text for each in said.inside], "and") if said.inside else said.text
            unknown.append(left(reason, "on record: ", parts))
        not_met.extend(denials(clause, place))
        unknown.extend(leaves(clause, place))
    if kind.empty_list is not None and kind.empty_list_within is not None:
        not_met.append(_empty(kind.empty_list, kind.empty_list_within, words))
    unknown.append(left(kind.silence, "the record does not speak of it"))
    return Form(
        tuple(dict.fromkeys(met)) or (NEVER,),
        tuple(dict.fromkeys(not_met)) or (NEVER,),
        tuple(dict.fromkeys(unknown)),
    )


def _empty(kind: str, within: Period, words: Words) -> Line:
    name = kind.replace("-", " ")
    stated = words.length(within, "empty_list_within")
    return line(f"the {name} is known to be empty, as stated within the last ", stated, ", and nothing speaks for it")


def events(kind: Events, words: Words) -> Form:
    """Say the form of how often something happened."""
    kinds = tuple(line(f"{name}: ", words.sets(names)) for name, names in kind.certain.items())
    met = line(
        "at least ", words.number(kind.at_least, "at_least"), " distinct events, dated to the day:", inside=kinds
    )
    apart = words.number(kind.apart_days, "apart_days", "days")
    note = line("two of one kind count twice when more than ", apart, " apart")
    unknown = [left(Reason.DATE, "fewer are dated well enough")]
    if kind.possible:
        unknown.append(left(Reason.DATE, "on record: ", words.sets(kind.possible)))
    unknown.append(left(Reason.NOEVIDENCE, "the record does not speak of it"))
    within = kind.empty_list_within
    not_met = _empty("problem-list", within, words) if within is not None else NEVER
    return Form((met,), (not_met,), tuple(unknown), (note,))


def only_replacement(kind: OnlyReplacement, words: Words) -> Form:
    """Say the form of the exception for hormone replacement."""
    drugs, replacement = words.sets(kind.medication), words.sets(kind.replacement)
    period = words.length(kind.period, "period")
    not_met = line(drugs, ", other than ", replacement, ", is taken without a gap for the last ", period)
    unknown = (
        left(Reason.HUMAN, "a drug of ", replacement, " is taken: whether as a replacement must be judged"),
        left(Reason.MEDS, "route or dates of another drug are not known well enough"),
        left(Reason.NOEVIDENCE, "no such drug is on record as taken now"),
    )
    return Form((line("a reviewer says that the use is replacement"),), (not_met,), unknown)


def ask(kind: Ask, words: Words) -> Form:
    """Say the form of a question for people."""
    notes: list[Line] = []
    shown = [words.input(name) for name in kind.shows]
    window = say(", no older than ", words.length(kind.window, "window")) if kind.window is not None else ()
    if shown:
        notes.append(line("the reviewer is shown the latest ", listed(shown, "and"), window))
    if kind.conditions:
        notes.append(line("the reviewer is shown active conditions: ", words.sets(kind.conditions)))
    unknown = [left(Reason.HUMAN, "no reviewer has answered")]
    if kind.missing is not None:
        unknown.append(left(kind.missing, "nor is there anything to show"))
        unknown.append(left(Reason.STALE, "what there is to show is older than that"))
    return Form((_YES,), (_NO,), tuple(unknown), tuple(notes))


def consent() -> Form:
    """Say the form of consent."""
    note = line("the reviewer is shown research consents on file, which never answer by themselves")
    return Form((_YES,), (_NO,), (left(Reason.HUMAN, "no reviewer has answered"),), (note,))


def other_study(kind: OtherStudy, words: Words) -> Form:
    """Say the form of taking part in another study."""
    met = line(f"enrolled in a study other than {kind.this}, now, as: {', '.join(kind.taking_part)}")
    unknown = [
        left(Reason.DATE, "the dates of taking part are not clear"),
        left(Reason.NOEVIDENCE, f"only considered for another study: {', '.join(kind.perhaps)}"),
        left(Reason.NOEVIDENCE, "no other study is on record; others may not be in this system"),
    ]
    if kind.hint is not None:
        hint = asked(kind.hint, words.at("hint")).text
        unknown.append(left(opens_only(kind.hint) or Reason.NOEVIDENCE, hint, ", which study is not said"))
    return Form((met,), (NEVER,), tuple(unknown))
