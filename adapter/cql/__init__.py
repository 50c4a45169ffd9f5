"""Trials as CQL, from the same criterion tree that is judged in Python (docs/adr/0014)."""

from adapter.cql.trial import CqlLibrary, trial_library

__all__ = ["CqlLibrary", "trial_library"]
