"""Protection without Spark, for model servers: the contract's operators on a record or a batch.

What comes out equals, byte for byte, what ``publish`` writes for the same values and types (random operators aside, and
``vault`` and ``shred``, which need Spark). Rules are not judged here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dataward.access.site import settings
from dataward.contract import Contract, load
from dataward.errors import Problem, ProtectionError, UsageError
from dataward.keys import KeyProvider, Keyring, open_keys
from dataward.privacy.protect.compiled import Compiled, compiled, key_of, misfits, needing_spark, undecided

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from dataward.federated.model import Model, Protections

__all__ = ["Protector", "protect", "score"]

Batch = TypeVar("Batch", "dict[str, Any]", "pd.DataFrame", "pa.RecordBatch", "pa.Table")


def protect(contract: str | Path | Protector, batch: Batch) -> Batch:
    """Protect a record (dict), a pandas frame, or an Arrow batch or table, as the contract says.

    The contract and its keys are read once, and again when its file changes; make a :class:`Protector` of your own to
    decide when. A batch may lack columns of the contract. Python's int and float are taken as 64-bit numbers, str as
    string, datetime as timestamp in microseconds; for other types give Arrow.

    Raises:
        ContractError: the contract is wrong.
        KeyringError: the keys cannot be had.
        UsageError: a column has no line and the contract's default is refuse, or an operator does not go with its type.
        ProtectionError: a value cannot be protected, and the contract does not say what becomes of it.
    """
    if not isinstance(contract, Protector):
        contract = _cached(str(contract), os.stat(contract).st_mtime_ns if os.path.exists(contract) else 0)
    made: Batch = contract(batch)
    return made


class Protector:
    """A contract with its keys, ready for any number of batches; safe to share between threads."""

    def __init__(self, contract: str | Path | Contract, keys: KeyProvider | None = None) -> None:
        """Load a contract and open its keyring, unless keys are given."""
        self.contract = contract if isinstance(contract, Contract) else load(contract)
        if not settings(self.contract).silent:  # a model server is spared the imports where nothing is configured
            from dataward.pipeline.guard import watched

            with watched("protect", contract=self.contract):  # once, and not for each record
                pass
        self.keys = keys or open_keys(self.contract.keys)
        self._keys = key_of(self.keys)
        self._compiled: dict[pa.Schema, Compiled] = {}

    def __repr__(self) -> str:
        """Return a text without keys."""
        return f"Protector({self.contract.contract!r})"

    def __call__(self, batch: Batch) -> Batch:
        """See :func:`protect`."""
        import pyarrow as pa

        if isinstance(batch, dict):
            made = self._protected(_of_record(batch))
            return cast(
                "Batch", {name: values[0].as_py() for name, values in zip(made.schema.names, made.columns, strict=True)}
            )
        if isinstance(batch, pa.RecordBatch):
            return cast("Batch", self._protected(_plain(batch)))
        if isinstance(batch, pa.Table):
            return cast("Batch", self._table(batch))
        if not (hasattr(batch, "columns") and hasattr(batch, "index")):
            raise UsageError(
                f"a {type(batch).__name__} is no batch: give one record (a dict), a pandas frame, or an Arrow batch or table (several "
                "records: pyarrow.Table.from_pylist(records))"
            )
        given = pa.Table.from_pandas(batch, preserve_index=False)
        return cast("Batch", self._table(given).to_pandas().set_index(batch.index))

    def _table(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        batches = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
        return pa.Table.from_batches([self._protected(_plain(batch)) for batch in batches])

    def _protected(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        made = self._compiled.get(batch.schema)
        if made is None:
            made = self._compiled[batch.schema] = self._compile(batch.schema)
        return made.apply(batch)

    def _compile(self, schema: pa.Schema) -> Compiled:
        problems = [trouble for field in schema if (trouble := misfits(self.contract, field, schema))]
        for name in [name for field in schema for name in undecided(self.contract, field)]:
            problems.append(
                Problem("", 0, name, "no line decides about it", "add one to the contract, or set 'default'")
            )
        if problems:
            problem = "; ".join(f"column '{found.where}': {found.what}; {found.remedy}" for found in problems)
            raise UsageError(f"contract '{self.contract.contract}': {problem}")
        made = compiled(self.contract, self._keys, schema)
        if columns := needing_spark(made):
            problem = (
                f"contract '{self.contract.contract}': vault and shred need Spark, their entries stand in a Delta table"
            )
            raise UsageError(f"{problem} ({', '.join(columns)}); leave these columns out, or use encrypt or token")
        return made


def score(
    model: str | Path | Model, contract: str | Path | Protector, records: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Protect records as a contract says, then apply a model; needs no Spark.

    Args:
        model: a model, its file or the output folder of its training.
        contract: the contract by which the training's tables were protected; a :class:`Protector` saves reading it again.
        records: raw records; columns that the model does not read may be missing.

    Returns:
        One answer for each record: ``prediction`` and ``score``, or ``score`` alone where a number is predicted.

    Raises:
        NotPermitted: the contract protects the features otherwise than they were in training.
    """
    import pyarrow as pa

    from dataward.federated.model import Model

    protector = contract if isinstance(contract, Protector) else Protector(contract)
    model = model if isinstance(model, Model) else Model.read(Path(model))
    rows = [{name: record.get(name) for name in _needed(model, protector, record)} for record in records]
    if not rows:
        return []
    table = pa.Table.from_pylist(rows)
    model.permit(_protections(protector, table.schema))
    answers: list[dict[str, Any]] = model.answers(protector(table)).to_pylist()
    return answers


