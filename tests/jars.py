"""Jars that only the tests use: the Spark Connect server, the parser of Deequ's own DQDL evaluator, and S3."""

from pathlib import Path

from dataward.spark import jars

COORDINATES = ("org.apache.spark:spark-connect_2.12:3.5.7", "software.amazon.glue:dqdl:1.0.0")


def more() -> list[Path]:
    """Their files: the Connect server, then the DQDL parser."""
    return jars.ensure(sums=Path(__file__).with_name("jars.sha256"), coordinates=COORDINATES, excludes=())


def hadoop_aws() -> list[Path]:
    """What Spark reads S3 with."""
    return jars.ensure(sums=jars.S3_SUMS, coordinates=jars.S3_COORDINATES, excludes=())
