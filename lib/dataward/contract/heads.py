"""Places outside the table's reach where checkpoints of the ledger are kept."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from dataward.contract.base import HttpUrl, Model

__all__ = ["Head"]

KINDS = ("directory", "s3", "cloudwatch", "timestamp", "witness")


class Head(Model):
    """One place of heads: exactly one of directory, s3, cloudwatch, timestamp and witness."""

    directory: str | None = Field(
        default=None,
        min_length=1,
        description="a folder of another owner: a mounted path, or s3://, gs://, abfss://, hdfs://",
    )
    s3: str | None = Field(
        default=None,
        pattern=r"^s3://[^/]+(/.*)?$",
        description="s3://BUCKET/PREFIX: objects under Object Lock (COMPLIANCE)",
    )
    retain_days: int = Field(default=3650, ge=1, le=36_500, description="s3: how long the lock holds")
    cloudwatch: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_./#-]{1,512}$", description="an existing log group of CloudWatch"
    )
    timestamp: HttpUrl | None = Field(default=None, description="URL of an RFC 3161 time stamping authority")
    certificate: str | None = Field(
        default=None, min_length=1, description="timestamp: PEM file of the authority's roots"
    )
    witness: HttpUrl | None = Field(
        default=None, description="URL of a C2SP witness (tlog-witness), without /add-checkpoint"
    )
    key: str | None = Field(default=None, min_length=1, description="witness: its public key, NAME+HASH+BASE64")
    required: bool = Field(
        default=True, description="a run whose head cannot be kept here ends with an error; false: with a warning"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Head:
        named = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(named) != 1:
            raise ValueError(f"give exactly one of {', '.join(KINDS)}")
        if (self.certificate is not None) != (self.timestamp is not None):
            raise ValueError(
                "'timestamp' needs 'certificate' (the authority's roots, PEM), and only timestamp takes it"
            )
        if (self.key is not None) != (self.witness is not None):
            raise ValueError("'witness' needs 'key' (its public key), and only witness takes it")
        if self.key is not None and not re.fullmatch(r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44}", self.key):
            raise ValueError("'key' is the witness's public key as text: NAME+HASH+BASE64")
        if "retain_days" in self.model_fields_set and self.s3 is None:
            raise ValueError("'retain_days' goes with s3")
        return self

    def __str__(self) -> str:
        """Return kind and place."""
        return next(f"{kind} {getattr(self, kind)}" for kind in KINDS if getattr(self, kind) is not None)
