"""Accounts, places and roles of IAM policies, and their statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dataward.contract import Location
from dataward.contract.places import bucket_and_key

__all__ = ["ROLES", "Account", "Place", "allow", "one", "s3_arn", "trust"]

ROLES = {
    "glue": ("glue.amazonaws.com", "arn:{partition}:glue:{region}:{account}:job/*"),
    "emr": ("emr-serverless.amazonaws.com", "arn:{partition}:emr-serverless:{region}:{account}:/applications/*"),
    "emr-ec2": ("ec2.amazonaws.com", ""),
    "sagemaker": ("sagemaker.amazonaws.com", "arn:{partition}:sagemaker:{region}:{account}:*"),
}
"""Service that assumes a role, and the ARNs of its jobs (empty: the service sends no source ARN)."""


@dataclass(frozen=True)
class Account:
    """Account and settings of the job.

    Attributes:
        bucket_key: ARN of the KMS key that encrypts the buckets (SSE-KMS); empty: their encryption needs no permission.
        log_group: CloudWatch Logs group for the job's events and metrics; empty: none.
        locations: S3 folders of tables that the contract names by catalog name.
        more: places by kind that are not in the contract: the folder of the command line, the budgets and draws of a release.
    """

    account: str
    region: str
    partition: str = "aws"
    bucket_key: str = ""
    log_group: str = ""
    locations: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Location] = field(default_factory=dict)

    def arn(self, service: str, rest: str) -> str:
        """Return an ARN in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"


@dataclass(frozen=True)
class Place:
    """A folder or an object in S3."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, path: str) -> Place | None:
        """Read an s3, s3a or s3n URI; None for any other path."""
        found = bucket_and_key(path)
        return cls(*found) if found else None


def trust(role: str, account: Account) -> dict[str, Any]:
    """Return the trust policy: one service may assume the role, only for jobs of this account."""
    service, source = ROLES[role]
    statement: dict[str, Any] = {
        "Sid": "OneServiceOfThisAccount",
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if source:
        arn = source.format(partition=account.partition, region=account.region, account=account.account)
        statement["Condition"] = {
            "StringEquals": {"aws:SourceAccount": account.account},
            "ArnLike": {"aws:SourceArn": arn},
        }
    return {"Version": "2012-10-17", "Statement": [statement]}


def allow(sid: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    """Return a statement that allows actions on resources."""
    return {"Sid": sid, "Effect": "Allow", "Action": one(actions), "Resource": one(resources)}


def one(values: list[str]) -> str | list[str]:
    """Return a list with a single value as that value, the usual style of policies."""
    return values[0] if len(values) == 1 else values


def s3_arn(account: Account, bucket: str, key: str = "") -> str:
    """Return the ARN of a bucket, or of keys in it."""
    return f"arn:{account.partition}:s3:::{bucket}" + (f"/{key}" if key else "")
