"""Verification without Spark: compare storage with signed statements; every kind of difference has a code."""
