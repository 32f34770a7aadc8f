"""The software bill of materials (CycloneDX 1.6): Dataward, the wheels of the archive, the jars."""

from __future__ import annotations

import hashlib
import re
import uuid
import zipfile
from collections.abc import Iterable
from datetime import datetime, timezone
from email.parser import HeaderParser
from pathlib import Path

from archives import epoch
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from environment import EXTRAS
from packageurl import PackageURL
from packaging.markers import default_environment
from packaging.requirements import Requirement


def bill(wheel: Path, wheels: Iterable[Path], jars: Iterable[Path], environment: dict[str, str]) -> str:
    """Return the bill as JSON.

    Args:
        wheel: Dataward's own.
        wheels: those of the archive.
        jars: those of the engine, named as Ivy names them.
        environment: markers of the cluster (python_version, platform_machine), by which requirements are chosen.
    """
    root, needs = _of_wheel(wheel, ComponentType.APPLICATION)
    bom = Bom(serial_number=uuid.UUID(int=0), components=[])
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromtimestamp(epoch(), timezone.utc)
    parts = {"dataward": (root, needs)}
    for file in sorted(wheels):
        part, wanted = _of_wheel(file, ComponentType.LIBRARY)
        parts[part.name] = (part, wanted)
        bom.components.add(part)
    markers = {**default_environment(), "implementation_name": "cpython", "sys_platform": "linux", **environment}
    for name, (part, wanted) in parts.items():
        extras = EXTRAS if name == "dataward" else ("",)
        names = {_normal(one.name) for one in wanted if one.marker is None
                 or any(one.marker.evaluate({**markers, "extra": extra}) for extra in ("", *extras))}  # fmt: skip
        bom.register_dependency(part, [parts[needed][0] for needed in sorted(names & parts.keys())])
    of_jars = [_of_jar(file) for file in sorted(jars)]
    for part in of_jars:
        bom.components.add(part)
        bom.register_dependency(part)
    bom.register_dependency(root, of_jars)
    # The same parts have the same serial number.
    listed = "\n".join(sorted(str(part.bom_ref) + str(part.hashes) for part in (root, *bom.components)))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, listed)
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def coordinate(jar: str) -> tuple[str, str, str]:
    """Return group, artifact and version of a jar that Ivy named ``group_artifact-version.jar``."""
    found = re.fullmatch(r"([^_]+)_(.+?)-(\d.*)\.jar", jar)
    if not found:
        raise ValueError(f"{jar} is not named group_artifact-version.jar")
    return found[1], found[2], found[3]


def _of_wheel(file: Path, kind: ComponentType) -> tuple[Component, list[Requirement]]:
    with zipfile.ZipFile(file) as archive:
        (name,) = [n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
        said = HeaderParser().parsestr(archive.read(name).decode())
    purl = PackageURL("pypi", None, _normal(said["Name"]), said["Version"])
    part = Component(
        name=_normal(said["Name"]), version=said["Version"], type=kind, purl=purl, bom_ref=str(purl), hashes=[_sum(file)],
        description=said["Summary"],
    )  # fmt: skip
    licence = said["License-Expression"] or said["License"]
    if not licence or "\n" in licence:  # the whole text: its classifier names it
        named = [c.rpartition(" :: ")[2] for c in said.get_all("Classifier") or () if c.startswith("License ::")]
        part.licenses.update(
            DisjunctiveLicense(name=name, acknowledgement=LicenseAcknowledgement.DECLARED) for name in named
        )
    else:
        part.licenses.add(
            LicenseFactory().make_from_string(licence, license_acknowledgement=LicenseAcknowledgement.DECLARED)
        )
    return part, [Requirement(text) for text in said.get_all("Requires-Dist") or ()]


def _of_jar(file: Path) -> Component:
    group, artifact, version = coordinate(file.name)
    purl = PackageURL("maven", group, artifact, version)
    return Component(
        name=artifact, group=group, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl),
        hashes=[_sum(file)],
    )  # fmt: skip


def _sum(file: Path) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(file.read_bytes()).hexdigest())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
