"""Originals of reversible protections; ``dataward.access.reidentify`` decides who may have them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dataward.contract import Column, Contract
from dataward.errors import KeyringError
from dataward.keys import KeyProvider
from dataward.privacy.protect.compiled import OPERATORS
from dataward.privacy.protect.fpe import FpeOperator
from dataward.privacy.protect.operator import Key
from dataward.privacy.protect.shred import out_of_shred, shredded
from dataward.privacy.protect.vault import out_of_vault

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

__all__ = ["originals"]


def originals(
    spark: SparkSession, contract: Contract, line: Column, keys: KeyProvider, values: pa.Array, live: set[int]
) -> list[bytes | None]:
    """Return the texts of the originals; None for null, and for a value that the column's operators did not make.

    ``live``: possible key versions of values that do not name theirs.

    Raises:
        KeyringError: a key is missing or disabled, a value is damaged, or its key version is ambiguous.
    """
    import pyarrow as pa

    invalid = getattr(line.protect, "invalid", None)
    other = line.model_copy(update={"protect": invalid.fallback}) if invalid and invalid.fallback else None
    if other is None:
        return _originals(spark, contract, line, keys, values, live)
    form = other.protect.form
    texts = values.to_pylist()
    theirs = [isinstance(text, str) and form is not None and form.fullmatch(text) is not None for text in texts]
    own, rest = (
        pa.array([None if made is wrong else text for text, made in zip(texts, theirs, strict=True)], values.type)
        for wrong in (True, False)
    )
    found = _originals(spark, contract, line, keys, own, live)
    if not other.protect.reversible:
        return found
    more = originals(spark, contract, other, keys, rest, live)
    return [one if one is not None else two for one, two in zip(found, more, strict=True)]


def _originals(
    spark: SparkSession, contract: Contract, line: Column, keys: KeyProvider, values: pa.Array, live: set[int]
) -> list[bytes | None]:
    """Return the originals of values that the entry's own operator made."""
    import pyarrow as pa

    given, domain = line.protect, contract.domain(line)
    kind = OPERATORS[given.op]
    purpose = kind.purpose
    if purpose is None or not given.reversible:
        return [None] * len(values)
    if values.null_count == len(values):
        return [None] * len(values)
    try:
        if given.op == "vault":
            tokens = [token for token in values.to_pylist() if token is not None]
            texts = out_of_vault(spark, given.path, tokens, lambda version: keys.key(purpose, domain, version))
            return [texts.get(token) if token is not None else None for token in values.to_pylist()]
        if given.op == "shred":
            return out_of_shred(
                spark, given.path, shredded(values.to_pylist()), lambda version: keys.key(purpose, domain, version)
            )
        made: list[bytes | None] = [None] * len(values)
        for version, places in _by_version(values, live if given.silent else None, given.form).items():
            operator = kind(given, Key(domain, version, keys.key(purpose, domain, version)), line.class_)
            some = values.take(pa.array(places, pa.int64()))
            if isinstance(operator, FpeOperator):
                whole, bad = operator.reverse(some)
                wrong = [False] * len(some) if bad is None else bad.tolist()
                texts_ = zip(whole.to_pylist(), wrong, strict=True)
                found = [None if text is None or not_ours else str(text).encode() for text, not_ours in texts_]
            else:
                found = operator.reverse(some).to_pylist()  # type: ignore[attr-defined]
            for place, text in zip(places, found, strict=True):
                made[place] = text
        return made
    except ValueError as error:
        raise KeyringError(f"{given.op} of domain '{domain}': {error}") from None


def _by_version(values: pa.Array, live: set[int] | None, form: re.Pattern[str] | None) -> dict[int, list[int]]:
    """Return the indexes of values by the key version that they name, or by the only possible one; others are left out."""
    if live is not None:
        if len(live) != 1:
            raise ValueError(f"its values carry no key version, and may be made by any of {sorted(live)}")
        return {next(iter(live)): list(range(len(values)))}
    found: dict[int, list[int]] = {}
    for place, text in enumerate(values.to_pylist()):
        version = form.fullmatch(text) if form is not None and isinstance(text, str) else None
        if version is not None:
            found.setdefault(int(version.group(1)), []).append(place)
    return found
