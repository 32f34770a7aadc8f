"""A site of federated training: create its key, load its sealed data, and answer a coordinator."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.contract import Document, Location
from dataward.errors import KeyringError, ProofError, UsageError
from dataward.federated import certificates
from dataward.federated.course import Course
from dataward.federated.plan import SiteFile, TrainingPlan, read_plan, read_site
from dataward.federated.rows import columns_of, rows_of
from dataward.federated.server import Server
from dataward.federated.site import Accepted, Memory, Site, accept
from dataward.federated.survey import read_survey
from dataward.integrity import ledger
from dataward.integrity.canonical import sha256
from dataward.integrity.seal import Seal
from dataward.pipeline.guard import guarded, watched
from dataward.pipeline.plan import Plan
from dataward.pipeline.plan import plan as read_contract
from dataward.release.units import splits
from dataward.spark.session import isolated
from dataward.tables import delta
from dataward.verbs.budget import Amount, Payment, charge
from dataward.verbs.survey import numbers_of, tally_of
from dataward.verbs.verify import verify

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["init", "load", "protections_of", "sealed", "serve"]


def init(folder: str | Path, name: str) -> tuple[Path, Path]:
    """Create a key for a site or a coordinator; returns the private file and the public one.

    Raises:
        UsageError: the name is invalid.
        TargetError: a file exists, or cannot be written.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"'{name}' is no name: use letters, digits, - and _")
    return certificates.create(Path(folder), name)


def serve(spark: SparkSession, path: str | Path) -> Server:
    """Load the data of a site's file and listen; the caller runs ``serve_forever``.

    Raises:
        ContractError: the file, its contract or a plan is invalid.
        ProofError: the seal of the site's table does not hold.
    """
    described = read_site(path)
    site, key = load(spark, described)
    try:
        coordinator = Path(described.coordinator).read_bytes()
        certificates.public_key(coordinator)
    except (OSError, ValueError):
        raise KeyringError(
            f"{described.coordinator} is no readable certificate: get NAME.pub from the coordinator, who made it with "
            "'dataward site init'"
        ) from None
    return Server((described.listen.host, described.listen.port), site, key, coordinator)


def load(spark: SparkSession, described: SiteFile) -> tuple[Site, Any]:
    """Verify the site's table and load the rows that its plans read; returns the site and its private key.

    Raises:
        ProofError: the seal of the table does not hold.
        UsageError: a plan does not name this site with this key, or has privacy without a budget to charge.
    """
    key = certificates.private_key(Path(described.key))
    contract = read_contract(described.contract)
    memory = Memory(Path(described.state))
    accepted = tuple(
        (_surveyed if _is_survey(path) else _accepted)(spark, described, contract, memory, path)
        for path in described.plans
    )
    mine = key.public_key().public_bytes_raw()
    for one in accepted:
        if one.keys.get(described.site) != mine:
            raise UsageError(
                f"plan '{one.plan.plan}' has no site '{described.site}' with the public key of {described.key}: "
                "give the plan this site's NAME.pub"
            )
    return Site(described.site, key, accepted, memory), key


def _is_survey(path: str) -> bool:
    data = Document.read(path).data
    return isinstance(data, dict) and "survey" in data


@guarded("train")
def _surveyed(spark: SparkSession, described: SiteFile, contract: Plan, memory: Memory, path: str) -> Accepted:
    asked = read_survey(path)
    tally, _, metrics = tally_of(asked, path)
    seal = sealed(spark, contract, described.version)
    with isolated(spark) as own:
        numbers = numbers_of(delta.read(own, contract.contract.target, seal.version), asked, metrics)
    return accept(asked, asked.public_keys(), numbers, _statement(contract, seal, {}), tally, runs=described.runs)


