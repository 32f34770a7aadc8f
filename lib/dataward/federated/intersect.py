"""Private set intersection of two sites' keys: the receiver learns how many are shared, or which; the sender how many the receiver has.

Diffie-Hellman over P-256 with hashing to the curve, by OpenMined's library: the receiver sends its keys blinded by a fresh secret; the
sender blinds them again by its own fresh secret, and sends its own keys blinded by that. Keys that both have are equal once the
receiver takes its secret off. The messages are signed by the sites and travel over TLS between them: no third party sees them.
Both follow the protocol (semi-honest): what a receiver claims to have cannot be checked, so the plan limits its number.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field, model_validator

from dataward.contract.base import Name
from dataward.contract.load import read_model
from dataward.errors import SiteRefused, SourceError, UsageError
from dataward.federated.certificates import public_key
from dataward.federated.encode import canonical, sha256
from dataward.federated.model import same_protections
from dataward.federated.plan import Agreed, SiteEntry, unreadable_keys
from dataward.federated.site import PROTOCOL, Memory, bytes_of

if TYPE_CHECKING:
    import pyarrow as pa

    from dataward.federated.coordinator import Transport

__all__ = [
    "STAGE",
    "Found",
    "IntersectPlan",
    "Party",
    "Sender",
    "ask",
    "digest_of",
    "keys_of",
    "read_intersection",
    "signed_by",
]

STAGE = "intersect"


class IntersectPlan(Agreed):
    """An intersection of the keys of two sites."""

    intersect: Name
    key: str = Field(min_length=1, description="column of the keys, in both tables: text or whole numbers")
    sites: tuple[SiteEntry, SiteEntry]
    receiver: Name = Field(description="the site that learns the result")
    reveal: Literal["size", "keys"] = Field(default="size", description="what it learns: how many are shared, or which")
    most_keys: int = Field(
        default=1_000_000, ge=1, le=10_000_000, description="largest number of keys of the receiver that are answered"
    )
    timeout: float = Field(default=600, gt=0, le=86_400, description="seconds that the sender may take")
    output: str = Field(min_length=1, description="folder of the receiver's result and its card")

    @model_validator(mode="after")
    def _two(self) -> IntersectPlan:
        names = [site.name for site in self.sites]
        if names[0] == names[1]:
            raise ValueError("'sites' has a name twice")
        if self.receiver not in names:
            raise ValueError("'receiver' is one of the two 'sites'")
        return self

    @property
    def plan(self) -> str:
        """Name of the intersection."""
        return self.intersect

    @property
    def sender(self) -> str:
        """The site that answers."""
        return next(site.name for site in self.sites if site.name != self.receiver)

    def site(self, name: str) -> SiteEntry:
        """Return a site's entry."""
        return next(site for site in self.sites if site.name == name)


def read_intersection(path: str | Path) -> IntersectPlan:
    """Read a plan; raises ContractError with all mistakes."""
    plan = read_model(path, IntersectPlan)
    unreadable_keys(path, plan.sites)
    return plan


def digest_of(plan: IntersectPlan, certificates: Mapping[str, bytes]) -> str:
    """Return the plan's digest under the sites' certificates (PEM)."""
    return plan.digest({name: public_key(pem).public_bytes_raw().hex() for name, pem in certificates.items()})


@dataclass(frozen=True)
class Party:
    """A site's part in an intersection.

    Attributes:
        certificates: certificates (PEM) of both sites.
        name: this site; ``signer``: its key.
        table: its statement about its table.
        keys: its distinct keys.
    """

    plan: IntersectPlan
    certificates: Mapping[str, bytes] = field(repr=False)
    name: str
    signer: Ed25519PrivateKey = field(repr=False)
    table: Mapping[str, Any]
    keys: Sequence[str] = field(repr=False)

    @property
    def digest(self) -> str:
        """Digest of the plan."""
        return digest_of(self.plan, self.certificates)

    def signed(self, run: str, **more: Any) -> dict[str, Any]:
        """Return this site's signed statement of a run."""
        said = {
            "protocol": PROTOCOL,
            "plan": self.digest,
            "run": run,
            "site": self.name,
            "table": dict(self.table),
            **more,
        }
        return {**said, "signature": self.signer.sign(_text(said)).hex()}

    def key_of(self, site: str) -> Ed25519PublicKey:
        """Return a site's public key."""
        return public_key(self.certificates[site])

    def shuffled(self) -> list[str]:
        """Return the keys in random order, so that the order reveals nothing."""
        keys = list(self.keys)
        secrets.SystemRandom().shuffle(keys)
        return keys


