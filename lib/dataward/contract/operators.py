"""The operators that protect one value, a model each with its parameters and facts. ``dataward.privacy.protect`` implements them."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from dataward.contract.base import Name
from dataward.contract.operation import ALIASED, COARSENED, ENCRYPTED, KEPT, REMOVED, Fallible, Operation

__all__ = [
    "DateShift",
    "Drop",
    "Encrypt",
    "EncryptRandom",
    "Fpe",
    "Generalize",
    "Keep",
    "Mask",
    "Null",
    "Perturb",
    "Pick",
    "Redact",
    "RedactText",
    "SHORT_CLASSES",
    "Shred",
    "Token",
    "Vault",
]

ALPHABETS = {
    "digits": "0123456789",
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "base36": "0123456789abcdefghijklmnopqrstuvwxyz",
    "base62": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
}
MOST = 10_000
"""Largest number of characters or levels in a parameter."""

SHORT_CLASSES = {"pin": 4, "cvv": 3, "card_security_code": 3, "zip": 5, "postal_code": 5, "postcode": 5}
"""Classes whose values are known to be short: format-preserving encryption of them is an open book."""


class Token(Fallible):
    """One-way token: HMAC-SHA-256 under the domain's key, ``v<key version>.<bits as hex>``."""

    op: Literal["token"] = "token"
    by_class: ClassVar[bool] = True
    strength: ClassVar[int] = ALIASED
    injective: ClassVar[bool] = True
    guessable: ClassVar[bool] = True
    findable: ClassVar[bool] = True
    keyed: ClassVar[bool] = True
    shows_version: ClassVar[bool] = True
    form: ClassVar[re.Pattern[str]] = re.compile(r"v([0-9]+)\.[0-9a-f]{32,64}")
    shows_less: ClassVar[tuple[str, ...]] = ("bits",)
    bits: int = Field(default=128, ge=128, le=256, multiple_of=8, description="of the MAC that the token holds")
    canonical: bool = Field(default=True, description="spellings of one value (by its class) get one token")
    region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = Field(
        default=None, description="class phone: the country of numbers without a country code, e.g. DE"
    )

    def refuses(self, class_: str | None) -> bool:
        """Return whether some values have no canonical spelling: a phone number without its country."""
        return self.canonical and class_ == "phone"


class Encrypt(Operation):
    """Deterministic, reversible: AES-256-SIV, ``v<key version>.<base64url>``."""

    op: Literal["encrypt"] = "encrypt"
    strength: ClassVar[int] = ENCRYPTED
    reversible: ClassVar[bool] = True
    injective: ClassVar[bool] = True
    guessable: ClassVar[bool] = True
    findable: ClassVar[bool] = True
    keyed: ClassVar[bool] = True
    shows_version: ClassVar[bool] = True
    form: ClassVar[re.Pattern[str]] = re.compile(r"v([0-9]+)\.[A-Za-z0-9_-]+")


class EncryptRandom(Operation):
    """Randomised, reversible: AES-256-GCM; equal values become different texts."""

    op: Literal["encrypt_random"] = "encrypt_random"
    strength: ClassVar[int] = ENCRYPTED
    random = True
    reversible: ClassVar[bool] = True
    keyed: ClassVar[bool] = True
    shows_version: ClassVar[bool] = True
    form: ClassVar[re.Pattern[str]] = re.compile(r"v([0-9]+)\.[A-Za-z0-9_-]+")


