"""The coordinator's side of secure aggregation: recover the masks that do not cancel, and subtract them from the sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations, islice

import numpy as np

from dataward.errors import SiteRefused
from dataward.federated.encode import Integers
from dataward.federated.masks import expand, public_of
from dataward.federated.protocol import Advert, Session, Shares, commitment, mask_seed
from dataward.federated.shamir import join, share_at

__all__ = ["Unmasked", "total"]

TRIES = 200
"""Most subsets of shares to try before a secret counts as lost."""


@dataclass(frozen=True)
class Unmasked:
    """The plain sum of the survivors' vectors (mod 2^64), and the sites that revealed a wrong share."""

    sum: Integers
    liars: tuple[str, ...]


def total(
    session: Session,
    adverts: Mapping[str, Advert],
    sharers: tuple[str, ...],
    masked: Mapping[str, Integers],
    revealed: Mapping[str, Shares],
) -> Unmasked:
    """Sum the masked vectors and subtract the survivors' own masks and the dropouts' pairwise masks.

    Args:
        session: the session.
        adverts: the adverts that all sites verified.
        sharers: the sites that shared secrets; a mask was added for each pair of them.
        masked: the survivors' vectors.
        revealed: shares by the site that revealed them.

    Raises:
        SiteRefused: too few correct shares of a secret were revealed.
    """
    result = np.zeros(session.size, dtype=np.uint64)
    liars: set[str] = set()
    for vector in masked.values():
        result = result + vector
    for site in masked:
        shares = {who: given.seeds[site] for who, given in revealed.items() if site in given.seeds}
        fits = partial(_committed, session, adverts[site])
        result = result - expand(_recovered(session, shares, site, liars, fits), session.size)
    for site in sharers:
        if site in masked:
            continue
        shares = {who: given.mask_keys[site] for who, given in revealed.items() if site in given.mask_keys}
        private = _recovered(session, shares, site, liars, partial(_fits_key, adverts[site]))
        for survivor in masked:
            pair = expand(mask_seed(session, private, site, adverts[survivor]), session.size)
            # The survivor added it if its place is lower than the dropout's, else subtracted it.
            result = result - pair if session.place(survivor) < session.place(site) else result + pair
    return Unmasked(result, tuple(sorted(liars, key=session.place)))


def _committed(session: Session, advert: Advert, seed: bytes) -> bool:
    return commitment(session, advert.site, seed) == advert.commitment


def _fits_key(advert: Advert, private: bytes) -> bool:
    return public_of(private).hex() == advert.mask_key


def _recovered(
    session: Session, shares: Mapping[str, int], site: str, liars: set[str], right: Callable[[bytes], bool]
) -> bytes:
    """Recover a secret that matches its public commitment, and record the sites with wrong shares."""
    by_place = {session.place(who): share for who, share in shares.items()}
    for chosen in islice(combinations(by_place, session.threshold), TRIES):
        some = {place: by_place[place] for place in chosen}
        secret = join(some)
        if secret is not None and right(secret):
            liars |= {who for who, share in shares.items() if share_at(some, session.place(who)) != share}
            return secret
    raise SiteRefused(f"the secrets of site '{site}' cannot be recovered from {len(shares)} revealed shares", site)
