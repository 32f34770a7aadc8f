"""Write a synthetic table with differential privacy, charged to a budget and sealed like a release."""

from __future__ import annotations

import json
import os
import secrets
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from itertools import combinations_with_replacement
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.errors import SourceError, UsageError
from dataward.integrity.canonical import sha256
from dataward.pipeline.guard import watched
from dataward.pipeline.paid import Asked, InDelta, Released, asked_of, published
from dataward.release.aggregate import bins_of, pairs_of
from dataward.release.marginals import Model, fitted, sampled
from dataward.release.once import once
from dataward.release.synthesis import Synthesis, load_synthesis
from dataward.release.utility import Utility, utility
from dataward.spark.session import demand_encryption, isolated
from dataward.spark.sql import column, identifier
from dataward.tables import delta
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Synthesized", "synthesize"]

MOST_ROWS = 20_000
"""Most rows of the real table that the utility report reads."""


@dataclass(frozen=True)
class Synthesized:
    """Result: the sealed table, and its similarity to the real one (None: not requested)."""

    released: Released
    utility: Utility | None


def synthesize(
    spark: SparkSession,
    given: Synthesis | str | Path,
    run_id: str | None = None,
    report: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Synthesized:
    """Measure marginals, fit a model, sample it and seal the rows.

    Args:
        spark: the session.
        given: the query of the synthetic table, or the path of its file.
        run_id: name of the run; under the same name nothing is drawn or charged twice.
        report: new file for the utility report, mode 0600; it compares with the real rows without noise and must not be released.
        say: prints progress.

    Raises:
        Overdrawn: the budget does not cover it; nothing is written.
        UsageError: the columns do not fit the table, or the report's file exists.
        SourceError: the table does not exist, or is not sealed.
    """
    wanted = given if isinstance(given, Synthesis) else load_synthesis(given)
    if report is not None and Path(report).exists():
        raise UsageError(f"{report} exists: name a new file for the utility report")
    with watched("release", spark=spark, contract=wanted.query.contract) as finish:
        made = _synthesized(spark, wanted, run_id, report, say)
        finish(made.released)
        return made


def _synthesized(
    spark: SparkSession, wanted: Synthesis, run_id: str | None, report: str | None, say: Callable[[str], None]
) -> Synthesized:
    run_id = run_id or f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    say(f"  run id {run_id}")
    with isolated(spark) as own:
        if wanted.keys.spill == "encrypted":
            demand_encryption(own)
        asked = asked_of(own, wanted.query, run_id)
        hashed = sha256(wanted.model_dump(mode="json", by_alias=True))
        charge = replace(asked.charge, sha256=hashed, purpose=f"synthetic data {wanted.synthesize}")
        asked = replace(asked, sha256=hashed, charge=charge)
        charged = once(InDelta(own, asked), charge, lambda: _draw(own, asked, say))
        done = published(own, asked, charged, say, lambda table: _rows(own, wanted, asked, table))
        return Synthesized(done, _report(own, wanted, asked, done, report) if report else None)


def _secret(asked: Asked) -> bytes:
    domain = asked.query.keys.domain
    return asked.keys.key("release", domain, asked.keys.current(domain))


def _draw(spark: SparkSession, asked: Asked, say: Callable[[str], None]) -> Any:
    """Fit a model with the plan's rho, and return it as a table with the seed of its sample."""
    import numpy as np
    import pyarrow as pa

    source, plan = asked.query.source, asked.plan
    say(f"  count pairs of columns of {source} version {asked.version}")
    try:
        counts = pairs_of(delta.read(spark, source, asked.version), plan, _secret(asked))
    except Exception as error:
        raise SourceError(f"{source} version {asked.version}: {reason(error)}. Nothing was charged") from None
    sizes = [one.leaves.count + 1 for one in plan.measures if one.leaves]
    tables, singles = {}, {}
    for number, (a, b) in enumerate(combinations_with_replacement(range(len(sizes)), 2)):
        part = counts[counts["p"] == number]
        table = np.zeros((sizes[a], sizes[b]), np.int64)
        table[part["a"].to_numpy(), part["b"].to_numpy()] = part["n"].to_numpy(np.int64)
        if a == b:
            singles[a] = table.diagonal().copy()
        else:
            tables[a, b] = table
    say("  measure marginals and fit a model")
    assert plan.cost.rho is not None  # noqa: S101 - the noise is Gaussian
    model = fitted(tables, tuple(singles[n] for n in range(len(sizes))), plan.cost.rho, asked.query.rows)
    return pa.table({"model": [json.dumps(model.as_json())], "seed": [secrets.randbelow(2**62)]})


def _rows(spark: SparkSession, wanted: Synthesis, asked: Asked, table: Any) -> DataFrame:
    """Sample the model's rows, deterministically by the seed."""
    import numpy as np
    import pandas as pd
    from pyspark.sql import functions as F

    model, seed = Model.of_json(json.loads(table["model"][0].as_py())), table["seed"][0].as_py()
    count = model.rows if wanted.rows is None else wanted.rows
    bins = sampled(model, count, seed)
    chance = np.random.default_rng(seed + 1)
    schema = dict(delta.read(spark, wanted.source, asked.version).dtypes)
    columns: dict[str, Any] = {}
    for number, (name, domain) in enumerate(wanted.columns.items()):
        found = bins[:, number]
        if domain.between is None:
            texts = np.array(
                [*(str(v).lower() if isinstance(v, bool) else str(v) for v in domain.values), None], object
            )
            columns[name] = texts[found]
            continue
        low, high = domain.between
        values = low + (found + chance.random(count)) * (high - low) / domain.bins
        kind = _kind(schema, name)
        if kind in ("tinyint", "smallint", "int", "bigint"):
            values = np.minimum(np.floor(values), high)
        columns[name] = np.where(found == domain.bins, np.nan, values)
    kinds = {name: "double" if domain.between else "string" for name, domain in wanted.columns.items()}
    schema_text = ", ".join(f"{identifier(name)} {kind}" for name, kind in kinds.items())
    frame = spark.createDataFrame(pd.DataFrame(columns), schema_text)
    made = []
    for name, kind in kinds.items():
        found_column = column(name)
        if kind == "double":
            found_column = F.when(~F.isnan(found_column), found_column)
        made.append(found_column.cast(_kind(schema, name)).alias(name))
    return frame.select(*made)


def _kind(schema: dict[str, str], name: str) -> str:
    return next(kind for other, kind in schema.items() if other.lower() == name.lower())


def _report(spark: SparkSession, wanted: Synthesis, asked: Asked, done: Released, report: str) -> Utility:
    """Compare the synthetic rows with bounded real ones, and write the comparison for readers of the real rows."""
    real = bins_of(delta.read(spark, wanted.source, asked.version), asked.plan, _secret(asked), MOST_ROWS)
    whole = replace(asked.plan, unit=None)
    synthetic = bins_of(delta.read(spark, wanted.target, done.version), whole, _secret(asked), MOST_ROWS)
    names = list(wanted.columns)
    sizes = [one.leaves.count + 1 for one in asked.plan.measures if one.leaves]
    options = {
        "ranges": [n for n, domain in enumerate(wanted.columns.values()) if domain.between],
        "predict": names.index(wanted.predict) if wanted.predict else len(names) - 1,
    }
    found = utility(names, sizes, real, synthetic, options)
    note = "computed from the real rows without noise: not differentially private, do not publish"
    text = json.dumps({"note": note, "run_id": done.run_id, "rows": done.groups, **asdict(found)}, indent=2)
    place = Path(report)
    place.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return found