def _needed(model: Model, protector: Protector, record: Mapping[str, Any]) -> list[str]:
    """Return the columns of a record that the contract decides about; it may have others that nobody reads."""
    if missing := [name for name in model.columns() if name not in record]:
        raise UsageError(f"a record has no {', '.join(map(repr, missing))}, which the model reads")
    known = protector.contract.columns
    return [name for name in record if name in known or name in model.columns()]


def _protections(protector: Protector, schema: pa.Schema) -> Protections:
    """Return how a contract protects the columns of a schema, as a seal would say it."""
    from dataward.privacy.protect.spark import described

    keys = protector.keys
    if not isinstance(keys, Keyring):
        raise UsageError(
            "scores need the contract's keyring: its fingerprints say whether keys are those of the training"
        )
    return {
        one.column: {
            "protection": one.protection,
            "domain": one.domain,
            "key_version": one.key_version,
            "fingerprint": keys.fingerprint(one.domain, one.key_version) if one.domain and one.key_version else None,
        }
        for one in described(compiled(protector.contract, key_of(keys), schema))
        if one.protection != "keep"
    }


@lru_cache(maxsize=32)
def _cached(path: str, changed: int) -> Protector:
    return Protector(path)


def _of_record(record: dict[str, Any]) -> pa.RecordBatch:
    import pyarrow as pa

    columns = {}
    for name, value in record.items():
        try:
            columns[name] = pa.array([value])
        except (pa.ArrowException, UnicodeError, OverflowError) as error:  # the message may hold the value
            raise ProtectionError(f"'{name}' cannot be read as a value of one type ({type(error).__name__})") from None
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Convert a batch to the types that Spark has: microseconds, no dictionaries, no large or view types."""
    import pyarrow as pa

    columns = []
    for values in batch.columns:
        kind = values.type
        if pa.types.is_dictionary(kind):
            values, kind = values.dictionary_decode(), kind.value_type
        if pa.types.is_timestamp(kind) and kind.unit != "us":
            values = values.cast(pa.timestamp("us", kind.tz), safe=False)
        elif str(kind) in ("large_string", "string_view"):
            values = values.cast(pa.string())
        elif str(kind) in ("large_binary", "binary_view"):
            values = values.cast(pa.binary())
        columns.append(values)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
