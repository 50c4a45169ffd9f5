"""The trials that a command line asks for."""

from collections.abc import Sequence

from adapter.catalog.catalog import Catalog
from adapter.eligibility.trial import Trial
from adapter.errors import AdapterError, Category


def chosen(catalog: Catalog, keys: Sequence[str]) -> tuple[Trial, ...]:
    """Give the trials of these keys, all of them for none; raises AdapterError that names those there are."""
    try:
        return catalog.only(tuple(keys))
    except KeyError as missing:
        known = ", ".join(trial.key for trial in catalog.trials)
        said = f"no trial has the key {missing.args[0]}; there are {known}"
        raise AdapterError.of(Category.NOT_FOUND, "unknown-trial", said) from None
