"""Protect columns with one implementation for Spark and model servers; every operator has its own module.

``spark.protect`` protects frames, ``compiled`` Arrow batches; ``tree`` handles nested types, and ``leaf`` ensures that no invalid
value passes through.
"""

from dataward.privacy.protect.compiled import (
    OPERATORS,
    Compiled,
    ambiguous,
    compiled,
    key_of,
    misfits,
    undecided,
    within,
)
from dataward.privacy.protect.plan import ColumnPlan, Decision
from dataward.privacy.protect.spark import (
    Protected,
    Protecting,
    arrow_schema,
    attempt,
    protect,
    statistics_columns,
)
from dataward.privacy.protect.tree import paths
from dataward.privacy.protect.window import outgoing, output_schema, protect_in_window, shadows

__all__ = [
    "OPERATORS",
    "ColumnPlan",
    "Compiled",
    "Decision",
    "Protected",
    "Protecting",
    "ambiguous",
    "arrow_schema",
    "attempt",
    "compiled",
    "key_of",
    "misfits",
    "outgoing",
    "output_schema",
    "paths",
    "protect",
    "protect_in_window",
    "shadows",
    "statistics_columns",
    "undecided",
    "within",
]
