"""Remove files of old versions, as far as the contract's retention and legal holds allow; recorded in the ledger."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Location
from dataward.errors import NotPermitted, UsageError
from dataward.integrity import ledger
from dataward.integrity.ledger import About
from dataward.keys import Keyring, open_keys
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.spark.session import isolated
from dataward.tables import delta, maintenance

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Vacuumed", "retained_hours", "vacuum"]

DELTA_HOURS = 168
"""Delta's default: a week, within which readers and writers of older versions may still be active."""


@dataclass(frozen=True)
class Vacuumed:
    """A vacuumed table: hours of retained versions, and removed files and bytes (in a dry run: to remove)."""

    table: str
    hours: int
    files: int
    bytes: int
    dry_run: bool


def retained_hours(contract: Contract, asked: int | None) -> int:
    """Return the number of hours for which versions are kept.

    Raises:
        NotPermitted: there is a legal hold, or the contract retains more hours than requested.
    """
    hold = (contract.retention and contract.retention.hold) or (contract.erasure and contract.erasure.hold)
    if hold:
        raise NotPermitted(f"{contract.contract}: legal hold ({hold}): no file of an old version may be removed")
    least = contract.retention.days * 24 if contract.retention else DELTA_HOURS
    hours = least if asked is None else asked
    if hours < least:
        whose = "the contract's retention" if contract.retention else "Delta's safe retention"
        raise NotPermitted(f"{contract.contract}: {hours} hours are fewer than {whose} of {least} hours")
    return hours


@guarded("vacuum")
def vacuum(spark: SparkSession, plan: Plan, hours: int | None = None, dry_run: bool = False) -> list[Vacuumed]:
    """Vacuum the target, its quarantine and its table of changes.

    The ledger has an entry before the first file is removed, so that no file is gone without one, and another with what was removed.

    Raises:
        NotPermitted: the contract does not allow it.
        TargetError: a table cannot be vacuumed.
        UsageError: no table of the contract exists.
    """
    contract = plan.contract
    kept = retained_hours(contract, hours)
    with isolated(spark) as own:
        places = [place for place in contract.row_tables if delta.exists(own, place)]
        if not places:
            raise UsageError(f"{contract.target}: there is no table yet")
        if dry_run:
            return [_vacuumed(own, place, kept, True) for place in places]
        keys = open_keys(contract.keys)
        _record(contract, keys, "begun", [{"table": str(place), "hours": kept} for place in places])
        done = [_vacuumed(own, place, kept, False) for place in places]
    _record(contract, keys, "done", [asdict(one) for one in done])
    return done


def _vacuumed(spark: SparkSession, place: Location, hours: int, dry_run: bool) -> Vacuumed:
    files = maintenance.vacuum(spark, place, hours, dry_run)
    return Vacuumed(str(place), hours, len(files), sum(one.size for one in files), dry_run)


def _record(contract: Contract, keys: Keyring, state: str, tables: list[dict[str, Any]]) -> None:
    body = {"kind": "vacuum", "contract": contract.contract, "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "state": state, "tables": tables}  # fmt: skip
    about = About(target=contract.target)
    ledger.record(contract.ledger_location, keys, contract.keys.domain, "vacuum", json.dumps(body).encode(), about)
