"""The computable form of kinds about infections, pregnancy and allergies, in plain words."""

from adapter.eligibility.kinds.allergy import AllergyTo, SevereAllergy
from adapter.eligibility.kinds.infection import Infection, Presumptive, Tests
from adapter.eligibility.kinds.pregnancy import Lactation, NegativePregnancyTest, Pregnancy
from adapter.eligibility.reason import Reason
from adapter.rendering.clauses import asked, denials, leaves, opens_only
from adapter.rendering.sentences_numbers import number_answers, unreadable
from adapter.rendering.wording import NEVER, Form, Left, Line, Text, Words, left, line, listed, say


def infection(kind: Infection, words: Words) -> Form:
    """Say the form of an infection, by diagnosis or by test."""
    met = [asked(each, words.at("conditions", index)) for index, each in enumerate(kind.conditions)]
    met.extend(line("a positive ", _tests((each,), words), ", ever") for each in kind.conclusive)
    unknown: list[Left] = []
    for rule in kind.presumptive:
        positive = say("a positive ", _tests((rule.positive,), words))
        rebuttal = say("a negative ", _tests(rule.against, words), _later(rule))
        if rule.gives is None:
            met.append(line(positive, ", unless against it stands ", rebuttal))
        else:
            unknown.append(left(rule.gives, positive, " proves nothing by itself"))
        if rule.rebutted is not None:
            unknown.append(left(rule.rebutted, positive, " and ", rebuttal))
    unknown.extend(left(Reason.VERIFY, "only a positive ", _tests((each,), words)) for each in kind.suggestive)
    for index, each in enumerate(kind.suggested_by):
        reason = opens_only(each) or Reason.VERIFY
        unknown.append(left(reason, "only ", asked(each, words.at("suggested_by", index)).text))
    for index, each in enumerate(kind.conditions):
        unknown.extend(leaves(each, words.at("conditions", index)))
    not_met = _ruled_out(kind, words)
    unknown.append(left(Reason.NOEVIDENCE, _silence(kind)))
    if not_met and kind.ruled_out_by:
        unknown.append(left(Reason.STALE, "the negative result is older than that"))
        unknown.append(left(Reason.VERIFY, "another test is unclear and as new, or it is suspected since"))
    inputs = dict.fromkeys(each.input for each in _all_tests(kind))
    unknown.extend(each for name in inputs for each in unreadable(name, words))
    notes = tuple(each for name in inputs for each in number_answers(name, words))
    return Form(tuple(met), not_met or (NEVER,), tuple(dict.fromkeys(unknown)), notes)


def _ruled_out(kind: Infection, words: Words) -> tuple[Line, ...]:
    found: list[Line] = []
    if kind.ruled_out_by and not kind.open_ended:
        groups = [say("a negative ", _tests(group, words, "or")) for group in kind.ruled_out_by]
        fresh: Text = ()
        if kind.window is not None:
            of_each = "no older than" if len(groups) == 1 else "each no older than"
            fresh = say(f", {of_each} ", words.window(kind.window, kind.ruled_out_by[0][0].input))
        found.append(line(listed(groups, "and"), fresh, ", and no other sign of it"))
    for index, each in enumerate(kind.conditions):
        found.extend(
            Line(say(denial.text, ", and no test says anything but negative"))
            for denial in denials(each, words.at("conditions", index))
        )
    return tuple(found)


def _silence(kind: Infection) -> str:
    if kind.open_ended or not kind.ruled_out_by:
        return "nothing is on record; no test rules out an open list"
    return "nothing is on record, or not every test that rules it out"


def _tests(tests: tuple[Tests, ...], words: Words, word: str = "or") -> Text:
    return listed([words.input(each.input, each.roles) for each in tests], word)


def _all_tests(kind: Infection) -> tuple[Tests, ...]:
    presumptive = (each for rule in kind.presumptive for each in (rule.positive, *rule.against))
    return (*kind.conclusive, *presumptive, *kind.suggestive, *(each for group in kind.ruled_out_by for each in group))


def _later(rule: Presumptive) -> str:
    return " of the same day or later" if rule.later else " of any day"


def pregnancy(kind: Pregnancy, words: Words) -> Form:
    """Say the form of a pregnancy now, or of the wish for one."""
    status, test = words.input(kind.status), words.input(kind.test)
    met = [
        asked(kind.diagnosis, words.at("diagnosis")),
        line(status, ' "pregnant", no older than ', words.length(kind.status_lasts, "status_lasts")),
        line("a positive ", test, ", no older than ", words.length(kind.positive_window, "positive_window")),
    ]
    fresh = words.length(kind.negative_window, "negative_window")
    not_met = [
        line("the patient is male, or of no childbearing potential: the sentence does not apply"),
        line("a negative ", test, ", or ", status, ' "not pregnant", no older than ', fresh),
    ]
    if kind.denied_by is not None:
        not_met.append(asked(kind.denied_by, words.at("denied_by")))
    unknown = [
        left(Reason.CONFLICT, "a positive answer beside a negative one no older than ", fresh),
        left(Reason.CONFLICT, "a sign of pregnancy where there is no potential"),
        left(Reason.VERIFY, "only ", asked(kind.doubtful, words.at("doubtful")).text),
        *leaves(kind.diagnosis, words.at("diagnosis")),
        left(Reason.STALE, "the latest negative is older than that"),
        left(Reason.NOEVIDENCE, "nothing says whether she is pregnant"),
        *unreadable(kind.test, words),
    ]
    if kind.wish:
        unknown.append(left(Reason.HUMAN, "not pregnant, or not known: whether she wishes to be must be asked"))
        not_met = [line("the patient is male")]
    notes = (fertile(words), *number_answers(kind.test, words))
    return Form(tuple(met), tuple(not_met), tuple(dict.fromkeys(unknown)), notes)


