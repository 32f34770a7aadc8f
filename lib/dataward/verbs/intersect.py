"""Intersect the keys of two sites: ask as the receiver, and write the result with a signed card."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.errors import ProofError, SourceError, TargetError, UsageError
from dataward.federated import certificates
from dataward.federated.coordinator import Transport
from dataward.federated.encode import sha256
from dataward.federated.intersect import Found, Party, ask, keys_of, read_intersection, signed_by
from dataward.federated.plan import SiteFile, read_site
from dataward.federated.transport import Https
from dataward.integrity.dsse import Ed25519Signer, Envelope, key_id
from dataward.integrity.seal import code_version
from dataward.integrity.statement import Statement, Subject, predicate_type
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.pipeline.plan import plan as read_contract
from dataward.tables.replacing import replace_file
from dataward.verbs.held import held, protections_of, statement_of
from dataward.verbs.train import Checked

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Intersected", "intersect", "party_of", "verify_intersection"]

KIND = "intersection"
ASSUMPTIONS = (
    "both sites follow the protocol; the receiver's keys are those of its table",
    "the sender learns the number of the receiver's keys, the receiver that of the sender's",
    "keys are compared as exact text",
)


@dataclass(frozen=True)
class Intersected:
    """A finished intersection.

    Attributes:
        path: the folder with card, statement and, where the plan reveals them, ``keys.jsonl``.
        size: number of shared keys; ``sizes``: number of distinct keys of each site.
        card: the card.
    """

    path: str
    size: int
    sizes: dict[str, int]
    card: dict[str, Any]


def intersect(path: str | Path, site: str | Path, transport: Transport | None = None) -> Intersected:
    """Ask the other site for the intersection of its keys with this site's.

    Args:
        path: the plan's file, which this site's own file must list.
        site: the file of this site, which must be the plan's receiver.
        transport: transport of messages; default: HTTP with mutual TLS to the sender's address.

    Raises:
        ContractError: a file is invalid.
        ProofError: the seal of this site's table does not hold.
        SiteRefused: the sender refuses.
        UsageError: this site is not the receiver, or has not accepted the plan.
    """
    described = read_site(site)
    listed = {Path(one).resolve() for one in described.plans}
    if Path(path).resolve() not in listed:
        raise UsageError(f"{site} does not accept {path}: list it under 'plans'")
    return _intersect(described, read_contract(described.contract), str(path), transport)


@guarded("intersect")
def _intersect(described: SiteFile, contract: Plan, path: str, transport: Transport | None) -> Intersected:
    party = party_of(None, described, contract, path)
    plan = party.plan
    if plan.receiver != described.site:
        raise UsageError(
            f"site '{described.site}' is not the receiver of plan '{plan.plan}': it answers by dataward site serve"
        )
    urls = {plan.sender: plan.site(plan.sender).url}
    pems = {plan.sender: party.certificates[plan.sender]}
    found = ask(party, transport or Https(urls, pems, party.signer, plan.timeout))
    return _written(Path(plan.output), party, found)


def party_of(spark: SparkSession | None, described: SiteFile, contract: Plan, path: str) -> Party:
    """Return a site's part in a plan: its verified keys and its statement about its table.

    Raises:
        ProofError: the seal of the table does not hold.
        UsageError: the plan does not name this site with this key, or the table lacks the column.
    """
    plan = read_intersection(path)
    key, pems = certificates.private_key(Path(described.key)), plan.public_keys()
    mine = pems.get(described.site)
    if mine is None or certificates.public_key(mine) != key.public_key():
        raise UsageError(
            f"plan '{plan.plan}' has no site '{described.site}' with the public key of {described.key}: give the plan this site's NAME.pub"
        )
    pinned = plan.site(described.site).version
    version = described.version if pinned is None else pinned
    table = held(spark, contract, version, [plan.key], f"plan '{plan.plan}'")
    statement = statement_of(contract, table.seal, protections_of(table.seal, [plan.key]))
    return Party(plan, pems, described.site, key, statement, keys_of(table.rows, plan.key))


def _written(folder: Path, party: Party, found: Found) -> Intersected:
    """Write keys and card, and finally the statement that makes them valid."""
    plan = party.plan
    card: dict[str, Any] = {
        "intersection": plan.intersect,
        "plan": plan.model_dump(mode="json", exclude={"output", "timeout"}),
        "plan_sha256": party.digest,
        "run": found.run,
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "size": found.size,
        "keys": dict(found.sizes),
        "method": "Diffie-Hellman over P-256 (OpenMined PSI)",
        "assumptions": list(ASSUMPTIONS),
        "statements": {name: dict(one) for name, one in found.statements.items()},
        "certificates": {name: pem.decode() for name, pem in party.certificates.items()},
    }
    texts = {"card.json": (json.dumps(card, indent=1, sort_keys=True) + "\n").encode()}
    if found.keys is not None:
        texts["keys.jsonl"] = "".join(json.dumps({plan.key: one}) + "\n" for one in found.keys).encode()
    subjects = tuple(Subject(name, sha256(text)) for name, text in texts.items())
    fields = {key: value for key, value in card.items() if key not in ("statements", "certificates")}
    envelope = Statement(subjects, predicate_type(KIND), {**fields, "code": code_version()})
    texts["statement.json"] = envelope.signed(Ed25519Signer(party.signer)).text()
    if found.keys is None:
        (folder / "keys.jsonl").unlink(missing_ok=True)  # of an earlier run of another plan
    for name, text in texts.items():
        _put(folder / name, text)
    return Intersected(str(folder), found.size, dict(found.sizes), card)


@guarded("verify", of="path")
def verify_intersection(path: str | Path) -> tuple[Checked, ...]:
    """Check a written intersection: the receiver's signature, the files' hashes, and both sites' signed statements.

    The keys are those of the plan whose digest the card names; compare it with ``dataward intersect PLAN --digest``.

    Raises:
        SourceError: the folder has no finished intersection.
        ProofError: a file is malformed.
    """
    folder = Path(path)
    try:
        envelope = Envelope.parse((folder / "statement.json").read_bytes())
        statement = Statement.parse(envelope)
        card = json.loads((folder / "card.json").read_bytes())
        pems = {name: pem.encode() for name, pem in card["certificates"].items()}
        keys = {name: certificates.public_key(pem) for name, pem in pems.items()}
        receiver = keys[card["plan"]["receiver"]]
        stated = {name: dict(card["statements"][name]) for name in keys}
    except OSError as error:
        raise SourceError(f"{folder}: there is no finished intersection ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProofError(f"{folder}: card or statement is malformed") from None
    signed = envelope.signed_by({key_id(receiver): receiver}) is not None
    kind = statement.predicate_type == predicate_type(KIND)
    checks = [Checked("signature", signed and kind, f"by key {key_id(receiver)[:16]} of {card['plan']['receiver']}")]
    for subject in statement.subject:
        file = folder / subject.name
        same = file.is_file() and sha256(file.read_bytes()) == subject.sha256
        checks.append(Checked(subject.name, same, "as stated" if same else "was changed or is gone"))
    for name, said in stated.items():
        same = signed_by(said, keys[name]) and (said["plan"], said["run"]) == (card["plan_sha256"], card["run"])
        table = said.get("table") or {}
        described = f"version {table.get('version')} under seal {str(table.get('seal_sha256'))[:16]}"
        checks.append(Checked(f"site {name}", same, described if same else "its signed statement is another"))
    return tuple(checks)


def _put(path: Path, text: bytes) -> None:
    """Write a file that only its owner reads."""
    try:
        replace_file(path, text, 0o600)
    except OSError as error:
        raise TargetError(f"{path} cannot be written ({error.strerror})") from None
