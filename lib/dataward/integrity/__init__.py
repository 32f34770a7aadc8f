"""Proof: a digest of what a version holds, a signed seal about it, and the hash-chained ledger of all seals."""
