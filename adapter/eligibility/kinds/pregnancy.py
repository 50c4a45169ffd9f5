"""Pregnancy, breast-feeding and pregnancy tests: who they are asked of, and what counts for how long."""

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import Answer, Condition, Result, Sex
from adapter.eligibility.finding import Evidence, Judgement, unknown
from adapter.eligibility.kinds.condition import ConditionClause
from adapter.eligibility.kinds.condition import shown as shown_condition
from adapter.eligibility.kinds.outcome import Outcome
from adapter.eligibility.kinds.selection import evidence_of, most_telling
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Period

_MAN = "not applicable: the patient is male"
_NOT_FERTILE = "not applicable: the patient is of no childbearing potential"


def _not_fertile(case: Case) -> tuple[str, Evidence]:
    """Say why the sentence is not about this patient, with what shows it: the sex, a record, or the age."""
    person = case.facts.person
    if case.sex is Sex.MALE:
        return _MAN, Evidence(person.source, "sex male")
    ended = case.fertility_ended_by()
    if isinstance(ended, Condition):
        return _NOT_FERTILE, shown_condition(ended)
    if ended is not None:
        return _NOT_FERTILE, Evidence(ended.source, f"{ended.label} (done)", ended.when.text if ended.when else None)
    born = person.birth.text if person.birth else "on an unknown day"
    return _NOT_FERTILE, Evidence(person.source, f"sex {case.sex.value}, born {born}")


class Said(msgspec.Struct, frozen=True):
    """The answers of one input inside a window, whatever their day."""

    positive: list[Result]
    negative: list[Result]
    unclear: list[Result]
    """Indeterminate or unusable ones inside the window."""
    doubtful: list[Result]
    """Those of a date too coarse to say whether they lie inside."""
    older: list[Result]
    no_status: list[Result]
    later: list[Result]
    """Those after the question."""


def said_of(input_name: str, roles: tuple[str, ...], window: Period | None, case: Case) -> Said:
    """Sort the results of an input by what they say and whether they lie inside the window."""
    said = Said([], [], [], [], [], [], [])
    opens = case.since(window) if window is not None else 0
    for result in case.facts.results.get(input_name, ()):
        begun = case.as_of.has_begun(result.when)
        if result.role not in roles:
            continue
        first, last = case.as_of.days(result.when)
        if begun is Truth.NOT_MET:
            if result.usable_status:
                said.later.append(result)
        elif not result.usable_status:
            said.no_status.append(result)
        elif last < opens:
            said.older.append(result)
        elif begun is Truth.UNKNOWN or first < opens:
            said.doubtful.append(result)
        elif result.problem is not None or result.answer not in (Answer.POSITIVE, Answer.NEGATIVE):
            said.unclear.append(result)
        else:
            (said.positive if result.answer is Answer.POSITIVE else said.negative).append(result)
    return said


def _reason(said: Said, otherwise: Reason) -> Reason:
    """Say why the answers inside the window do not decide."""
    if said.doubtful:
        return Reason.DATE
    if said.unclear:
        return most_telling(each.problem or Reason.CONFLICT for each in said.unclear)
    if said.older:
        return Reason.STALE
    if said.no_status:
        return Reason.STATUS
    return Reason.DATE if said.later else otherwise


def _shown(*groups: list[Result]) -> tuple[Evidence, ...]:
    return tuple(evidence_of(each) for group in groups for each in group)


