"""Many patients: what is to be read, who reads it, and what is kept and counted."""
