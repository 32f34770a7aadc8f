"""Records of the ledger besides seals: re-identifications, charges to budgets, erasures, discarded quarantine rows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from dataward.integrity.seal import Record, Seal

__all__ = ["AnyRecord", "Ask", "Charge", "Discard", "Erased", "Erasure", "SetMember", "SetRelease", "parsed"]


class Ask(Record):
    """A request for the originals of protected values, granted or not; it contains no value.

    Attributes:
        columns: the requested columns.
        classes: classes of these columns.
        purpose: the stated purpose.
        ticket: the stated ticket.
        where_sha256: SHA-256 of the condition that selected the rows.
        rows: number of requested rows.
        granted: whether the originals were returned.
        reason: why they were not returned.
    """

    kind: Literal["ask"] = "ask"
    columns: list[str]
    classes: list[str]
    purpose: str
    ticket: str
    where_sha256: str
    rows: int
    granted: bool
    reason: str = ""


class Erasure(Record):
    """An erasure of a person from a table, or its refusal; it contains no value.

    Attributes:
        subject: keyed hash of the person's identifier.
        ticket: the stated ticket.
        method: how the person was erased.
        reason: why the erasure was refused.
        rows: erased rows by place.
        searched: amounts that the search for residues read, by kind.
        residues: the files with remaining data of the person, and its kind.
        redacted: versions of this ledger whose seals were replaced by :class:`Erased`.
    """

    kind: Literal["erasure"] = "erasure"
    subject: str
    ticket: str
    method: Literal["delete", "shred", "refused"]
    reason: str = ""
    rows: dict[str, int] = Field(default_factory=dict)
    searched: dict[str, int] = Field(default_factory=dict)
    residues: list[list[str]] = Field(default_factory=list)
    redacted: list[int] = Field(default_factory=list)


class Discard(Record):
    """A removal of quarantined rows of run ``of_run`` that failed ``rule`` (None: any rule)."""

    kind: Literal["discard"] = "discard"
    of_run: str
    rule: str | None
    reason: str
    rows: int


class Charge(Record):
    """A charge to a privacy budget; it contains no answer.

    Attributes:
        budget: the table of budgets.
        dataset: the queried table.
        unit: its privacy unit.
        purpose: purpose of the charge.
        epsilon: charged epsilon.
        delta: charged delta.
        rho: the same loss in zCDP, for Gaussian noise.
        query_sha256: hash of the query.
    """

    kind: Literal["charge"] = "charge"
    budget: str
    dataset: str
    unit: str
    purpose: str
    epsilon: float
    delta: float
    rho: float | None = None
    query_sha256: str


class Erased(Record):
    """A replacement of a seal that contained a value of an erased person; it keeps the seal's hash, so that the chain verifies."""

    kind: Literal["erased"] = "erased"
    seal_sha256: str


class SetMember(BaseModel):
    """One table of a release set.

    Attributes:
        contract: name of the contract.
        target: the table.
        version: its version.
        run_id: the run that sealed it.
        ledger: the table's ledger.
        statement: SHA-256 of the seal's statement.
        manifest: SHA-256 of the version's manifest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract: str
    target: str
    version: int
    run_id: str
    ledger: str
    statement: str
    manifest: str


class SetRelease(Record):
    """A release of several tables as one: readers get these versions of all ``members``, or none."""

    kind: Literal["release-set"] = "release-set"
    members: tuple[SetMember, ...]


AnyRecord = Annotated[Seal | Ask | Charge | Discard | Erasure | Erased | SetRelease, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[Seal | Ask | Charge | Discard | Erasure | Erased | SetRelease] = TypeAdapter(AnyRecord)


def parsed(text: str) -> Seal | Ask | Charge | Discard | Erasure | Erased | SetRelease:
    """Parse the JSON of a record of any kind.

    Raises:
        ValueError: the text is not a record.
    """
    return _ADAPTER.validate_json(text)