class Pregnancy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="pregnancy"):
    """The patient is pregnant now: by diagnosis, by a status, or by a test."""

    diagnosis: ConditionClause
    doubtful: ConditionClause
    """Records that say pregnancy is possible."""
    status: str
    """The input of the recorded status."""
    test: str
    """The input of the tests."""
    status_lasts: Period
    """How long the status "pregnant" is believed."""
    positive_window: Period
    negative_window: Period
    denied_by: ConditionClause | None = None
    """Fresh records that say the patient is not pregnant: they weigh like a negative test."""
    wish: bool = False
    """Whether the sentence asks for the wish too, which only the patient can answer."""
    status_roles: tuple[str, ...] = ()
    test_roles: tuple[str, ...] = ()

    def reads(self) -> None:
        """Say that it is always judged: it asks about the person."""

    def judge(self, case: Case) -> Judgement:
        """An open diagnosis wins over any test; positives and negatives side by side contradict each other."""
        now = self._now(case)
        settled = now.truth is Truth.MET or now.reason in (Reason.STALE, Reason.CONFLICT)
        if not self.wish or settled or case.sex is Sex.MALE:
            return now
        return unknown(Reason.HUMAN, "whether the patient wishes to become pregnant must be asked", now.evidence)

    def _now(self, case: Case) -> Judgement:
        diagnosis = case.once(self.diagnosis, self.diagnosis.weigh)
        positive_test = said_of(self.test, self.test_roles, self.positive_window, case)
        negative_test = said_of(self.test, self.test_roles, self.negative_window, case)
        status = said_of(self.status, self.status_roles, self.status_lasts, case)
        latest = max((case.as_of.days(each.when)[0] for each in (*status.positive, *status.negative)), default=0)
        pregnant = [each for each in status.positive if case.as_of.days(each.when)[0] == latest]
        fresh = case.since(self.negative_window)
        not_pregnant = [each for each in status.negative if case.as_of.days(each.when)[0] >= fresh]
        for_it = _shown(pregnant, positive_test.positive)
        against = _shown(not_pregnant, negative_test.negative) + self._denials(case)
        shows = diagnosis is not None and diagnosis.truth is Truth.MET
        perhaps = diagnosis is not None and diagnosis.reason in (Reason.STALE, Reason.DATE, Reason.CONFLICT)
        fertile = case.childbearing()
        if fertile is Truth.NOT_MET and (shows or perhaps or for_it):
            evidence = (diagnosis.evidence if diagnosis is not None and (shows or perhaps) else ()) + for_it
            return unknown(Reason.CONFLICT, "pregnancy on record of a patient of no childbearing potential", evidence)
        if shows and diagnosis is not None:
            return Judgement(Truth.MET, None, diagnosis.message, diagnosis.evidence + for_it + against)
        if for_it and against:
            return unknown(Reason.CONFLICT, "positive and negative answers stand side by side", for_it + against)
        if for_it:
            return Judgement(Truth.MET, None, f"{for_it[0].sent} ({for_it[0].source.words})", for_it)
        if perhaps and diagnosis is not None:
            return _open(diagnosis, against)
        return self._without_sign(case, fertile, diagnosis, (negative_test, positive_test, status), against)

    def _denials(self, case: Case) -> tuple[Evidence, ...]:
        if self.denied_by is None:
            return ()
        denial = self.denied_by.weigh(case)
        return denial.evidence if denial is not None and denial.truth is Truth.MET else ()

    def _without_sign(
        self,
        case: Case,
        fertile: Truth,
        diagnosis: Outcome | None,
        answers: tuple[Said, Said, Said],
        against: tuple[Evidence, ...],
    ) -> Judgement:
        negative_test, positive_test, status = answers
        doubtful = case.once(self.doubtful, self.doubtful.weigh)
        unclear = _shown(negative_test.unclear, negative_test.doubtful)
        if against and unclear:
            return unknown(Reason.CONFLICT, "a negative answer beside one that is not clear", against + unclear)
        if fertile is Truth.NOT_MET:
            said, why = _not_fertile(case)
            return Judgement(Truth.NOT_MET, None, said, (*against, why), applicable=False)
        if diagnosis is not None and diagnosis.reason is Reason.VERIFY and not against:
            return _open(diagnosis, ())
        if against:
            said = f"{against[0].sent} on {(against[0].on or '')[:10]} ({against[0].source.words})"
            return Judgement(Truth.NOT_MET, None, said, against, self.negative_window.text)
        if doubtful is not None and doubtful.truth is not Truth.NOT_MET:
            return unknown(Reason.VERIFY, doubtful.message, doubtful.evidence)
        if status.unclear:
            return unknown(Reason.VERIFY, "the recorded status is not clear", _shown(status.unclear))
        merged = Said(
            [],
            [],
            negative_test.unclear,
            negative_test.doubtful + status.doubtful,
            negative_test.older + status.older + status.negative,
            positive_test.no_status + status.no_status,
            negative_test.later + status.later,
        )
        reason = _reason(merged, Reason.NOEVIDENCE)
        shown = _shown(merged.unclear, merged.doubtful, merged.older, merged.no_status)[-3:]
        if reason is Reason.NOEVIDENCE and diagnosis is not None:
            return _open(diagnosis, ())
        return unknown(reason, f"no answer on pregnancy: {reason.meaning}", shown, self.negative_window.text)


def _open(outcome: Outcome, also: tuple[Evidence, ...]) -> Judgement:
    reason = outcome.reason or Reason.NOEVIDENCE
    return unknown(reason, outcome.message, outcome.evidence + also)


