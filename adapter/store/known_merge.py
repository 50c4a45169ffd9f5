"""A message and what is kept of its patients, put together; what comes of it depends on no order of arrival.

Pure: rows in, rows out.  ``adapter.store.known`` reads and writes them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from adapter.errors import Issue, Severity
from adapter.fhir.record import PatientRecord
from adapter.fhir.wire import WHOLE, Entered
from adapter.store.known_held import BESIDE, Held, record_of, references
from adapter.store.known_message import Brought, Message
from adapter.store.known_patient import patients_of, together
from adapter.store.known_versions import DOUBTED, MOVED, Stamp, Version, gone, is_same, names_of, settled
from adapter.store.known_who import Who

IsRead = Callable[[Version], bool]
"""Whether mappings can make a fact of a version."""


class Judged(msgspec.Struct):
    """Whom to judge, and whether it is kept."""

    record: PatientRecord
    held: Held | None
    """None: the message is judged alone, and nothing of it is kept."""
    is_in_message: bool = True


class Merged(msgspec.Struct):
    """What comes of a message."""

    judged: list[Judged]
    held: list[Held]
    issues: list[Issue]


class Merge:
    """The merging of one message."""

    def __init__(
        self,
        message: Message,
        held: Iterable[Held],
        named: Mapping[str, Iterable[bytes]],
        is_read: IsRead,
        new: Callable[[], bytes],
    ) -> None:
        """``named`` says which rows a name means; ``new`` gives the id of a row to be made."""
        self._message = message
        self._is_read = is_read
        self._issues: list[Issue] = []
        self._who = Who(held, named, new, self._issues)
        self._order: list[tuple[Brought, Held | None]] = []
        self._moves: list[str] = []
        """Where what was another patient's stands in the message."""

    def done(self) -> Merged:
        """Put all of it together."""
        for each in self._message.people:
            held, waiting = self._who.home(each)
            for one in waiting:
                if held is not None:
                    self._fold(one, held)
            self._take(held, each)
            self._order.append((each, held))
        for each in self._message.strangers:
            held = self._who.absent(each)
            if held is not None:
                self._take(held, each)
                self._order.append((each, held))
        for change in self._message.changes:
            self._change(change)
        if self._moves:
            said = f"{len(self._moves)} resource(s) were about another patient before, and are this one's now"
            self._issues.append(Issue(Severity.WARNING, "moved", f"{said}; the first stands here", self._moves[0]))
        changed = [each for each in self._who.held.values() if each.is_changed]
        return Merged(self._judged(), changed, self._issues)

    def _fold(self, waiting: Held, home: Held) -> None:
        """Give what waited for its Patient to the Patient."""
        waiting.is_folded = waiting.is_changed = True
        home.kept.versions += waiting.kept.versions
        home.met |= waiting.met
        home.arrived += waiting.kept.versions
        home.kept.latest = max(home.kept.latest, waiting.kept.latest)
        for name, stamp in waiting.kept.passed.items():
            self._pass(home, [name], stamp)
        self._who.learn(home, waiting.names())

    def _take(self, held: Held | None, brought: Brought) -> None:
        """Put what a message brings to what is kept, and take it from whoever had it before."""
        if held is not None:
            held.is_changed = True
            held.kept.latest = max(held.kept.latest, self._message.sent.source)
            if brought.patient is not None:
                held.kept.versions.append(brought.patient)
        for each in brought.versions:
            mine = self._moved(each, held)
            if held is not None and mine is not None:
                self._put(held, mine)

    def _put(self, held: Held, version: Version) -> None:
        kept = held.kept
        names = names_of(version)
        is_known = not held.met.isdisjoint(names)
        if not self._is_read(version) and not version.is_gone:
            if not names:
                return
            if not is_known:
                self._pass(held, names, version.stamp)
                return
            version = gone(version, version.stamp)
        for name in names:
            passed = kept.passed.get(name)
            if passed is None:
                continue
            order = version.stamp.is_after(passed)
            if order is False:
                return
            if order is True:
                del kept.passed[name]
            else:
                version = msgspec.structs.replace(version, unreadable=(*version.unreadable, *DOUBTED))
        kept.versions.append(version)
        held.arrived.append(version)
        held.met.update(names)
        self._who.learn(held, names)

    @staticmethod
    def _pass(held: Held, names: Iterable[str], stamp: Stamp) -> None:
        for name in names:
            before = held.kept.passed.get(name)
            if before is None or stamp.is_after(before):
                held.kept.passed[name] = stamp

    def _moved(self, version: Version, held: Held | None) -> Version | None:
        """Say who has a resource that was somebody else's before; gives what the patient gets of it, if anything."""
        for other in self._who.met(names_of(version), held):
            theirs = [each for each in other.kept.versions if is_same(version, each)]
            if not theirs:
                continue
            # What says there that it went away is often this very version, come again.
            here = [each for each in theirs if each.place != MOVED or version.stamp.is_after(each.stamp) is not None]
            orders = {version.stamp.is_after(each.stamp) for each in here}
            if False in orders:  # it is another patient's by now
                latest = max((each.stamp for each in theirs if version.stamp.is_after(each.stamp) is False), key=_last)
                mine: Sequence[Version] = held.kept.versions if held is not None else ()
                if any(is_same(version, each) and latest.is_after(each.stamp) is not True for each in mine):
                    return None  # it is this patient's again since
                return gone(version, latest, MOVED)
            if any(not each.is_gone for each in theirs):
                self._moves.append(version.place)
            taken = gone(version, version.stamp, MOVED)
            other.kept.versions.append(taken)
            other.arrived.append(taken)
            other.is_changed = True
            if None in orders:
                version = msgspec.structs.replace(version, unreadable=(*version.unreadable, *DOUBTED))
        return version

    def _change(self, change: Version) -> None:
        """Take away what was deleted, and rest nothing on what was patched, whoever's it is."""
        is_patch = id(change) in self._message.patched
        met = self._who.met(names_of(change), None)
        found = [each for each in met if any(is_same(change, one) for one in each.kept.versions)]
        for held in found:
            theirs = [each for each in held.kept.versions if is_same(change, each)]
            made = change
            if is_patch:
                newest = theirs[-1]
                made = msgspec.structs.replace(newest, stamp=change.stamp, unreadable=(*newest.unreadable, WHOLE))
            held.kept.versions.append(made)
            held.arrived.append(made)
            held.is_changed = True
        if not found and names_of(change):
            homes = [held for _, held in self._order if held is not None]
            held = homes[0] if len(homes) == 1 else self._who.begin()
            taken = gone(change, change.stamp)
            held.kept.versions.append(taken)
            held.is_changed = True

    def _judged(self) -> list[Judged]:
        judged: list[Judged] = []
        seen: set[bytes] = set()
        for brought, held in self._order:
            if held is None:
                judged.append(Judged(self._alone(brought), None))
            elif held.id not in seen:
                seen.add(held.id)
                self._settle(held, judged, is_in_message=True)
        for held in self._who.held.values():
            if held.is_changed and not held.is_folded and held.id not in seen:
                self._settle(held, judged, is_in_message=False)
        return judged

    def _settle(self, held: Held, judged: list[Judged], *, is_in_message: bool) -> None:
        self._refer(held)
        found = settled(held.kept.versions)
        held.kept.versions = [each for one in found for each in one.kept]
        patients = patients_of(found)
        if patients and not held.kept.is_disputed:
            patient = together(patients, held.kept.primary)
            judged.append(Judged(record_of(held.kept.name, patient, found, held.arrived), held, is_in_message))

    def _refer(self, held: Held) -> None:
        """Take the Medications and studies that the patient's resources refer to; the others are nobody's."""
        beside = self._message.beside
        if beside:
            wanted = set(references(held.kept.versions))
            held.kept.versions += [each for each in beside if each.url in wanted]
        elif not any(isinstance(each.resource, BESIDE) for each in held.kept.versions):
            return
        wanted = set(references(held.kept.versions))
        held.kept.versions = [
            each for each in held.kept.versions if not isinstance(each.resource, BESIDE) or each.url in wanted
        ]

    def _alone(self, brought: Brought) -> PatientRecord:
        patient = brought.patient
        assert patient is not None  # noqa: S101 (who is judged alone brings a Patient)
        entered = Entered(patient.resource, patient.full_url, patient.place, patient.unreadable)
        versions = [*brought.versions, *self._message.beside]
        name = brought.id
        if self._who.is_called(name, patient):
            name = f"{name}|{(*brought.names, '')[0]}"
        return record_of(name, entered, settled(versions), versions)


def _last(stamp: Stamp) -> tuple[int, int, int]:
    return (stamp.version or 0, stamp.time, stamp.source)
