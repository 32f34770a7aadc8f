"""Rows that are the same thing though they do not say the same: blocks, similarities, clusters."""