@dataclass(frozen=True)
class Found:
    """The receiver's result.

    Attributes:
        run: random name of the run.
        size: number of shared keys; ``keys``: the keys, where the plan reveals them.
        sizes: number of distinct keys of each site.
        statements: both sites' signed statements.
    """

    run: str
    size: int
    keys: tuple[str, ...] | None = field(repr=False)
    sizes: Mapping[str, int]
    statements: Mapping[str, Mapping[str, Any]]


def ask(party: Party, transport: Transport) -> Found:
    """Compute an intersection as its receiver.

    Raises:
        SiteRefused: the sender refuses, or its answer is malformed or not signed by it.
        Unreachable: it does not answer.
        UsageError: OpenMined's library is not installed.
    """
    plan, run, psi, mine = party.plan, secrets.token_hex(8), _library(), party.shuffled()
    if len(mine) > plan.most_keys:
        raise UsageError(
            f"plan '{plan.plan}' allows {plan.most_keys:,} keys (most_keys), and the table has {len(mine):,}"
        )
    client = psi.client.CreateWithNewKey(plan.reveal == "keys")
    request = client.CreateRequest(mine).SerializeToString()
    said = party.signed(run, keys=len(mine), sent=sha256(request))
    answer = transport.call(plan.sender, STAGE, {**said, "request": _packed(request)})
    setup, response = (_bytes(answer.get(name)) for name in ("setup", "response"))
    fields = {key: value for key, value in answer.items() if key not in ("setup", "response")}
    expected = {
        "plan": party.digest,
        "run": run,
        "site": plan.sender,
        "asked": said["sent"],
        "sent": sha256(setup + response),
    }
    if not signed_by(fields, party.key_of(plan.sender)) or any(
        fields.get(key) != value for key, value in expected.items()
    ):
        raise SiteRefused("its answer is not signed by the plan's key for it, or answers something else", plan.sender)
    _demand_fitting(plan, fields, party.table)
    pair = _parsed(psi.ServerSetup, setup), _parsed(psi.Response, response)
    try:
        found = (
            tuple(sorted(mine[number] for number in client.GetIntersection(*pair))) if plan.reveal == "keys" else None
        )
        size = client.GetIntersectionSize(*pair) if found is None else len(found)
    except (RuntimeError, ValueError, IndexError):
        raise SiteRefused("its answer is no part of an intersection", plan.sender) from None
    sizes = {party.name: len(mine), plan.sender: int(fields["keys"])}
    return Found(run, size, found, sizes, {party.name: said, plan.sender: fields})


