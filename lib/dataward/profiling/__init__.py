"""Profile columns: one mergeable sketch per column, and the drift between two profiles."""