@guarded("train")
def _accepted(spark: SparkSession, described: SiteFile, contract: Plan, memory: Memory, path: str) -> Accepted:
    plan = read_plan(path)
    if plan.privacy and described.budget is None:
        raise UsageError(f"plan '{plan.plan}' is private: give the site's file a 'budget' that its cost is charged to")
    seal = sealed(spark, contract, described.version)
    unit = plan.privacy.unit if plan.privacy else None
    how = protections_of(seal, columns_of(plan))
    with isolated(spark) as own:
        frame = delta.read(own, contract.contract.target, seal.version)
        if missing := [name for name in columns_of(plan) if name not in frame.columns]:
            raise UsageError(
                f"plan '{plan.plan}' reads {', '.join(missing)}, which {contract.contract.target} does not have"
            )
        if unit and (why := _split(unit, frame.columns, seal)):
            raise UsageError(f"plan '{plan.plan}': '{unit}' names no persons: {why}")
        table = _arrow(frame.select(*columns_of(plan)))
    rows = rows_of(plan, table, memory.secret())
    said = _statement(contract, seal, how)
    return accept(
        plan, plan.public_keys(), rows, said, Course(plan, _fit(described, plan)), charge=_charging(spark, described, contract, plan),
        runs=described.runs,
    )  # fmt: skip


def sealed(spark: SparkSession, contract: Plan, version: int | None) -> Seal:
    """Verify a version of a contract's target (None: the newest sealed one) and return its seal.

    Raises:
        ProofError: the seal does not hold.
    """
    proof = verify(spark, contract, version)
    if not proof.holds:
        told = "; ".join(f"{check.name}: {check.detail}" for check in proof.checks if not check.holds)
        raise ProofError(
            f"{proof.target} version {proof.version} is not what was sealed, so nothing is trained on it: {told}"
        )
    for entry in reversed(ledger.entries(contract.contract.ledger_location, "seal", contract.contract.target)):
        if entry.seal_text and entry.seal.version == proof.version:
            return entry.seal
    raise ProofError(f"{proof.target} version {proof.version}: its seal is gone from the ledger")


def _statement(contract: Plan, seal: Seal, how: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the site's statement about its table."""
    return {
        "contract": contract.name,
        "version": seal.version,
        "seal_sha256": sha256(seal.text()),
        "sealed_at": seal.time,
        "content_digest": seal.content.digest,
        "protections": how,
    }


def _arrow(frame: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_pandas(frame.toPandas(), preserve_index=False)  # DataFrame.toArrow comes with Spark 4


def protections_of(seal: Seal, columns: list[str]) -> dict[str, dict[str, Any]]:
    """Return how columns are protected according to a seal; kept columns are left out."""
    fingerprints = seal.key.get("fingerprints") or {}
    found = {}
    for one in seal.protections:
        if one["column"] in columns and one["protection"] != "keep":
            domain, version = one.get("domain"), one.get("key_version")
            found[one["column"]] = {
                "protection": one["protection"],
                "domain": domain,
                "key_version": version,
                "fingerprint": fingerprints.get(f"{domain} v{version}") if domain else None,
            }
    return found


def _split(unit: str, columns: list[str], seal: Seal) -> str:
    mine = [one for one in seal.protections if one["column"] == unit]
    versions = {int(one["key_version"]) for one in mine if one.get("key_version")}
    return splits(unit, columns, mine[0]["protection"] if mine else None, versions)


def _charging(spark: SparkSession, described: SiteFile, contract: Plan, plan: TrainingPlan) -> Callable[[str], None]:
    if plan.privacy is None or described.budget is None:
        return lambda run: None
    privacy, place = plan.privacy, _told(described.budget)
    dataset = described.dataset or _told(contract.contract.target)

    def pay(run: str) -> None:
        payment = Payment(f"train-{plan.plan}-{run}", Amount(privacy.epsilon, privacy.delta), f"training {plan.plan}")
        with watched("train", spark=spark, contract=contract.contract, purpose=payment.purpose):
            charge(spark, place, dataset, privacy.unit or "row", payment)

    return pay


def _told(place: Location) -> str:
    return place.path or f"table:{place.table}"


def _fit(described: SiteFile, plan: TrainingPlan) -> Any:
    """Import the site's own code for a custom model; a plan never names code."""
    if plan.model.type != "custom":
        return None
    if plan.plan not in described.fit:
        raise UsageError(f"plan '{plan.plan}' has a custom model: name the site's code under 'fit' in the site's file")
    module, _, name = described.fit[plan.plan].partition(":")
    try:
        return getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"fit '{described.fit[plan.plan]}' cannot be imported ({type(error).__name__})") from None
