"""The file of a release set: tables that are published together, so that readers get all of them or none."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from dataward.contract.base import Model, Name
from dataward.contract.load import read_model
from dataward.contract.places import Location
from dataward.contract.settings import Keys

__all__ = ["ReleaseSet", "load_set"]


class ReleaseSet(Model):
    """Tables that are published together."""

    set: Name = Field(description="name of the set")
    contracts: tuple[str, ...] = Field(
        min_length=1, description="files of the tables' contracts, in the order of publishing"
    )
    ledger: Location = Field(description="ledger of the set: one entry for each release of it")
    keys: Keys = Field(description="the keyring and the domain whose key signs the set's statements")

    @field_validator("contracts")
    @classmethod
    def _each_once(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(files)) < len(files):
            raise ValueError("a contract is listed twice: list each once")
        return files


def load_set(path: str | Path) -> ReleaseSet:
    """Read the file of a release set.

    Raises:
        ContractError: with every mistake in the file.
    """
    return read_model(path, ReleaseSet)
