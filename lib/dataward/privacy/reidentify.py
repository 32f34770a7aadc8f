"""Originals of reversible protections, and who may have them.

Deny when unsure: only a line of the contract's ``access.reidentify`` that names the principal, the purpose and the class of
every column that is asked for gives anything, and no more rows a day than it says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dataward.contract import Allowed, Column, Contract
from dataward.errors import KeyringError
from dataward.privacy.keys import KeyProvider
from dataward.privacy.protect.compiled import OPERATORS
from dataward.privacy.protect.fpe import FpeOperator
from dataward.privacy.protect.operator import Key
from dataward.privacy.protect.shred import out_of_shred
from dataward.privacy.protect.vault import out_of_vault

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

__all__ = ["allowed", "originals"]

VERSION = re.compile(r"v([0-9]+)\.")


def allowed(contract: Contract, principal: str, columns: list[str], purpose: str) -> tuple[Allowed | None, str]:
    """The first line of the contract's allow list that gives all of it; else None, and why."""
    classes = {contract.column(name).class_ for name in columns}
    if None in classes:
        unclassed = [name for name in columns if contract.column(name).class_ is None]
        return None, f"column '{unclassed[0]}' has no class, so no line can allow it"
    lines = [line for line in contract.access.reidentify if principal in line.principals]
    if not lines:
        return None, f"no line of access.reidentify names '{principal}'"
    for line in lines:
        if classes <= set(line.classes) and purpose in line.purposes:
            return line, ""
    return None, f"no line of access.reidentify gives '{principal}' these classes for the purpose '{purpose}'"


def originals(
    spark: SparkSession, contract: Contract, line: Column, keys: KeyProvider, values: pa.Array, live: set[int]
) -> list[bytes | None]:
    """The texts of the originals. ``live``: key versions that the values may be made by, where they do not say it.

    Raises:
        KeyringError: a key is gone or disabled, or a value is damaged, or its key version cannot be told.
    """
    import pyarrow as pa

    given, domain = line.protect, contract.domain(line)
    kind = OPERATORS[given.op]
    purpose = kind.purpose
    assert purpose is not None  # noqa: S101 - what is reversible has a key
    try:
        if given.op == "vault":
            tokens = [token for token in values.to_pylist() if token is not None]
            texts = out_of_vault(spark, given.path, tokens, lambda version: keys.key(purpose, domain, version))
            return [texts.get(token) if token is not None else None for token in values.to_pylist()]
        if given.op == "shred":
            return out_of_shred(
                spark, given.path, values.to_pylist(), lambda version: keys.key(purpose, domain, version)
            )
        made: list[bytes | None] = [None] * len(values)
        for version, places in _by_version(values, live if given.op == "fpe" else None).items():
            operator = kind(given, Key(domain, version, keys.key(purpose, domain, version)), line.class_)
            some = values.take(pa.array(places, pa.int64()))
            if isinstance(operator, FpeOperator):
                whole, bad = operator.reverse(some)
                if bad is not None:
                    raise ValueError("a value is not one that fpe makes")
                found = [None if text is None else str(text).encode() for text in whole.to_pylist()]
            else:
                found = operator.reverse(some).to_pylist()  # type: ignore[attr-defined]
            for place, text in zip(places, found, strict=True):
                made[place] = text
        return made
    except ValueError as error:
        raise KeyringError(f"{given.op} of domain '{domain}': {error}") from None


def _by_version(values: pa.Array, live: set[int] | None) -> dict[int, list[int]]:
    """The places of values by the key version that they carry, or by the one that all of them have."""
    if live is not None:
        if len(live) != 1:
            raise ValueError(f"its values carry no key version, and may be made by any of {sorted(live)}")
        return {next(iter(live)): list(range(len(values)))}
    found: dict[int, list[int]] = {}
    for place, text in enumerate(values.to_pylist()):
        if text is None:
            continue
        version = VERSION.match(text)
        if version is None:
            raise ValueError("a value carries no key version: it was not made by this operator")
        found.setdefault(int(version.group(1)), []).append(place)
    return found
