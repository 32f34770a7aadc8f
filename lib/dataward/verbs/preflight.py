"""Check the environment of a contract's job: settings, buckets, tables and connections. Findings have a code and a remedy.

The checks are pure functions of :class:`Facts`; :func:`collect` reads the facts from Spark, Delta and AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.spark import settings
from dataward.spark.sql import names
from dataward.tables import delta, turns
from dataward.tables.objects import plain_endpoints

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dataward.tables.aws import StorageState

__all__ = ["Asked", "Facts", "Finding", "collect", "findings", "preflight", "storage_of"]

SKEW_WARNS, SKEW_STOPS = 60, 600  # seconds; AWS refuses signatures that are 900 s off
YES = "true"
DAYS = {"second": 1 / 86_400, "minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7, "month": 30, "year": 365}
DEFAULTS = {"delta.logRetentionDuration": "interval 30 days", "delta.deletedFileRetentionDuration": "interval 1 week"}


@dataclass(frozen=True)
class Asked:
    """Inputs of a check: ``conf`` is a properties file instead of a session's settings; ``writers`` the number of concurrent jobs."""

    conf: str = ""
    writers: int = 1
    storage: bool = True


@dataclass(frozen=True)
class Facts:
    """Facts about the environment.

    Attributes:
        conf: settings of Spark and, without ``spark.hadoop.``, of Hadoop.
        buckets: settings of the buckets, by content (``target``, ``ledger``, ``keyring``, ...).
        properties: Delta table properties by kind of table; tables that do not exist yet are left out.
        columns: columns of these tables, in order.
        skew: seconds that the clock is ahead of AWS; None: unknown.
        unread: facts that could not be read, and why.
    """

    conf: Mapping[str, str] = field(default_factory=dict)
    writers: int = 1
    buckets: Mapping[str, StorageState] = field(default_factory=dict)
    properties: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    skew: float | None = None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One finding; ``stops`` means that the job should not run in this environment."""

    code: str
    stops: bool
    what: str
    remedy: str


@guarded("preflight")
def preflight(spark: SparkSession | None, plan: Plan, asked: Asked) -> list[Finding]:
    """Collect the facts and return the findings, stopping ones first."""
    return findings(plan.contract, collect(spark, plan.contract, asked))


def findings(contract: Contract, facts: Facts) -> list[Finding]:
    """Return the findings of all checks, stopping ones first."""
    found = [finding for check in CHECKS for finding in check(contract, facts)]
    return sorted(dict.fromkeys(found), key=lambda finding: not finding.stops)


def collect(spark: SparkSession | None, contract: Contract, asked: Asked) -> Facts:
    """Read the facts: settings from a file or a session, tables from Delta's log, buckets and the clock from AWS."""
    conf: dict[str, str] = {}
    if asked.conf:
        conf = settings.of_file(asked.conf)
    elif spark is not None:
        conf = settings.of_session(spark)
    unread: list[str] = []
    properties: dict[str, Mapping[str, str]] = {}
    columns: dict[str, tuple[str, ...]] = {}
    for kind, place in contract.tables.items():
        try:
            if spark is not None and (found := delta.newest(spark, place)):
                properties[kind], columns[kind] = found.properties, tuple(found.schema.names)
        except Exception as error:
            unread.append(f"{kind} {place}: its table properties could not be read ({type(error).__name__})")
    buckets, skew = _storage(contract) if asked.storage else ({}, None)
    unread += [f"{state.bucket}: {text}" for state in dict.fromkeys(buckets.values()) for text in state.unread]
    return Facts(conf, asked.writers, buckets, properties, columns, skew, tuple(dict.fromkeys(unread)))


def _places(contract: Contract) -> dict[str, str]:
    found = {kind: place.path for kind, place in contract.tables.items() if place.path}
    return {**found, "source": contract.source.path or "", "keyring": contract.keys.path}


def storage_of(contract: Contract) -> tuple[StorageState, ...]:
    """Return the settings of every bucket that holds a table of the contract, in the order of its tables."""
    from dataward.tables import aws

    buckets = dict.fromkeys(aws.bucket_of(place.path or "") for place in contract.tables.values())
    return tuple(aws.storage_state(f"s3://{bucket}", try_plaintext=True) for bucket in buckets if bucket)


def _storage(contract: Contract) -> tuple[dict[str, StorageState], float | None]:
    wanted = {kind: path for kind, path in _places(contract).items() if path.startswith("s3")}
    if not wanted and contract.keys.provider != "aws_kms":
        return {}, None
    from dataward.tables import aws

    states = {
        bucket: aws.storage_state(f"s3://{bucket}", try_plaintext=True)
        for bucket in {*map(aws.bucket_of, wanted.values())}
    }
    return {kind: states[aws.bucket_of(path)] for kind, path in wanted.items()}, aws.clock_skew()


Check = Callable[[Contract, Facts], Iterator[Finding]]


