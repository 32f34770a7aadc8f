"""Create a project: a contract for this machine, the same for a platform, templates, roles and examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml

from dataward.errors import TargetError, UsageError
from dataward.pipeline.plan import plan
from dataward.privacy.discover.macie import template as macie
from dataward.spark.session import REQUIRED
from dataward.verbs.iam import PSEUDO, grant, template
from dataward.verbs.iam import Asked as Policy

__all__ = ["Asked", "init"]

Platform = Literal["", "aws", "databricks"]
ROLES = {"publish": "glue", "verify": "sagemaker", "erase": "emr", "rotate": "emr", "keys-create": "sagemaker"}
JOBS = {"": (), "aws": ("publish", "verify", "erase", "rotate"), "databricks": ("publish", "verify")}
JOB = '''"""spark-submit entry of ``dataward {verb}``; see ``dataward {verb} --help``."""

import sys

from dataward.cli import main

if __name__ == "__main__":
    code = main(["{verb}", *sys.argv[1:]])
    if code:  # on success just return: Databricks and YARN cluster mode take sys.exit(0) for a failure
        sys.exit(code)
'''
CONF = {
    **REQUIRED,
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.io.encryption.enabled": "true",
    "spark.hadoop.fs.s3a.directory.marker.retention": "keep",
}


@dataclass(frozen=True)
class Asked:
    """Folder and platform of a project; ``prefix``, ``account``, ``region`` and ``env`` fill the AWS files."""

    folder: str
    platform: Platform = ""
    prefix: str = "acme-data"
    account: str = "123456789012"
    region: str = "eu-west-1"
    env: str = "prod"


def init(asked: Asked) -> list[str]:
    """Write the files of a project and return their paths, in the folder, in order.

    Raises:
        UsageError: a name is invalid, or the folder is not empty.
        TargetError: a file cannot be written.
    """
    for name, pattern in (("prefix", r"[a-z0-9][a-z0-9-]{2,40}"), ("account", r"\d{12}"), ("env", r"[a-z][a-z0-9-]{0,15}"),
                          ("region", r"[a-z]{2}(-[a-z]+)+-\d")):  # fmt: skip
        if not re.fullmatch(pattern, getattr(asked, name)):
            raise UsageError(f"--{name} {getattr(asked, name)}: must match {pattern}")
    folder = Path(asked.folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty: name a new folder")
    wanted = dict(_texts(asked))
    try:
        for path, text in wanted.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        for path, text in _generated(asked, folder):
            (folder / path).write_text(text, encoding="utf-8")
            wanted[path] = text
    except OSError as error:
        raise TargetError(f"{error.filename or folder}: {error.strerror}") from None
    return sorted(wanted)


def _texts(asked: Asked) -> Iterator[tuple[str, str]]:
    """Return the files of the package's project templates, with names filled in."""
    project = files("dataward") / "project"
    for path, text in _below(project / "common"):
        yield {"gitignore": ".gitignore"}.get(path, path), text
    if asked.platform:
        for path, text in _below(project / asked.platform):
            filled = path.endswith(("customers.yaml", ".json", "README.md"))
            yield _place(asked.platform, path), _filled(asked, text) if filled else text
    for verb in JOBS[asked.platform]:
        yield f"jobs/{verb}.py", JOB.format(verb=verb)
    if asked.platform == "aws":
        yield "conf/spark.conf", "".join(f"{name:<48} {value}\n" for name, value in CONF.items())


def _place(platform: str, path: str) -> str:
    """Return the destination of a file of the package: contracts among contracts, the bundle and the README at the top."""
    if path in ("README.md", "databricks.yml"):
        return path
    if path.endswith("customers.yaml"):
        return f"contracts/{platform}/customers.yaml"
    return f"{platform}/{path}"


def _filled(asked: Asked, text: str) -> str:
    for name in ("prefix", "account", "region", "env"):
        text = re.sub(rf"\b{name.upper()}\b", getattr(asked, name), text)
    return text.replace("VERSION", (files("dataward") / "VERSION").read_text(encoding="utf-8").strip())


def _generated(asked: Asked, folder: Path) -> Iterator[tuple[str, str]]:
    """Return the generated files: roles from the contract, identifiers of Macie from the detectors."""
    if asked.platform != "aws":
        return
    planned = plan(folder / "contracts" / "aws" / "customers.yaml")
    bucket_key = f"arn:{PSEUDO[2]}:kms:{PSEUDO[1]}:{PSEUDO[0]}:alias/dataward-{asked.env}-buckets"
    grants = {}
    for verb, role in ROLES.items():
        policy = Policy(
            verb, role, PSEUDO[0], PSEUDO[1], bucket_key, f"/dataward/{asked.env}/customers",
            f"s3://{asked.prefix}-lake/reports",
        )  # fmt: skip
        grants[f"{planned.name} {verb}"] = grant(planned, policy)
    yield "aws/roles.yaml", _yaml(template(grants))
    yield "aws/macie.yaml", _yaml(macie())


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=140, allow_unicode=True)


def _below(folder: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{entry.name}/")
        elif not entry.name.endswith(".pyc"):
            yield f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")
