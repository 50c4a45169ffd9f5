"""What is written where, given what the server takes: nothing of an evaluation is lost without a word."""

from collections.abc import Sequence

import msgspec

from adapter.fhir.versions import FhirVersion
from adapter.store.ability import FALLBACK_TYPES, Ability, Manner
from adapter.store.instead import assessed_by, guidance_of, observation_of, task_of
from adapter.store.standing import Group, Resource, name_of, referring, without_target
from adapter.store.verdict import Refused, Verdict

_SUBJECT, _GUIDANCE, _PROVENANCE = "ResearchSubject", "GuidanceResponse", "Provenance"


class Fitted(msgspec.Struct):
    """A delivery as the server can take it."""

    groups: list[Group]
    aside: list[Resource] = []
    """What goes into a file."""


def fitted(groups: Sequence[Group], ability: Ability, manner: Manner) -> Fitted:
    """Fit a delivery to its server; raises Refused where something cannot be written and no fallback is set."""
    found = Fitted([])
    for group in groups:
        lacking = _lacking(group, ability, manner)
        if not lacking:
            found.groups.append(group)
        elif manner.fallback == "refuse":
            codes = ", ".join(f"{code}: {type_}" for type_, code in lacking.items())
            raise Refused(Verdict.DEAD, f"not-taken: {codes}")
        elif manner.fallback == "file":
            _beside(group, lacking, found)
        else:
            _instead(group, lacking, ability, manner, found)
    return found


def version_of_results(group: Group) -> FhirVersion | None:
    """Say by its shape which version a result is written in; None where it does not show."""
    if group.subject is not None:
        return FhirVersion.R4 if "individual" in group.subject else FhirVersion.R5
    guidance = guidance_of(group) or {}
    return FhirVersion.R4 if "reasonCode" in guidance else FhirVersion.R5 if "reason" in guidance else None


def _lacking(group: Group, ability: Ability, manner: Manner) -> dict[str, str]:
    every = [each["resourceType"] for each in (group.subject, *group.others) if each is not None]
    version = version_of_results(group)
    if ability.spoken and version is not None and ability.version is not version:
        return dict.fromkeys(every, f"fhir-{ability.spoken}-is-not-{version.value}")
    return ability.lacks(every, conditional=manner.conditional)


def _beside(group: Group, lacking: dict[str, str], found: Fitted) -> None:
    """Write what the server takes, and put the rest into the file."""
    gone = [each for each in (group.subject, *group.others) if each is not None and each["resourceType"] in lacking]
    aimless = [each for each in group.others if each not in gone and not _aiming([without_targets(each, gone)])]
    gone += aimless  # what it says of is all in the file, and so is it
    found.aside += gone
    subject, others = group.subject, [each for each in group.others if each not in gone]
    if subject is not None and _SUBJECT in lacking:
        subject = None
    elif subject is not None and _GUIDANCE in lacking:
        subject = assessed_by(subject, None)
    if subject is not None or others:
        found.groups.append(Group(subject, [without_targets(each, gone) for each in others]))


def _instead(group: Group, lacking: dict[str, str], ability: Ability, manner: Manner, found: Fitted) -> None:
    """Say it by an Observation or a Task, in the subject's place or beside it."""
    (kind,) = FALLBACK_TYPES[manner.fallback]
    without = ability.lacks([kind], conditional=manner.conditional)
    if without:
        raise Refused(Verdict.DEAD, f"not-taken: {without[kind]}: {kind}")
    make = observation_of if manner.fallback == "observation" else task_of
    other = make(group, ability.version or FhirVersion.R4)
    gone = [each for each in (group.subject, *group.others) if each is not None and each["resourceType"] in lacking]
    others = [each for each in group.others if each["resourceType"] not in lacking]
    if other is not None and manner.fallback == "observation":
        # A task may come to nothing (plan.is_nothing_to_tell), so nothing refers to one.
        others = [referring(each, {name_of(each): name_of(other) for each in gone}) for each in others]
    others = _aiming([without_targets(each, gone) for each in others])
    subject = group.subject if _SUBJECT not in lacking else None
    if subject is not None and _GUIDANCE in lacking:
        named = name_of(other) if other is not None and manner.fallback == "observation" else None
        subject = assessed_by(subject, named)
    if subject is not None and other is not None:
        found.groups += [Group(other, []), Group(subject, others)]
    elif subject is not None or other is not None or others:
        found.groups.append(Group(subject or other, others))


def without_targets(resource: Resource, gone: Sequence[Resource]) -> Resource:
    """Give a Provenance that claims nothing of what is not written."""
    for each in gone:
        resource = without_target(resource, name_of(each))
    return resource


def _aiming(others: list[Resource]) -> list[Resource]:
    """Leave out a Provenance of nothing."""
    return [each for each in others if each["resourceType"] != _PROVENANCE or each.get("target") != []]
