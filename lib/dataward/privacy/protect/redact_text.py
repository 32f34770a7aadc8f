"""``redact_text``: free text in which sensitive parts are found and replaced, e.g. by ``<EMAIL:v1.…>``; the rest stays.

Protects against: reading the e-mail addresses, cards, keys, personal numbers and further kinds of data that the detectors find
(docs/discovery.md), and with ``also: [name, mrn]`` the values of those columns in the same row. Does not protect against: reading
parts that neither finds: names of people that are in no list and no such column (a relative, a doctor), nicknames and misspelt
names, places, addresses of unusual form, dates, and descriptions that identify a person. Use ``redact`` for texts of which
nothing may be known.

Values of ``also`` are found at word boundaries, regardless of case, accents and the characters between their words
(``123-45-67`` for ``1234567``); for a ``person_name`` each word of three or more letters is found as well, so that ``Mr Smith``
is replaced in a row with the name ``John Smith``. They are replaced under the class of their column, or its name where it has no
class, with the token of the whole value. Values of a single character are not searched.

A token is the first 128 bits of the HMAC-SHA-256 of the found text in the canonical spelling of its class, the same that
``token`` computes for a column of that class and key domain, so that a text joins a column. ``tokens: false`` leaves it out.
The longest of overlapping matches is replaced, together with the parts of a known value that it does not cover. Text that is not
UTF-8 is invalid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dataward.contract.protections import RedactText
from dataward.keys import Purpose
from dataward.privacy.discover.detector import Detector
from dataward.privacy.discover.detectors import DETECTORS
from dataward.privacy.discover.scanner import scanner
from dataward.privacy.protect.canonical import CANONICAL, phone
from dataward.privacy.protect.known import merged, needles, occurrences
from dataward.privacy.protect.operator import Made, Operator, Rows, Unfit
from dataward.privacy.protect.texts import texts as written
from dataward.privacy.protect.texts import unreadable
from dataward.privacy.protect.token import macs

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RedactTextOperator"]

Find = tuple[int, int, str, str]
"""Start and end of a replaced part, its class, and the value that it reveals."""

Named = tuple[str, str | None]
"""Class of a column, and its value in a row."""


@dataclass(frozen=True)
class RedactTextOperator(Operator):
    """Implementation of ``redact_text``."""

    parameters: RedactText
    detectors: tuple[Detector, ...] = DETECTORS
    classes: tuple[str | None, ...] = ()
    """Classes of the columns named by ``also``."""
    purpose: ClassVar[Purpose | None] = "token"

    @property
    def deterministic(self) -> bool:
        """Whether the result depends on the text only, not on other columns."""
        return not self.parameters.also

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns named by ``also``."""
        return self.parameters.also

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return the output type, or raise Unfit."""
        import pyarrow as pa

        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise Unfit(f"redact_text cannot protect {kind}", "it goes with strings; use redact or token")
        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of texts."""
        import numpy as np
        import pyarrow as pa

        bad = unreadable(values)
        texts = [
            None if text is None or (bad is not None and bad[place]) else text.decode()
            for place, text in enumerate(values.cast(pa.binary()).to_pylist())
        ]
        finds = self._found(texts, self._known(rows) if self.parameters.also else None)
        labels = iter(self._labels([(class_, value) for found in finds for _, _, class_, value in found]))
        redacted = [
            None if text is None else _replaced(text, found, labels) for text, found in zip(texts, finds, strict=True)
        ]
        return pa.array(redacted, pa.string()), np.asarray(bad) if bad is not None else None

    def _found(self, texts: Sequence[str | None], known: Iterator[list[Named]] | None) -> list[list[Find]]:
        """Return the parts to replace in each text, ordered and without overlaps."""
        find, wanted = scanner(self.detectors).spans, self.parameters.classes
        found: list[list[Find]] = []
        for text in texts:
            values = next(known) if known is not None else []
            spans = [s for s in find(text) if not wanted or s.class_ in wanted] if text is not None else []
            matches = [(s.start, s.end, s.class_, text[s.start : s.end]) for s in spans if text is not None]
            if text and values:
                matches = merged(matches, occurrences(text, needles(values)))
            found.append(matches)
        return found

    def _known(self, rows: Rows) -> Iterator[list[Named]]:
        """Return classes and values of the ``also`` columns in the row of each text."""
        classes = [class_ or _label(name) for name, class_ in zip(self.parameters.also, self.classes, strict=True)]
        columns = [written(rows.column(name)) for name in self.parameters.also]
        values_by_column = [[_read(value) for value in column.to_pylist()] for column in map(_as_bytes, columns)]
        return ([*zip(classes, values, strict=True)] for values in zip(*values_by_column, strict=True))

    def _labels(self, found: list[tuple[str, str]]) -> list[str]:
        """Return the replacement of each (class, text)."""
        if not self.parameters.tokens:
            return [f"<{class_.upper()}>" for class_, _ in found]
        assert self.key is not None  # noqa: S101 - operators with a purpose have a key
        spell = {**CANONICAL, "phone": phone(self.parameters.region)}
        spelled = [(spell[class_](text) if class_ in spell else None) or text for class_, text in found]
        digests = macs(self.secret, (text.encode() for text in spelled))[:, :16]
        return [
            f"<{class_.upper()}:v{self.key.version}.{digest.tobytes().hex()}>"
            for (class_, _), digest in zip(found, digests, strict=True)
        ]


def _label(name: str) -> str:
    """Return the label of a column without a class, derived from its name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "value"


def _as_bytes(values: pa.Array) -> pa.Array:
    import pyarrow as pa

    return values.cast(pa.binary())


def _read(value: bytes | None) -> str | None:
    """Return a value as text; None where it is not UTF-8, as no text can contain it."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _replaced(text: str, finds: list[Find], labels: Iterator[str]) -> str:
    parts, place = [], 0
    for start, end, _, _ in finds:
        parts += [text[place:start], next(labels)]
        place = end
    return "".join([*parts, text[place:]])
