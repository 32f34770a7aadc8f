"""Apply a trained model to a sealed table. :func:`dataward.inference.score` does the same to records, without Spark, with equal scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dataward.contract import Location
from dataward.errors import NotPermitted, ProofError, TargetError, UsageError
from dataward.federated.model import Model
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.spark.session import isolated
from dataward.tables import delta, turns

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Scored", "score_table"]


@dataclass(frozen=True)
class Scored:
    """A scored table: the version that was read, the model, and the location of the scores."""

    source: str
    version: int
    model_sha256: str
    target: str
    rows: int


@guarded("score")
def score_table(
    spark: SparkSession, model: str | Path | Model, plan: Plan, out: Location, keep: tuple[str, ...] = (), version: int | None = None
) -> Scored:  # fmt: skip
    """Apply a model to a verified version of a contract's target and write the scores as a Delta table.

    Args:
        spark: the session.
        model: a model, its file or the output folder of its training.
        plan: the contract.
        out: location of the scores; an existing table gets a new version.
        keep: columns of the table to keep beside the scores.
        version: version of the target; default: the newest sealed one.

    Raises:
        ProofError: the seal of the version does not hold.
        NotPermitted: the features are protected differently than in training.
    """
    from dataward.verbs.held import protections_of, sealed

    model = model if isinstance(model, Model) else Model.read(Path(model))
    contract = plan.contract
    if out.same(contract.target) or contract.target.holds(out):
        raise UsageError(f"--out {out} is the scored table itself, or inside of it")
    try:
        seal = sealed(spark, plan, version)
    except ProofError as error:
        raise ProofError(f"{error}. Nothing was scored") from None
    model.permit(protections_of(seal, model.columns()))
    with isolated(spark) as own:
        frame = delta.read(own, contract.target, seal.version)
        if unknown := [name for name in (*keep, *model.columns()) if name not in frame.columns]:
            raise UsageError(f"{contract.target} has no column {', '.join(map(repr, unknown))}")
        answers = scored_frame(frame, model, keep)
        _write(answers, out)
        rows = (own.read.format("delta").load(out.path) if out.path else own.table(str(out.table))).count()
    return Scored(str(contract.target), seal.version, model.sha256, str(out), rows)


def scored_frame(frame: DataFrame, model: Model, keep: tuple[str, ...] = ()) -> DataFrame:
    """Return the kept columns of a frame with ``prediction`` and ``score``, computed in one Arrow stage."""
    from pyspark.sql.types import DoubleType, StringType, StructField, StructType

    added = [StructField("prediction", StringType())] if model.plan.model.labels else []
    clash = {"prediction", "score"} & set(keep)
    if clash:
        raise UsageError(f"column {', '.join(sorted(clash))} would be there twice: keep another one")
    needed = list(dict.fromkeys([*keep, *model.columns()]))
    fields = [*(frame.schema[name] for name in keep), *added, StructField("score", DoubleType())]

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            answers = model.answers(pa.Table.from_batches([batch]))
            columns = [batch.column(needed.index(name)) for name in keep]
            columns += [answers[name].combine_chunks() for name in answers.column_names]
            yield pa.RecordBatch.from_arrays(columns, names=[*keep, *answers.column_names])

    from dataward.spark.sql import column
    from dataward.spark.workers import mapped

    return mapped(frame.select(*map(column, needed)), run, StructType(fields))


def _write(answers: DataFrame, out: Location) -> None:
    from dataward.tables.reason import reason

    try:
        writer = answers.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        with turns.exclusive(answers.sparkSession, out, "score"):
            writer.save(out.path) if out.path else writer.saveAsTable(str(out.table))
    except (NotPermitted, ProofError):
        raise
    except Exception as error:
        raise TargetError(f"scores {out}: they cannot be written ({reason(error)})") from None
