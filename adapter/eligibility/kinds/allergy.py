"""Allergies: severe reactions, an allergic constitution, and allergies to what the trial gives."""

import msgspec

from adapter.eligibility.case import Case
from adapter.eligibility.facts import ALLERGIES, Allergy, Verification
from adapter.eligibility.finding import Evidence, Judgement, unknown
from adapter.eligibility.kinds.condition import ConditionClause
from adapter.eligibility.kinds.outcome import Outcome, weigh_together
from adapter.eligibility.kinds.record import silent
from adapter.eligibility.reason import Reason
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import Period

_STANDS = (Verification.CONFIRMED, Verification.ABSENT)


def _known(case: Case) -> list[Allergy]:
    """Give the allergy records that exist at the instant of the question."""
    as_of = case.as_of
    return [
        each
        for each in case.facts.allergies
        if each.recorded is None or as_of.has_begun(each.recorded) is not Truth.NOT_MET
    ]


def _shown(allergy: Allergy) -> Evidence:
    when = allergy.recorded.text if allergy.recorded else None
    return Evidence(allergy.source, f"{allergy.label} ({allergy.verification.value})", when)


def _is_in(allergy: Allergy, names: tuple[str, ...]) -> bool:
    return any(each.value_set in names for each in (*allergy.memberships, *allergy.manifestations))


class SevereAllergy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="severe-allergy"):
    """A severe allergic reaction is on record; with ``constitution``, a proneness to allergies is weighed too."""

    condition: ConditionClause
    severe: tuple[str, ...]
    """Value sets of manifestations that are severe by their nature."""
    none_known: tuple[str, ...]
    """Value sets that assert no known allergy of any kind."""
    list_within: Period
    none_of_a_kind: tuple[str, ...] = ()
    """Value sets that assert no known allergy of one kind: neither an allergy nor a no to all."""
    belied_by: ConditionClause | None = None
    """Records that an assertion of no known allergy cannot stand beside."""
    constitution: ConditionClause | None = None
    unrelated: int = 2
    """With ``constitution``: so many confirmed allergies to different substances are for a reviewer."""
    subject: str = "a severe allergic reaction"

    def reads(self) -> frozenset[str]:
        """Say that it looks at allergies, at its conditions, and at the list that may be known to be empty."""
        clauses = (self.condition, self.belied_by, self.constitution)
        return frozenset((ALLERGIES, "allergy-list")).union(*(each.reads() for each in clauses if each is not None))

    def judge(self, case: Case) -> Judgement:
        """A severe reaction is met; an assertion of no known allergy beside a real allergy contradicts it."""
        known = [
            each for each in _known(case) if _is_in(each, self.none_known) or not _is_in(each, self.none_of_a_kind)
        ]
        denials = [
            each
            for each in known
            if _is_in(each, self.none_known) and each.verification in _STANDS and not each.has_ended
        ]
        others = [each for each in known if not _is_in(each, self.none_known)]
        possible = [each for each in others if each.verification is not Verification.REFUTED]
        real = [each for each in possible if each.verification in _STANDS]
        if denials and possible:
            shown = tuple(_shown(each) for each in (*denials, *possible))
            return unknown(Reason.CONFLICT, "no known allergy is asserted beside an allergy", shown)
        outcomes: list[Outcome | None] = [self._one(each) for each in others]
        outcomes.append(case.once(self.condition, self.condition.weigh))
        if self.constitution is not None:
            outcomes.append(self.constitution.weigh(case))
            outcomes.append(self._many(real, known))
        if denials and self.belied_by is not None:
            outcomes.append(self.belied_by.weigh(case))
        outcome = weigh_together(outcomes)
        if denials:
            if outcome is not None:
                shown = (*outcome.evidence, *(_shown(each) for each in denials))
                return unknown(Reason.CONFLICT, "no known allergy is asserted beside what speaks for one", shown)
            said = f"{denials[0].label} ({denials[0].source.words})"
            return Judgement(Truth.NOT_MET, None, said, tuple(_shown(each) for each in denials))
        if outcome is not None:
            return Judgement(outcome.truth, outcome.reason, outcome.message, outcome.evidence)
        if possible:
            shown = tuple(_shown(each) for each in possible)
            return unknown(Reason.NOEVIDENCE, "allergies are on record, none shown to be severe", shown)
        return silent(case, Reason.NOEVIDENCE, self.subject, "allergy-list", self.list_within)

    def _one(self, allergy: Allergy) -> Outcome | None:
        severe = allergy.severe or any(each.value_set in self.severe for each in allergy.manifestations)
        severe = severe or any(each.value_set in self.severe for each in allergy.memberships)
        if allergy.verification is Verification.REFUTED:
            return None
        if severe and allergy.verification is Verification.DOUBTFUL:
            return Outcome.open(Reason.VERIFY, f"{allergy.label}: a severe reaction, not confirmed", _shown(allergy))
        if severe:
            return Outcome.yes(f"severe reaction: {allergy.label} ({allergy.source.words})", _shown(allergy))
        if allergy.high_criticality:
            return Outcome.open(
                Reason.VERIFY, f"{allergy.label}: high criticality, no reaction recorded", _shown(allergy)
            )
        return None

    def _many(self, real: list[Allergy], known: list[Allergy]) -> Outcome | None:
        disposition = self.constitution.condition if self.constitution is not None else ()
        shown = tuple(_shown(each) for each in real)
        if any(_is_in(each, disposition) for each in known):
            return Outcome(Truth.UNKNOWN, Reason.HUMAN, "an allergic disposition is on record", shown)
        if len({each.substance or each.label for each in real}) >= self.unrelated:
            return Outcome(Truth.UNKNOWN, Reason.HUMAN, "allergies to several substances are on record", shown)
        return None


class AllergyTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="allergy-to"):
    """An allergy to a substance of the value sets; they are the site's, and may not be configured."""

    substance: tuple[str, ...]
    configured: bool = False

    def reads(self) -> frozenset[str]:
        """Say that it looks at allergies."""
        return frozenset((ALLERGIES,))

    def judge(self, case: Case) -> Judgement:
        """Without the list of substances nothing can be said."""
        if not self.configured:
            return unknown(Reason.CONFIG, "the list of components of the study product is not configured")
        matching = [each for each in _known(case) if any(m.value_set in self.substance for m in each.memberships)]
        sure = [each for each in matching if each.verification in _STANDS]
        shown = tuple(_shown(each) for each in sure or matching)
        if sure:
            return Judgement(Truth.MET, None, f"{sure[0].label} ({sure[0].source.words})", shown)
        if any(each.verification is Verification.DOUBTFUL for each in matching):
            return unknown(Reason.VERIFY, "an allergy to a component is not confirmed", shown)
        return unknown(Reason.NOEVIDENCE, "no record of an allergy to a component", shown)
