"""Jars that only the tests use: the Spark Connect server, and the parser that Deequ's own DQDL evaluator needs."""

from pathlib import Path

from dataward import jars

COORDINATES = ("org.apache.spark:spark-connect_2.12:3.5.7", "software.amazon.glue:dqdl:1.0.0")


def more() -> list[Path]:
    """Their files: the Connect server, then the DQDL parser."""
    return jars.ensure(sums=Path(__file__).with_name("jars.sha256"), coordinates=COORDINATES, excludes=())
