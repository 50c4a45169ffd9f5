"""From records to facts, by mappings that are data."""
