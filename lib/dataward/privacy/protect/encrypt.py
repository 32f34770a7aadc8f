"""``encrypt``: deterministic and reversible, ``v<key version>.<base64url>``; type becomes string.

Protects against: reading and changing values without the key. Does not protect against: whoever has the key, and
counting, as with ``token``: equal values have equal ciphertexts. The length of the value can be told.

AES-256-SIV (RFC 5297), without associated data: every domain has a key of its own. What is encrypted is the value's
text as it came, so that the original comes back exactly.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from dataward.contract.protections import Encrypt
from dataward.privacy.keys import Purpose
from dataward.privacy.protect.operator import Made, Operator, Rows
from dataward.privacy.protect.texts import messages

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EncryptOperator", "opened", "written"]


def written(version: int, ciphertexts: list[bytes | None]) -> pa.Array:
    """Ciphertexts as strings: the version, and base64url without padding (RFC 4648)."""
    import pyarrow as pa

    prefix, encode = f"v{version}.".encode(), base64.urlsafe_b64encode
    return pa.array([None if c is None else prefix + encode(c).rstrip(b"=") for c in ciphertexts], pa.binary()).cast(
        pa.string()
    )


def opened(texts: pa.Array, version: int, decrypt: Callable[[bytes], bytes]) -> pa.Array:
    """The originals' texts of :func:`written`, as binary.

    Raises:
        ValueError: a text is not of this version, or is damaged or of another key (told without the value).
    """
    import pyarrow as pa

    prefix = f"v{version}."
    out: list[bytes | None] = []
    for text in texts.to_pylist():
        if text is None:
            out.append(None)
            continue
        if not text.startswith(prefix):
            raise ValueError(f"a value is not encrypted under key version {version}")
        body = text[len(prefix) :]
        try:
            out.append(decrypt(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
        except Exception:
            raise ValueError("a value is damaged, or encrypted under another key") from None
    return pa.array(out, pa.binary())


@dataclass(frozen=True)
class EncryptOperator(Operator):
    parameters: Encrypt
    purpose: ClassVar[Purpose | None] = "encrypt"
    reversible: ClassVar[bool] = True

    def output(self, kind: pa.DataType) -> pa.DataType:
        import pyarrow as pa

        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        assert self.key is not None  # noqa: S101 - it has a purpose
        encrypt = AESSIV(self.secret).encrypt
        made = [None if value is None else encrypt(value, None) for value in messages(values)]
        return written(self.key.version, made), None

    def reverse(self, texts: pa.Array) -> pa.Array:
        """The originals' texts, as binary.

        Raises:
            ValueError: a text is damaged or of another key or version.
        """
        assert self.key is not None  # noqa: S101 - it has a purpose
        siv = AESSIV(self.secret)
        return opened(texts, self.key.version, lambda data: siv.decrypt(data, None))
