"""Proof: a digest of a version's content, a signed seal, and the transparency log of all seals."""
