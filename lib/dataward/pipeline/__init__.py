"""Publish and the stages of a run."""
