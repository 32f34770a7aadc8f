"""``redact_text``: free text in which what is sensitive is found and replaced, ``<EMAIL:v1.…>``; the rest stays as it is.

Protects against: reading the e-mail addresses, cards, keys, numbers of people and so on that the detectors know
(docs/discovery.md), and with ``also: [name, mrn]`` whatever those columns hold in the same row. Does not protect against:
what neither finds: names of people that are in no list and in no such column (a relative, a doctor), nicknames and misspelt
names, places, addresses of unusual form, dates, stories that tell who is meant. A text of which nothing may be known wants
``redact``.

Values of ``also`` are found on the boundaries of words, whatever the case, the accents and what stands between their words
(``123-45-67`` for ``1234567``); of a ``person_name`` each word of three letters or more as well, so that ``Mr Smith`` of a
row whose name is ``John Smith`` goes. They are replaced under the class of their column, or its name where it has none, with
the token of the whole value. A single character is not looked for.

A token is the first 128 bits of the HMAC-SHA-256 of what was found, in the canonical spelling of its class: the same as
``token`` gives a column of that class and key domain, so that a text joins a column. ``tokens: false`` leaves them out.
Of finds that overlap the longest is replaced, and with it whatever a known value reaches beyond. Null stays null; text that is
no UTF-8 is invalid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dataward.contract.protections import RedactText
from dataward.privacy.discover.detector import Detector
from dataward.privacy.discover.detectors import DETECTORS
from dataward.privacy.discover.scanner import scanner
from dataward.privacy.keys import Purpose
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
"""Where something is replaced in a text, its class, and the value that it tells."""

Named = tuple[str, str | None]
"""The class of a column, and what it holds in a row."""


@dataclass(frozen=True)
class RedactTextOperator(Operator):
    parameters: RedactText
    detectors: tuple[Detector, ...] = DETECTORS
    classes: tuple[str | None, ...] = ()
    """Of the columns named by ``also``."""
    purpose: ClassVar[Purpose | None] = "token"

    @property
    def deterministic(self) -> bool:
        return not self.parameters.also

    @property
    def reads(self) -> tuple[str, ...]:
        return self.parameters.also

    def output(self, kind: pa.DataType) -> pa.DataType:
        import pyarrow as pa

        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise Unfit(f"redact_text cannot protect {kind}", "it goes with strings; use redact or token")
        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        import numpy as np
        import pyarrow as pa

        bad = unreadable(values)
        texts = [
            None if text is None or (bad is not None and bad[place]) else text.decode()
            for place, text in enumerate(values.cast(pa.binary()).to_pylist())
        ]
        finds = self._found(texts, self._known(rows) if self.parameters.also else None)
        labels = iter(self._labels([(class_, value) for some in finds for _, _, class_, value in some]))
        made = [
            None if text is None else _replaced(text, some, labels) for text, some in zip(texts, finds, strict=True)
        ]
        return pa.array(made, pa.string()), np.asarray(bad) if bad is not None else None

    def _found(self, texts: Sequence[str | None], known: Iterator[list[Named]] | None) -> list[list[Find]]:
        """What is replaced in each text, in order and apart."""
        find, wanted = scanner(self.detectors).spans, self.parameters.classes
        found: list[list[Find]] = []
        for text in texts:
            values = next(known) if known is not None else []
            spans = [s for s in find(text) if not wanted or s.class_ in wanted] if text is not None else []
            some = [(s.start, s.end, s.class_, text[s.start : s.end]) for s in spans if text is not None]
            if text and values:
                some = merged(some, occurrences(text, needles(values)))
            found.append(some)
        return found

    def _known(self, rows: Rows) -> Iterator[list[Named]]:
        """What the columns of ``also`` hold in the row of each text."""
        classes = [given or _label(name) for name, given in zip(self.parameters.also, self.classes, strict=True)]
        columns = [written(rows.column(name)) for name in self.parameters.also]
        held = [[_read(value) for value in column.to_pylist()] for column in map(_as_bytes, columns)]
        return ([*zip(classes, values, strict=True)] for values in zip(*held, strict=True))

    def _labels(self, found: list[tuple[str, str]]) -> list[str]:
        """What stands in the place of each find, by its class and text."""
        if not self.parameters.tokens:
            return [f"<{class_.upper()}>" for class_, _ in found]
        assert self.key is not None  # noqa: S101 - it has a purpose
        spell = {**CANONICAL, "phone": phone(self.parameters.region)}
        spelled = [(spell[class_](text) if class_ in spell else None) or text for class_, text in found]
        digests = macs(self.secret, (text.encode() for text in spelled))[:, :16]
        return [
            f"<{class_.upper()}:v{self.key.version}.{digest.tobytes().hex()}>"
            for (class_, _), digest in zip(found, digests, strict=True)
        ]


def _label(name: str) -> str:
    """What stands for a column without a class, as a class would."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "value"


def _as_bytes(values: pa.Array) -> pa.Array:
    import pyarrow as pa

    return values.cast(pa.binary())


def _read(value: bytes | None) -> str | None:
    """A value as text; what is no UTF-8 stands in no text."""
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