class Fpe(Fallible):
    """Format-preserving, reversible: FF1 with AES-256 over the characters of an alphabet; separators stay."""

    op: Literal["fpe"] = "fpe"
    strength: ClassVar[int] = ENCRYPTED
    reversible: ClassVar[bool] = True
    injective: ClassVar[bool] = True
    guessable: ClassVar[bool] = True
    findable: ClassVar[bool] = True
    keyed: ClassVar[bool] = True
    shows_more: ClassVar[tuple[str, ...]] = (
        "keep_first",
        "keep_last",
    )
    alphabet: str = Field(default="digits", description=f"{', '.join(ALPHABETS)}, or the characters themselves")
    separators: str = Field(default=" -", description="characters that stay where they are")
    keep_first: int = Field(default=0, ge=0, le=MOST, description="leading characters of the alphabet that stay")
    keep_last: int = Field(
        default=0, ge=0, le=MOST, description="trailing ones; under a check digit it counts as one of them"
    )
    check: Literal["luhn"] | None = Field(default=None, description="the last digit is recomputed")
    format: Literal["card", "phone"] | None = Field(
        default=None, description="card: digits with a Luhn digit; phone: digits with the separators of phone numbers"
    )
    length: int | None = Field(
        default=None, ge=1, le=MOST, description="least number of characters; for a check at load"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_format(cls, data: Any) -> Any:
        forms: dict[Any, dict[str, Any]] = {
            "card": {"check": "luhn", "length": 16},
            "phone": {"separators": " -()./+"},
        }
        return {**forms.get(str(data.get("format")), {}), **data} if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _safe(self) -> Fpe:
        characters = self.characters
        if len(characters) < 2 or len(set(characters)) < len(characters):
            raise ValueError(f"'alphabet' is one of {', '.join(ALPHABETS)}, or two or more different characters")
        if set(characters) & set(self.separators):
            raise ValueError("a separator cannot be in the alphabet")
        if self.check and self.alphabet != "digits":
            raise ValueError("'check: luhn' goes with the alphabet digits")
        if self.length is not None:
            self.refuse_small(self.length)
        return self

    @property
    def characters(self) -> str:
        """Characters of the alphabet."""
        return ALPHABETS.get(self.alphabet, self.alphabet)

    @property
    def kept(self) -> int:
        """How many characters of a value are not encrypted, the check digit among them."""
        return self.keep_first + max(self.keep_last, 1 if self.check else 0)

    def refuse_small(self, length: int) -> None:
        """Raise ValueError where values of a length leave fewer than 10^6 possibilities (NIST SP 800-38G)."""
        free = max(0, length - self.kept)
        if len(self.characters) ** free < 1_000_000:
            raise ValueError(
                f"fpe: {free} encrypted characters of {len(self.characters)} are a domain below 1,000,000 values, which "
                "can be tried one by one: keep fewer characters, or use token"
            )


class Mask(Fallible):
    """Every character replaced but the first and last few; a value too short to hide anything is masked whole."""

    op: Literal["mask"] = "mask"
    strength: ClassVar[int] = COARSENED
    readable: ClassVar[bool] = True
    shows_more: ClassVar[tuple[str, ...]] = (
        "keep_first",
        "keep_last",
    )
    keep_first: int = Field(default=0, ge=0, le=MOST, description="leading characters that stay")
    keep_last: int = Field(default=0, ge=0, le=MOST, description="trailing characters that stay")
    char: str = Field(default="*", min_length=1, max_length=1, description="what stands for each other one")

    def refuses(self, class_: str | None) -> bool:
        """Return False: every value can be protected."""
        return False


class Redact(Operation):
    """Every value replaced by one constant text."""

    op: Literal["redact"] = "redact"
    strength: ClassVar[int] = REMOVED
    with_: str = Field(default="[redacted]", alias="with", description="the text")


class RedactText(Fallible):
    """Free text in which what is sensitive is found and replaced: ``<EMAIL:v1.…>``, or ``<EMAIL>``; the rest stays."""

    op: Literal["redact_text"] = "redact_text"
    strength: ClassVar[int] = COARSENED
    keyed: ClassVar[bool] = True
    shows_version: ClassVar[bool] = True
    readable: ClassVar[bool] = True
    hides_more: ClassVar[tuple[str, ...]] = ("also",)
    classes: tuple[Name, ...] = Field(default=(), description="what is replaced; default: all that is found")
    tokens: bool = Field(default=True, description="with a token, equal for equal values; false: only the class")
    also: tuple[str, ...] = Field(
        default=(), description="columns whose values are replaced in the text of the same row too, e.g. [name, mrn]"
    )
    region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = Field(default=None, description="as for token")

    def refuses(self, class_: str | None) -> bool:
        """Return False: every value can be protected."""
        return False


class Null(Operation):
    """Every value becomes null; the type stays."""

    op: Literal["null"] = "null"
    strength: ClassVar[int] = REMOVED


class DateShift(Fallible):
    """Dates moved by a number of days that one entity shares, so that the time between its events stays."""

    op: Literal["date_shift"] = "date_shift"
    strength: ClassVar[int] = COARSENED
    keyed: ClassVar[bool] = True
    reads_row: ClassVar[bool] = True
    shows_less: ClassVar[tuple[str, ...]] = ("days",)
    by: str = Field(min_length=1, description="the column that names the entity, e.g. patient_id")
    days: int = Field(default=30, ge=1, le=36_500, description="the largest shift, to either side")
    format: str | None = Field(default=None, description="of dates that are text, as strptime has it, e.g. %Y%m%d")


class Generalize(Fallible):
    """Values made coarser; exactly one of ``width``, ``bounds``, ``prefix``, ``part`` and ``hierarchy``."""

    op: Literal["generalize"] = "generalize"
    strength: ClassVar[int] = COARSENED
    readable: ClassVar[bool] = True
    shows_more: ClassVar[tuple[str, ...]] = ("prefix",)
    shows_less: ClassVar[tuple[str, ...]] = (
        "width",
        "level",
    )
    width: int | float | None = Field(default=None, gt=0, description="numbers: down to a multiple of it")
    bounds: tuple[float, ...] = Field(default=(), description="numbers: the interval they lie in, as text")
    prefix: int | None = Field(default=None, ge=1, le=MOST, description="text: its first characters")
    part: Literal["hour", "day", "week", "month", "quarter", "year", "decade"] | None = Field(
        default=None, description="dates and timestamps: the start of the part they lie in (UTC)"
    )
    hierarchy: str | None = Field(default=None, description="a CSV file: a value, then its ever coarser forms")
    level: int = Field(default=1, ge=1, le=MOST, description="which of the hierarchy's coarser forms")

    @model_validator(mode="after")
    def _one_way(self) -> Generalize:
        ways = [self.width, self.bounds or None, self.prefix, self.part, self.hierarchy]
        if sum(way is not None for way in ways) != 1:
            raise ValueError("generalize: give exactly one of width, bounds, prefix, part and hierarchy")
        if list(self.bounds) != sorted(set(self.bounds)):
            raise ValueError("generalize: 'bounds' ascend")
        return self


class Perturb(Fallible):
    """Numbers with random noise of a stated scale; not differential privacy (no budget, no bound on a person's part)."""

    op: Literal["perturb"] = "perturb"
    strength: ClassVar[int] = COARSENED
    random = True
    shows_less: ClassVar[tuple[str, ...]] = ("scale",)
    scale: float = Field(gt=0, description="laplace: its b; gaussian: its standard deviation; in the column's unit")
    noise: Literal["laplace", "gaussian"] = Field(default="laplace", description="the distribution")


class Vault(Operation):
    """A random token; the originals, encrypted, in a Delta table of their own."""

    op: Literal["vault"] = "vault"
    strength: ClassVar[int] = ENCRYPTED
    reversible: ClassVar[bool] = True
    injective: ClassVar[bool] = True
    guessable: ClassVar[bool] = True
    keyed: ClassVar[bool] = True
    entered: ClassVar[bool] = True
    nests: ClassVar[bool] = False
    path: str = Field(min_length=1, description="directory of the Delta table that maps tokens to originals")


class Shred(Operation):
    """Encryption under a key of the row's own subject (``erasure.subject``), which ``dataward erase`` destroys."""

    op: Literal["shred"] = "shred"
    shreds: ClassVar[bool] = True
    strength: ClassVar[int] = ENCRYPTED
    random = True
    reversible: ClassVar[bool] = True
    keyed: ClassVar[bool] = True
    entered: ClassVar[bool] = True
    nests: ClassVar[bool] = False
    path: str = Field(min_length=1, description="directory of the Delta table that holds the subjects' keys")


class Pick(Fallible):
    """A realistic substitute from a list, the same for the same value; different values may share one."""

    op: Literal["pick"] = "pick"
    strength: ClassVar[int] = ALIASED
    guessable: ClassVar[bool] = True
    keyed: ClassVar[bool] = True
    values: tuple[str, ...] = Field(default=(), description="the substitutes")
    file: str | None = Field(default=None, description="a text file with a substitute per line")
    canonical: bool = Field(default=True, description="spellings of one value (by its class) get one substitute")
    region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = Field(default=None, description="as for token")

    def refuses(self, class_: str | None) -> bool:
        """Return whether some values have no canonical spelling: a phone number without its country."""
        return self.canonical and class_ == "phone"

    @model_validator(mode="after")
    def _one_list(self) -> Pick:
        if bool(self.values) == bool(self.file):
            raise ValueError("pick: give exactly one of 'values' and 'file'")
        return self


class Drop(Operation):
    """The column does not reach the target."""

    op: Literal["drop"] = "drop"
    drops: ClassVar[bool] = True
    strength: ClassVar[int] = REMOVED
    nests: ClassVar[bool] = False


class Keep(Operation):
    """The column is published as it is: an explicit decision, with a reason if you like."""

    op: Literal["keep"] = "keep"
    keeps: ClassVar[bool] = True
    strength: ClassVar[int] = KEPT
    injective: ClassVar[bool] = True
    findable: ClassVar[bool] = True
    reason: str | None = Field(default=None, description="why, for whoever reads the seal")
