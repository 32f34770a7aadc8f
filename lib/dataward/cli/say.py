"""Print results on stdout, and progress and messages on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

__all__ = ["flushed", "merged", "print_json", "say", "unread", "warned"]


def say(*lines: str) -> None:
    """Print progress and messages on stderr; under spark-submit on the JVM's stderr, which its caller sees."""
    jvm = _jvm() if "PYSPARK_GATEWAY_PORT" in os.environ else None
    for line in lines:
        try:
            if jvm is not None:
                jvm.System.err.println(line)
                continue
        except Exception:  # the JVM is gone, as after Ctrl-C
            jvm = None
        print(line, file=sys.stderr, flush=True)


def merged() -> bool:
    """Return whether stderr would reach stdout: spark-submit merges the two streams of its Python process."""
    return "PYSPARK_GATEWAY_PORT" in os.environ and _jvm() is None


def warned(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a library's warning on stderr, unless stderr would reach a document on stdout."""
    if not merged():
        say(f"dataward: warning: {message}")


def _jvm() -> Any:
    from pyspark import SparkContext

    context: Any = SparkContext._active_spark_context
    return context._jvm if context is not None else None


def print_json(data: Any) -> None:
    """Print data as an indented JSON document."""
    flushed(json.dumps(data, indent=2, default=str) + "\n")


def flushed(text: str = "") -> None:
    """Print a text and flush stdout; ignore that the reader has closed it (as ``head`` does)."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        unread()


def unread() -> None:
    """Redirect a closed stdout to the null device, so that Python's exit reports no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
