"""Secure aggregation at a site: answers from frozen states, and the refusals that limit what others learn to the sum.

Bonawitz et al., *Practical Secure Aggregation for Privacy-Preserving Machine Learning*, CCS 2017, in the variant against an active
coordinator: signed keys, double masking, shares for dropouts, and signatures under one list of survivors.

1. ``advertise``: fresh X25519 keys and a commitment to the seed of the site's own mask, signed with the site's key.
2. ``share``: the others' keys are verified; shares of the mask key and of the seed are encrypted for each site.
3. ``mask``: the vector plus the own mask plus one mask per pair of sites.
4. ``agree``: a signature of the list of sites whose masked vector arrived.
5. ``unmask``: for each site *either* the share of its seed (it survived) *or* of its mask key (it dropped out), never both.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from dataward.errors import SiteRefused
from dataward.federated.encode import Integers, canonical
from dataward.federated.masks import agree, expand, public_of
from dataward.federated.shamir import PRIME, split

__all__ = [
    "Advert",
    "Advertised",
    "Agreed",
    "Masked",
    "Session",
    "Shared",
    "Shares",
    "advertise",
    "agree_on",
    "commitment",
    "mask",
    "mask_seed",
    "share",
    "unmask",
    "verified",
]

SHARE = (PRIME.bit_length() + 7) // 8  # bytes


@dataclass(frozen=True)
class Session:
    """One secure sum.

    Attributes:
        id: SHA-256 (hex) of plan, run, number and content of the step; it is part of every key and signature.
        keys: the sites' Ed25519 public keys, in the order of the plan.
        threshold: number of sites that must answer at each stage; more than half.
        size: number of integers in a vector.
    """

    id: str
    keys: Mapping[str, Ed25519PublicKey] = field(repr=False)
    threshold: int
    size: int

    def __post_init__(self) -> None:
        """Refuse a threshold under which two disjoint groups of sites could be unmasked."""
        if not len(self.keys) // 2 < self.threshold <= len(self.keys):
            raise ValueError(f"the threshold {self.threshold} is not more than half of {len(self.keys)} sites")

    def place(self, site: str) -> int:
        """Return the place at which a site's shares are evaluated."""
        return list(self.keys).index(site) + 1

    def text(self, what: str, *parts: object) -> bytes:
        """Return the bytes to sign for a purpose in this session."""
        return b"dataward/federated/1\0" + canonical([what, self.id, *parts])

    def purpose(self, what: str, *sites: str) -> bytes:
        """Return the HKDF info of a key in this session."""
        return canonical([what, self.id, *sites])


@dataclass(frozen=True)
class Advert:
    """A site's fresh public keys (hex), the commitment to its seed (hex), and its signature on them (hex)."""

    site: str
    mask_key: str
    share_key: str
    commitment: str
    signature: str

    def parts(self) -> tuple[str, str, str, str]:
        """Return what the signature covers."""
        return self.site, self.mask_key, self.share_key, self.commitment


@dataclass(frozen=True)
class Advertised:
    """State of a site after ``advertise``."""

    session: Session
    site: str
    mask_private: bytes = field(repr=False)
    share_private: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    signer: Ed25519PrivateKey = field(repr=False)
    advert: Advert


@dataclass(frozen=True)
class Shared:
    """State of a site after ``share``: the verified adverts, and its own shares."""

    before: Advertised
    adverts: Mapping[str, Advert]
    own: tuple[int, int] = field(repr=False)


@dataclass(frozen=True)
class Masked:
    """State of a site after ``mask``: its shares of the secrets of each site that shared."""

    before: Shared
    held: Mapping[str, tuple[int, int]] = field(repr=False)


@dataclass(frozen=True)
class Agreed:
    """State of a site after ``agree_on``: the survivors that it signed."""

    before: Masked
    survivors: tuple[str, ...]


@dataclass(frozen=True)
class Shares:
    """Shares that a site reveals: of each survivor's seed and of each dropout's mask key."""

    seeds: Mapping[str, int] = field(repr=False)
    mask_keys: Mapping[str, int] = field(repr=False)


def commitment(session: Session, site: str, seed: bytes) -> str:
    """Return the commitment (hex) to a random 32-byte seed."""
    return hashlib.sha256(session.text("seed", site) + seed).hexdigest()


def advertise(session: Session, site: str, signer: Ed25519PrivateKey) -> Advertised:
    """Generate the keys of one session and sign them.

    Raises:
        SiteRefused: the session has no such site, or has another key for it.
    """
    if site not in session.keys:
        raise SiteRefused(f"the plan has no site '{site}'")
    if session.keys[site].public_bytes_raw() != signer.public_key().public_bytes_raw():
        raise SiteRefused(f"the plan names another public key for site '{site}' than this site's")
    mask_private, share_private, seed = (secrets.token_bytes(32) for _ in range(3))
    parts = site, public_of(mask_private).hex(), public_of(share_private).hex(), commitment(session, site, seed)
    advert = Advert(*parts, signer.sign(session.text("advert", *parts)).hex())
    return Advertised(session, site, mask_private, share_private, seed, signer, advert)


