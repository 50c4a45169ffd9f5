"""Whom a message is about, among those who are kept: where that is not sure, it is nobody of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from adapter.errors import Issue, Severity
from adapter.fhir import resources as fhir
from adapter.store.known_held import Held
from adapter.store.known_message import Brought
from adapter.store.known_patient import Kept, contradict, names_of_person
from adapter.store.known_versions import Version, is_same, names_of


class Who:
    """Finds patients by the names of one message."""

    def __init__(
        self, held: Iterable[Held], named: Mapping[str, Iterable[bytes]], new: Callable[[], bytes], issues: list[Issue]
    ) -> None:
        self.held = {each.id: each for each in held}
        for each in self.held.values():
            each.met = set(each.names_before)
        self._named: dict[str, set[bytes]] = defaultdict(set)
        for name, ids in named.items():
            self._named[name].update(ids)
        self._new = new
        self._issues = issues

    def met(self, names: Iterable[str], but: Held | None) -> list[Held]:
        """Give those whom any of these names leads to, all but one."""
        ids = {id_ for name in names for id_ in self._named[name]}
        found = [self.held[id_] for id_ in sorted(ids)]
        return [each for each in found if each is not but and not each.is_folded]

    def learn(self, held: Held, names: Iterable[str]) -> None:
        """Let names lead to a patient."""
        for name in names:
            self._named[name].add(held.id)

    def is_called(self, name: str, patient: Version) -> bool:
        """Whether somebody else's results are made under a name."""
        others = self.met([f"as|{name}"], None)
        return any(not any(is_same(patient, one) for one in each.patients) for each in others if each.kept.name == name)

    def home(self, brought: Brought) -> tuple[Held | None, list[Held]]:
        """Find the patient among those kept, or begin with one, and give what waited for it.

        None where it cannot be said who it is.
        """
        patient = brought.patient
        assert patient is not None  # noqa: S101 (people are those who bring a Patient)
        if not brought.names:
            said = "this Patient has neither an id nor an identifier to be known by again: nothing of it is kept"
            self._say(Severity.INFORMATION, "patient-without-name", said, patient)
            return None, []
        found = self.met(brought.names, None)
        by_reference = [each for each in found if _is_by_reference(patient, each)]
        known = [each for each in found if each in by_reference or _shares(brought, each)]
        if self._is_unsure(patient, known, by_reference):
            for each in by_reference:
                each.kept.is_disputed = each.is_changed = True
            return None, []
        left = [each for each in found if each.kept.name and not each.patients]  # the Patient itself was deleted
        home = next(iter((*known, *left)), None) or self.begin()
        if not home.kept.name:
            home.kept.name = self._free_name(brought, home)
            home.kept.primary = list(patient.key or ())
        self.learn(home, (*brought.names, f"as|{home.kept.name}"))
        return home, [each for each in found if each is not home and _waits_for(each, brought)]

    def _is_unsure(self, patient: Version, known: list[Held], by_reference: list[Held]) -> bool:
        """Whether a message must not be joined to what is kept, and say why."""
        alone = "it is judged alone, and nothing of it is kept"
        if any(each.kept.is_disputed for each in by_reference):
            said = f"two different people were sent as this Patient: {alone} until what is kept is forgotten"
            code = "patient-disputed"
        elif len(known) > 1:
            said = f"this Patient has the identifiers of more than one patient who is kept here: {alone}"
            code = "several-patients-known"
        elif any(contradict(patient.resource, other.resource) for each in known for other in each.patients):
            said = f"birth date or sex is another than what is kept of the patient with this id or identifier: {alone}"
            code = "patient-contradicts"
        else:
            return False
        self._say(Severity.WARNING, code, said, patient)
        return True

    def _free_name(self, brought: Brought, home: Held) -> str:
        """Give what results are made under: what the message calls the Patient, unless another is called so."""
        if self._named[f"as|{brought.id}"] <= {home.id}:
            return brought.id
        said = "another patient kept here is called the same: the results of this one have ids of their own"
        self._say(Severity.WARNING, "same-id-elsewhere", said, brought.patient)
        return f"{brought.id}|{brought.names[0]}"

    def absent(self, brought: Brought) -> Held | None:
        """Find the patient whom a message is about without bringing it, or let it wait; None where that is not sure."""
        count, place = f"{len(brought.versions)} resource(s)", brought.versions[0]
        for name in brought.names:
            meant = [each for each in self.met([name], None) if _is_meant(each, name, brought)]
            if len(meant) > 1:
                said = f"{count} can be about more than one patient: they are used for nobody"
                self._say(Severity.WARNING, "several-patients-known", said, place)
                return None
            if meant and meant[0].kept.is_disputed:
                said = f"two different people were sent as this Patient: {count} are used for nobody"
                self._say(Severity.WARNING, "patient-disputed", said, place)
                return None
            if meant:
                break
        else:
            meant = [self.begin()]
            meant[0].kept.awaits = list(brought.names)
            self.learn(meant[0], brought.names)
        if not meant[0].patients:
            said = f"{count} are about a Patient that has not been sent yet: they count when it comes"
            self._say(Severity.WARNING, "patient-not-sent", said, place)
        return meant[0]

    def begin(self) -> Held:
        """Begin with a patient of whom nothing is kept."""
        held = Held(self._new(), 0, Kept(), frozenset(), is_changed=True)
        self.held[held.id] = held
        return held

    def _say(self, severity: Severity, code: str, said: str, version: Version | None) -> None:
        self._issues.append(Issue(severity, code, said, version.place if version is not None else None))


def _is_by_reference(patient: Version, held: Held) -> bool:
    return not patient.weak and any(is_same(patient, each) for each in held.patients)


def _shares(brought: Brought, held: Held) -> bool:
    """Whether a patient who is kept has one of the identifiers."""
    mine = {each for each in brought.names if each.startswith("id|")}
    return any(not mine.isdisjoint(names_of_person(each)) for each in held.patients)


def _waits_for(held: Held, brought: Brought) -> bool:
    """Whether what is kept waits for this Patient; an address of one server is not waited for by another's."""
    awaited, names = held.kept.awaits, brought.names
    if held.patients or held.kept.name or set(awaited).isdisjoint(names):
        return False
    addresses = [{each for each in some if each.startswith("url|")} for some in (awaited, names)]
    return not all(addresses) or not addresses[0].isdisjoint(addresses[1])


def _is_meant(held: Held, name: str, brought: Brought) -> bool:
    """Whether a name can mean this patient, where the resource may stand on a server of its own."""
    if not held.kept.name:
        return brought.names == held.kept.awaits
    patients = [each for each in held.kept.versions if isinstance(each.resource, fhir.Patient) and not each.weak]
    if name != brought.names[0]:  # the sender's own word does where the Patient's server is not told
        patients = [each for each in patients if each.base is None]
    return any(name in names_of(each) for each in patients)
