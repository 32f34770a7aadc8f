"""Settings of a contract: keys, joins, erasure, windows, limits."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from dataward.contract.base import HttpUrl, Model, Name
from dataward.contract.places import bucket_and_key

__all__ = [
    "Erasure",
    "Join",
    "Keys",
    "Limits",
    "PrivateMetrics",
    "Lineage",
    "Retain",
    "Retention",
    "Storage",
    "Windows",
]


AZURE_KEY = r"https?://[^/]+/keys/[0-9A-Za-z-]+"
GCP_KEY = r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+"
KEY_FORMS = {
    "aws_kms": (".+", "the id, ARN or alias of a KMS key"),
    "vault": (r"[^/:]+(/[^/:]+)+", "MOUNT/NAME of a transit key, e.g. transit/dataward"),
    "azure_key_vault": (rf"{AZURE_KEY}(/[0-9A-Za-z]+)?", "https://VAULT.vault.azure.net/keys/NAME"),
    "gcp_kms": (GCP_KEY, "projects/P/locations/L/keyRings/R/cryptoKeys/K"),
}
"""Form of 'key' by provider that wraps, and how it is spelled."""


class Keys(Model):
    """Whose keys protect this table. Columns of one domain share a key, so that their tokens join."""

    provider: Literal["local", "aws_kms", "databricks", "vault", "azure_key_vault", "gcp_kms"] = Field(
        default="local",
        description="local: a keyring file of mode 0600; databricks: a secret; aws_kms, vault (HashiCorp's), azure_key_vault, gcp_kms: "
        "its secrets wrapped by 'key'",
    )
    path: str = Field(
        min_length=1,
        description="the keyring: a file; with databricks SCOPE/NAME; with vault also vault://MOUNT/PATH (KV version 2); wrapped by "
        "'key' also s3://BUCKET/KEY, gs://BUCKET/NAME or az://CONTAINER/NAME; create it with: dataward keys create",
    )
    domain: Name = Field(description="key domain of the columns that name none")
    key: str | None = Field(
        default=None,
        min_length=1,
        description="the key that wraps the secrets. aws_kms: id, ARN or alias; vault: MOUNT/NAME of a transit key; azure_key_vault: "
        "https://VAULT.vault.azure.net/keys/NAME; gcp_kms: projects/P/locations/L/keyRings/R/cryptoKeys/K",
    )
    env: Name = Field(default="default", description="with 'key': part of what a wrapped secret is bound to, e.g. prod")
    sign: str | None = Field(
        default=None,
        min_length=1,
        description="a key that signs statements in its service; default: the domain's key. AWS KMS (ECC_NIST_P256): id, ARN or alias; "
        "Vault: vault:MOUNT/NAME; Azure: https://VAULT.vault.azure.net/keys/NAME/VERSION; Google: "
        "projects/.../cryptoKeyVersions/N",
    )
    spill: Literal["encrypted", "plain"] = Field(
        default="encrypted",
        description="on a cluster, whether Spark must encrypt what it spills and sends (plain: the disks are encrypted)",
    )

    @model_validator(mode="after")
    def _fits_provider(self) -> Keys:
        form, spelled = KEY_FORMS.get(self.provider, ("", ""))
        if self.key is not None and not form:
            raise ValueError(f"'key' names the key that wraps the secrets: provider {self.provider} takes none")
        if self.key is None and form and not (self.provider == "vault" and self.path.startswith("vault://")):
            raise ValueError(f"provider {self.provider} needs 'key', the key that wraps the secrets: {spelled}")
        if self.key is not None and not re.fullmatch(form, self.key):
            raise ValueError(f"with provider {self.provider} 'key' is {spelled}")
        return self

    @model_validator(mode="after")
    def _fits_path(self) -> Keys:
        if self.provider == "databricks" and not re.fullmatch(r"[^/]+/[^/]+", self.path):
            raise ValueError("with provider databricks 'path' is SCOPE/NAME of a secret")
        if bucket_and_key(self.path) and not self.path.startswith("s3://"):
            raise ValueError("write the keyring's path as s3://BUCKET/KEY: it is no file that Spark reads")
        scheme, colon, rest = self.path.partition("://")
        if not colon:
            return self
        if scheme == "vault" and self.provider != "vault":
            raise ValueError("a keyring at vault://MOUNT/PATH goes with provider vault")
        if scheme != "vault" and self.key is None:
            raise ValueError(
                f"a keyring at {scheme}://BUCKET/NAME goes with a provider whose 'key' wraps it (aws_kms, vault, azure_key_vault, "
                "gcp_kms): elsewhere its secrets lie open"
            )
        if scheme not in ("vault", "s3", "gs", "az", "abfs", "abfss") or not re.fullmatch(r"[^/]+/.+", rest):
            raise ValueError(
                f"a keyring is a file, or at s3://, gs:// or az://BUCKET/NAME, or at vault://MOUNT/PATH, not {self.path}"
            )
        return self

    @model_validator(mode="after")
    def _fits_sign(self) -> Keys:
        if self.sign and self.sign.startswith("https://") and not re.fullmatch(f"{AZURE_KEY}/[0-9A-Za-z]+", self.sign):
            raise ValueError(
                "'sign' of Azure is https://VAULT.vault.azure.net/keys/NAME/VERSION: verification needs one public key"
            )
        if (
            self.sign
            and self.sign.startswith("projects/")
            and not re.fullmatch(f"{GCP_KEY}/cryptoKeyVersions/[0-9]+", self.sign)
        ):
            raise ValueError("'sign' of Google is projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N")
        return self


class Storage(Model):
    """What connections and writes to S3 must be. A run whose settings do less stops before anything is read."""

    tls: bool = Field(default=True, description="refuse an endpoint without TLS, of Spark's s3a or of AWS_ENDPOINT_URL")
    kms: str | None = Field(
        default=None,
        min_length=1,
        description="ID or ARN of the KMS key under which every object must be written (SSE-KMS)",
    )


class Lineage(Model):
    """Where OpenLineage events of the runs go."""

    file: str | None = Field(default=None, min_length=1, description="a file to which events are appended, one a line")
    url: HttpUrl | None = Field(default=None, description="an endpoint, such as Marquez")
    namespace: str = Field(default="dataward", min_length=1, description="namespace of jobs, and of tables by name")
    token_from: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="with url: the environment variable that holds the endpoint's token",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Lineage:
        if (self.file is None) == (self.url is None):
            raise ValueError("give exactly one of 'file' and 'url'")
        if self.token_from and self.url is None:
            raise ValueError("'token_from' goes with 'url'")
        return self


class Join(Model):
    """A column of another contract's table that this table's column must join, or must not."""

    column: str
    with_: str = Field(alias="with", description="the other table's contract file")
    its: str | None = Field(default=None, description="the other table's column, where it has another name")
    share: float | None = Field(
        default=None, gt=0, le=1, description="of this column's different values, how many the other must hold"
    )
    never: bool = Field(default=False, description="no value of the two may be equal")

    @model_validator(mode="after")
    def _one_wish(self) -> Join:
        if (self.share is None) != self.never:
            raise ValueError("give either 'share' (0 to 1) or 'never: true'")
        return self

    @property
    def its_column(self) -> str:
        """Name of the column in the other table."""
        return self.its or self.column


class Retain(Model):
    """Rows that may not be erased yet: those whose date lies less than so many days back."""

    column: str = Field(description="a date or timestamp that is kept in the target")
    days: int = Field(ge=1, le=36_500)


class Erasure(Model):
    """How a person is found and forgotten."""

    subject: str = Field(description="the column that names a person: kept, or protected by token, encrypt or fpe")
    hold: str | None = Field(
        default=None, min_length=1, description="a legal hold, and its reason: nothing may be erased"
    )
    retain: Retain | None = None
    returns: Literal["quarantine", "drop"] = Field(
        default="quarantine",
        description="what becomes of rows of an erased person that a later run finds in the source",
    )


class PrivateMetrics(Model):
    """What is released of a private table in place of exact numbers: a release of each published version."""

    unit: str = Field(min_length=1, description="the target's column that names a person, or row")
    rows_per_unit: int = Field(default=1, ge=1, le=2**20, description="rows of one unit that count, at most")
    between: dict[str, tuple[float, float]] = Field(
        default_factory=dict,
        description="numeric columns that are released, each with public bounds: {amount: [0, 500]}",
    )
    distinct: tuple[str, ...] = Field(default=(), description="columns whose distinct values are counted")
    epsilon: float = Field(gt=0, le=100, description="price of one version's metrics")
    delta: float = Field(default=0.0, ge=0, lt=0.1)
    from_: str = Field(alias="from", min_length=1, description="the table of budgets")

    @model_validator(mode="after")
    def _ordered(self) -> PrivateMetrics:
        if wrong := [name for name, (low, high) in self.between.items() if not low < high]:
            raise ValueError(f"private_metrics.between.{wrong[0]} is [low, high] with low below high")
        return self


class Retention(Model):
    """How long files of old versions are kept by 'dataward vacuum', and whether a legal hold keeps all of them."""

    days: int = Field(default=7, ge=0, le=36_500, description="versions younger than this stay readable")
    hold: str | None = Field(
        default=None, min_length=1, description="a legal hold, and its reason: nothing may be removed"
    )


class Windows(Model):
    """Windows of event time in which the rules are evaluated as well."""

    column: str = Field(description="a timestamp, a date, or text that Spark reads as one")
    length: str = Field(pattern=r"^[1-9][0-9]{0,4} (second|minute|hour|day|week)s?$", description="e.g. 1 hour")


class Limits(Model):
    """Bounds of one run; shares are from 0 to 1."""

    quarantined: float | None = Field(
        default=None, ge=0, le=1, description="a run that would divert a larger share of its rows stops"
    )
    empty: Literal["stop", "allow"] = Field(
        default="stop",
        description="what becomes of a run that would publish no row: a source without rows under overwrite, replace and "
        "refresh, or a source of which every row is diverted",
    )
    seconds: int | None = Field(
        default=None, ge=1, le=86_400, description="a rule that takes longer is stopped, and so is the run"
    )
