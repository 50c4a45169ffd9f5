"""Other engines, and ours, asked about the same patients: what ``benchmarks/peers.py`` starts and compares."""
