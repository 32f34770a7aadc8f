"""Use classes of Spark's JVM that Spark 4 has moved: columns of expressions, and frames of plans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["column_of", "expressions", "is_spark4", "rows_of"]


def is_spark4(spark: SparkSession) -> bool:
    """Return whether a session has the classes of Spark 4."""
    return int(spark.version.split(".")[0]) >= 4


def expressions(spark: SparkSession, columns: Iterable[Any]) -> Any:
    """Return the expressions of columns as Scala's Seq."""
    jvm: Any = spark.sparkContext._jvm
    made = jvm.java.util.ArrayList()
    classic = jvm.org.apache.spark.sql.classic.ExpressionUtils if is_spark4(spark) else None
    for one in columns:
        made.add(classic.expression(one._jc) if classic else one._jc.expr())
    return jvm.scala.collection.JavaConverters.asScalaBuffer(made).toSeq()


def column_of(spark: SparkSession, expression: Any) -> Any:
    """Return the column of an expression."""
    from pyspark.sql import Column

    jvm: Any = spark.sparkContext._jvm
    if is_spark4(spark):
        return Column(jvm.org.apache.spark.sql.classic.ExpressionUtils.column(expression))
    return Column(jvm.org.apache.spark.sql.Column(expression))


def rows_of(spark: SparkSession, plan: Any, session: Any) -> Any:
    """Return the frame of a logical plan in a session of the JVM."""
    from pyspark.sql import DataFrame

    jvm: Any = spark.sparkContext._jvm
    of_sql = jvm.org.apache.spark.sql
    dataset = of_sql.classic.Dataset if is_spark4(spark) else of_sql.Dataset
    return DataFrame(dataset.ofRows(session, plan), spark)
