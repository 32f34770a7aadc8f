"""A site of federated training: create its key, load its sealed data, and answer a coordinator."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.contract import Document, Location
from dataward.errors import KeyringError, UsageError
from dataward.federated import certificates
from dataward.federated.course import Course
from dataward.federated.intersect import Sender, read_intersection
from dataward.federated.plan import SiteFile, TrainingPlan, read_plan, read_site
from dataward.federated.rows import columns_of, rows_of
from dataward.federated.server import Server
from dataward.federated.site import Accepted, Memory, Site, accept
from dataward.federated.survey import read_survey
from dataward.integrity.seal import Seal
from dataward.pipeline.guard import guarded, watched
from dataward.pipeline.plan import Plan
from dataward.pipeline.plan import plan as read_contract
from dataward.release.units import splits
from dataward.spark import session
from dataward.tables import delta
from dataward.verbs.budget import Amount, Payment, charge
from dataward.verbs.held import held, protections_of, sealed, statement_of
from dataward.verbs.intersect import party_of
from dataward.verbs.survey import numbers_of, tally_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["init", "load", "serve"]


def init(folder: str | Path, name: str) -> tuple[Path, Path]:
    """Create a key for a site or a coordinator; returns the private file and the public one.

    Raises:
        UsageError: the name is invalid.
        TargetError: a file exists, or cannot be written.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"'{name}' is no name: use letters, digits, - and _")
    return certificates.create(Path(folder), name)


def serve(spark: SparkSession | None, path: str | Path) -> Server:
    """Load the data of a site's file and listen; the caller runs ``serve_forever``.

    ``spark``: see :func:`load`.

    Raises:
        ContractError: the file, its contract or a plan is invalid.
        ProofError: the seal of the site's table does not hold.
    """
    described = read_site(path)
    site, key = load(spark, described)
    if described.coordinator is None:
        return Server((described.listen.host, described.listen.port), site, key, None)
    try:
        coordinator = Path(described.coordinator).read_bytes()
        certificates.public_key(coordinator)
    except (OSError, ValueError):
        raise KeyringError(
            f"{described.coordinator} is no readable certificate: get NAME.pub from the coordinator, who made it with "
            "'dataward site init'"
        ) from None
    return Server((described.listen.host, described.listen.port), site, key, coordinator)


def load(spark: SparkSession | None, described: SiteFile) -> tuple[Site, Any]:
    """Verify the site's table and load the rows that its plans read; returns the site and its private key.

    Without a session, one is started only for a private plan (its budget is charged by Spark), a survey (measured by Spark), and a
    table that only Spark reads (:func:`dataward.verbs.held.held`).

    Raises:
        ProofError: the seal of the table does not hold.
        UsageError: a plan does not name this site with this key, or has privacy without a budget to charge.
    """
    key = certificates.private_key(Path(described.key))
    contract = read_contract(described.contract)
    memory = Memory(Path(described.state))
    kinds = {path: _kind(path) for path in described.plans}
    accepted = tuple(
        (_surveyed if kind == "survey" else _accepted)(spark, described, contract, memory, path)
        for path, kind in kinds.items()
        if kind != "intersect"
    )
    if accepted and described.coordinator is None:
        raise UsageError(
            f"site '{described.site}' takes part in {accepted[0].plan.plan}: name its 'coordinator' in the site's file"
        )
    mine = key.public_key().public_bytes_raw()
    for one in accepted:
        if one.keys.get(described.site) != mine:
            raise UsageError(
                f"plan '{one.plan.plan}' has no site '{described.site}' with the public key of {described.key}: "
                "give the plan this site's NAME.pub"
            )
    # The receiver of an intersection asks, by its own verb; it answers nobody.
    asked = [path for path, kind in kinds.items() if kind == "intersect"]
    asked = [path for path in asked if read_intersection(path).receiver != described.site]
    senders = tuple(_sender(spark, described, contract, memory, path) for path in asked)
    if not accepted and not senders:
        raise UsageError(
            f"site '{described.site}' answers nobody: it is the receiver of its plans, and asks by: dataward intersect PLAN --site SITE"
        )
    return Site(described.site, key, accepted, memory, senders), key


def _kind(path: str) -> str:
    data = Document.read(path).data
    found = (kind for kind in ("survey", "intersect") if isinstance(data, dict) and kind in data)
    return next(found, "plan")


@guarded("intersect")
def _sender(spark: SparkSession | None, described: SiteFile, contract: Plan, memory: Memory, path: str) -> Sender:
    party = party_of(spark, described, contract, path)
    return Sender(party, memory, described.runs, lambda: watched("intersect", contract=contract.contract))


@guarded("train")
def _surveyed(spark: SparkSession | None, described: SiteFile, contract: Plan, memory: Memory, path: str) -> Accepted:
    asked = read_survey(path)
    tally, _, metrics = tally_of(asked, path)
    spark = spark or session.get()
    seal = sealed(spark, contract, described.version)
    with session.isolated(spark) as own:
        numbers = numbers_of(delta.read(own, contract.contract.target, seal.version), asked, metrics)
    return accept(asked, asked.public_keys(), numbers, statement_of(contract, seal, {}), tally, runs=described.runs)


@guarded("train")
def _accepted(spark: SparkSession | None, described: SiteFile, contract: Plan, memory: Memory, path: str) -> Accepted:
    plan = read_plan(path)
    if plan.privacy and described.budget is None:
        raise UsageError(f"plan '{plan.plan}' is private: give the site's file a 'budget' that its cost is charged to")
    if plan.privacy:
        spark = spark or session.get()
    mine = held(spark, contract, described.version, columns_of(plan), f"plan '{plan.plan}'")
    unit = plan.privacy.unit if plan.privacy else None
    how = protections_of(mine.seal, columns_of(plan))
    if unit and (why := _split(unit, list(mine.names), mine.seal)):
        raise UsageError(f"plan '{plan.plan}': '{unit}' names no persons: {why}")
    rows = rows_of(plan, mine.rows, memory.secret())
    said = statement_of(contract, mine.seal, how)
    return accept(
        plan, plan.public_keys(), rows, said, Course(plan, _fit(described, plan)), charge=_charging(spark, described, contract, plan),
        runs=described.runs,
    )  # fmt: skip


def _split(unit: str, columns: list[str], seal: Seal) -> str:
    mine = [one for one in seal.protections if one["column"] == unit]
    versions = {int(one["key_version"]) for one in mine if one.get("key_version")}
    return splits(unit, columns, mine[0]["protection"] if mine else None, versions)


def _charging(
    spark: SparkSession | None, described: SiteFile, contract: Plan, plan: TrainingPlan
) -> Callable[[str], None]:
    if plan.privacy is None or described.budget is None or spark is None:
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