def _log_store(contract: Contract, facts: Facts) -> Iterator[Finding]:
    """Yield LogStores with which two drivers that write one table on S3 would overwrite each other's commits."""
    for scheme in sorted({path.partition("://")[0] for path in _places(contract).values() if path.startswith("s3")}):
        name = f"spark.delta.logStore.{scheme}.impl"
        store = turns.log_store(scheme, facts.conf)
        if store not in turns.SAFE_STORES:
            yield Finding(
                "log-store", facts.writers > 1,
                f"{store} on {scheme}: two jobs that write one table at once lose commits without an error. Dataward's own jobs take "
                "turns (docs/s3.md), other writers do not",
                f"set {name}=io.delta.storage.S3DynamoDBLogStore for every writer, or let no other job than Dataward's write",
            )  # fmt: skip


def _parquet(_: Contract, facts: Facts) -> Iterator[Finding]:
    """Yield settings of Parquet's modular encryption, which Delta silently ignores."""
    for name in sorted(facts.conf):
        if name.removeprefix("spark.sql.").startswith(("parquet.encryption.", "parquet.crypto.factory")):
            yield Finding(
                "parquet-encryption-ignored", True, f"{name} is set, and Delta does not follow it: its files are plain",
                "remove the setting; protect the columns in the contract, and encrypt the bucket by SSE-KMS",
            )  # fmt: skip


def _network(_: Contract, facts: Facts) -> Iterator[Finding]:
    """Yield a finding where Spark's processes communicate in plain text, the default."""
    if _one_process(facts):
        return
    crypto = facts.conf.get("spark.network.crypto.enabled") == YES or facts.conf.get("spark.ssl.rpc.enabled") == YES
    if not (crypto and (facts.conf.get("spark.authenticate") == YES or "spark.ssl.rpc.enabled" in facts.conf)):
        yield Finding(
            "rpc-plaintext", False, "executors and driver exchange rows and tasks over the network in plain text",
            "set spark.authenticate=true and spark.network.crypto.enabled=true, or let the platform do it (docs/preflight.md)",
        )  # fmt: skip


def _spill(contract: Contract, facts: Facts) -> Iterator[Finding]:
    """Yield a finding where rows and keys would be written in plain text to local disks when memory runs out."""
    if facts.conf.get("spark.io.encryption.enabled") != YES and not _one_process(facts):
        plain = contract.keys.spill == "plain"
        yield Finding(
            "spill-plaintext", not plain, "what executors spill to their disks is not encrypted by Spark",
            "the contract says that the disks are encrypted: see that they are" if plain
            else "set spark.io.encryption.enabled=true",
        )  # fmt: skip


def _endpoints(_: Contract, facts: Facts) -> Iterator[Finding]:
    """Yield unencrypted connections to S3 and to a metastore's database."""
    plain = set(plain_endpoints(facts.conf))
    for name in sorted(facts.conf):
        value = facts.conf[name]
        if name in plain:
            yield Finding(
                "s3a-plaintext", True, f"{name}={_shown(value)}: tables and credentials' signatures travel without TLS",
                f"remove spark.hadoop.{name}, or name an https:// endpoint",
            )  # fmt: skip
        elif value.startswith("jdbc:") and not re.search(
            r"(ssl(mode)?|usessl|encrypt)=(true|require|required|verify[-_]?\w+)", value, re.I
        ):
            yield Finding(
                "jdbc-plaintext", True, f"{name} connects to {_shown(value)} without TLS",
                "add the driver's TLS option, e.g. sslmode=verify-full (PostgreSQL) or sslMode=VERIFY_IDENTITY (MySQL)",
            )  # fmt: skip


def _static_credentials(_: Contract, facts: Facts) -> Iterator[Finding]:
    """Yield access keys in the settings, which every user of the job's user interface and event log may see."""
    for name in sorted(facts.conf):
        if re.fullmatch(r"fs\.s3[an]?(\.bucket\.[^.]+)?\.(access\.key|awsAccessKeyId)", name):
            yield Finding(
                "static-credentials", False, f"{name} is set: an access key of a user, which does not end with the job",
                f"remove spark.hadoop.{name} and its secret; let the job have a role (docs/s3.md)",
            )  # fmt: skip


def _statistics(contract: Contract, facts: Facts) -> Iterator[Finding]:
    """Yield columns whose minima and maxima would be in Delta's log as plain text."""
    for kind, properties in facts.properties.items():
        if kind not in ("target", "quarantine", "changes"):
            continue
        columns = facts.columns.get(kind, ())
        listed = properties.get("delta.dataSkippingStatsColumns")
        if listed is not None:
            kept = {name.lower() for name in names(listed)}
        else:
            first = int(properties.get("delta.dataSkippingNumIndexedCols", "32"))
            kept = {name.lower() for name in (columns if first < 0 else columns[:first])}
        leaking = [name for name in columns if name.lower() in kept and contract.sensitive(name)]
        if leaking:
            yield Finding(
                "statistics", True,
                f"{kind}: Delta's log keeps minima and maxima of sensitive columns: {', '.join(leaking)}",
                "set delta.dataSkippingStatsColumns to other columns ('dataward publish' does so before it writes)",
            )  # fmt: skip


