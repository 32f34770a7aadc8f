"""Values of a source's options that are kept outside of the contract: in environment variables and files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dataward.errors import SourceError

__all__ = ["resolved"]


def resolved(references: Mapping[str, str]) -> dict[str, str]:
    """Return the options with their values, which belong in no message, plan or file.

    Args:
        references: by option, the name of an environment variable, or ``file:PATH``.

    Raises:
        SourceError: a variable is not set, or a file cannot be read.
    """
    return {option.lower(): _value(option, reference) for option, reference in references.items()}


def _value(option: str, reference: str) -> str:
    if reference.startswith("file:"):
        path = Path(reference.removeprefix("file:"))
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"source.options_from.{option}: {path} cannot be read ({type(error).__name__})") from None
    if not (value := os.environ.get(reference)):
        raise SourceError(
            f"source.options_from.{option}: the environment variable {reference} is not set where the driver runs"
        )
    return value
