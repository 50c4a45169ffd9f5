"""Trials and mappings as data: loaded, checked together, compiled once."""