class Sender:
    """Answers the receiver of one plan."""

    def __init__(
        self, party: Party, memory: Memory, runs: int, watched: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        """Keep the site's part.

        Args:
            party: the site's part.
            memory: the site's memory; a run is remembered before it is answered.
            runs: number of runs that the site answers.
            watched: entered around each answer: decides and records it.
        """
        self.party, self._memory, self._runs, self._watched = party, memory, runs, watched
        self._lock = threading.Lock()

    def answer(self, message: Mapping[str, Any], peer: Ed25519PublicKey) -> dict[str, Any]:
        """Return the answer to the receiver's message.

        Args:
            message: the message.
            peer: the key that the peer of the connection proved to own.

        Raises:
            SiteRefused: the message is refused; the text contains no data of the site.
        """
        with self._lock, self._watched():
            request = self._checked(message, peer)
            run = str(message["run"])
            runs = self._memory.runs(self.party.digest)
            if run in runs or len(runs) >= self._runs:
                raise SiteRefused(
                    f"site '{self.party.name}' has answered {len(runs)} run(s) of this plan, and its file allows no more (runs: N)"
                )
            self._memory.keep(self.party.digest, {**runs, run: {"sequence": 1, "answered": 1}})
            return self._blinded(run, request)

    def _checked(self, message: Mapping[str, Any], peer: Ed25519PublicKey) -> bytes:
        party, plan = self.party, self.party.plan
        receiver = party.key_of(plan.receiver)
        if peer != receiver:
            raise SiteRefused(f"only the receiver of plan '{plan.plan}' is answered")
        said = {key: value for key, value in message.items() if key != "request"}
        request = _bytes(message.get("request"))
        expected = {"protocol": PROTOCOL, "plan": party.digest, "site": plan.receiver, "sent": sha256(request)}
        if not signed_by(said, receiver) or any(said.get(key) != value for key, value in expected.items()):
            raise SiteRefused("the request is not signed by the receiver for this plan")
        if not isinstance(said.get("run"), str) or len(said["run"]) > 64:
            raise SiteRefused("the request names no run")
        _demand_fitting(plan, said, party.table)
        return request

    def _blinded(self, run: str, data: bytes) -> dict[str, Any]:
        plan, psi, mine = self.party.plan, _library(), self.party.shuffled()
        request = _parsed(psi.Request, data)
        number = len(request.encrypted_elements)
        if number > plan.most_keys or request.reveal_intersection != (plan.reveal == "keys"):
            raise SiteRefused(
                f"the request has more than {plan.most_keys:,} keys, or asks to reveal other than the plan"
            )
        server = psi.server.CreateWithNewKey(plan.reveal == "keys")
        try:
            response = server.ProcessRequest(request).SerializeToString()
        except (RuntimeError, ValueError):
            raise SiteRefused("the request is no part of an intersection") from None
        setup = server.CreateSetupMessage(1e-9, number, mine, psi.DataStructure.RAW).SerializeToString()
        said = self.party.signed(run, keys=len(mine), asked=sha256(data), sent=sha256(setup + response))
        return {**said, "setup": _packed(setup), "response": _packed(response)}


def signed_by(said: Mapping[str, Any], key: Ed25519PublicKey) -> bool:
    """Return whether a statement of a run is signed by a key."""
    try:
        key.verify(
            bytes_of(said.get("signature")), _text({name: value for name, value in said.items() if name != "signature"})
        )
    except (InvalidSignature, SiteRefused, ValueError, TypeError):
        return False
    return True


def keys_of(table: pa.Table, column: str) -> list[str]:
    """Return the distinct keys of a column as text; nulls are left out.

    Raises:
        SourceError: the column is neither text nor whole numbers.
    """
    import pyarrow.types as kinds

    kind = table.schema.field(column).type
    if not (kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_integer(kind)):
        raise SourceError(
            f"key '{column}' is {kind}: intersections are of text or whole numbers, which are written alike everywhere"
        )
    return [str(value) for value in table[column].unique().to_pylist() if value is not None]


def _demand_fitting(plan: IntersectPlan, said: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    """Refuse another version than the plan's, and keys that are protected otherwise: they would never be equal."""
    name, table = str(said["site"]), said.get("table")
    if not isinstance(table, Mapping):
        raise SiteRefused("it states nothing about its table", name)
    pinned = plan.site(name).version
    if pinned is not None and table.get("version") != pinned:
        raise SiteRefused(
            f"it uses version {str(table.get('version'))[:20]} of its table, and the plan says {pinned}", name
        )
    if same_protections(table.get("protections") or {}, mine.get("protections") or {}, [plan.key]):
        raise SiteRefused(
            f"column '{plan.key}' is protected by other operators or keys at the two sites, so no two keys are equal: keep it, or "
            "protect it under a common key", name,
        )  # fmt: skip


def _text(said: Mapping[str, Any]) -> bytes:
    return b"dataward/federated/1\0intersect" + canonical(dict(said))


def _packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise SiteRefused("a part of the message is not valid base64") from None


def _parsed(kind: Any, data: bytes) -> Any:
    message = kind()
    try:
        message.ParseFromString(data)
    except Exception:  # protobuf's own error, by the version that is installed
        raise SiteRefused("a part of the message is malformed") from None
    return message


def _library() -> Any:
    try:
        from private_set_intersection import python as psi
    except ImportError:
        raise UsageError("intersections need OpenMined's library: pip install 'dataward[intersect]'") from None
    return psi
