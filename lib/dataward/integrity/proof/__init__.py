"""Verification without Spark: what storage holds is compared with what signed statements attest; every difference has a code."""
