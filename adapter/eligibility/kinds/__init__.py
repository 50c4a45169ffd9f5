"""The kinds of criteria: each a frozen type with ``judge`` and ``reads``; adding one is a module here, a line below."""

from adapter.eligibility.case import Case
from adapter.eligibility.finding import Judgement
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

Judged = (
    Age
    | Quantity
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
    | AllergyTo
    | DailyDosePerWeight
    | OnlyReplacement
    | Ask
    | Consent
    | OtherStudy
)
"""Every kind that is judged on the facts."""

Kind = Judged | SameAs
"""Every kind an atom can have."""


def reads(kind: Kind) -> frozenset[str] | None:
    """Give the names of facts that a kind looks at: while none is on record, its answer is the same for everyone.

    None for what asks about the person or about another criterion: that is always judged.
    """
    return None if isinstance(kind, SameAs) else kind.reads()


def judge(kind: Judged, case: Case) -> Judgement:
    """Judge one atom on the facts of one patient; the same question of two trials is answered once."""
    return case.once(kind, kind.judge)
