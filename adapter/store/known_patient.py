"""What is kept of one patient, and who the patient is; two people are never taken for one."""

import zlib
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from adapter.fhir import resources as fhir
from adapter.fhir.versioning import common
from adapter.fhir.wire import Entered
from adapter.store.known_versions import Settled, Stamp, Version, names_of

_LEVEL = 1
"""Of compression: a patient is written with every message about it."""
_DEATH = ("deceased_boolean", "deceased_date_time", "deceased_boolean_extended", "deceased_date_time_extended")
_SEXES = frozenset(("male", "female"))


class Told(msgspec.Struct, array_like=True):
    """What the last evaluation said of one trial."""

    trial_version: str
    verdict: str
    truths: dict[str, str]
    """By atom, ``met`` or ``not-met``; what was unknown is left out."""


class Kept(msgspec.Struct, omit_defaults=True):
    """What the messages about one patient said, as far as mappings read it."""

    name: str = ""
    """What results are made under, the same for good; empty while the Patient has not been sent."""
    primary: list[str] = []
    """The key of the Patient that came first."""
    awaits: list[str] = []
    """By which names the Patient would be known that has not been sent."""
    versions: list[Version] = []
    passed: dict[str, Stamp] = {}
    """When there was a version that mappings do not read, so that an older one is known as such."""
    told: dict[str, Told] = {}
    latest: int = 0
    """When the newest message was made, in microseconds since 1970."""
    as_of: int = 0
    is_disputed: bool = False
    """Whether another was sent under this patient's reference: nothing is judged by what is kept then."""


_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(Kept, dec_hook=fhir.to_number, float_hook=Decimal).decode


def encoded(kept: Kept) -> bytes:
    """Give what is kept as bytes."""
    return zlib.compress(_encode(kept), _LEVEL)


def decoded(data: bytes) -> Kept:
    """Give back what was encoded."""
    return _decode(zlib.decompress(data))


def identifiers_of(patient: fhir.Tagged) -> list[str]:
    """Give the names of a Patient by its identifiers; a system or a value alone tells nobody apart."""
    if not isinstance(patient, fhir.Patient):
        return []
    named = ((each.system, each.value) for each in patient.identifier)
    return [identifier_name(system, value) for system, value in named if system and value]


def identifier_name(system: str, value: str) -> str:
    """Give the name of whoever has an identifier."""
    return f"id|{len(system)}|{system}|{value}"


def names_of_person(version: Version) -> list[str]:
    """Give every name under which a Patient is known: where it stands, and its identifiers."""
    return [*names_of(version), *identifiers_of(version.resource)]


def patients_of(settled: Iterable[Settled]) -> list[Version]:
    """Give the Patients that count, one for each sender who has one; of contradicting copies what they agree on."""
    found = []
    for each in settled:
        if each.current and isinstance(each.current[0].resource, fhir.Patient):
            first, *others = each.current
            entered = Entered(first.resource, None, "", first.unreadable)
            for other in others:
                entered = common(entered, Entered(other.resource, None, "", other.unreadable))
            found.append(msgspec.structs.replace(first, resource=entered.resource, unreadable=entered.unreadable))
    return found


def contradict(one: fhir.Tagged, other: fhir.Tagged) -> bool:
    """Whether two Patients cannot be one person: another birth date, or another sex."""
    if not isinstance(one, fhir.Patient) or not isinstance(other, fhir.Patient):
        return True
    births = sorted((each.birth_date or "" for each in (one, other)), key=len)
    if not births[1].startswith(births[0]):
        return True
    return {one.gender, other.gender} == _SEXES


def together(patients: Sequence[Version], primary: Sequence[str]) -> Entered:
    """Give the one Patient that several records of the same person say together, named as the first was."""
    ordered = sorted(patients, key=lambda each: (each.id is None, list(each.key or ()) != list(primary)))
    first = ordered[0]
    resource = first.resource
    unreadable = first.unreadable
    if len(ordered) > 1 and isinstance(resource, fhir.Patient):
        everyone = [each.resource for each in ordered if isinstance(each.resource, fhir.Patient)]
        births = sorted((each.birth_date for each in everyone if each.birth_date), key=len)
        sexes = [each.gender for each in everyone if each.gender]
        extensions = tuple(dict.fromkeys(msgspec.json.encode(one) for each in everyone for one in each.extension))
        resource = msgspec.structs.replace(
            resource,
            birth_date=births[-1] if births else None,
            gender=next((each for each in sexes if each in _SEXES), next(iter(sexes), None)),
            extension=tuple(msgspec.json.decode(each, type=fhir.Extension) for each in extensions),
        )
        resource, is_clear = _with_death(resource, everyone)
        lost = (name for each in ordered for name in each.unreadable)
        unreadable = tuple(dict.fromkeys((*lost, *(() if is_clear else ("deceasedBoolean",)))))
    return Entered(resource, first.full_url, first.place, unreadable)


def _with_death(resource: fhir.Patient, everyone: Sequence[fhir.Patient]) -> tuple[fhir.Patient, bool]:
    """Say of death what one of the records says; where several speak, and not alike, it is not clear."""
    spoken = [each for each in everyone if any(getattr(each, name) is not None for name in _DEATH)]
    said = {tuple(getattr(each, name) is not None and repr(getattr(each, name)) for name in _DEATH) for each in spoken}
    if not spoken:
        return resource, True
    changed = {name: getattr(spoken[0], name) for name in _DEATH}
    return msgspec.structs.replace(resource, **changed), len(said) == 1
