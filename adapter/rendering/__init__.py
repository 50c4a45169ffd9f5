"""How screenings are shown: stable lines for programs, a table for people."""
