"""DQDL as text and as data: :func:`read` parses a ruleset, ``str()`` of what it gives is DQDL again.

Nothing here asks whether a rule type exists: that is ``dataward.quality.suite``.
"""

from dataward.quality.dqdl.parser import read
from dataward.quality.dqdl.syntax import Analyzer, Joined, RuleError, Ruleset, Statement

__all__ = ["Analyzer", "Joined", "RuleError", "Ruleset", "Statement", "read"]
