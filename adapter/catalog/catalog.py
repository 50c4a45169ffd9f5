"""Trials and mappings, loaded, checked together, and compiled once."""

import msgspec

from adapter.catalog.trial_file import TrialFile
from adapter.catalog.yaml_file import Loaded
from adapter.eligibility.case import Rules
from adapter.eligibility.trial import Trial
from adapter.eligibility.values import Period
from adapter.errors import Issue
from adapter.fhir.subject import Requirement
from adapter.mapping.codes import CodeIndex
from adapter.mapping.extract import Extractor, Mappings


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


class Sources(msgspec.Struct):
    """Files as loaded, with their lines, and the problems found so far."""

    trials: list[tuple[Loaded, TrialFile]]
    mappings: list[Loaded]
    issues: list[Issue]
