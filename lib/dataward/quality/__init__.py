"""What must be true of the data: DQDL rules, the engine that measures them, and the rows they divert."""
