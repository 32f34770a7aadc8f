"""``redact``: one constant text in place of every value; type becomes string, NULL stays NULL."""

from __future__ import annotations

from typing import Any

from dataward.contract import Redact
from dataward.privacy.protect.field import Field

__all__ = ["apply"]


def apply(parameters: Redact, field: Field) -> Any:
    from pyspark.sql import functions as F

    return F.when(field.column.isNotNull(), F.lit(parameters.with_))
