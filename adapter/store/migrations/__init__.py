"""How the tables came about, step by step; applied when the store is opened."""
