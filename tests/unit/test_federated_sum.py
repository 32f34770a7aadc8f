"""Secure aggregation: the sum is exact, nothing else is learned, and what could reveal more is refused."""

import dataclasses
import hmac
import itertools

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from dataward.errors import SiteRefused
from dataward.federated import protocol
from dataward.federated.combine import total
from dataward.federated.masks import agree, expand, public_of
from dataward.federated.shamir import PRIME, join, share_at, split

NAMES = ("a", "b", "c", "d", "e")
KEYS = {name: Ed25519PrivateKey.generate() for name in NAMES}


def session(names=NAMES, threshold=3, size=4, identity="1"):
    return protocol.Session(identity, {name: KEYS[name].public_key() for name in names}, threshold, size)


class Round:
    """One secure sum played through, with sites that drop out before a stage."""

    def __init__(self, vectors, threshold=3, size=4, lost_at_share=(), lost_at_mask=(), lost_at_unmask=()):
        names = tuple(vectors)
        self.session = session(names, threshold, size)
        self.advertised = {name: protocol.advertise(self.session, name, KEYS[name]) for name in names}
        self.adverts = {name: state.advert for name, state in self.advertised.items()}
        shared = {
            name: protocol.share(state, self.adverts)
            for name, state in self.advertised.items()
            if name not in lost_at_share
        }
        self.shared = {name: state for name, (state, _) in shared.items()}
        self.sealed = {to: {name: out[to] for name, (_, out) in shared.items() if name != to} for to in shared}
        made = {
            name: protocol.mask(self.shared[name], self.sealed[name], vectors[name])
            for name in self.shared
            if name not in lost_at_mask
        }
        self.masked = {name: state for name, (state, _) in made.items()}
        self.vectors = {name: vector for name, (_, vector) in made.items()}
        survivors = tuple(self.masked)
        agreed = {name: protocol.agree_on(state, survivors) for name, state in self.masked.items()}
        self.agreed = {name: state for name, (state, _) in agreed.items()}
        self.signatures = {name: signature for name, (_, signature) in agreed.items()}
        self.revealed = {
            name: protocol.unmask(state, self.signatures)
            for name, state in self.agreed.items()
            if name not in lost_at_unmask
        }

    def total(self):
        return total(self.session, self.adverts, tuple(self.shared), self.vectors, self.revealed)


def vectors_of(names, size=4, seed=0):
    draw = np.random.default_rng(seed)
    return {name: draw.integers(0, 2**64, size, dtype=np.uint64) for name in names}


def plain_sum(vectors, names):
    return np.array(
        [sum(int(vectors[name][i]) for name in names) % 2**64 for i in range(len(vectors[names[0]]))], np.uint64
    )


