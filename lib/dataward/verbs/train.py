"""Train a model over sites, write it with its card and a signed statement, and verify the written files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dataward.contract import Location
from dataward.errors import DatawardError, KeyringError, ProofError, SourceError, TargetError
from dataward.federated import certificates
from dataward.federated.card import card_of, croissant, ml_bom, model_of
from dataward.federated.coordinator import Coordinator, Store, Transport
from dataward.federated.encode import canonical
from dataward.federated.encode import sha256 as digest
from dataward.federated.model import Model
from dataward.federated.plan import TrainingPlan, read_plan
from dataward.federated.transport import Https
from dataward.integrity import ledger
from dataward.integrity.dsse import Ed25519Signer, Envelope, key_id
from dataward.integrity.seal import code_version
from dataward.integrity.statement import Statement, Subject, predicate_type
from dataward.keys import Purpose
from dataward.pipeline.guard import guarded
from dataward.report.html import draw
from dataward.tables.replacing import replace_file

__all__ = ["Checked", "Trained", "train", "verify_model"]

STATEMENT = "statement.json"
DOMAIN = "training"
"""Key domain of the coordinator's key in a ledger."""


@dataclass(frozen=True)
class OwnKey:
    """The coordinator's key as a keyring with one version, for ledgers."""

    private: Ed25519PrivateKey = field(repr=False)

    def current(self, domain: str) -> int:
        """Return 1."""
        return 1

    def window(self, domain: str) -> int | None:
        """Return None: the key is not rotated."""
        return None

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        """Return the private key for signatures.

        Raises:
            KeyringError: the purpose, domain or version is another one.
        """
        if (purpose, domain, version) != ("seal", DOMAIN, 1):
            raise KeyringError(
                f"the coordinator has no key for {purpose} in domain '{domain}': give training a ledger of its own"
            )
        return self.private.private_bytes_raw()

    def public_key(self, domain: str, version: int) -> Ed25519PublicKey:
        """Return the public key; raises KeyringError for another domain."""
        if (domain, version) != (DOMAIN, 1):
            raise KeyringError(f"the coordinator has no key of domain '{domain}': give training a ledger of its own")
        return self.private.public_key()


@dataclass(frozen=True)
class KnownKey:
    """The coordinator's public key as a keyring, for ledgers."""

    public: Ed25519PublicKey

    def public_key(self, domain: str, version: int) -> Ed25519PublicKey:
        """Return the public key; raises KeyringError for another domain."""
        if (domain, version) != (DOMAIN, 1):
            raise KeyringError(f"the coordinator has no key of domain '{domain}'")
        return self.public


@dataclass(frozen=True)
class Trained:
    """A finished training: its folder, the hash of the model, and the card."""

    path: str
    sha256: str
    card: dict[str, Any]


@dataclass(frozen=True)
class Checked:
    """One check of a trained model."""

    name: str
    holds: bool
    detail: str


@guarded("train", of="path")
def train(
    path: str | Path,
    key: str | Path,
    say: Callable[[str], None] = lambda line: None,
    transport: Transport | None = None,
) -> Trained:
    """Run a plan to its end, and resume an earlier process.

    Args:
        path: the plan's file.
        key: the coordinator's private key (PEM).
        say: called with a line for each round and incident.
        transport: transport of messages; default: HTTP with mutual TLS to the plan's addresses.

    Raises:
        ContractError: the plan is invalid.
        RunError: fewer sites than the plan's minimum take part.
    """
    plan, private = read_plan(path), certificates.private_key(Path(key))
    keys = plan.public_keys()
    carry = transport or Https({site.name: site.url for site in plan.sites}, keys, private, plan.timeout)
    folder = Path(plan.output.path)
    coordinator = Coordinator(plan, keys, carry, Store(folder / "progress.json"), say)
    if coordinator.progress.sequence:
        say(f"run {coordinator.progress.run} goes on after step {coordinator.progress.sequence}")
    coordinator.run()
    return _written(folder, coordinator, private, keys, plan.output.ledger)


def _written(
    folder: Path, coordinator: Coordinator, private: Any, key_pem: dict[str, bytes], place: Location | None
) -> Trained:
    """Write the model, its card and the exports, and finally the statement that makes them valid."""
    model = model_of(coordinator)
    statement = folder / STATEMENT
    if statement.exists():
        try:
            card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
            if card["training"]["run"] == coordinator.progress.run and card["model"]["sha256"] == model.sha256:
                return Trained(str(folder), model.sha256, card)
        except (OSError, ValueError, KeyError, TypeError):
            pass  # damaged: written again from the stored progress
    finished = datetime.now(timezone.utc).isoformat(timespec="seconds")
    card = card_of(coordinator, model, finished)
    greetings = {site: dict(one) for site, one in coordinator.progress.tables.items()}
    sites = {"greetings": greetings, "certificates": {name: pem.decode() for name, pem in key_pem.items()}}
    texts = {
        "model.json": model.bytes(),
        "card.json": _json(card),
        "card.html": draw("model_card.html.j2", card=card).encode(),
        "sites.json": _json(sites),
        "bom.cdx.json": _json(ml_bom(card, finished)),
        "croissant.json": _json(croissant(card)),
    }
    for name, text in texts.items():
        _put(folder / name, text)
    subjects = tuple(Subject(name, digest(text)) for name, text in texts.items())
    predicate = {**card, "code": code_version()}
    envelope = Statement(subjects, predicate_type("training"), predicate).signed(Ed25519Signer(private))
    _put(folder / "coordinator.pub", certificates.certificate(private))
    if place:
        about = ledger.About(run_id=coordinator.progress.run, target=str(folder))
        ledger.record(place, OwnKey(private), DOMAIN, "training", envelope.text(), about)
    _put(statement, envelope.text())
    return Trained(str(folder), model.sha256, card)


