"""Hypothesis' settings for the laws."""

from typing import Any

from hypothesis import settings


def cases(times: float = 1, **more: Any) -> settings:
    """So many times the cases of the profile that is chosen (tests/conftest.py), each as slow as it is."""
    return settings(max_examples=round(times * settings.default.max_examples), **more)
