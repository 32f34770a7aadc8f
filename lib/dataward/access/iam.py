"""Generate the smallest IAM policy with which one verb can process one contract.

The accesses of a verb by kind of place are data (:mod:`dataward.access.iam_verbs`); a contract names the places. A place in S3
becomes its prefix, a table of the catalog its Glue ARNs, the keyring its object, the KMS key its ARN with conditions on the encryption
context. Places outside AWS need no statement and are listed in the notes. ``tests/unit/test_iam.py`` compares every action and
resource with the recorded requests of the verbs (``tests/data/iam``): no request is refused, and no grant is unused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from dataward.access.iam_parts import ROLES, Account, Place, allow, one, s3_arn, trust
from dataward.access.iam_verbs import VERBS, Work, work_of
from dataward.contract import Contract, Location
from dataward.contract.access import CloudWatchSink, DeltaSink
from dataward.errors import UsageError

T = TypeVar("T")

__all__ = ["ROLES", "VERBS", "Account", "Place", "Work", "outside", "policy", "trust", "work_of"]


def policy(
    contract: Contract, verb: str, account: Account, report: str = "", joined: Iterable[Contract] = ()
) -> dict[str, Any]:
    """Return the policy document of a verb.

    Args:
        contract: the contract of the job.
        verb: a key of :data:`VERBS`.
        account: account and settings of the job.
        report: the folder of reports, where it is in S3.
        joined: contracts whose targets this contract's columns join.

    Raises:
        UsageError: the verb does not exist, or the folder of a table of the catalog is unknown.
    """
    work = work_of(verb)
    kinds = _kinds(contract, joined, account.more)
    reads, writes = _places(kinds, work.reads, account), _places(kinds, work.writes, account)
    reports = [place for place in [Place.of(report) if work.report and report else None] if place]
    made = _places(kinds, work.creates, account)
    used = _Used(
        listed=_different([*reads, *writes, *reports]),
        read=_different([*reads, *writes, *(reports if work.report == "search" else [])]),
        written=_different([*writes, *reports]),
        deleted=_places(kinds, work.deletes, account),
        sought=_places(
            kinds,
            [*work.sought, *(k for k in (*work.reads, *work.writes) if k not in PRESENT and work.absent)],
            account,
        ),
        created=made,
        itself=_different([*made, *_places(kinds, work.stat, account)]),
    )
    statements = [
        *_s3(used, account),
        *_settings(contract, work, kinds, account),
        *_heads(contract, work, account),
        *_keyring(contract, work, account),
        *_kms(contract, work, account),
        *_bucket_key(account, _buckets([*reads, *writes, *reports], contract, work), bool(writes or reports)),
        *_glue(kinds, work, account),
        *_logs(account),
        *_events(contract, account),
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def outside(
    contract: Contract, verb: str, joined: Iterable[Contract] = (), more: Mapping[str, Location] | None = None
) -> tuple[str, ...]:
    """Return the places of a verb that are not in AWS: the policy has no statement for them."""
    work, kinds = work_of(verb), _kinds(contract, joined, more)
    found = [place for kind in {*work.reads, *work.writes} for place in kinds.get(kind, ())]
    paths = [place.path for place in found if place.path and Place.of(place.path) is None]
    if work.keyring and Place.of(contract.keys.path) is None:
        paths.append(contract.keys.path)
    return tuple(sorted(set(paths)))


def _kinds(
    contract: Contract, joined: Iterable[Contract], more: Mapping[str, Location] | None = None
) -> dict[str, list[Location]]:
    """Return the places of a contract by kind."""
    tables = dict(contract.tables)
    kinds: dict[str, list[Location]] = {
        "source": [place for place in [contract.source] if not place.is_outside],
        "references": [place for place in contract.references.values() if not place.is_outside],
        "joins": [other.target for other in joined],
        "tables": list(tables.values()),
        "states of any mode": [contract.states_location],
        "vaults": [place for what, place in tables.items() if " of '" in what],
    }
    kinds |= {what: [place] for what, place in (more or {}).items()}
    return kinds | {what: [place] for what, place in tables.items()}


def _places(kinds: Mapping[str, list[Location]], wanted: Iterable[str], account: Account) -> list[Place]:
    found: list[Place] = []
    for location in (place for kind in wanted for place in kinds.get(kind, ())):
        path = location.path or account.locations.get(location.plain_name, "")
        if not path:
            raise UsageError(
                f"table {location.plain_name} is named by the catalog, and its folder is not in the contract: add "
                f"--location {location.plain_name}=s3://BUCKET/FOLDER"
            )
        place = Place.of(path)
        if place and place not in found:
            found.append(place)
    return found


PRESENT = ("source", "references", "joins", "checkpoint")


@dataclass(frozen=True)
class _Used:
    """Places of a verb in S3.

    Attributes:
        sought: tables that may be absent, so that parent folders are searched.
        created: tables that the verb may create.
        itself: places whose own name is read, besides everything below it.
    """

    listed: list[Place]
    read: list[Place]
    written: list[Place]
    deleted: list[Place]
    sought: list[Place]
    created: list[Place]
    itself: list[Place]


def _s3(used: _Used, account: Account) -> Iterator[dict[str, Any]]:
    """Yield the statements on tables and reports.

    Delta searches every parent folder for the root of an absent table, and Hadoop for the parent of a new folder. A missing key
    must be answered by 404, which S3 does only with permission to read the key and list the bucket. A probe gets two names per folder.
    """
    probes = [(place.bucket, key) for place in used.sought for key in _above(place, "_delta_log")]
    probes += [(place.bucket, key) for place in used.created for key in _above(place)]
    for number, bucket in enumerate(_different(place.bucket for place in used.listed), 1):
        prefixes = [f"{place.prefix}/*" if place.prefix else "*" for place in used.listed if place.bucket == bucket]
        yield {
            **allow(f"List{number}", ["s3:ListBucket"], [s3_arn(account, bucket)]),
            "Condition": {"StringLike": {"s3:prefix": one(sorted(set(prefixes)))}},
        }
        if probed := sorted({f"{key}/" for where, key in probes if where == bucket}):
            yield {
                **allow(f"Probe{number}", ["s3:ListBucket"], [s3_arn(account, bucket)]),
                "Condition": {
                    "StringEquals": {"s3:prefix": one(probed), "s3:delimiter": "/"},
                    "NumericLessThanEquals": {"s3:max-keys": "2"},
                },
            }
    itself = [(place.bucket, place.prefix) for place in used.itself if place.prefix]
    for sid, action, places, more in (
        ("Read", "s3:GetObject", used.read, [*probes, *itself]),
        ("Write", "s3:PutObject", used.written, []),
        ("Delete", "s3:DeleteObject", used.deleted, []),
    ):
        keys = [(place.bucket, f"{place.prefix}/*" if place.prefix else "*") for place in places]
        if keys:
            yield allow(sid, [action], sorted({s3_arn(account, *key) for key in [*keys, *more]}))


def _above(place: Place, name: str = "") -> Iterator[str]:
    """Return the keys of the parent folders of a place, or of a name in each of them and in the bucket."""
    parts = place.prefix.split("/")[:-1]
    for depth in range(0 if name else 1, len(parts) + 1 if place.prefix else 0):
        yield "/".join((*parts[:depth], *((name,) if name else ())))


SETTINGS = (
    "s3:GetBucketLogging",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:ListBucket",
)


def _settings(
    contract: Contract, work: Work, kinds: Mapping[str, list[Location]], account: Account
) -> Iterator[dict[str, Any]]:
    """Yield the statement on settings of the buckets of tables, source and keyring."""
    if work.settings:
        paths = [place.path or "" for kind in ("source", "tables") for place in kinds[kind]]
        places = [Place.of(path) for path in (*paths, contract.keys.path)]
        if buckets := sorted({s3_arn(account, place.bucket) for place in places if place}):
            yield allow("Settings", list(SETTINGS), buckets)


def _heads(contract: Contract, work: Work, account: Account) -> Iterator[dict[str, Any]]:
    """Yield the statements on the heads of the ledger, under locks that nobody may shorten."""
    keeps = bool({"ledger", "tables", "heads"} & set(work.writes))
    if not (keeps or "heads" in work.reads):
        return
    for number, head in enumerate(contract.heads, 1):
        place = Place.of(head.s3 or head.directory or "")
        if place is not None:
            key = f"{place.prefix}/*" if place.prefix else "*"
            objects = [s3_arn(account, place.bucket, key)]
            listed = {"StringLike": {"s3:prefix": key}}
            yield {
                **allow(f"HeadList{number}", ["s3:ListBucket"], [s3_arn(account, place.bucket)]),
                "Condition": listed,
            }
            actions = ["s3:GetObject", *(["s3:PutObject"] if keeps else [])]
            yield allow(f"Head{number}", actions, objects)
        if place is not None and keeps and head.s3:
            condition = {
                "StringEquals": {"s3:object-lock-mode": "COMPLIANCE"},
                "NumericGreaterThanEquals": {"s3:object-lock-remaining-retention-days": str(head.retain_days - 1)},
            }
            yield {**allow(f"HeadLock{number}", ["s3:PutObjectRetention"], objects), "Condition": condition}
        if head.cloudwatch:
            group = account.arn("logs", f"log-group:{head.cloudwatch}:log-stream:*")
            reading = ["logs:DescribeLogStreams", "logs:GetLogEvents"]
            yield allow(
                f"HeadLog{number}",
                [*reading, *(["logs:CreateLogStream", "logs:PutLogEvents"] if keeps else [])],
                [group],
            )


def _keyring(contract: Contract, work: Work, account: Account) -> Iterator[dict[str, Any]]:
    place = Place.of(contract.keys.path) if work.keyring else None
    if place is None:
        return
    actions = ["s3:GetObject", *(["s3:PutObject"] if work.keyring == "write" else [])]
    yield allow("Keyring", actions, [s3_arn(account, place.bucket, place.prefix)])


def _kms(contract: Contract, work: Work, account: Account) -> Iterator[dict[str, Any]]:
    """Yield the statements on the key that wraps the keyring's secrets: only for the domains of the contract, in its env."""
    keys = contract.keys
    if keys.provider != "aws_kms" or not work.kms or keys.key is None:
        return
    name = keys.key.rpartition(":")[2]
    aliased = {"StringEquals": {"kms:RequestAlias": name}} if name.startswith("alias/") else {}
    by_id = keys.key if keys.key.startswith("arn:") else account.arn("kms", f"key/{keys.key}")
    key = account.arn("kms", "key/*") if aliased else by_id
    described = allow("DescribeKey", ["kms:DescribeKey"], [key])
    yield described | ({"Condition": aliased} if aliased else {})
    context = {
        "kms:EncryptionContext:env": keys.env,
        "kms:EncryptionContext:domain": one(sorted(contract.domains) if work.columns else [keys.domain]),
        "kms:EncryptionContext:purpose": "derivation",
    }
    yield {
        **allow("UseKey", [f"kms:{action}" for action in work.kms], [key]),
        "Condition": {
            "StringEquals": {**aliased.get("StringEquals", {}), **context},
            "StringLike": {"kms:EncryptionContext:version": "*"},
            "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["domain", "env", "purpose", "version"]},
        },
    }


