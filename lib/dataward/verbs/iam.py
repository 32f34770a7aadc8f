"""Print the smallest IAM policy of a verb on a contract, with its trust policy, and compare it with granted or used permissions."""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dataward.access import iam as generated
from dataward.access.iam_diff import Difference, against_policy, against_trail
from dataward.access.iam_verbs import QUERIES, SITES
from dataward.contract import Document, Location
from dataward.errors import UsageError
from dataward.federated.plan import read_site
from dataward.pipeline.plan import Plan, plan
from dataward.quality.suite import Suite
from dataward.release.query import contract_of, load
from dataward.release.synthesis import load_synthesis
from dataward.tables.store import files_below

__all__ = ["Asked", "Grant", "compare", "grant", "subject", "template"]

PSEUDO = ("${AWS::AccountId}", "${AWS::Region}", "${AWS::Partition}")


@dataclass(frozen=True)
class Asked:
    """Arguments of a policy; ``account`` and ``region`` default to those of the contract's KMS key."""

    verb: str
    role: str = ""
    account: str = ""
    region: str = ""
    bucket_key: str = ""
    log_group: str = ""
    report: str = ""
    folder: str = ""
    locations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Grant:
    """Permissions of a job (``policy``), of its role's principals (``trust``), and notes for the reader."""

    policy: dict[str, Any]
    trust: dict[str, Any]
    notes: tuple[str, ...]


def subject(path: str, verb: str) -> tuple[Plan, dict[str, Location]]:
    """Read the contract, query or site's file that a verb is about; returns its plan and the places that are not in the plan.

    Raises:
        ContractError: the file is invalid.
        UsageError: the verb is unknown, or is about the other kind of file.
    """
    generated.work_of(verb)
    data = Document.read(path).data
    keys = set(data) if isinstance(data, dict) else set()
    if verb in QUERIES and "contract" in keys:
        raise UsageError(f"{path} is a contract, and {verb} is about a query: give the query's file (docs/release.md)")
    if verb not in QUERIES and keys & {"release", "synthesize"}:
        raise UsageError(f"{path} is a query, and {verb} is about a contract: give the table's contract")
    if verb in SITES and "site" in keys:
        site = read_site(path)
        return plan(site.contract), {"budgets": site.budget} if site.budget else {}
    if verb not in QUERIES:
        return plan(path), {}
    synthetic = "synthesize" in keys
    query = load_synthesis(path).query if synthetic else load(path)
    asked = contract_of(query, query.source.beside("source"), query.source, query.source.ledger)
    more = {
        "budgets": query.spend.budget,
        "draws": query.target.beside("draws"),
        "asked ledger": asked.ledger_location,
    }
    return Plan(query.contract, Suite(), "", Document("", {}, {}, ())), more


def grant(planned: Plan, asked: Asked, more: Mapping[str, Location] | None = None) -> Grant:
    """Return the smallest policy of a verb on a contract; ``more``: places that are not in the contract.

    Raises:
        UsageError: an argument is missing or wrong; the message names it.
    """
    if asked.role and asked.role not in generated.ROLES:
        raise UsageError(f"--role {asked.role}: choose one of {', '.join(generated.ROLES)}")
    generated.work_of(asked.verb)
    more = {
        **(more or {}),
        **({kind: Location(path=asked.folder) for kind in ("folder", "checkpoint")} if asked.folder else {}),
    }
    account = replace(_account(planned, asked), more=more)
    joined = [other for _, other in planned.joins]
    policy = generated.policy(planned.contract, asked.verb, account, asked.report, joined)
    trust = generated.trust(asked.role, account) if asked.role else {}
    return Grant(policy, trust, tuple(_notes(planned, asked, policy, more)))


