"""Who may do what with a table, who approves exceptions, and where events go."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from dataward.contract.base import HttpUrl, Model, Name

__all__ = [
    "Access",
    "Allowed",
    "Approval",
    "Audit",
    "CloudWatchSink",
    "DeltaSink",
    "Grant",
    "HttpSink",
    "JsonLinesSink",
    "Level",
    "Sink",
]


def _local(path: str) -> str:
    if "://" in path or path.startswith("dbfs:"):
        raise ValueError("events wait on the machine's own disk, which can lock files: give a local path")
    return path


LocalPath = Annotated[str, AfterValidator(_local)]

Level = Literal["clear", "token", "masked", "absent"]
"""What a reader sees of a column: the original, what is stored, a constant, or no column."""


class Allowed(Model):
    """Who may be given originals of which classes, what for, and how many rows of them a day (UTC)."""

    principals: tuple[str, ...] = Field(min_length=1, description="login names; with aws_kms ARNs as STS tells them")
    classes: tuple[Name, ...] = Field(min_length=1)
    purposes: tuple[str, ...] = Field(min_length=1)
    rows_per_day: int = Field(ge=1, le=10**12)


class Grant(Model):
    """Permit principals or groups some verbs, and levels of columns by class; it is translated to Cedar."""

    principals: tuple[str, ...] = Field(default=(), description="login names, ARNs of STS, users of Databricks")
    groups: tuple[str, ...] = Field(default=(), description="groups of the system, roles of AWS, groups of Databricks")
    anyone: bool = Field(default=False, description="every principal")
    verbs: tuple[Name, ...] = Field(min_length=1, description="verbs, or groups of them: look, operate, manage")
    see: dict[Name, Level] = Field(
        default_factory=dict,
        description="level by class for the verb read; 'default' for other classes (default: absent). Columns that are kept "
        "and have no class are seen by all who may read",
    )
    rows: str | None = Field(
        default=None, min_length=1, description="SQL condition on the stored rows: which may be read"
    )
    purposes: tuple[str, ...] = Field(default=(), description="purposes that must be stated (default: any)")
    until: date | None = Field(default=None, description="the last day (UTC) on which the grant holds")

    @model_validator(mode="after")
    def _somebody(self) -> Grant:
        if self.anyone == bool(self.principals or self.groups):
            raise ValueError("a grant names principals or groups, or says anyone: true")
        return self


class Access(Model):
    """Who may do what with the table.

    Without ``policy`` and ``grants`` every verb but re-identification is permitted; with one of them, what no policy permits
    is denied.
    """

    policy: str | None = Field(default=None, min_length=1, description="file of Cedar policies")
    grants: tuple[Grant, ...] = ()
    reidentify: tuple[Allowed, ...] = Field(default=(), description="who may be given originals; nobody by default")
    identity: Literal["auto", "os", "sts", "databricks"] = Field(
        default="auto",
        description="who vouches for the caller: auto is STS with keys in AWS KMS, the session's user on Databricks, else "
        "the operating system",
    )

    @property
    def governed(self) -> bool:
        """Whether verbs are denied unless a policy permits them."""
        return bool(self.policy or self.grants)


class Approval(Model):
    """A signed exception: a column may be protected less than the policy asks for its class."""

    column: str = Field(min_length=1)
    by: str = Field(min_length=1, description="name of the approver in the policy's 'approvers'")
    signature: str = Field(min_length=1, description="from: dataward access approve")
    until: date | None = Field(default=None, description="the last day (UTC) on which it holds")
    reason: str = Field(default="", max_length=500)


class JsonLinesSink(Model):
    """Events as lines of JSON in a file."""

    kind: Literal["jsonl"] = "jsonl"
    path: LocalPath = Field(min_length=1, description="file; created with mode 0600")


class DeltaSink(Model):
    """Events as rows of a Delta table."""

    kind: Literal["delta"] = "delta"
    path: str = Field(min_length=1, description="directory of the table")


class CloudWatchSink(Model):
    """Events in a log group of CloudWatch Logs; each spool has a stream of its own."""

    kind: Literal["cloudwatch"] = "cloudwatch"
    group: str = Field(min_length=1, max_length=512, description="log group")
    create: bool = Field(default=False, description="create the group where there is none")


class HttpSink(Model):
    """Events in a topic, through a Kafka REST proxy (v2, JSON)."""

    kind: Literal["http"] = "http"
    url: HttpUrl = Field(description="base URL of the proxy, e.g. https://rest:8082")
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    partition: int = Field(default=0, ge=0, description="partition of the topic: one, so that the order is kept")


Sink = Annotated[JsonLinesSink | DeltaSink | CloudWatchSink | HttpSink, Field(discriminator="kind")]


class Audit(Model):
    """Where the event of every verb goes."""

    sinks: tuple[Sink, ...] = Field(min_length=1)
    spool: LocalPath = Field(
        default=".dataward/spool",
        min_length=1,
        description="local folder of events that are not delivered everywhere yet",
    )
    batch: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="events whose digest is one entry of the ledger; 'audit seal' enters the rest",
    )