def _bucket_key(account: Account, buckets: list[str], writes: bool) -> Iterator[dict[str, Any]]:
    """Yield the statement on the key of SSE-KMS: S3 uses it for the caller, who may not use it otherwise."""
    if not (account.bucket_key and buckets):
        return
    arns = [arn for bucket in buckets for arn in (s3_arn(account, bucket), s3_arn(account, bucket, "*"))]
    alias = account.bucket_key.partition(":alias/")[2]  # a statement names keys, and an alias by a condition
    condition: dict[str, Any] = {
        "StringEquals": {"kms:ViaService": f"s3.{account.region}.amazonaws.com"},
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": arns},
    }
    if alias:
        condition["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": f"alias/{alias}"}
    key = account.arn("kms", "key/*") if alias else account.bucket_key
    actions = ["kms:Decrypt", *(["kms:GenerateDataKey"] if writes else [])]
    yield {**allow("BucketKey", actions, [key]), "Condition": condition}


def _glue(kinds: Mapping[str, list[Location]], work: Work, account: Account) -> Iterator[dict[str, Any]]:
    for sid, wanted, actions in (
        ("Catalog", (*work.reads, *work.writes), ["glue:GetDatabase", "glue:GetTable"]),
        ("CatalogWrite", work.writes, ["glue:CreateTable", "glue:UpdateTable"]),
    ):
        names = [place.plain_name for kind in wanted for place in kinds.get(kind, ()) if place.table]
        tables = sorted({tuple(f"default.{name}".split(".")[-2:]) for name in names})
        if tables:
            arns = [account.arn("glue", "catalog")]
            arns += [account.arn("glue", f"database/{database}") for database in sorted({d for d, _ in tables})]
            arns += [account.arn("glue", f"table/{database}/{table}") for database, table in tables]
            yield allow(sid, actions, arns)


