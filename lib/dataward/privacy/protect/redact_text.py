"""``redact_text``: free text in which what is sensitive is found and replaced, ``<EMAIL:v1.…>``; the rest stays as it is.

Protects against: reading the e-mail addresses, cards, keys, numbers of people and so on that the detectors know
(docs/discovery.md). Does not protect against: what they do not find (names that are in no list, stories that tell who is
meant); a text of which nothing may be known wants ``redact``.

A token is the first 128 bits of the HMAC-SHA-256 of what was found, in the canonical spelling of its class: the same as
``token`` gives a column of that class and key domain, so that a text joins a column. ``tokens: false`` leaves them out.
Of spans that overlap the longest is replaced. Null stays null; text that is no UTF-8 is invalid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dataward.contract.protections import RedactText
from dataward.privacy.discover.detector import Detector
from dataward.privacy.discover.detectors import DETECTORS
from dataward.privacy.discover.scanner import Span, scanner
from dataward.privacy.keys import Purpose
from dataward.privacy.protect.canonical import CANONICAL, phone
from dataward.privacy.protect.operator import Made, Operator, Rows, Unfit
from dataward.privacy.protect.texts import unreadable
from dataward.privacy.protect.token import macs

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RedactTextOperator"]


@dataclass(frozen=True)
class RedactTextOperator(Operator):
    parameters: RedactText
    detectors: tuple[Detector, ...] = DETECTORS
    purpose: ClassVar[Purpose | None] = "token"

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
        find, wanted = scanner(self.detectors).spans, self.parameters.classes
        spans = [
            [span for span in find(text) if not wanted or span.class_ in wanted] if text is not None else []
            for text in texts
        ]
        found = [
            (span.class_, text[span.start : span.end])
            for text, some in zip(texts, spans, strict=True)
            if text
            for span in some
        ]
        labels = iter(self._labels(found))
        made = [
            None if text is None else _replaced(text, some, labels) for text, some in zip(texts, spans, strict=True)
        ]
        return pa.array(made, pa.string()), np.asarray(bad) if bad is not None else None

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


def _replaced(text: str, spans: list[Span], labels: Iterator[str]) -> str:
    parts, place = [], 0
    for span in spans:
        parts += [text[place : span.start], next(labels)]
        place = span.end
    return "".join([*parts, text[place:]])
