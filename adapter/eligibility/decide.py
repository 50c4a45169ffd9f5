"""From findings to a verdict: one small table, three-valued to the end."""

import enum
from collections.abc import Callable, Mapping

import msgspec

from adapter.eligibility.case import Case, Rules
from adapter.eligibility.facts import Attestation, Facts
from adapter.eligibility.finding import Evidence, Finding, Judgement, unknown
from adapter.eligibility.kinds import judge
from adapter.eligibility.kinds.human import SameAs
from adapter.eligibility.kinds.selection import most_telling
from adapter.eligibility.reason import Reason
from adapter.eligibility.trial import Atom, Contradiction, Criterion, Trial, Truths
from adapter.eligibility.truth import Truth, all_of, negation
from adapter.eligibility.values import AsOf, Period


class Verdict(enum.Enum):
    """A trial's answer for one patient, in ResearchSubject's words."""

    ELIGIBLE = "eligible"
    CANDIDATE = "candidate"
    POTENTIAL_CANDIDATE = "potential-candidate"
    INELIGIBLE = "ineligible"


class Screening(msgspec.Struct, frozen=True):
    """What one trial says of one patient at one instant."""

    trial: Trial
    findings: tuple[Finding, ...]
    """One per atom, in the trial's order."""
    criteria: tuple[Truth, ...]
    """Whether each criterion's sentence is true, in the trial's order."""
    verdict: Verdict
    deceased: bool
    by_atom: dict[str, Finding]
    """The same findings by atom."""
    contradictions: tuple[Contradiction, ...]
    """Contradictions of the trial's text that touch this patient."""


def favour(criterion: Criterion, truth: Truth) -> Truth:
    """Whether a criterion speaks for the patient: an inclusion that holds, an exclusion that does not."""
    return truth if criterion.type == "inclusion" else negation(truth)


def decide(trial: Trial, case: Case, *, attestation_lasts: Period) -> Screening:
    """Judge every atom of a trial and fold them into a verdict.

    Dead patients are ineligible whatever their atoms say.  Something against settles it.  ``eligible`` needs every
    criterion in favour on what a machine may decide alone or a reviewer has confirmed; ``candidate`` leaves open only
    what a reviewer judges; anything else unknown is ``potential-candidate``.
    """
    findings: dict[str, Finding] = {}
    truths: dict[str, Truth] = {}
    whole: dict[str, Truth] = {}
    attested = case.facts.attestations
    on_record = case.names
    for criterion in trial.criteria:
        names = criterion.reads
        if names is not None and names.isdisjoint(on_record):
            silence = criterion.silence
            findings.update(silence.findings)
            truths.update(silence.truths)
            whole[criterion.id] = silence.whole
            continue
        for atom in criterion.atoms:
            names = atom.reads
            if names is not None and names.isdisjoint(on_record):
                finding = atom.silent
            else:
                if isinstance(atom.kind, SameAs):
                    judgement = _same_as(trial, atom.kind.criterion, whole, findings)
                else:
                    judgement = judge(atom.kind, case)
                if atom.id in attested:
                    judgement = _attested(atom, judgement, case, attestation_lasts)
                finding = _found(atom, judgement)
            findings[atom.id] = finding
            truths[atom.id] = finding.judgement.truth
        whole[criterion.id] = criterion.logic.holds(truths, case)
    touched = tuple(each for each in trial.contradictions if _touches(each, findings))
    verdict = _verdict(trial, findings, truths, whole, case)
    if verdict is Verdict.ELIGIBLE and touched:
        verdict = Verdict.CANDIDATE
    return Screening(trial, tuple(findings.values()), tuple(whole.values()), verdict, case.deceased, findings, touched)


def _found(atom: Atom, judgement: Judgement) -> Finding:
    """Make the finding; where judging said what silence says it is the same object, which is written only once."""
    if atom.reads is not None and not judgement.evidence and judgement == atom.silent.judgement:
        return atom.silent
    return Finding(atom.id, judgement)


def _same_as(trial: Trial, name: str, whole: Truths, findings: Mapping[str, Finding]) -> Judgement:
    """Answer as another criterion was decided; unknown for the reason that tells most of its open atoms."""
    truth = whole[name]
    atoms = next(criterion.atoms for criterion in trial.criteria if criterion.id == name)
    judgements = [findings[atom.id].judgement for atom in atoms]
    evidence = tuple({item: None for each in judgements for item in each.evidence})
    if truth is not Truth.UNKNOWN:
        return Judgement(truth, None, f"as {name}, which is {truth.word.replace('-', ' ')}", evidence)
    reasons = [each.reason for each in judgements if each.reason is not None]
    return unknown(most_telling(reasons), f"as {name}, which is unknown", evidence)


