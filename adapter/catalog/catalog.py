"""Trials and mappings, loaded, checked together, and compiled once."""

from typing import Literal

import msgspec

from adapter.catalog.trial_file import AtomEntry, CriterionEntry, TrialFile
from adapter.catalog.yaml_file import Loaded, Path_
from adapter.eligibility.case import Rules
from adapter.eligibility.kinds import Kind
from adapter.eligibility.trial import Trial
from adapter.eligibility.values import Period
from adapter.errors import Issue, Severity
from adapter.fhir.subject import Requirement
from adapter.mapping.codes import CodeIndex
from adapter.mapping.extract import Extractor, Mappings
from adapter.mapping.table import Input, Policy, ValueSet, Vocabulary

Block = Literal["inputs", "value_sets", "policy", "vocabulary"]
"""The parts a mapping file can have."""


class Catalog(msgspec.Struct, frozen=True):
    """Everything a screening needs, ready to be used for any number of patients."""

    trials: tuple[Trial, ...]
    files: dict[str, TrialFile]
    """By trial key: what the file says beside the criteria."""
    mappings: Mappings
    index: CodeIndex
    extractor: Extractor
    rules: Rules
    attestation_lasts: Period

    def requirements(self) -> dict[str, Requirement]:
        """Give what to ask for, by input, when a criterion is open for want of data."""
        systems = self.mappings.vocabulary.systems
        found = {}
        for name, each in self.mappings.inputs.items():
            roles = each.decides or tuple(role for role in each.codes if role != "reject")
            codes = (code for role in roles for code in each.codes.get(role, ()))
            found[name] = Requirement(each.resource, tuple((systems[code.system][0], code.code) for code in codes))
        return found

    def only(self, keys: tuple[str, ...]) -> tuple[Trial, ...]:
        """Give the trials of these keys, in the catalog's order; all of them for none; raises KeyError."""
        if not keys:
            return self.trials
        known = {trial.key for trial in self.trials}
        missing = [key for key in keys if key not in known]
        if missing:
            raise KeyError(missing[0])
        return tuple(trial for trial in self.trials if trial.key in keys)


class PlacedAtom(msgspec.Struct, frozen=True):
    """An atom as written, with its place and its kind as far as that can be read."""

    loaded: Loaded
    trial: TrialFile
    criterion: CriterionEntry
    entry: AtomEntry
    path: Path_
    kind: Kind | None
    """As the file says it, before the mappings complete it; None where a problem is reported."""


class Sources(msgspec.Struct):
    """Files as loaded, with their lines, and the problems found so far."""

    trials: list[tuple[Loaded, TrialFile]]
    mappings: list[Loaded]
    issues: list[Issue]
    atoms: list[PlacedAtom] = msgspec.field(default_factory=list)
    inputs: dict[str, Input] = msgspec.field(default_factory=dict)
    value_sets: dict[str, ValueSet] = msgspec.field(default_factory=dict)
    policy: dict[str, Policy] = msgspec.field(default_factory=dict)
    vocabulary: Vocabulary | None = None
    places: dict[tuple[Block, str], Loaded] = msgspec.field(default_factory=dict)
    """By block and name: the mapping file that defines it. What could not be read has a place too."""
    words: set[str] = msgspec.field(default_factory=set)
    """Words of what could not be read: any may define or use a name."""
    digest: str = ""

    def knows(self, block: Block, name: str) -> bool:
        """Whether a name is defined, or may be defined in what could not be read."""
        return (block, name) in self.places or name in self.words

    def names(self, block: Block) -> list[str]:
        """Give the names of a block, to suggest one."""
        return [name for kind, name in self.places if kind == block]

    def vocabulary_file(self) -> Loaded | None:
        """Give the file of the vocabulary."""
        return self.places.get(("vocabulary", ""))

    def has_errors(self) -> bool:
        """Whether a problem stands in the way; a warning does not."""
        return any(issue.severity in (Severity.ERROR, Severity.FATAL) for issue in self.issues)
