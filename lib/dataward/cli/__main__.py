"""``python -m dataward.cli``."""

from dataward.cli import entry

entry()