def lactation(kind: Lactation, words: Words) -> Form:
    """Say the form of breast-feeding now."""
    status = words.input(kind.status)
    window = words.length(kind.window, "window")
    delivery = asked(kind.delivery, words.at("delivery"))
    not_met = (
        line("the patient is male: the sentence does not apply"),
        line("the latest ", status, " says no, no older than ", window),
        *denials(kind.diagnosis, words.at("diagnosis")),
        line("no childbearing potential, and no record of ", delivery.text),
    )
    unknown = (
        left(Reason.CONFLICT, "recorded as yes and as no, or of a male patient"),
        *leaves(kind.diagnosis, words.at("diagnosis")),
        left(Reason.STALE, "the latest status is older than that"),
        left(Reason.NOEVIDENCE, "nothing says whether she is breast-feeding"),
        left(Reason.DATE, "dates too coarse to say which is the latest"),
        *unreadable(kind.status, words),
        left(Reason.SEX, "the sex is not known"),
    )
    met = (
        asked(kind.diagnosis, words.at("diagnosis")),
        line("the latest ", status, " says yes, no older than ", window),
    )
    return Form(met, not_met, unknown, (fertile(words),))


def negative_test(kind: NegativePregnancyTest, words: Words) -> Form:
    """Say the form of a required negative pregnancy test."""
    test, window = words.input(kind.test), words.length(kind.window, "window")
    met = (
        line("a negative ", test, ", no older than ", window, ", and no other in that time"),
        line("the patient is male, or of no childbearing potential: the sentence does not apply"),
    )
    unknown = (
        left(Reason.NODATA, "no test is on record"),
        left(Reason.STALE, "the latest test is older than that"),
        left(Reason.CONFLICT, "a negative test beside an unclear one"),
        left(Reason.SEX, "the sex is not known"),
        *unreadable(kind.test, words),
    )
    notes = (fertile(words), *number_answers(kind.test, words))
    return Form(met, (line("a positive ", test, " in that time"),), unknown, notes)


def fertile(words: Words) -> Line:
    """Say who is of childbearing potential, as the mappings define it."""
    rule = words.catalog.mappings.vocabulary.childbearing
    to = words.mapped(f"{rule.fertile_to} years", "vocabulary", "childbearing", "fertile_to")
    since = words.mapped(f"{rule.ended_from} years", "vocabulary", "childbearing", "ended_from")
    return line(
        "childbearing potential: female or of unknown sex, up to the age of ",
        to,
        "; none from ",
        since,
        " on, or by a record of ",
        words.sets(rule.ended_by),
        "; between the two ages it is not known",
    )


def severe_allergy(kind: SevereAllergy, words: Words) -> Form:
    """Say the form of a severe allergic reaction."""
    met = (
        line("an allergy on record with a severe reaction, or with a manifestation of ", words.sets(kind.severe)),
        asked(kind.condition, words.at("condition")),
    )
    within = words.length(kind.list_within, "list_within")
    not_met = (
        line(words.sets(kind.none_known), " is recorded, still stands, and no allergy is on record"),
        line("the allergy list is known to be empty, as stated within the last ", within),
    )
    unknown = [
        left(Reason.CONFLICT, "no known allergy is asserted beside an allergy"),
        left(Reason.VERIFY, "a severe reaction is not confirmed, or only its criticality is high"),
        left(Reason.NOEVIDENCE, "allergies are on record, none shown to be severe; or none, and no word of it"),
    ]
    if kind.belied_by is not None:
        said = asked(kind.belied_by, words.at("belied_by")).text
        unknown.append(left(Reason.CONFLICT, "no known allergy is asserted beside ", said))
    if kind.constitution is not None:
        said = asked(kind.constitution, words.at("constitution")).text
        unknown.append(left(opens_only(kind.constitution) or Reason.HUMAN, said))
        count = words.number(kind.unrelated, "unrelated")
        unknown.append(left(Reason.HUMAN, "confirmed allergies to ", count, " or more different substances"))
    return Form(met, not_met, tuple(unknown))


def allergy_to(kind: AllergyTo, words: Words) -> Form:
    """Say the form of an allergy to what the trial gives."""
    sets = words.sets(kind.substance)
    unknown = [
        left(Reason.VERIFY, "such an allergy is not confirmed"),
        left(Reason.NOEVIDENCE, "no such allergy is on record"),
    ]
    if not kind.configured:
        unknown = [left(Reason.CONFIG, "always so far: the site has not given the codes of ", sets)]
    return Form((line("an allergy on record to ", sets),), (NEVER,), tuple(unknown))