def template(grants: Mapping[str, Grant]) -> dict[str, Any]:
    """Return a CloudFormation template with a role for each name, such as ``customers publish``."""
    roles, outputs = {}, {}
    for name, given in grants.items():
        logical = "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", name)) + "Role"
        roles[logical] = {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "Description": f"Dataward: {name}, and nothing else",
                "AssumeRolePolicyDocument": _substituted(given.trust),
                "Policies": [{"PolicyName": "dataward", "PolicyDocument": _substituted(given.policy)}],
            },
        }
        outputs[f"{logical}Arn"] = {"Value": {"Fn::GetAtt": [logical, "Arn"]}}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Roles that dataward iam generated: {', '.join(grants)}",
        "Resources": roles,
        "Outputs": outputs,
    }


def compare(policy: Mapping[str, Any], path: str) -> list[Difference]:
    """Compare the policy with a file: a policy document, or CloudTrail records (also .gz, or a folder of them).

    Raises:
        UsageError: the file cannot be read, or is neither.
    """
    documents = list(_documents(Path(path)))
    records = [record for document in documents for record in document.get("Records", ())]
    if any("Records" in document for document in documents):
        return against_trail(policy, records)
    if len(documents) == 1 and "Statement" in documents[0]:
        return against_policy(policy, documents[0])
    raise UsageError(f"--diff {path}: neither a policy (Statement) nor CloudTrail records (Records)")


def _account(plan: Plan, asked: Asked) -> generated.Account:
    arn = (plan.contract.keys.key or "").split(":") if (plan.contract.keys.key or "").startswith("arn:") else []
    account = asked.account or (arn[4] if len(arn) > 4 else "")
    region = asked.region or (arn[3] if len(arn) > 3 else "") or os.environ.get("AWS_REGION", "")
    if account not in PSEUDO and not re.fullmatch(r"\d{12}", account):
        raise UsageError(
            "name the AWS account with --account (12 digits): the contract's KMS key is no ARN that has it"
        )
    if not region:
        raise UsageError("name the region with --region")
    return generated.Account(
        account, region, arn[1] if arn else "aws", asked.bucket_key, asked.log_group, asked.locations
    )


def _notes(planned: Plan, asked: Asked, policy: Mapping[str, Any], more: Mapping[str, Location]) -> Iterator[str]:
    joined = [other for _, other in planned.joins]
    for place in generated.outside(planned.contract, asked.verb, joined, more):
        yield f"{place} is not in S3: the policy does not cover it"
    work = generated.work_of(asked.verb)
    if {"folder", "checkpoint"} & {*work.reads, *work.writes} and not asked.folder:
        yield "the folder that the command line names is not covered; give --folder s3://BUCKET/FOLDER to grant it"
    if work.report and not asked.report.startswith("s3"):
        yield "reports are written where the job runs; give --report s3://BUCKET/FOLDER to grant a folder"
    if not asked.bucket_key and any("s3:" in str(s["Action"]) for s in policy["Statement"]):
        yield "if the buckets are encrypted by a KMS key (SSE-KMS), give --bucket-key ARN"
    if not asked.log_group:
        yield "no log group: events and metrics stay with the job's own logs; give --log-group NAME to grant one"


def _substituted(value: Any) -> Any:
    """Wrap strings that hold CloudFormation's pseudo-parameters."""
    if isinstance(value, dict):
        return {key: _substituted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_substituted(inner) for inner in value]
    return {"Fn::Sub": value} if isinstance(value, str) and "${AWS::" in value else value


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    files = sorted(path / one for one in files_below(path) if ".json" in one.name) if path.is_dir() else [path]
    for file in files:
        try:
            data = file.read_bytes()
            document = json.loads(gzip.decompress(data) if file.suffix == ".gz" else data)
        except (OSError, zlib.error) as error:
            raise UsageError(f"--diff {file}: {getattr(error, 'strerror', None) or 'not a gzip file'}") from None
        except (ValueError, EOFError):
            raise UsageError(f"--diff {file}: not JSON") from None
        if not isinstance(document, dict):
            raise UsageError(f"--diff {file}: not a JSON object")
        yield document
