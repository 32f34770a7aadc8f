"""What a command prints: results on stdout, progress and messages on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

__all__ = ["flushed", "merged", "print_json", "say", "unread", "warned"]


def say(*lines: str) -> None:
    """Progress and messages, on stderr; under spark-submit on the JVM's, as that is the one its caller sees."""
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
    """Whether what is written to stderr now would reach stdout: spark-submit joins the two of its Python process."""
    return "PYSPARK_GATEWAY_PORT" in os.environ and _jvm() is None


def warned(message: Warning | str, *_: Any, **__: Any) -> None:
    """A library's warning, where Python would print it: on stderr, which must not reach a document on stdout."""
    if not merged():
        say(f"dataward: warning: {message}")


def _jvm() -> Any:
    from pyspark import SparkContext

    context: Any = SparkContext._active_spark_context
    return context._jvm if context is not None else None


def print_json(data: Any) -> None:
    flushed(json.dumps(data, indent=2, default=str) + "\n")


def flushed(text: str = "") -> None:
    """Write out what was printed, and a text, unless the reader (``head``) has seen enough: what was done stays done."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        unread()


def unread() -> None:
    """Nobody reads stdout any more: what is left goes nowhere, and Python's exit does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