@guarded("verify", of="path")
def verify_model(path: str | Path, coordinator: str | Path | None = None) -> tuple[Checked, ...]:
    """Check a training's output: the statement's signature, every file's hash, and each site's signed statement about its table.

    Args:
        path: the output folder.
        coordinator: the coordinator's public key (PEM certificate) from a trusted place; None: the one in the folder, which
            only proves that nobody without the key changed anything.

    Raises:
        SourceError: the folder has no output of a training.
        ProofError: the file is not a statement.
    """
    folder = Path(path)
    try:
        envelope = Envelope.parse((folder / STATEMENT).read_bytes())
        statement = Statement.parse(envelope)
        known = certificates.public_key(Path(coordinator or folder / "coordinator.pub").read_bytes())
    except OSError as error:
        raise SourceError(f"{folder}: there is no finished training ({error.strerror})") from None
    except ValueError as error:
        raise ProofError(f"{folder}/{STATEMENT}: {error}") from None
    checks = [
        Checked("signature", envelope.signed_by({key_id(known): known}) is not None, f"by key {key_id(known)[:16]}"),
        Checked("kind", statement.predicate_type == predicate_type("training"), statement.predicate_type),
    ]
    for subject in statement.subject:
        file = folder / subject.name
        same = file.is_file() and digest(file.read_bytes()) == subject.sha256
        checks.append(Checked(subject.name, same, "as stated" if same else "was changed or is gone"))
    checks += _of_sites(folder, statement)
    checks += _of_ledger(folder, envelope.text(), known)
    return tuple(checks)


def _of_ledger(folder: Path, envelope: bytes, known: Ed25519PublicKey) -> list[Checked]:
    """Check the ledger of the plan, if any: it verifies, and its newest entry of this training is the statement."""
    try:
        place = Model.read(folder).plan.output.ledger
        if place is None:
            return []
        checked = ledger.flaws(place, KnownKey(known))
        if checked.flaws:
            return [Checked("ledger", False, "; ".join(flaw.message for flaw in checked.flaws))]
        mine = [entry for entry in ledger.entries(place, "training") if entry.body.statement == digest(envelope)]
    except DatawardError as error:
        return [Checked("ledger", False, str(error))]
    detail = (
        f"entry {mine[-1].seq} of {checked.head.size} under a signed checkpoint"
        if mine
        else f"{place} has no entry of it"
    )
    return [Checked("ledger", bool(mine), detail)]


def _of_sites(folder: Path, statement: Statement) -> list[Checked]:
    from cryptography.exceptions import InvalidSignature

    checks = []
    try:
        sites = json.loads((folder / "sites.json").read_text(encoding="utf-8"))
        model = Model.read(folder)
        stated = {one["site"]: one for one in statement.predicate["training"]["sites"]}
        keys = {name: certificates.public_key(pem.encode()) for name, pem in sites["certificates"].items()}
        raw = {name: key.public_bytes_raw().hex() for name, key in keys.items()}
        same = _digest(model.plan, raw) == statement.predicate["training"]["plan_sha256"] == model.digest
        checks.append(
            Checked("plan", same, model.digest if same else "the model's plan is not the one that the sites accepted")
        )
        for name, greeting in sites["greetings"].items():
            said = {key: value for key, value in greeting.items() if key != "signature"}
            own = {key: value for key, value in stated[name].items() if key not in ("site", "takes_part")}
            try:
                signature = bytes.fromhex(greeting["signature"])
                keys[name].verify(signature, b"dataward/federated/1\0hello" + canonical(said))
                holds = said["table"] == own and said["plan"] == model.digest
            except (InvalidSignature, ValueError):
                holds = False
            detail = f"version {own.get('version')} under seal {str(own.get('seal_sha256'))[:16]}"
            checks.append(Checked(f"site {name}", holds, detail if holds else "its signed statement is another"))
    except (OSError, SourceError, ValueError, KeyError, TypeError, AttributeError):
        checks.append(Checked("sites", False, "what the sites signed is gone or damaged"))
    return checks


def _digest(plan: TrainingPlan, raw: dict[str, str]) -> str:
    try:
        return plan.digest(raw)
    except KeyError:
        return ""


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _put(path: Path, text: bytes) -> None:
    try:
        replace_file(path, text)
    except OSError as error:
        raise TargetError(f"{path} cannot be written ({error.strerror})") from None
