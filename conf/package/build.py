"""Build what is published and deployed, the same bytes each time: ``make package``.

dist/ then holds the wheel, the zip for ``--py-files``, the environment for ``--archives``, the jars with their sums, the bill of
materials and the sums of all these. docs/emr.md, docs/glue.md and docs/databricks.md use them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from archives import epoch, files_below, write_zip
from environment import ARCHITECTURES, LOCK, Target, fetch, lock, pack, pip

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE")
BACKEND = Path(__file__).with_name("backend.txt")


def main(argv: list[str]) -> None:
    """Build everything, or with ``--lock`` resolve the environment anew."""
    parser = argparse.ArgumentParser(prog="package", description="Build wheel, zip, environment, jars and SBOM.")
    parser.add_argument("--output", default=str(ROOT / "dist"), metavar="DIR")
    parser.add_argument("--architecture", default="x86_64", choices=ARCHITECTURES, help="aarch64: Graviton")
    parser.add_argument(
        "--python", default="/usr/bin/python3.11", metavar="PATH", help="the cluster's Python (EMR 7: the default)"
    )
    parser.add_argument(
        "--lock",
        action="store_true",
        help="only resolve the environment's packages anew, into conf/package/environment.lock",
    )
    parser.add_argument("--wheel", action="store_true", help="only the wheel and the zip")
    asked = parser.parse_args(argv)
    if "SOURCE_DATE_EPOCH" not in os.environ:
        os.environ["SOURCE_DATE_EPOCH"] = _committed()
    target = Target(asked.architecture, asked.python)
    output = Path(asked.output)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dataward-package-") as scratch:
        wheel = build_wheel(output, Path(scratch))
        if asked.lock:
            LOCK.write_text(lock(wheel), encoding="ascii")
            print(LOCK)
            return
        made = [wheel, build_zip(output, wheel)]
        if not asked.wheel:
            made += build_environment(output, target, wheel, Path(scratch))
    write_sums(output, made)


def build_wheel(output: Path, scratch: Path) -> Path:
    """Build the wheel from a copy of the sources, so that nothing of an earlier build gets in."""
    sources, built = scratch / "sources", scratch / "built"
    for name in SOURCES:
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, sources / name)
    for name, file in files_below(ROOT / "lib" / "dataward").items():
        (sources / "lib/dataward" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, sources / "lib/dataward" / name)
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), str(sources), PIP_CONSTRAINT=str(BACKEND))
    (made,) = built.glob("*.whl")
    with zipfile.ZipFile(made) as archive:
        write_zip(output / made.name, {name: archive.read(name) for name in archive.namelist()})
    return output / made.name


def build_zip(output: Path, wheel: Path) -> Path:
    """Write the zip for ``--py-files``: the package of the wheel, which executors do not import under its own name."""
    zipped = output / f"dataward-{wheel.name.split('-')[1]}.zip"
    with zipfile.ZipFile(wheel) as archive:
        write_zip(zipped, {name: archive.read(name) for name in archive.namelist() if name.startswith("dataward/")})
    return zipped


def build_environment(output: Path, target: Target, wheel: Path, scratch: Path) -> list[Path]:
    """Write the environment's archive, the jars and the bill of materials."""
    from sbom import bill

    from dataward.spark import jars

    clusters = jars.SETS["3.5"]  # that of EMR 7 and Glue 5, whatever Spark is installed here
    version = wheel.name.split("-")[1]
    tag = f"cp{target.version.replace('.', '')}-{target.architecture}"
    wheels = fetch(target, scratch / "wheels")
    archive = output / f"dataward-{version}-environment-{tag}.tar.gz"
    pack(archive, target, [*wheels, wheel], scratch / "environment")
    folder = output / "jars"
    folder.mkdir(exist_ok=True)
    copied = [Path(shutil.copyfile(jar, folder / jar.name)) for jar in jars.ensure(jars=clusters)]
    shutil.copyfile(clusters.sums, folder / "jars.sha256")
    markers = {
        "python_version": target.version,
        "python_full_version": f"{target.version}.0",
        "platform_machine": target.architecture,
    }
    materials = output / f"dataward-{version}-{tag}.cdx.json"
    materials.write_text(bill(wheel, wheels, copied, markers), encoding="utf-8")
    return [archive, materials, *copied]


def write_sums(output: Path, files: list[Path]) -> None:
    """Write SHA256SUMS, which ``sha256sum -c`` reads, and print it with sizes."""
    sums = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    lines = [f"{sums[file]}  {file.relative_to(output).as_posix()}\n" for file in sorted(files)]
    (output / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    for file in files:
        print(f"{file.stat().st_size / 1e6:9.1f} MB  {sums[file][:16]}  {file.relative_to(output)}")
    print(f"all sums are in {output / 'SHA256SUMS'}; times in the archives are {epoch()} (SOURCE_DATE_EPOCH)")


def _committed() -> str:
    """Return the time of the last commit in seconds; without git that of the oldest zip."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1:])
