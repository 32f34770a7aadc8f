"""A site's rows as arrays: inputs of the model, labels, persons, the holdout, and groups for the evaluation."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dataward.errors import SourceError, UsageError
from dataward.federated.encode import Numbers
from dataward.federated.plan import Feature, ModelPlan, TrainingPlan

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Rows", "columns_of", "inputs_of", "rows_of"]

CHUNK = 2**22
"""Numbers per created array."""


@dataclass(frozen=True)
class Rows:
    """Rows in the order of their persons.

    Attributes:
        inputs: shape (rows, inputs); NaN for a missing number.
        labels: number of the class, or the numeric label.
        units: number of the person, ascending.
        holdout: whether the person's rows are only used for evaluation.
        groups: number of the group (-1: not listed) for each column of ``evaluation.by``.
    """

    inputs: Numbers
    labels: Numbers
    units: NDArray[np.int64]
    holdout: NDArray[np.bool_]
    groups: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.inputs)

    def of(self, chosen: Any) -> Rows:
        """Return some of the rows, by mask or slice."""
        groups = {name: numbers[chosen] for name, numbers in self.groups.items()}
        return Rows(self.inputs[chosen], self.labels[chosen], self.units[chosen], self.holdout[chosen], groups)

    def by_unit(self, width: int) -> Iterator[Rows]:
        """Split into parts with whole persons and about ``CHUNK / width`` rows."""
        starts = np.flatnonzero(np.r_[True, self.units[1:] != self.units[:-1]]) if len(self) else np.array([], int)
        step, begin = max(1, CHUNK // max(width, 1)), 0
        while begin < len(self):
            later = starts[starts >= begin + step]
            end = int(later[0]) if len(later) else len(self)
            yield self.of(slice(begin, end))
            begin = end


def columns_of(plan: TrainingPlan) -> list[str]:
    """Return the columns that a site reads for a plan."""
    unit = [plan.privacy.unit] if plan.privacy and plan.privacy.unit else []
    names = [feature.name for feature in (*plan.model.features, *plan.evaluation.by)]
    return list(dict.fromkeys([*names, plan.model.label, *unit]))


def rows_of(plan: TrainingPlan, table: pa.Table, secret: bytes) -> Rows:
    """Convert a table to arrays.

    Args:
        plan: the plan.
        table: at least the columns of :func:`columns_of`.
        secret: the site's key for the choice of the holdout, so that nobody else knows its members.

    Raises:
        SourceError: a column is missing, has another type, or contains a value that the plan does not allow.
    """
    if missing := [name for name in columns_of(plan) if name not in table.column_names]:
        raise SourceError(f"the site's table has no column {', '.join(map(repr, missing))}, which the plan reads")
    inputs = inputs_of(plan.model, table, plan.training.missing == "mean")
    labels = _labels(plan.model, table)
    unit = plan.privacy.unit if plan.privacy else None
    if unit is None:
        units = np.arange(table.num_rows)
        names: list[object] = list(range(table.num_rows))
    else:
        column = table[unit].combine_chunks()
        if column.null_count:
            raise SourceError(f"column '{unit}' names the person and has {column.null_count:,} nulls: mend the table")
        found = column.dictionary_encode()
        units, names = np.asarray(found.indices, dtype=np.int64), found.dictionary.to_pylist()
    held = np.array([_share(secret, name) < plan.training.holdout for name in names], dtype=bool)
    groups = {group.name: _codes(group, table) for group in plan.evaluation.by}
    rows = Rows(inputs, labels, units, held[units] if len(units) else held, groups)
    return rows.of(np.argsort(units, kind="stable"))


def _share(secret: bytes, name: object) -> float:
    """Return a keyed pseudo-random number in [0, 1) for a person."""
    digest = hmac.digest(secret, f"{type(name).__name__}\0{name}".encode(), hashlib.sha256)
    return int.from_bytes(digest[:8], "big") / 2**64


def inputs_of(model: ModelPlan, table: pa.Table, nulls: bool) -> Numbers:
    """Return the inputs of a model: numbers (mapped to [-1, 1] where they have bounds), and one column for each category.

    Args:
        model: the model's part of the plan.
        table: a table with the features.
        nulls: whether numbers may be null; they become NaN.

    Raises:
        SourceError: a feature is not a number, or contains null where that is not allowed.
        UsageError: the table lacks a feature.
    """
    if missing := [feature.name for feature in model.features if feature.name not in table.column_names]:
        raise UsageError(f"the rows have no column {', '.join(map(repr, missing))}, which the model reads")
    parts = [
        _one_hot(feature, table)
        if feature.categories
        else _numbers(feature.name, feature.bounds, table, nulls)[:, None]
        for feature in model.features
    ]
    return np.concatenate(parts, axis=1) if parts else np.zeros((table.num_rows, 0))


def _one_hot(feature: Feature, table: pa.Table) -> Numbers:
    codes = _codes(feature, table)
    return np.asarray(codes[:, None] == np.arange(len(feature.categories)), dtype=np.float64)


def _codes(feature: Feature, table: pa.Table) -> NDArray[np.int64]:
    """Return the number of each row's category; -1 for null and values that are not listed."""
    known = {_category(value): number for number, value in enumerate(feature.categories)}
    found = table[feature.name].combine_chunks().dictionary_encode()
    numbers = [known.get(_category(value), -1) for value in found.dictionary.to_pylist()]
    indices = found.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
    return np.asarray(np.array([*numbers, -1], dtype=np.int64)[indices])


def _category(value: object) -> object:
    """Return a category in a form in which true, 1 and 1.0 are equal, because YAML and Delta write them differently."""
    return float(value) if isinstance(value, bool | int | float) else value


def _numbers(name: str, bounds: tuple[float, float] | None, table: pa.Table, nulls: bool) -> Numbers:
    import pyarrow as pa
    import pyarrow.types as kinds

    column = table[name].combine_chunks()
    kind = column.type
    if not (kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind) or kinds.is_boolean(kind)):
        if kinds.is_null(kind) and nulls:
            return np.full(len(column), np.nan)
        raise SourceError(
            f"column '{name}' is {kind}, and the model needs a number: give 'categories', or leave it out"
        )
    if kinds.is_boolean(kind):
        column = column.cast(pa.int8())
    values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    if not nulls and not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise SourceError(
            f"column '{name}' has {bad:,} nulls or values that are not finite: set training.missing: mean"
        )
    values = np.where(np.isfinite(values), values, np.nan)
    if bounds is None:
        return values
    low, high = bounds
    return np.asarray(2 * (np.clip(values, low, high) - low) / (high - low) - 1)


def _labels(model: ModelPlan, table: pa.Table) -> Numbers:
    label = model.label
    if not model.labels:
        return _numbers(label, model.label_bounds, table, False)
    codes = _codes(Feature(name=label, categories=model.labels), table)
    if (codes < 0).any():
        bad = int((codes < 0).sum())
        raise SourceError(
            f"label '{label}' has {bad:,} values that are none of {list(model.labels)}: set model.classes"
        )
    return codes.astype(np.float64)
