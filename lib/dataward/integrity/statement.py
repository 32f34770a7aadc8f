"""Statements about table versions and other events: in-toto Statement v1 in a DSSE envelope.

The subject of a seal is the file manifest of its version; the predicate is the seal itself (docs/verify.md has its JSON Schema).

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dataward.integrity.canonical import canonical
from dataward.integrity.dsse import Envelope, Signer, sign
from dataward.integrity.seal import Seal

__all__ = [
    "PAYLOAD_TYPE",
    "TEST_RESULT",
    "Statement",
    "Subject",
    "predicate_schema",
    "predicate_type",
    "record_text",
    "test_results",
]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"


def predicate_type(kind: str) -> str:
    """Return the predicate type of a kind of record: seal, erasure, ..."""
    return f"urn:dataward:{kind}:v1"


@dataclass(frozen=True)
class Subject:
    """Subject of a statement: a name, and the SHA-256 (hex) of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Statement:
    """An in-toto Statement v1."""

    subject: tuple[Subject, ...]
    predicate_type: str
    predicate: dict[str, Any]

    def text(self) -> bytes:
        """Return the statement as canonical JSON."""
        subject = [{"name": one.name, "digest": {"sha256": one.sha256}} for one in self.subject]
        return canonical(
            {
                "_type": STATEMENT,
                "subject": subject,
                "predicateType": self.predicate_type,
                "predicate": self.predicate,
            }
        ).encode()

    def signed(self, signer: Signer) -> Envelope:
        """Return the statement in a signed envelope."""
        return sign(PAYLOAD_TYPE, self.text(), signer)

    @classmethod
    def parse(cls, envelope: Envelope) -> Statement:
        """Parse the payload of an envelope; its signature is not verified here.

        Raises:
            ValueError: the payload is not an in-toto Statement v1 whose subjects have a SHA-256.
        """
        try:
            found = json.loads(envelope.payload)
            subject = tuple(Subject(str(one["name"]), str(one["digest"]["sha256"])) for one in found["subject"])
            right = envelope.payload_type == PAYLOAD_TYPE and found["_type"] == STATEMENT and subject
            if not right or not isinstance(found["predicate"], dict):
                raise ValueError
            return cls(subject, str(found["predicateType"]), found["predicate"])
        except (KeyError, TypeError, AttributeError, RecursionError, ValueError):
            raise ValueError("it is no in-toto Statement v1") from None


def record_text(data: bytes) -> str:
    """Return the canonical JSON of the record in a statement; other data as text."""
    try:
        return canonical(Statement.parse(Envelope.parse(data)).predicate)
    except ValueError:
        return data.decode("utf-8", "replace")


def test_results(seal: Seal, subject: Sequence[Subject]) -> Statement:
    """Return the verdicts of a seal as an in-toto test-result predicate.

    https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
    """
    verdicts = [*seal.verdicts, *seal.verdicts_after]
    passed: list[str] = []
    warned: list[str] = []
    failed: list[str] = []
    for verdict in verdicts:
        rule, outcome = str(verdict.get("rule", "?")), verdict.get("outcome")
        warning = verdict.get("severity") == "warning"
        (passed if outcome == "PASSED" else warned if warning or outcome == "SKIPPED" else failed).append(rule)
    predicate: dict[str, Any] = {
        "result": "FAILED" if failed else "WARNED" if warned else "PASSED",
        "configuration": [{"name": f"contract {seal.contract}", "digest": {"sha256": seal.contract_sha256}}],
        "passedTests": passed,
        "warnedTests": warned,
        "failedTests": failed,
    }
    return Statement(tuple(subject), TEST_RESULT, predicate)


def predicate_schema() -> dict[str, Any]:
    """Return the JSON Schema of the predicate of seals."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Seal.model_json_schema()}
