"""Write the result of a run as ``report.json`` and ``report.html`` to a folder of the run."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dataward.errors import TargetError
from dataward.report.html import page
from dataward.report.model import RunResult
from dataward.spark.kind import is_remote as uses_connect
from dataward.tables.files import on_system
from dataward.tables.reason import reason
from dataward.tables.store import store_at

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["is_remote", "place", "put", "write"]


def place(result: RunResult, folder: str) -> str:
    """Return the path of a run's HTML page; its JSON file is in the same folder."""
    return f"{folder.rstrip('/')}/{result.contract}/{result.run_id}/report.html"


def write(spark: SparkSession, result: RunResult, folder: str) -> RunResult:
    """Write both files to ``FOLDER/CONTRACT/RUN/``; returns the result with the report's path.

    A folder with a scheme (s3://, dbfs:/, hdfs://) is written through Hadoop's file system, any other by Python.

    Raises:
        TargetError: the folder cannot be written.
    """
    html = place(result, folder)
    with_report = result.model_copy(update={"report": html})
    files = {
        html.removesuffix("html") + "json": json.dumps(with_report.model_dump(mode="json"), indent=2) + "\n",
        html: page(with_report),
    }
    if not is_remote(html):
        with suppress(OSError):  # a run killed between the two files leaves no page of other data
            Path(html).unlink()
    for path, text in files.items():
        put(spark, path, text)
    return with_report


def put(spark: SparkSession, path: str, text: str) -> None:
    """Write a text file; see :func:`write`."""
    try:
        (_put_remote if is_remote(path) else _put_local)(spark, path, text)
    except OSError as error:
        raise TargetError(f"report {path}: {error.strerror}. Choose another folder with --report") from None
    except Exception as error:
        raise TargetError(f"report {path}: {reason(error)}. Choose another folder with --report") from None


def is_remote(path: str) -> bool:
    """Return whether a path is written through Hadoop's file system."""
    return "://" in path or path.startswith("dbfs:")


def _put_local(spark: SparkSession, path: str, text: str) -> None:
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.part")  # a killed run leaves the whole old file or the whole new one
    part.write_text(text, encoding="utf-8")
    part.replace(place)


def _put_remote(spark: SparkSession, path: str, text: str) -> None:
    if uses_connect(spark):
        folder, _, name = path.rpartition("/")
        store_at(folder).put(name, text.encode())
        return
    system, place = on_system(spark, path)
    stream = system.create(place, True)
    try:
        stream.write(bytearray(text, "utf-8"))
    finally:
        stream.close()
