"""``mask``: the first and last few characters stay, each other becomes ``char``; type becomes string, NULL stays NULL.

A value no longer than what would stay is masked whole: nothing of it is left to see. Length is kept, so a mask tells
how long a value was.
"""

from __future__ import annotations

from typing import Any

from dataward.contract import Mask
from dataward.privacy.protect.field import Field

__all__ = ["apply"]


def apply(parameters: Mask, field: Field) -> Any:
    from pyspark.sql import functions as F

    text = field.column.cast("string")
    length = F.length(text)
    shown = parameters.keep_first + parameters.keep_last
    hidden = F.when(length > shown, length - shown).otherwise(length)
    first = F.when(length > shown, F.substring(text, 1, parameters.keep_first)).otherwise("")
    last = F.when(
        length > shown, text.substr(length - parameters.keep_last + 1, F.lit(parameters.keep_last))
    ).otherwise("")
    stars = F.call_function("repeat", F.lit(parameters.char), hidden)
    return F.when(text.isNotNull(), F.concat(first, stars, last))