def verified(session: Session, adverts: Mapping[str, Advert]) -> Mapping[str, Advert]:
    """Verify adverts: signed by sites of the plan for this session, with distinct keys, enough of them.

    Raises:
        SiteRefused: names the site whose advert does not verify.
    """
    for site, advert in adverts.items():
        if site not in session.keys or advert.site != site:
            raise SiteRefused("an advert names a site that the plan does not have", site)
        try:
            session.keys[site].verify(bytes.fromhex(advert.signature), session.text("advert", *advert.parts()))
        except (InvalidSignature, ValueError):
            raise SiteRefused(f"the keys of site '{site}' are not signed by it for this step", site) from None
    public = [key for advert in adverts.values() for key in (advert.mask_key, advert.share_key)]
    if len(set(public)) < len(public):
        raise SiteRefused("two sites advertise the same key")
    _enough(session, adverts)
    return adverts


def share(state: Advertised, adverts: Mapping[str, Advert]) -> tuple[Shared, dict[str, bytes]]:
    """Verify the others' keys, and encrypt shares of both secrets for each of them.

    Raises:
        SiteRefused: an advert does not verify, there are too few, or the own one is missing or was changed.
    """
    session, me = state.session, state.site
    verified(session, adverts)
    if adverts.get(me) != state.advert:
        raise SiteRefused("the own advert is missing from the list, or was changed")
    places = {site: session.place(site) for site in adverts}
    of_key = split(state.mask_private, session.threshold, places.values())
    of_seed = split(state.seed, session.threshold, places.values())
    sealed = {}
    for site, place in places.items():
        if site != me:
            plain = of_key[place].to_bytes(SHARE, "big") + of_seed[place].to_bytes(SHARE, "big")
            key = agree(state.share_private, bytes.fromhex(adverts[site].share_key), session.purpose("share", me, site))
            # The key is specific to session, sender and receiver, so it encrypts a single message.
            sealed[site] = ChaCha20Poly1305(key).encrypt(bytes(12), plain, session.text("share", me, site))
    return Shared(state, dict(adverts), (of_key[places[me]], of_seed[places[me]])), sealed


def mask(state: Shared, sealed: Mapping[str, bytes], vector: Integers) -> tuple[Masked, Integers]:
    """Mask a vector for the sites that shared.

    Args:
        state: the site's state.
        sealed: the encrypted shares for this site, by sender.
        vector: integers mod 2^64.

    Raises:
        SiteRefused: shares do not decrypt, come from an unknown site, or from too few.
    """
    session, me = state.before.session, state.before.site
    held = {me: state.own}
    for site, text in sealed.items():
        if site not in state.adverts or site == me:
            raise SiteRefused("shares come from a site that advertised no key", site)
        key = agree(
            state.before.share_private,
            bytes.fromhex(state.adverts[site].share_key),
            session.purpose("share", site, me),
        )
        try:
            plain = ChaCha20Poly1305(key).decrypt(bytes(12), text, session.text("share", site, me))
        except InvalidTag:
            raise SiteRefused(f"the shares of site '{site}' do not decrypt", site) from None
        held[site] = int.from_bytes(plain[:SHARE], "big"), int.from_bytes(plain[SHARE:], "big")
    _enough(session, held)
    masked = vector + expand(state.before.seed, session.size)
    for site in held:
        if site != me:
            seed = mask_seed(session, state.before.mask_private, me, state.adverts[site])
            pair = expand(seed, session.size)
            masked = masked + pair if session.place(me) < session.place(site) else masked - pair
    return Masked(state, held), masked


def mask_seed(session: Session, private: bytes, site: str, advert: Advert) -> bytes:
    """Derive the seed of the mask of two sites from the private key of one and the advert of the other."""
    first, second = sorted((site, advert.site), key=session.place)
    return agree(private, bytes.fromhex(advert.mask_key), session.purpose("mask", first, second))


def agree_on(state: Masked, survivors: tuple[str, ...]) -> tuple[Agreed, bytes]:
    """Sign the list of sites whose masked vector arrived.

    Raises:
        SiteRefused: the list is too short, repeats a site, lacks this one, or names a site that did not share.
    """
    session, me = state.before.before.session, state.before.before.site
    if len(set(survivors)) < len(survivors) or not set(survivors) <= set(state.held) or me not in survivors:
        raise SiteRefused("the list of survivors repeats a site, lacks this one, or names one that shared no secret")
    _enough(session, survivors)
    survivors = tuple(sorted(survivors, key=session.place))
    return Agreed(state, survivors), state.before.before.signer.sign(session.text("survivors", list(survivors)))


def unmask(state: Agreed, signatures: Mapping[str, bytes]) -> Shares:
    """Reveal shares, once enough survivors have signed the same list as this site.

    Raises:
        SiteRefused: a signature is not of a survivor on this list, or there are too few.
    """
    session = state.before.before.before.session
    for site, signature in signatures.items():
        if site not in state.survivors:
            raise SiteRefused("a signature is by a site that is no survivor", site)
        try:
            session.keys[site].verify(signature, session.text("survivors", list(state.survivors)))
        except InvalidSignature:
            raise SiteRefused(f"site '{site}' signed another list of survivors", site) from None
    _enough(session, signatures)
    held = state.before.held
    return Shares(
        {site: held[site][1] for site in state.survivors},
        {site: held[site][0] for site in held if site not in state.survivors},
    )


def _enough(session: Session, sites: Mapping[str, object] | tuple[str, ...]) -> None:
    if len(sites) < session.threshold:
        raise SiteRefused(f"{len(sites)} of {len(session.keys)} sites are left, and the plan needs {session.threshold}")