def _logs(account: Account) -> Iterator[dict[str, Any]]:
    if account.log_group:
        group = account.arn("logs", f"log-group:{account.log_group}:log-stream:*")
        yield allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], [group])


def _events(contract: Contract, account: Account) -> Iterator[dict[str, Any]]:
    """Yield the statements on the sinks of events in AWS: every verb writes one, and reads the end of an interrupted delivery."""
    for number, sink in enumerate(contract.audit.sinks if contract.audit else (), 1):
        if isinstance(sink, CloudWatchSink):
            stream = account.arn("logs", f"log-group:{sink.group}:log-stream:*")
            actions = ["logs:CreateLogStream", "logs:GetLogEvents", "logs:PutLogEvents"]
            yield allow(f"Events{number}", actions, [stream])
            if sink.create:
                group = account.arn("logs", f"log-group:{sink.group}:*")
                yield allow(f"EventsGroup{number}", ["logs:CreateLogGroup"], [group])
        elif isinstance(sink, DeltaSink) and (place := Place.of(sink.path)):
            key = f"{place.prefix}/*" if place.prefix else "*"
            yield {
                **allow(f"EventsList{number}", ["s3:ListBucket"], [s3_arn(account, place.bucket)]),
                "Condition": {"StringLike": {"s3:prefix": key}},
            }
            yield allow(f"Events{number}", ["s3:GetObject", "s3:PutObject"], [s3_arn(account, place.bucket, key)])


def _buckets(places: list[Place], contract: Contract, work: Work) -> list[str]:
    keyring = [place for place in [Place.of(contract.keys.path)] if place and work.keyring]
    return sorted({place.bucket for place in [*places, *keyring]})


def _different(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