class Lactation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="lactation"):
    """The patient is breast-feeding now."""

    diagnosis: ConditionClause
    delivery: ConditionClause
    """Records of a delivery so recent that silence on breast-feeding is no answer."""
    status: str
    window: Period
    status_roles: tuple[str, ...] = ()

    def reads(self) -> None:
        """Say that it is always judged: it asks about the person."""

    def judge(self, case: Case) -> Judgement:
        """The latest status or an active record says so; its denial beside one contradicts it."""
        diagnosis = case.once(self.diagnosis, self.diagnosis.weigh)
        status = said_of(self.status, self.status_roles, self.window, case)
        latest = max((case.as_of.days(each.when)[0] for each in (*status.positive, *status.negative)), default=0)
        known = [*status.positive, *status.negative, *status.doubtful] if latest else []
        last = [each for each in known if case.as_of.days(each.when)[1] >= latest]
        yes, no = (
            _shown([each for each in last if each.answer is answer]) for answer in (Answer.POSITIVE, Answer.NEGATIVE)
        )
        shows = diagnosis is not None and diagnosis.truth is Truth.MET
        also = diagnosis.evidence if diagnosis is not None else ()
        if case.sex is Sex.MALE:
            if yes or shows:
                return unknown(Reason.CONFLICT, "breast-feeding is recorded of a male patient", yes + also)
            said, why = _not_fertile(case)
            return Judgement(Truth.NOT_MET, None, said, (why,), applicable=False)
        if no and (yes or shows):
            said = "breast-feeding is recorded as yes and as no"
            if not shows and any(case.as_of.days(each.when) != (latest, latest) for each in last):
                return unknown(
                    Reason.DATE, f"{said}, with dates too coarse to say which is the latest", yes + no + also
                )
            return unknown(Reason.CONFLICT, said, yes + no + also)
        if shows and diagnosis is not None:
            return Judgement(Truth.MET, None, diagnosis.message, diagnosis.evidence + yes)
        if yes:
            return Judgement(Truth.MET, None, f"{yes[0].sent} ({yes[0].source.words})", yes, self.window.text)
        if diagnosis is not None and diagnosis.reason in (Reason.CONFLICT, Reason.DATE):
            return _open(diagnosis, no)
        if no:
            return Judgement(Truth.NOT_MET, None, f"{no[0].sent} ({no[0].source.words})", no, self.window.text)
        if diagnosis is not None and diagnosis.truth is Truth.NOT_MET:
            return Judgement(Truth.NOT_MET, None, diagnosis.message, diagnosis.evidence)
        if diagnosis is not None and diagnosis.reason is not Reason.NOEVIDENCE:
            return _open(diagnosis, ())
        return self._silent(status, diagnosis, case)

    def _silent(self, status: Said, diagnosis: Outcome | None, case: Case) -> Judgement:
        """Say what silence means: no childbearing potential and no recent delivery answer no."""
        delivery = self.delivery.weigh(case)
        recent = delivery is not None and delivery.reason is not Reason.NOEVIDENCE
        if case.childbearing() is Truth.NOT_MET and not recent:
            said, why = _not_fertile(case)
            return Judgement(
                Truth.NOT_MET, None, f"{said}, and no record of a recent delivery", (why,), applicable=False
            )
        if diagnosis is not None:
            return _open(diagnosis, ())
        reason = _reason(status, Reason.SEX if case.sex is Sex.UNKNOWN else Reason.NOEVIDENCE)
        shown = _shown(status.older[-1:], status.unclear, status.doubtful)
        shown += delivery.evidence if delivery is not None and recent else ()
        return unknown(reason, f"no answer on breast-feeding: {reason.meaning}", shown)


class NegativePregnancyTest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="negative-pregnancy-test"
):
    """Whoever can become pregnant has a negative test inside the window."""

    test: str
    window: Period
    test_roles: tuple[str, ...] = ()

    def reads(self) -> None:
        """Say that it is always judged: it asks about the person."""

    def judge(self, case: Case) -> Judgement:
        """Any positive in the window fails it; a test older than the window says nothing."""
        if case.childbearing() is Truth.NOT_MET:
            said, why = _not_fertile(case)
            return Judgement(Truth.MET, None, said, (why,), applicable=False)
        tests = said_of(self.test, self.test_roles, self.window, case)
        window = self.window.text
        if tests.positive:
            shown = _shown(tests.positive)
            return Judgement(Truth.NOT_MET, None, f"{shown[0].sent} ({shown[0].source.words})", shown, window)
        if tests.negative:
            shown = _shown(tests.negative, tests.unclear)
            if tests.unclear:
                return unknown(Reason.CONFLICT, "a negative and an unclear test in the window", shown, window)
            if any(each.answer is not Answer.NEGATIVE for each in tests.doubtful):
                return unknown(Reason.DATE, "another test may lie in the window", shown, window)
            said = f"{shown[0].sent} on {(shown[0].on or '')[:10]} ({shown[0].source.words})"
            return Judgement(Truth.MET, None, said, shown, window)
        reason = _reason(tests, Reason.SEX if case.sex is Sex.UNKNOWN else Reason.NODATA)
        shown = _shown(tests.doubtful, tests.unclear, tests.older[-1:], tests.no_status)
        return unknown(reason, f"no negative pregnancy test within {self.window}: {reason.meaning}", shown, window)