@given(
    count=st.integers(3, 5),
    lost=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    numbers=st.lists(st.integers(0, 2**64 - 1), min_size=4, max_size=4),
)
def test_the_masked_sum_equals_the_plain_sum_bit_for_bit_whoever_drops_out_as_long_as_the_threshold_stays(
    count, lost, numbers
):
    names = NAMES[:count]
    vectors = {**vectors_of(names), names[0]: np.array(numbers, np.uint64)}
    drop, room = [(), (), ()], count - (count // 2 + 1)
    for stage, (wanted, name) in enumerate(zip(lost, reversed(names), strict=False)):
        if wanted and room:
            drop[stage], room = (name,), room - 1
    played = Round(vectors, count // 2 + 1, 4, *drop)
    left = [name for name in names if name not in (*drop[0], *drop[1])]
    assert (played.total().sum == plain_sum(vectors, left)).all()
    assert played.total().liars == ()


def test_a_site_that_reveals_a_wrong_share_is_named_and_the_sum_is_right_all_the_same():
    vectors = vectors_of(NAMES)
    played = Round(vectors, lost_at_mask=("e",))
    wrong = {site: share + 1 for site, share in played.revealed["b"].seeds.items()}
    played.revealed["b"] = dataclasses.replace(played.revealed["b"], seeds=wrong)
    result = played.total()
    assert (result.sum == plain_sum(vectors, NAMES[:4])).all()
    assert result.liars == ("b",)


def test_too_few_right_shares_give_no_sum():
    played = Round(vectors_of(NAMES), lost_at_unmask=("d", "e"))
    played.revealed["a"] = dataclasses.replace(played.revealed["a"], seeds=dict.fromkeys(NAMES, 5))
    with pytest.raises(SiteRefused, match="cannot be recovered from 3 revealed shares"):
        played.total()


def test_a_masked_vector_of_zeros_passes_tests_of_uniformity():
    """Monobit, byte frequencies (chi-square) and serial correlation of what the coordinator sees, at a size where a bias of 1% shows."""
    size = 20_000
    nothing = {name: np.zeros(size, np.uint64) for name in NAMES[:3]}
    seen = Round(nothing, 2, size).vectors["a"].view(np.uint8)
    bits = np.unpackbits(seen)
    assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(bits))
    counts = np.bincount(seen, minlength=256)
    chi = float(((counts - len(seen) / 256) ** 2 / (len(seen) / 256)).sum())
    assert abs(chi - 255) < 5 * np.sqrt(2 * 255)
    centred = seen - 127.5
    assert abs(float((centred[1:] * centred[:-1]).mean() / centred.var())) < 5 / np.sqrt(len(seen))


def test_a_coalition_below_the_threshold_fits_any_inputs_of_the_honest_sites_that_have_the_same_sum():
    """The coalition knows all that coordinator and two of five sites know. Two worlds with equal sums differ for it by fresh randomness only.

    For every pair of inputs of the honest sites with the same sum there are masks of honest pairs that give the same view: the test finds them.
    """
    played = Round(vectors_of(NAMES))
    honest, corrupt = ("a", "b", "c"), ("d", "e")
    known = {}  # what is left of each honest vector once every mask that the coalition can compute is off
    for name in honest:
        rest = played.vectors[name].copy()
        rest -= expand(played.advertised[name].seed, 4)  # seeds of survivors are revealed
        for peer in corrupt:
            state = played.advertised[peer]
            pair = expand(protocol.mask_seed(played.session, state.mask_private, peer, played.adverts[name]), 4)
            rest = rest - pair if played.session.place(name) < played.session.place(peer) else rest + pair
        known[name] = rest
    # The shares that two sites hold of an honest site's mask key fit every key.
    held = {peer: played.masked[peer].held["a"][0] for peer in corrupt}
    places = {played.session.place(peer): share for peer, share in held.items()}
    for guess in (bytes(32), bytes([7] * 32)):
        third = share_at({**places, 0: int.from_bytes(guess, "big")}, played.session.place("a"))
        assert join({**places, played.session.place("a"): third}) == guess
    # Another world: a's input is larger by `shift`, b's smaller; the mask between a and b explains the difference.
    shift = np.array([1, 2**63, 12345, 2**64 - 1], np.uint64)
    vectors = vectors_of(NAMES)
    pair_ab = expand(
        protocol.mask_seed(played.session, played.advertised["a"].mask_private, "a", played.adverts["b"]), 4
    )
    pair_ac = expand(
        protocol.mask_seed(played.session, played.advertised["a"].mask_private, "a", played.adverts["c"]), 4
    )
    pair_bc = expand(
        protocol.mask_seed(played.session, played.advertised["b"].mask_private, "b", played.adverts["c"]), 4
    )
    other = pair_ab - shift
    assert (known["a"] == vectors["a"] + pair_ab + pair_ac).all()
    assert (known["a"] == (vectors["a"] + shift) + other + pair_ac).all()
    assert (known["b"] == (vectors["b"] - shift) - other + pair_bc).all()
    assert (sum(known.values()) == plain_sum(vectors, honest)).all()  # the sum, and no more


def test_no_site_reveals_both_secrets_of_another():
    played = Round(vectors_of(NAMES), lost_at_mask=("e",))
    for shares in played.revealed.values():
        assert set(shares.seeds) == set(NAMES[:4])
        assert set(shares.mask_keys) == {"e"}


@pytest.mark.parametrize(
    ("survivors", "why"),
    [
        (("a", "b"), "2 of 5 sites are left"),
        (("b", "c", "d"), "lacks this one"),
        (("a", "b", "b", "c"), "repeats a site"),
        (("a", "b", "x"), "shared no secret"),
    ],
)
def test_a_list_of_survivors_that_could_reveal_more_is_refused(survivors, why):
    with pytest.raises(SiteRefused, match=why):
        protocol.agree_on(Round(vectors_of(NAMES)).masked["a"], survivors)


def test_a_coordinator_that_shows_two_lists_of_survivors_gets_shares_for_neither():
    """Equivocation: a, b, c are asked for the one list, d and e for another; each refuses the other group's signatures."""
    played = Round(vectors_of(NAMES))
    first, second = ("a", "b", "c", "d"), ("a", "c", "d", "e")
    agreed_a, _ = protocol.agree_on(played.masked["a"], first)
    _, of_d = protocol.agree_on(played.masked["d"], second)
    with pytest.raises(SiteRefused, match="site 'd' signed another list"):
        protocol.unmask(agreed_a, {"d": of_d})
    with pytest.raises(SiteRefused, match="1 of 5 sites"):
        protocol.unmask(agreed_a, {"a": protocol.agree_on(played.masked["a"], first)[1]})


def test_keys_that_are_not_signed_by_the_site_for_this_session_are_refused():
    here, there = session(), session(identity="2")
    states = {name: protocol.advertise(here, name, KEYS[name]) for name in NAMES}
    adverts = {name: state.advert for name, state in states.items()}
    replayed = {**adverts, "b": protocol.advertise(there, "b", KEYS["b"]).advert}
    stolen = {**adverts, "b": dataclasses.replace(adverts["c"], site="b")}
    for given_, site in ((replayed, "b"), (stolen, "b")):
        with pytest.raises(SiteRefused, match="site 'b' are not signed") as caught:
            protocol.share(states["a"], given_)
        assert caught.value.site == site
    with pytest.raises(SiteRefused, match="own advert is missing"):
        protocol.share(states["a"], {name: adverts[name] for name in "bcd"})
    with pytest.raises(SiteRefused, match="2 of 5 sites"):
        protocol.share(states["a"], {name: adverts[name] for name in "ab"})


def test_shares_that_were_changed_on_the_way_are_refused_and_their_sender_named():
    played = Round(vectors_of(NAMES))
    changed = {**played.sealed["a"], "b": played.sealed["a"]["b"][:-1] + b"\0"}
    for sealed in (changed, {**played.sealed["a"], "b": played.sealed["a"]["c"]}):
        with pytest.raises(SiteRefused, match="do not decrypt") as caught:
            protocol.mask(played.shared["a"], sealed, np.zeros(4, np.uint64))
        assert caught.value.site == "b"


@pytest.mark.parametrize("threshold", [0, 2, 6])
def test_a_threshold_under_which_two_groups_could_be_unmasked_is_refused(threshold):
    with pytest.raises(ValueError, match="not more than half"):
        session(threshold=threshold)


@given(st.binary(min_size=32, max_size=32), st.integers(1, 5), st.integers(0, 2))
def test_threshold_shares_recover_a_secret_and_one_fewer_fit_any_other(secret, threshold, more):
    places = range(1, threshold + more + 1)
    shares = split(secret, threshold, places)
    for chosen in itertools.combinations(places, threshold):
        assert join({place: shares[place] for place in chosen}) == secret
    fewer = {place: shares[place] for place in list(places)[: threshold - 1]}
    assert share_at({**fewer, 0: 0, PRIME - 1: 1}, 0) == 0  # the polynomial through 0 is as good as any


def test_agreed_keys_are_the_products_of_rfc_7748_behind_hkdf():
    """Section 5.2: scalar times point gives the published point; HKDF-SHA-256 of it by hand (RFC 5869 with one block)."""
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    product = bytes.fromhex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    extracted = hmac.digest(bytes(32), product, "sha256")
    assert agree(scalar, point, b"p") == hmac.digest(extracted, b"dataward/federated/1/p\1", "sha256")
    mine, theirs = bytes(range(32)), bytes(range(1, 33))
    assert (
        agree(mine, public_of(theirs), b"p")
        == agree(theirs, public_of(mine), b"p")
        != agree(mine, public_of(theirs), b"q")
    )
    with pytest.raises(SiteRefused, match="invalid"):
        agree(scalar, bytes(32), b"p")


def test_a_mask_is_the_key_stream_of_rfc_8439():
    """Appendix A.1, test vector 1: key and nonce of zeros, counter 0."""
    stream = bytes.fromhex(
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
    )
    assert expand(bytes(32), 8).astype("<u8").tobytes() == stream
