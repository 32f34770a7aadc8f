"""Settings of connections to S3: TLS and encryption, compared with what a contract demands. Pure but for :func:`demand`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from dataward.contract import Contract
from dataward.contract.places import bucket_and_key
from dataward.errors import SessionError
from dataward.spark.session import platform
from dataward.spark.settings import of_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["demand", "plain_endpoints", "unfit"]

ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_STS")


def demand(spark: SparkSession, contract: Contract) -> None:
    """Check that the session reaches S3 as the contract's ``storage`` demands.

    Raises:
        SessionError: it does not.
    """
    if contract.storage is None:
        return
    if troubles := list(unfit(contract, of_session(spark), os.environ, platform())):
        raise SessionError(
            f"contract {contract.contract}: its 'storage' is not fulfilled, and nothing was read:\n  "
            + "\n  ".join(troubles)
        )


def unfit(contract: Contract, conf: Mapping[str, str], environ: Mapping[str, str], where: str) -> Iterator[str]:
    """Yield what is missing, each with its remedy.

    Args:
        contract: the contract.
        conf: settings of Spark and, without ``spark.hadoop.``, of Hadoop.
        environ: environment variables.
        where: the platform.
    """
    storage = contract.storage
    places = [contract.source, *contract.references.values(), *contract.tables.values()]
    paths = [place.path for place in places if place.path and bucket_and_key(place.path)]
    if storage is None or not (paths or contract.keys.provider == "aws_kms"):
        return
    if storage.tls:
        for name in plain_endpoints(conf):
            yield f"{name} names an endpoint without TLS: name an https:// endpoint, or remove it"
        for name in ENDPOINTS:
            if environ.get(name, "").lower().startswith("http://"):
                yield f"environment variable {name} names an endpoint without TLS: name an https:// endpoint, or remove it"
    if storage.kms is not None:
        written = [place.path for place in contract.tables.values() if place.path and bucket_and_key(place.path)]
        for path in _one_of_each_bucket(written):
            yield from _unencrypted(path, storage.kms, conf, where)


def plain_endpoints(conf: Mapping[str, str]) -> Iterator[str]:
    """Yield the settings by which s3a connects without TLS."""
    for name in sorted(conf):
        value = conf[name].lower()
        if re.fullmatch(r"fs\.s3a(\.bucket\.[^.]+)?\.(endpoint|connection\.ssl\.enabled)", name):
            secure = conf.get(name.replace("connection.ssl.enabled", "endpoint"), "").lower().startswith("https://")
            if value.startswith("http://") or (name.endswith("enabled") and value == "false" and not secure):
                yield name


def _one_of_each_bucket(paths: Iterable[str]) -> list[str]:
    return list({(bucket_and_key(path) or ("",))[0]: path for path in paths}.values())


def _unencrypted(path: str, key: str, conf: Mapping[str, str], where: str) -> Iterator[str]:
    if path.startswith("s3://") and where in ("emr", "glue"):  # EMRFS
        on, named = conf.get("fs.s3.enableServerSideEncryption"), conf.get("fs.s3.serverSideEncryption.kms.keyId")
        if str(on).lower() != "true" or named != key:
            yield (
                f"objects of {path} would not be encrypted under {key}: set spark.hadoop.fs.s3.enableServerSideEncryption=true and "
                f"spark.hadoop.fs.s3.serverSideEncryption.kms.keyId={key}"
            )
        return
    bucket = (bucket_and_key(path) or ("",))[0]

    def setting(*names: str) -> str:
        full = [f"fs.s3a.{prefix}{name}" for prefix in (f"bucket.{bucket}.", "") for name in names]
        return next((conf[name] for name in full if conf.get(name)), "")

    algorithm = setting("encryption.algorithm", "server-side-encryption-algorithm")
    if algorithm.upper() != "SSE-KMS" or setting("encryption.key", "server-side-encryption.key") != key:
        yield (
            f"objects of {path} would not be encrypted under {key}: set spark.hadoop.fs.s3a.encryption.algorithm=SSE-KMS and "
            f"spark.hadoop.fs.s3a.encryption.key={key}"
        )
