"""Print results on stdout, and progress and messages on stderr."""

from __future__ import annotations

import codecs
import io
import json
import math
import os
import sys
from collections.abc import Mapping
from typing import Any

from dataward.spark.java_side import has_java, print_to_stderr, under_spark_submit

__all__ = ["finite", "flushed", "merged", "print_json", "printable", "say", "unread", "warned"]


def say(*lines: str) -> None:
    """Print progress and messages on stderr; under spark-submit on the JVM's stderr, which its caller sees."""
    for line in lines:
        if not (under_spark_submit() and print_to_stderr(line)):
            print(line, file=sys.stderr, flush=True)


def merged() -> bool:
    """Return whether stderr would reach stdout: spark-submit merges the two streams of its Python process."""
    return under_spark_submit() and not has_java()


def warned(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a library's warning on stderr, unless stderr would reach a document on stdout."""
    if not merged():
        say(f"dataward: warning: {message}")


def printable() -> None:
    """Let stdout and stderr take every name: a character that a terminal cannot show must not end a verb that has done its work.

    Streams in ASCII become UTF-8, as Python does in the locale C; those in other encodings show an escape instead.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            if codecs.lookup(stream.encoding).name == "ascii":
                stream.reconfigure(encoding="utf-8")
            else:
                stream.reconfigure(errors="backslashreplace")


def print_json(data: Any) -> None:
    """Print data as an indented JSON document."""
    flushed(json.dumps(finite(data), indent=2, default=str) + "\n")


def finite(data: Any) -> Any:
    """Return data with None in the place of NaN and infinities, which JSON cannot hold."""
    if isinstance(data, Mapping):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def flushed(text: str = "") -> None:
    """Print a text and flush stdout; ignore that the reader has closed it (as ``head`` does)."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        unread()


def unread() -> None:
    """Redirect a closed stdout to the null device, so that Python's exit reports no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