def _retention(contract: Contract, facts: Facts) -> Iterator[Finding]:
    """Yield settings by which Delta or the bucket would remove versions that the contract wants to keep."""
    wanted = _wanted_days(contract)
    for kind, properties in facts.properties.items() if wanted else ():
        for name, default in DEFAULTS.items():
            days = _days(properties.get(name, default))
            if kind == "target" and days is not None and days < wanted:
                yield Finding(
                    "retention-short", False, f"{kind}: {name} keeps {days:g} days, the contract asks for {wanted}",
                    f"alter table ... set tblproperties ('{name}' = 'interval {wanted} days')",
                )  # fmt: skip
    for kind, state in facts.buckets.items():
        path = _places(contract)[kind].partition("://")[2].partition("/")[2]
        for prefix, days in state.expires:
            if path.startswith(prefix) or prefix.startswith(f"{path}/"):
                yield Finding(
                    "lifecycle-deletes", True,
                    f"{kind}: a lifecycle rule of bucket {state.bucket} deletes objects after {days} days, which breaks the table",
                    f"limit the rule for '{prefix or '*'}' to noncurrent versions (NoncurrentVersionExpiration)",
                )  # fmt: skip


def _buckets(contract: Contract, facts: Facts) -> Iterator[Finding]:
    """Yield unsafe settings of every bucket."""
    for state in dict.fromkeys(facts.buckets.values()):
        bucket = state.bucket
        if state.public:
            yield Finding("bucket-public", True, f"bucket {bucket} does not block public access",
                          "switch on all four settings of Block Public Access")  # fmt: skip
        if state.versioning is False:
            yield Finding("bucket-unversioned", False, f"bucket {bucket} keeps no versions: what is overwritten is gone",
                          "enable versioning")  # fmt: skip
        if state.plaintext or state.tls_only is False:
            how = "answered a request over plain HTTP" if state.plaintext else "has no policy that refuses plain HTTP"
            yield Finding("bucket-tls", True, f"bucket {bucket} {how}",
                          "deny aws:SecureTransport=false to everybody, as conf/aws/storage.yaml does")  # fmt: skip
        if state.encryption is not None and not state.encryption.startswith("aws:kms"):
            yield Finding("bucket-unencrypted", False, f"bucket {bucket} is encrypted by {state.encryption}, not by a key of yours",
                          "set default encryption aws:kms with a key of your own and bucket keys")  # fmt: skip
        if state.logging is False:
            yield Finding("bucket-unlogged", False, f"bucket {bucket} logs no accesses",
                          "switch on server access logging, and CloudTrail data events")  # fmt: skip
    ledger = facts.buckets.get("ledger")
    if ledger is not None and ledger.lock == "":
        yield Finding("object-lock", False, f"bucket {ledger.bucket} holds the ledger without Object Lock",
                      "write checkpoints to a bucket with Object Lock in mode COMPLIANCE (conf/aws/storage.yaml)")  # fmt: skip


def _clock(_: Contract, facts: Facts) -> Iterator[Finding]:
    """Yield a finding for a wrong clock: seals and events contain its time, and AWS refuses signatures that are 15 minutes off."""
    if facts.skew is not None and abs(facts.skew) > SKEW_WARNS:
        side = "ahead of" if facts.skew > 0 else "behind"
        yield Finding("clock", abs(facts.skew) > SKEW_STOPS, f"this machine's clock is {abs(facts.skew):.0f} s {side} AWS",
                      "synchronise it (chrony with 169.254.169.123 on EC2)")  # fmt: skip


def _unread(_: Contract, facts: Facts) -> Iterator[Finding]:
    for text in facts.unread:
        remedy = "grant the right to read it, or check it by hand"
        if "AWS could not be reached" in text:
            remedy = "run it where credentials, a region and a way to AWS are, or without these checks: --no-storage"
        yield Finding("not-known", False, text, remedy)


CHECKS: tuple[Check, ...] = (
    _log_store, _parquet, _network, _spill, _endpoints, _static_credentials, _statistics, _retention, _buckets, _clock, _unread,
)  # fmt: skip


def _one_process(facts: Facts) -> bool:
    return re.match(r"local(\[|$)", facts.conf.get("spark.master", "")) is not None


def _wanted_days(contract: Contract) -> int:
    """Return the number of days for which the contract wants to keep old versions; 0: none."""
    retention: Any = getattr(contract, "retention", None)
    return int(getattr(retention, "days", 0) or 0)


def _days(interval: str) -> float | None:
    found: Iterable[tuple[str, str]] = re.findall(r"(\d+)\s+([a-z]+?)s?\b", interval.lower())
    parts = [int(count) * DAYS[unit] for count, unit in found if unit in DAYS]
    return sum(parts) if parts else None


def _shown(value: str) -> str:
    """Return an address without user names and passwords."""
    return re.sub(r"//[^/@]*@", "//", re.split(r"[?;]", value)[0])
