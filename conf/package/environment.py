"""The Python environment of a cluster: locked wheels, fetched for its platform by pip, laid out as a virtual environment.

The wheels decide the bytes, not the Python that builds: a laptop of any system makes the archive for EMR.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from archives import files_below, write_tar

LOCK = Path(__file__).with_name("environment.lock")
EXTRAS = ("access", "aws", "cluster", "dp", "lineage", "otel", "timestamp")
"""Extras of Dataward in the archive; pyspark and the jars are the cluster's own."""
ALONE = ("delta-spark>=3.3.2,<3.4",)
"""Packages without those that they ask for: Delta's Python would bring pyspark."""
ARCHITECTURES = ("x86_64", "aarch64")

STARTER = b"""#!/bin/sh
'''exec' "$(dirname "$0")/python" "$0" "$@"
' '''
from dataward.cli import entry

entry()
"""


@dataclass(frozen=True)
class Target:
    """The cluster: its architecture, and the path of its Python, which the archive does not contain."""

    architecture: str = "x86_64"
    python: str = "/usr/bin/python3.11"

    @property
    def version(self) -> str:
        """``3.11``; raises SystemExit if the path does not end so."""
        if not self.python.endswith("/python3.11"):
            raise SystemExit(
                f"package: --python {self.python}: it must end in /python3.11, the Python of EMR 7 and Glue 5, for which "
                f"the wheels of {LOCK.name} are compiled"
            )
        return "3.11"

    def options(self) -> list[str]:
        """Return pip's options for wheels that run there: glibc 2.28 or newer (EMR 7, Glue 5, Databricks 15 and 16)."""
        glibcs = [f"manylinux_2_{minor}_{self.architecture}" for minor in range(28, 16, -1)]
        glibcs.append(f"manylinux2014_{self.architecture}")
        platforms = [option for name in glibcs for option in ("--platform", name)]
        return ["--only-binary=:all:", "--implementation", "cp", "--python-version", self.version, *platforms]


def lock(wheel: Path) -> str:
    """Resolve Dataward's requirements for every architecture; return the lines of the lock."""
    pinned: dict[str, set[str]] = {}
    for architecture in ARCHITECTURES:
        for wanted in ([f"{wheel}[{','.join(EXTRAS)}]"], ["--no-deps", *ALONE]):
            for pin, digest in _resolved(Target(architecture), wanted):
                pinned.setdefault(pin, set()).add(digest)
    return "".join(
        f"{pin} {' '.join(f'--hash=sha256:{digest}' for digest in sorted(pinned[pin]))}\n" for pin in sorted(pinned)
    )


def _resolved(target: Target, wanted: list[str]) -> Iterator[tuple[str, str]]:
    """Yield packages with their versions, and the SHA-256 of their wheels."""
    report = pip("install", "--dry-run", "--ignore-installed", "--report", "-", "--quiet", "--target", "unused",
                 *target.options(), *wanted)  # fmt: skip
    for found in json.loads(report)["install"]:
        name = re.sub(r"[-_.]+", "-", found["metadata"]["name"]).lower()
        if name != "dataward":
            yield f"{name}=={found['metadata']['version']}", found["download_info"]["archive_info"]["hashes"]["sha256"]


def fetch(target: Target, folder: Path) -> list[Path]:
    """Download the locked wheels, each compared with its hash by pip, and return them in order."""
    folder.mkdir(parents=True, exist_ok=True)
    pip(
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--dest",
        str(folder),
        *target.options(),
        "-r",
        str(LOCK),
    )
    return sorted(folder.glob("*.whl"))


def pack(archive: Path, target: Target, wheels: list[Path], scratch: Path) -> None:
    """Write the archive of a virtual environment that holds the wheels."""
    library = f"lib/python{target.version}/site-packages"
    for wheel in wheels:
        unpack(wheel, scratch)
    entries = {
        f"{library}/{name}": file for name, file in files_below(scratch).items() if "tests" not in name.split("/")
    }
    home = target.python.rpartition("/")[0]
    write_tar(
        archive,
        {
            **entries,
            "bin/dataward": STARTER,
            "pyvenv.cfg": f"home = {home}\ninclude-system-site-packages = false\nversion = {target.version}\n".encode(),
        },
        links={"bin/python": target.python, "bin/python3": "python", f"bin/python{target.version}": "python"},
        programs=frozenset({"bin/dataward"}),
    )


def unpack(wheel: Path, folder: Path) -> None:
    """Unpack a wheel's modules (PEP 427); its scripts, headers and other data are not needed to import it."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            parts = entry.filename.split("/")
            if parts[0].endswith(".data"):
                if parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            if entry.is_dir() or ".." in parts or not parts[0]:
                continue
            place = folder.joinpath(*parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(archive.read(entry))


def pip(*arguments: str, **environment: str) -> str:
    """Run pip and return its stdout; raises SystemExit with the end of what it said."""
    import os

    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    if done.returncode:
        raise SystemExit("package: pip failed:\n" + "\n".join(done.stderr.splitlines()[-15:]))
    return done.stdout
