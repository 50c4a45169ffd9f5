"""What comes and nothing reads: codes without a mapping, units that cannot be converted; counted, without values."""

import re
import threading
from collections.abc import Iterable, Iterator

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.eligibility.facts import Facts, Result
from adapter.eligibility.reason import Reason
from adapter.fhir import resources as fhir
from adapter.fhir.record import PatientRecord
from adapter.fhir.versioning import OUR_TAG
from adapter.fhir.wire import WHOLE, Document, Entered
from adapter.mapping.extract import Extractor
from adapter.mapping.observations import source_of
from adapter.mapping.reads import ATOM
from adapter.validate.coverage import Coverage, shown

MOST = 5000
"""How many different ones are kept apart; beyond it they are counted together, so that nobody can fill the memory."""
_UNIT = re.compile(r"[A-Za-z0-9%\u00b0\u00b5\u03bc/.^*\[\]{}()'-]{1,24}")
"""What a unit looks like; anything else could be anything, and is not repeated."""
_EARLIER = "earlier: "
"""How the place of what an earlier message said begins: it was counted when it came."""
_OTHERS = "all others"
_NO_UNIT = "no unit"
_ODD_UNIT = "a unit of unusual shape"


class Counted(msgspec.Struct, frozen=True):
    """Something nothing reads, and how often it came."""

    what: str
    """``Observation http://loinc.org|1234-5``, or ``Haemoglobin: g/daL``."""
    count: int


class Tally:
    """Counts what nothing reads, from many threads, since this process started."""

    def __init__(self, coverage: Coverage, titles: dict[str, str]) -> None:
        self._coverage = coverage
        self._titles = titles
        self._codes: dict[str, int] = {}
        self._units: dict[str, int] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, catalog: Catalog) -> "Tally":
        """Make the tally of a catalog."""
        titles = {name: each.title for name, each in catalog.mappings.inputs.items()}
        return cls(Coverage(catalog.mappings, catalog.index), titles)

    def observe(self, record: PatientRecord, facts: Facts, *, codes: bool = True) -> None:
        """Look at what came about one patient, and at what was found in it; at its units only where told so."""
        if codes:
            self._count(self._codes, self._unread(each for some in record.resources.values() for each in some))
        self._count(self._units, self._unusable(record, facts))

    def observe_document(self, document: Document) -> None:
        """Look at the codes of a document as it came, where records will hold no more than what is read."""
        self._count(self._codes, self._unread(document.entries))

    def codes(self, most: int) -> list[Counted]:
        """Give the codes without a mapping, the most frequent first."""
        return self._ranked(self._codes, most)

    def units(self, most: int) -> list[Counted]:
        """Give the units that could not be used, the most frequent first."""
        return self._ranked(self._units, most)

    def _ranked(self, kept: dict[str, int], most: int) -> list[Counted]:
        with self._lock:
            found = list(kept.items())
        found.sort(key=lambda each: (-each[1], each[0]))
        return [Counted(what, count) for what, count in found[:most]]

    def _count(self, kept: dict[str, int], found: Iterable[str]) -> None:
        for what in found:
            with self._lock:
                place = what if what in kept or len(kept) < MOST else _OTHERS
                kept[place] = kept.get(place, 0) + 1

    def _unread(self, entries: Iterable[Entered]) -> Iterator[str]:
        for entered in entries:
            if entered.method == "DELETE" or not _is_new(entered) or _is_ours(entered):
                continue
            for kind, concept, _, refused in self._coverage.unread(entered):
                coded = [each for each in concept.coding if each.code] if concept is not None else []
                if any(ATOM.fullmatch(each.code or "") for each in coded):
                    continue  # a reviewer's answer, which is read by its question
                if not coded:
                    yield f"{kind} without a code"
                elif not any(each.system for each in coded):
                    yield f"{kind} with a code without a system"
                else:
                    why = f" (not {refused})" if refused else ""
                    yield f"{kind} {shown([each for each in coded if each.system])}{why}"

    def _unusable(self, record: PatientRecord, facts: Facts) -> Iterator[str]:
        found = [each for some in facts.results.values() for each in some if each.problem is Reason.UNIT]
        if not found:
            return
        observations = record.resources.get(fhir.Observation, ())
        by_source = {source_of(each): each.resource for each in observations if _is_new(each) and not each.unreadable}
        for result in found:
            observation = by_source.get(result.source)
            if isinstance(observation, fhir.Observation):
                yield f"{self._titles.get(result.input, result.input)}: {_unit(observation, result)}"


class Noticing(Extractor):
    """An extractor that lets a tally see what it read."""

    def __init__(self, extractor: Extractor, tally: Tally, *, codes: bool = True) -> None:
        # It reads by another, and is made of nothing else.
        self.inner = extractor
        self.tally = tally
        self._codes = codes

    def facts(self, record: PatientRecord) -> Facts:
        """Give the facts, and count what nothing reads."""
        found = self.inner.facts(record)
        self.tally.observe(record, found, codes=self._codes)
        return found


def noticing(catalog: Catalog, tally: Tally) -> Catalog:
    """Give a catalog whose every reading of a record is seen by the tally."""
    return msgspec.structs.replace(catalog, extractor=Noticing(catalog.extractor, tally))


def by_document(catalog: Catalog) -> Catalog:
    """Give the catalog for records that hold no more than what is read: codes are counted by ``notice`` instead."""
    seen = catalog.extractor
    if not isinstance(seen, Noticing):
        return catalog
    return msgspec.structs.replace(catalog, extractor=Noticing(seen.inner, seen.tally, codes=False))


def uncounted(catalog: Catalog) -> Catalog:
    """Give the catalog for what nobody sent, such as an example."""
    seen = catalog.extractor
    return msgspec.structs.replace(catalog, extractor=seen.inner) if isinstance(seen, Noticing) else catalog


def notice(catalog: Catalog, document: Document) -> None:
    """Count the codes of a document that nothing reads, where the catalog is one that counts."""
    if isinstance(catalog.extractor, Noticing):
        catalog.extractor.tally.observe_document(document)


def _is_new(entered: Entered) -> bool:
    """Whether this message brought it, and it can be read: what cannot has no code and no unit to be blamed."""
    return WHOLE not in entered.unreadable and not entered.expression.startswith(_EARLIER)


def _is_ours(entered: Entered) -> bool:
    meta = entered.resource.meta if isinstance(entered.resource, fhir.Resource) else None
    return meta is not None and any(tag.system == OUR_TAG for tag in meta.tag)


def _unit(observation: fhir.Observation, result: Result) -> str:
    """Give the unit of a value as it was printed, where it is one of the resource's own and looks like one."""
    quantities = [observation.value_quantity, *(each.value_quantity for each in observation.component)]
    printed = {each.unit or each.code or "" for each in quantities if each is not None}
    # The value is "9.1 mg/dl" as it was sent: of two components' units, the one it ends with is meant.
    fitting = [each for each in printed if each and result.sent.endswith(f" {each}")]
    if not fitting:
        return _NO_UNIT if "" in printed else _ODD_UNIT
    unit = max(fitting, key=len)
    return unit if _UNIT.fullmatch(unit) else _ODD_UNIT