def _attested(atom: Atom, judgement: Judgement, case: Case, lasts: Period) -> Judgement:
    """Let a reviewer's fresh answer settle what is unknown; it never overrules what the record decides."""
    answers = case.facts.attestations[atom.id]
    opens = case.since(lasts)
    fresh = [
        each
        for each in answers
        if case.as_of.has_begun(each.when) is Truth.MET and case.as_of.days(each.when)[0] >= opens
    ]
    if not fresh:
        return judgement
    latest = max(case.as_of.days(each.when)[0] for each in fresh)
    begun = (each for each in answers if case.as_of.has_begun(each.when) is not Truth.NOT_MET)
    of_latest = [each for each in begun if case.as_of.days(each.when)[1] >= latest]
    shown = tuple(_shown(each) for each in of_latest)
    if len({each.answer for each in of_latest}) > 1:
        if judgement.truth is not Truth.UNKNOWN:
            return judgement
        if all(case.as_of.days(each.when) == (latest, latest) for each in of_latest):
            return unknown(Reason.CONFLICT, "reviewers answered yes and no on one day", judgement.evidence + shown)
        said = "reviewers answered yes and no, with dates too coarse to say which is the latest"
        return unknown(Reason.DATE, said, judgement.evidence + shown)
    says = Truth.MET if of_latest[0].answer else Truth.NOT_MET
    if judgement.truth is Truth.UNKNOWN:
        word = "yes" if of_latest[0].answer else "no"
        said = f"a reviewer answered {word} on {of_latest[0].when.text[:10]} ({of_latest[0].source.words})"
        return Judgement(says, None, said, judgement.evidence + shown, judgement.window, attested=True)
    if judgement.truth is says:
        return msgspec.structs.replace(judgement, evidence=judgement.evidence + shown, attested=True)
    return msgspec.structs.replace(
        judgement, message=f"{judgement.message}; a reviewer answered otherwise", evidence=judgement.evidence + shown
    )


def _shown(answer: Attestation) -> Evidence:
    return Evidence(answer.source, f"reviewer's answer: {'yes' if answer.answer else 'no'}", answer.when.text)


def _touches(contradiction: Contradiction, findings: Mapping[str, Finding]) -> bool:
    """Whether the patient is where the text contradicts itself: the including side holds or says so."""
    including = [findings[each].judgement for each in contradiction.includes]
    return all(each.truth is Truth.MET or each.reason is Reason.CONTRADICTION for each in including)


def _verdict(trial: Trial, findings: Mapping[str, Finding], truths: Truths, whole: Truths, case: Case) -> Verdict:
    if case.deceased:
        return Verdict.INELIGIBLE
    favours = [favour(criterion, whole[criterion.id]) for criterion in trial.criteria]
    match all_of(favours):
        case Truth.NOT_MET:
            return Verdict.INELIGIBLE
        case Truth.MET if not case.facts.person.death_unclear:
            by_machine_alone = _with(
                trial, truths, lambda atom: atom.grade != "A" and not findings[atom.id].judgement.attested
            )
            firm = all_of([favour(each, each.logic.holds(by_machine_alone, case)) for each in trial.criteria])
            return Verdict.ELIGIBLE if firm is Truth.MET else Verdict.CANDIDATE
        case _:
            only_people = not case.facts.person.death_unclear and _only_people_can_tell(trial, truths, whole, case)
            return Verdict.CANDIDATE if only_people else Verdict.POTENTIAL_CANDIDATE


def _with(trial: Trial, truths: Truths, is_open: Callable[[Atom], bool]) -> dict[str, Truth]:
    """Give the truths with those atoms unknown that ``is_open`` picks."""
    atoms = (atom for criterion in trial.criteria for atom in criterion.atoms)
    return {atom.id: Truth.UNKNOWN if is_open(atom) else truths[atom.id] for atom in atoms}


def _only_people_can_tell(trial: Trial, truths: Truths, whole: Truths, case: Case) -> bool:
    """Whether reviewers could settle everything in favour: no open atom that a record should answer is needed."""
    for criterion in trial.criteria:
        open_atoms = [a for a in criterion.atoms if truths[a.id] is Truth.UNKNOWN]
        if not open_atoms or favour(criterion, whole[criterion.id]) is Truth.MET:
            continue
        theirs = [a.id for a in open_atoms if a.grade != "A"]
        if not theirs or not _can_be_settled(criterion, truths, theirs, case):
            return False
    return True


def _can_be_settled(criterion: Criterion, truths: Truths, theirs: list[str], case: Case) -> bool:
    """Whether answers to ``theirs`` alone could put the criterion in favour: the best case of a monotone tree."""
    best = dict(truths)
    signs = criterion.signs
    for atom in theirs:
        best[atom] = Truth.MET if signs[atom] else Truth.NOT_MET
    return favour(criterion, criterion.logic.holds(best, case)) is Truth.MET


def screen(
    trials: tuple[Trial, ...], facts: Facts, as_of: AsOf, rules: Rules, *, attestation_lasts: Period
) -> tuple[Screening, ...]:
    """Decide every trial for one patient; facts and questions the trials share are weighed once."""
    case = Case(facts, as_of, rules)
    return tuple(decide(trial, case, attestation_lasts=attestation_lasts) for trial in trials)
